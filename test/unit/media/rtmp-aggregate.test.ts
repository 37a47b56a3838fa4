/** Aggregates: split into tags, with the aggregate's time, up to the first thing that is wrong. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeTag, type FlvTag } from '../../../src/media/flv.js';
import { splitAggregate } from '../../../src/media/rtmp-aggregate.js';

const first: FlvTag = { type: 8, timestampMs: 0xfffffff0, body: Uint8Array.of(0xaf, 1, 2) };
const second: FlvTag = { type: 9, timestampMs: 0x10, body: Uint8Array.of(0x27, 1, 0, 0, 0, 9) };

test('tags get the time of the aggregate plus their distance from the first, modulo 2^32', () => {
  const bytes = Buffer.concat([encodeTag(first), encodeTag(second)]);
  assert.equal(splitAggregate(1000, bytes), [
    { ...first, timestampMs: 1000 },
    { ...second, timestampMs: 1032 },
  ]);
  assert.is(splitAggregate(0xffffffff, bytes)[1]?.timestampMs, 31);
});

test('a wrong back pointer ends it after the tag before it', () => {
  const bytes = Buffer.concat([encodeTag(first), encodeTag(second)]);
  bytes[17] = 99;
  assert.is(splitAggregate(0, bytes).length, 1);
});

test('a missing last back pointer is tolerated', () => {
  assert.is(splitAggregate(0, encodeTag(first).subarray(0, 14)).length, 1);
});

test('a length beyond the end, an aggregate in an aggregate and rubble give nothing', () => {
  const overrun = encodeTag(first);
  overrun[1] = 0xff;
  const nested = encodeTag(first);
  nested[0] = 22;
  for (const bytes of [overrun, nested, new Uint8Array(10), new Uint8Array(0)]) assert.equal(splitAggregate(0, bytes), []);
});

test.run();
