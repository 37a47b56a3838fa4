import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AsfObjects } from '../../../src/media/asf-objects.js';
import { type AsfPacket, parseAsfPacket } from '../../../src/media/asf-packet.js';
import { type PayloadOptions, packetise, packetOf, programme } from '../../support/asf-writer.js';

const PS = 512;

function packet(...payloads: readonly PayloadOptions[]): AsfPacket {
  return parseAsfPacket(packetOf(payloads, PS), PS) as AsfPacket;
}

const part = (objectNumber: number, offsetBytes: number, bytes: number, objectBytes: number): PayloadOptions => ({
  objectNumber,
  offsetBytes,
  objectBytes,
  presentationMs: 10,
  data: new Uint8Array(bytes).fill(offsetBytes),
});

test('frames come out as they went in, whether cut over packets or many in one', () => {
  const frames = programme(3);
  const objects = new AsfObjects([1, 2]);
  const found = packetise(frames, PS).flatMap(({ payload }) => objects.push(parseAsfPacket(payload, PS) as AsfPacket));
  for (const stream of [1, 2]) {
    assert.equal(
      found.filter((object) => object.stream === stream).map(({ key, presentationMs, data }) => ({ stream, key, presentationMs, data })),
      frames.filter((frame) => frame.stream === stream),
    );
  }
  assert.is(objects.droppedObjects, 0);
});

const DROPPED: readonly (readonly [string, readonly PayloadOptions[]])[] = [
  ['a gap', [part(1, 0, 10, 30), part(1, 20, 10, 30)]],
  ['a piece of another object', [part(1, 0, 10, 30), part(2, 10, 20, 30)]],
  ['more bytes than claimed', [part(1, 0, 10, 15), part(1, 10, 10, 15)]],
  ['more bytes than claimed at once', [part(1, 0, 10, 5)]],
  ['another beginning', [part(1, 0, 10, 30), part(2, 0, 5, 5)]],
];

for (const [title, payloads] of DROPPED) {
  test(`${title} drops the object and not the next one`, () => {
    const objects = new AsfObjects([1]);
    objects.push(packet(...payloads));
    assert.is(objects.droppedObjects, 1);
    assert.is(objects.push(packet(part(3, 0, 7, 7))).length, 1);
  });
}

test('row 24: a claim of 4 GiB is not believed', () => {
  const objects = new AsfObjects([1]);
  assert.equal(objects.push(packet(part(1, 0, 10, 0xffff_ffff), part(1, 10, 10, 0xffff_ffff))), []);
});

test('pieces after a reset wait for the next beginning, and other streams are left alone', () => {
  const objects = new AsfObjects([1]);
  objects.push(packet(part(1, 0, 10, 20)));
  objects.reset();
  assert.equal(objects.push(packet(part(1, 10, 10, 20))), []);
  assert.equal(objects.push(packet({ ...part(1, 0, 5, 5), stream: 9 })), []);
  assert.is(objects.droppedObjects, 1);
});

test.run();
