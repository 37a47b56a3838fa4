/** Laws of the MMS decoders: cutting a byte stream anywhere gives the same messages, and what is encoded is decoded. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HttpResponseReader } from '../../src/ingest/http-response.js';
import { MmshClient } from '../../src/ingest/mmsh-client.js';
import type { SourceEffect } from '../../src/ingest/source-client.js';
import { parseSourceUrl } from '../../src/ingest/source-url.js';
import { Malformed } from '../../src/kernel/errors.js';
import { Rng } from '../../src/kernel/rng.js';
import { encodeMmshChange, encodeMmshData, encodeMmshHeader, type MmshChunk, MmshChunkReader } from '../../src/media/mmsh-chunk.js';
import { encodeMmstCommand, encodeMmstData, FROM_CLIENT, FROM_SERVER, type MmstMessage, MmstReader } from '../../src/media/mmst-message.js';
import type { PlayerEffect } from '../../src/relay/endpoints/mms-player.js';
import { MmsPort } from '../../src/relay/endpoints/mms-port.js';
import { bytesOf, simpleHeader } from '../support/asf-writer.js';

const HEADER = simpleHeader();
const payload = fc.uint8Array({ maxLength: 300 });
const cuts = fc.array(fc.nat(5000), { maxLength: 12 });

/** The bytes in pieces that end at the cuts. */
function pieces(bytes: Uint8Array, cutOffsets: readonly number[]): Uint8Array[] {
  const offsets = [0, ...cutOffsets.map((offset) => offset % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return offsets.slice(1).map((end, index) => bytes.subarray(offsets[index], end));
}

test('MMSH chunks come out as they went in, wherever the stream is cut', () => {
  const chunk = fc.record({ locationId: fc.nat(0xffffffff), afFlags: fc.nat(255), payload });
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 8 }), cuts, (chunks, cutOffsets) => {
      const wire = bytesOf(...chunks.map((one) => encodeMmshData(one.locationId, one.afFlags, one.payload)));
      const read: MmshChunk[] = [];
      const reader = new MmshChunkReader();
      for (const piece of pieces(wire, cutOffsets))
        assert.is(
          reader.push(piece, (one) => read.push(one)),
          undefined,
        );
      assert.equal(
        read,
        chunks.map((one) => ({ kind: 'data', incarnation: 0, sizeDiffers: false, ...one })),
      );
    }),
  );
});

test('MMST messages come out as they went in, wherever the stream is cut', () => {
  const command = fc.record({
    id: fc.nat(0x40),
    fields: fc.uint8Array({ maxLength: 10 }).map((bytes) => bytesOf(bytes, new Uint8Array((8 - (bytes.length % 8)) % 8))),
  });
  const data = fc.record({ locationId: fc.nat(0xffffffff), incarnation: fc.integer({ min: 1, max: 0x7f }), afFlags: fc.nat(255), payload });
  fc.assert(
    fc.property(fc.array(fc.oneof(command, data), { maxLength: 8 }), cuts, (messages, cutOffsets) => {
      const wire = bytesOf(
        ...messages.map((one) =>
          'id' in one
            ? encodeMmstCommand(one.id, FROM_SERVER, one.fields)
            : encodeMmstData(one.locationId, one.incarnation, one.afFlags, one.payload),
        ),
      );
      const read: MmstMessage[] = [];
      const reader = new MmstReader({ acceptsData: true });
      for (const piece of pieces(wire, cutOffsets))
        assert.is(
          reader.push(piece, (one) => read.push(one)),
          undefined,
        );
      assert.equal(
        read,
        messages.map((one) => ('id' in one ? { kind: 'command', direction: FROM_SERVER, ...one } : { kind: 'data', ...one })),
      );
    }),
  );
});

test('an HTTP answer reads the same, wherever it is cut, chunked or not', () => {
  fc.assert(
    fc.property(fc.array(payload, { maxLength: 5 }), fc.boolean(), cuts, (bodies, isChunked, cutOffsets) => {
      const filled = bodies.filter(({ length }) => length > 0);
      const body = isChunked
        ? bytesOf(...filled.flatMap((one) => [`${one.length.toString(16)}\r\n`, one, '\r\n']), '0\r\n\r\n')
        : bytesOf(...filled);
      const wire = bytesOf(`HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\n${isChunked ? 'Transfer-Encoding: chunked\r\n' : ''}\r\n`, body);
      const read: Uint8Array[] = [];
      const heads: (string | undefined)[] = [];
      let endCount = 0;
      const reader = new HttpResponseReader({
        onHead: ({ headers }) => heads.push(headers.get('a')),
        onBody: (bytes) => read.push(bytes.slice()),
        onEnd: () => endCount++,
      });
      for (const piece of pieces(wire, cutOffsets)) assert.is(reader.push(piece), undefined);
      assert.equal(bytesOf(...read), bytesOf(...filled));
      assert.equal([heads, endCount], [['1, 2'], isChunked ? 1 : 0]);
    }),
  );
});

test('a client says the same of a stream, wherever it is cut', () => {
  const stream = bytesOf(
    'HTTP/1.0 200 OK\r\nPragma: features="broadcast"\r\n\r\n',
    ...[encodeMmshHeader(HEADER), encodeMmshData(1, 0, Uint8Array.of(1)), encodeMmshChange(0), encodeMmshHeader(HEADER)],
    encodeMmshData(2, 1, Uint8Array.of(2, 3)),
  );
  const play = (parts: readonly Uint8Array[]): SourceEffect[] => {
    const url = parseSourceUrl('mmsh://a.example/x');
    if (url instanceof Malformed) throw new Error(url.reason);
    const client = new MmshClient(url);
    const opened = { kind: 'opened', localHost: '127.0.0.1', localPort: 1 } as const;
    const describe = bytesOf('HTTP/1.0 200 OK\r\nPragma: features="broadcast"\r\n\r\n', encodeMmshHeader(HEADER));
    const before = [{ kind: 'start' } as const, opened, { kind: 'bytes', bytes: describe } as const, opened];
    return [...before, ...parts.map((bytes) => ({ kind: 'bytes', bytes }) as const)].flatMap((input) => [...client.handle(input, 0)]);
  };
  const whole = play([stream]);
  assert.ok(whole.filter((effect) => effect.kind === 'emit').length === 5);
  fc.assert(fc.property(cuts, (cutOffsets) => assert.equal(play(pieces(stream, cutOffsets)), whole)));
});

test('a session answers the same, wherever the request is cut', () => {
  const channel = { header: () => HEADER };
  const play = (parts: readonly Uint8Array[]): PlayerEffect<typeof channel>[] => {
    const port = new MmsPort<typeof channel>({ lookup: (path) => (path === '/x' ? channel : undefined), rng: new Rng(1) });
    return parts.flatMap((bytes) => [...port.handle({ kind: 'bytes', bytes }, 0)]);
  };
  const wires = [
    bytesOf('GET /x HTTP/1.0\r\nPragma: xPlayStrm=1\r\n\r\n'),
    bytesOf(
      encodeMmstCommand(1, FROM_CLIENT, new Uint8Array(16)),
      encodeMmstCommand(0x18, FROM_CLIENT, new Uint8Array(8)),
      encodeMmstCommand(7, FROM_CLIENT, new Uint8Array(32)),
    ),
  ];
  for (const wire of wires) {
    const whole = play([wire]);
    assert.ok(whole.length > 1);
    fc.assert(fc.property(cuts, (cutOffsets) => assert.equal(play(pieces(wire, cutOffsets)), whole)));
  }
});

test.run();
