import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatContentRange, formatUnsatisfied, RANGES_MAX, resolveRange } from '../../../src/vod/byte-range.js';

const one = (fromByte: number, toByte: number) => [{ fromByte, toByte }];

test('first, open and suffix ranges are read, and cut at the end of the file', () => {
  assert.equal(resolveRange('bytes=0-499', 1000), one(0, 500));
  assert.equal(resolveRange('bytes=500-', 1000), one(500, 1000));
  assert.equal(resolveRange('bytes=-300', 1000), one(700, 1000));
  assert.equal(resolveRange('bytes=900-5000', 1000), one(900, 1000));
  assert.equal(resolveRange('bytes=-5000', 1000), one(0, 1000));
  assert.equal(resolveRange('bytes=0-99999999999999999999', 1000), one(0, 1000));
});

test('what lies beyond the end is unsatisfiable, unless another range does not', () => {
  for (const field of ['bytes=1000-', 'bytes=1000-2000', 'bytes=-0', 'bytes=99999999999999999999-'])
    assert.is(resolveRange(field, 1000), 'unsatisfiable');
  assert.equal(resolveRange('bytes=1000-,0-0', 1000), one(0, 1));
});

test('several ranges stay in the order asked', () => {
  assert.equal(resolveRange('bytes=10-19, 0-4 ,-1', 1000), [...one(10, 20), ...one(0, 5), ...one(999, 1000)]);
});

test('what is malformed is refused; another unit, and a list of nothing, are ignored', () => {
  for (const field of ['bytes=x', 'bytes=5-2', 'bytes=1', 'bytes=1-2-3', 'bytes=0-1,x'])
    assert.is(resolveRange(field, 1000), 'unsatisfiable', field);
  for (const field of ['chunks=0-5', 'bytes', 'bytes=', 'bytes 0-5', '']) assert.is(resolveRange(field, 1000), 'whole', field);
  assert.is(resolveRange(undefined, 1000), 'whole');
});

test('too many ranges, and ranges that add up to more than the file, are answered with the file', () => {
  const ranges = (count: number) => `bytes=${Array.from({ length: count }, (_, index) => `${index * 2}-${index * 2}`).join(',')}`;
  assert.is(resolveRange(ranges(RANGES_MAX), 1000).length, RANGES_MAX);
  assert.is(resolveRange(ranges(RANGES_MAX + 1), 1000), 'whole');
  assert.is(resolveRange(`bytes=${','.repeat(5000)}0-0`, 1000), 'whole');
  assert.is(resolveRange('bytes=0-,0-', 1000), 'whole');
});

test('an empty file is given whole to whoever asks from its start', () => {
  assert.is(resolveRange('bytes=0-', 0), 'whole');
  assert.is(resolveRange('bytes=-5', 0), 'whole');
  assert.is(resolveRange('bytes=5-', 0), 'unsatisfiable');
});

test('the fields of an answer count from zero and include their last byte', () => {
  assert.is(formatContentRange({ fromByte: 0, toByte: 500 }, 1000), 'bytes 0-499/1000');
  assert.is(formatUnsatisfied(1000), 'bytes */1000');
});

test.run();
