/** The queue of bytes that wait: nothing is lost or mixed up by growing, and large buffers are given back. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ByteQueue } from '../../../src/media/byte-queue.js';

test('bytes come out as they went in, in any portions', () => {
  const queue = new ByteQueue();
  const all = Uint8Array.from({ length: 20_000 }, (_, index) => (index * 7) & 0xff);
  const read: number[] = [];
  for (let at = 0, step = 1; at < all.length; at += step, step = (step * 3) % 1009) {
    queue.push(all.subarray(at, at + step));
    for (let bytes = queue.take(11); bytes !== undefined; bytes = queue.take(11)) read.push(...bytes);
  }
  read.push(...queue.takeAll());
  assert.equal(Uint8Array.from(read), all);
});

test('what is not all there is not given, and skipping stops at the end', () => {
  const queue = new ByteQueue();
  queue.push(Uint8Array.of(1, 2, 3));
  assert.is(queue.peek(4), undefined);
  assert.is(queue.take(4), undefined);
  assert.equal([...(queue.peek(2) ?? [])], [1, 2]);
  assert.is(queue.skip(2), 2);
  assert.is(queue.skip(5), 1);
  assert.is(queue.lengthBytes, 0);
});

test('what was taken is not changed by what comes later', () => {
  const queue = new ByteQueue();
  queue.push(Uint8Array.of(1, 2));
  const taken = queue.take(2);
  queue.push(Uint8Array.of(9, 9));
  assert.equal([...(taken ?? [])], [1, 2]);
});

test.run();
