import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../src/kernel/errors.js';
import { type AsfPacket, padAsfPacket, parseAsfPacket } from '../../../src/media/asf-packet.js';
import { bytesOf, le, packetOf } from '../../support/asf-writer.js';

const PS = 256;

function parse(bytes: Uint8Array): AsfPacket {
  const packet = parseAsfPacket(bytes, PS);
  if (packet instanceof Malformed) throw new Error(packet.reason);
  return packet;
}

const one = {
  stream: 2,
  key: true,
  objectNumber: 7,
  offsetBytes: 100,
  objectBytes: 400,
  presentationMs: 5000,
  data: Uint8Array.of(1, 2, 3),
};
const HEAD = [0x82, 0, 0];
const TIMES = [9, 0, 0, 0, 5, 0];

test('a padded packet and the same one stripped hold the same payloads', () => {
  const padded = packetOf([one, { data: Uint8Array.of(4) }], PS, 1234);
  const stripped = packetOf([one, { data: Uint8Array.of(4) }], PS, 1234, true);
  assert.ok(stripped.length < padded.length);
  assert.equal(parse(stripped), parse(padded));
  assert.is(parse(padded).sendMs, 1234);
  const [first] = parse(padded).payloads;
  assert.equal(first && { ...first, data: [...first.data] }, { ...one, data: [1, 2, 3] });
});

test('a single payload takes what remains, with and without error correction', () => {
  const rest = [0x00, 0x5d, ...TIMES, 0x81, 3, 0, 0, 0, 0, 8, 5, 0, 0, 0, 1, 0, 0, 0, 11, 12, 13, 14, 15];
  for (const lead of [HEAD, []]) {
    const packet = parse(bytesOf(lead, rest));
    assert.is(packet.durationMs, 5);
    assert.equal([...(packet.payloads[0]?.data ?? [])], [11, 12, 13, 14, 15]);
  }
});

test('a packet length of its own and a sequence number are understood', () => {
  const body = [0x81, 3, 0, 0, 0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 11, 12];
  const head = [...HEAD, 0x2a, 0x5d];
  const packet = parse(bytesOf(head, [5 + 3 + 6 + body.length + 4], [1], [4], TIMES, body, [9, 9, 9, 9, 0, 0]));
  assert.equal([...(packet.payloads[0]?.data ?? [])], [11, 12]);
});

test('a compressed payload is a list of whole objects, a step apart', () => {
  const packet = parse(bytesOf(HEAD, [0x00, 0x5d], TIMES, [0x02, 255], le(3000, 4), [1, 20], [2, 65, 66, 1, 67]));
  assert.is(packet.fault, undefined);
  assert.equal(
    packet.payloads.map(({ objectNumber, presentationMs, objectBytes, offsetBytes }) => [
      objectNumber,
      presentationMs,
      objectBytes,
      offsetBytes,
    ]),
    [
      [255, 3000, 2, 0],
      [0, 3020, 1, 0],
    ],
  );
});

test('without replicated data a payload has neither size nor time', () => {
  const packet = parse(bytesOf(HEAD, [0x00, 0x5d], TIMES, [1, 0], le(0, 4), [0, 65]));
  assert.equal([packet.payloads[0]?.objectBytes, packet.payloads[0]?.presentationMs], [undefined, undefined]);
});

const UNREAD: readonly (readonly [string, Uint8Array])[] = [
  ['row 16: longer than the packet size', new Uint8Array(PS + 1)],
  ['row 17: empty', new Uint8Array(0)],
  ['row 17: one byte', Uint8Array.of(0x82)],
  ['row 18: error correction with a length type', bytesOf([0xa2, 0, 0, 0, 0x5d], TIMES)],
  ['row 18: opaque error correction', bytesOf([0x92, 0, 0, 0, 0x5d], TIMES)],
  ['error correction twice', bytesOf(HEAD, HEAD, TIMES)],
  ['row 19: padding as long as the packet', bytesOf(HEAD, [0x08, 0x5d, 255], TIMES, new Uint8Array(10)).with(5, 255)],
  ['row 19: padding over the header', bytesOf(HEAD, [0x10, 0x5d], le(PS - 3, 2), TIMES, new Uint8Array(PS - 13))],
  ['row 19: padding beyond a stated packet length', bytesOf(HEAD, [0x28, 0x5d, 40, 40], TIMES, new Uint8Array(40))],
  ['a packet length beyond the packet size', bytesOf(HEAD, [0x40, 0x5d], le(PS + 1, 2), TIMES, new Uint8Array(40))],
  ['cut off in its times', bytesOf(HEAD, [0, 0x5d, 1, 2])],
  ['stream numbers of another width', bytesOf(HEAD, [0, 0x9d], TIMES, new Uint8Array(30))],
];

for (const [title, bytes] of UNREAD) {
  test(`not read, ${title}`, () => assert.instance(parseAsfPacket(bytes, title.includes('as long') ? 255 : PS), Malformed));
}

const multiple = (flags: number, rest: readonly number[]): Uint8Array => bytesOf(HEAD, [0x01, 0x5d], TIMES, [flags], rest);
const payload = [1, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 65, 66];
const STOPPED: readonly (readonly [string, Uint8Array, RegExp, number])[] = [
  ['row 20: a count of 0', multiple(0x80, []), /0 payloads/, 0],
  ['payloads without a length', multiple(0x02, payload), /without a length/, 0],
  ['row 21: a payload longer than the packet', multiple(0x82, [...payload, ...payload.slice(0, 15), 99, 0, 65]), /data beyond/, 1],
  ['row 22: replicated data of 5 bytes', multiple(0x82, [...payload, 1, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 5]), /5 bytes of replicated/, 1],
  ['row 22: replicated data beyond the packet', multiple(0x82, [...payload, 1, 0, 0, 0, 0, 0, 200, 1]), /replicated data beyond/, 1],
  ['row 23: an empty part', bytesOf(HEAD, [0x00, 0x5d], TIMES, [2, 0], le(0, 4), [1, 20], [1, 65, 0, 66]), /empty part/, 1],
  ['row 23: a part beyond the payload', bytesOf(HEAD, [0x00, 0x5d], TIMES, [2, 0], le(0, 4), [1, 20], [1, 65, 9, 66]), /beyond its end/, 1],
  ['fewer payloads than counted', multiple(0x83, payload), /cut off/, 1],
];

for (const [title, bytes, fault, count] of STOPPED) {
  test(`read up to the fault, ${title}`, () => {
    const packet = parse(bytes);
    assert.match(packet.fault ?? '', fault);
    assert.is(packet.payloads.length, count);
  });
}

test('row 24: a claimed object of 4 GiB costs nothing and is passed on as claimed', () => {
  const packet = parse(packetOf([{ ...one, objectBytes: 0xffff_ffff, offsetBytes: 0xffff_fff0 }], PS));
  assert.is(packet.payloads[0]?.objectBytes, 0xffff_ffff);
});

test('padding brings a short packet to size and leaves a whole one alone', () => {
  const stripped = packetOf([one], PS, 0, true);
  const padded = padAsfPacket(stripped, PS);
  assert.is(padded.length, PS);
  assert.equal(padded.subarray(0, stripped.length), stripped);
  assert.is(padAsfPacket(padded, PS), padded);
});

test.run();
