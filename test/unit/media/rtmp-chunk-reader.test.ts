/** The chunk reader: every header form, every kind of timestamp, every bound. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../src/kernel/errors.js';
import { RtmpChunkReader, type RtmpMessage } from '../../../src/media/rtmp-chunk-reader.js';

const LIMITS = { messageBytesMax: 100_000, memoryBytesMax: 200_000 };

interface Outcome {
  readonly messages: readonly RtmpMessage[];
  readonly malformed: Malformed | undefined;
}

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

/** Reads `parts` one push at a time. */
function read(...parts: readonly Uint8Array[]): Outcome {
  const reader = new RtmpChunkReader(LIMITS);
  const messages: RtmpMessage[] = [];
  let malformed: Malformed | undefined;
  for (const part of parts) {
    malformed = reader.push(part, (message) => {
      messages.push(message);
      return undefined;
    });
  }
  return { messages, malformed };
}

function times(hex: string): readonly number[] {
  return read(bytes(hex)).messages.map(({ timestampMs }) => timestampMs);
}

test('a message in one chunk has its type, time, stream and body', () => {
  const { messages } = read(bytes('04 000102 000002 08 01000000 aabb'));
  assert.equal(messages, [{ type: 8, timestampMs: 0x0102, streamId: 1, body: Uint8Array.of(0xaa, 0xbb) }]);
});

test('the cuts of TCP do not matter', () => {
  const stream = bytes('04 000102 000002 08 01000000 aabb 44 00000a 000001 09 cc 84 00000a dd c4 ee');
  const whole = read(stream).messages;
  assert.is(whole.length, 4);
  assert.equal(read(...Array.from(stream, (byte) => Uint8Array.of(byte))).messages, whole);
});

test('two-byte and three-byte chunk streams are different streams', () => {
  const { messages } = read(bytes('00 01 000000 000001 08 01000000 aa 01 0100 000005 000001 09 01000000 bb 41 0001 000001 000001 08 cc'));
  assert.equal(
    messages.map(({ type }) => type),
    [8, 9],
  );
  assert.instance(read(bytes('00 01 000000 000001 08 01000000 aa 41 0001 000001 000001 08 cc')).malformed, Malformed);
});

test('a format-3 chunk that starts a message repeats the last step, also after format 0', () => {
  assert.equal(times('04 000064 000001 08 01000000 aa 84 00000a bb c4 cc'), [100, 110, 120]);
  assert.equal(times('04 000064 000001 08 01000000 aa c4 bb'), [100, 200]);
});

test('times and steps wrap modulo 2^32', () => {
  assert.equal(times('04 ffffff 000001 08 01000000 fffffff0 aa 84 000020 bb'), [0xfffffff0, 0x10]);
});

test('an extended time is repeated in the chunks that follow, or left out by old encoders', () => {
  const body = '11'.repeat(128);
  const start = `04 ffffff 000082 09 01000000 01000000 ${body}`;
  for (const rest of ['c4 01000000 2233', 'c4 2233 04 000000 000001 08 01000000 aa']) {
    const { messages, malformed } = read(bytes(`${start} ${rest}`));
    assert.is(malformed, undefined);
    assert.is(messages[0]?.timestampMs, 0x1000000);
    assert.equal(messages[0]?.body.subarray(128), Uint8Array.of(0x22, 0x33));
  }
});

test('a new chunk size holds from the next chunk on', () => {
  const long = '55'.repeat(200);
  const { messages } = read(bytes(`02 000000 000004 01 00000000 000000c8 04 000000 0000c8 09 01000000 ${long}`));
  assert.is(messages.length, 1);
  assert.is(messages[0]?.body.length, 200);
});

test('an abort drops the message under way, and one for an unknown stream nothing', () => {
  const half = `04 000000 000082 09 01000000 ${'11'.repeat(128)}`;
  const { messages, malformed } = read(bytes(`${half} 02 000000 000004 02 00000000 00000004 04 000000 000001 08 01000000 aa`));
  assert.equal(
    messages.map(({ type }) => type),
    [8],
  );
  assert.is(malformed, undefined);
  assert.is(read(bytes('02 000000 000004 02 00000000 00000063')).malformed, undefined);
});

test('a header in the middle of a message drops what was there of it', () => {
  const { messages } = read(bytes(`04 000000 000082 09 01000000 ${'11'.repeat(128)} 04 000005 000001 08 01000000 aa`));
  assert.equal(
    messages.map(({ type, timestampMs }) => [type, timestampMs]),
    [[8, 5]],
  );
});

test('an empty message is a message', () => {
  assert.equal(read(bytes('04 000000 000000 08 01000000')).messages[0]?.body, new Uint8Array(0));
});

test('the control channel may start with format 1, as librtmp starts it; others may not', () => {
  assert.is(read(bytes('42 000000 000001 04 aa')).messages.length, 1);
  assert.match(read(bytes('43 000000 000001 04 aa')).malformed?.reason ?? '', 'starts with format 1');
});

test('after Malformed nothing more is read', () => {
  const outcome = read(bytes('c4'), bytes('04 000000 000001 08 01000000 aa'));
  assert.is(outcome.messages.length, 0);
  assert.instance(outcome.malformed, Malformed);
});

test('what the receiver finds wrong with a message ends the reading', () => {
  const reader = new RtmpChunkReader(LIMITS);
  let count = 0;
  const malformed = reader.push(bytes('04 000000 000001 08 01000000 aa c4 bb c4 cc'), () => {
    count += 1;
    return count === 2 ? new Malformed('enough') : undefined;
  });
  assert.is(malformed?.reason, 'enough');
  assert.is(count, 2);
});

test('a promised length costs no memory before its bytes arrive', () => {
  const before = process.memoryUsage().arrayBuffers;
  const reader = new RtmpChunkReader({ messageBytesMax: 16_777_215, memoryBytesMax: 256 * 1024 * 1024 });
  // A chunk size of 1, then one byte each of messages that claim 16 MiB.
  const parts = ['02 000000 000004 01 00000000 00000001'];
  for (let stream = 3; stream < 60; stream++) parts.push(`${stream.toString(16).padStart(2, '0')} 000000 ffffff 09 01000000 aa`);
  for (const part of parts)
    assert.is(
      reader.push(bytes(part), () => undefined),
      undefined,
    );
  assert.ok(process.memoryUsage().arrayBuffers - before < 4 * 1024 * 1024);
});

test.run();
