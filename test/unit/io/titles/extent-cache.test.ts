import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { EXTENT_BYTES, ExtentCache } from '../../../../src/io/titles/extent-cache.js';

const filledWith =
  (value: number) =>
  async (target: Uint8Array): Promise<void> =>
    void target.fill(value);
const never = (): Promise<void> => Promise.reject(new Error('it is here already'));
const firstOf = (bytes: Uint8Array): number => bytes[0] ?? -1;

test('an extent is loaded once for all who wait for it', async () => {
  const cache = new ExtentCache();
  let loads = 0;
  const load = async (target: Uint8Array): Promise<void> => {
    loads++;
    target.fill(7);
  };
  const all = await Promise.all([1, 2, 3].map(() => cache.use('a', 100, load, (bytes) => [bytes.length, bytes[99]])));
  assert.equal(
    all,
    [1, 2, 3].map(() => [100, 7]),
  );
  assert.is(loads, 1);
});

test('the least recently used extent goes first', async () => {
  const cache = new ExtentCache(2 * EXTENT_BYTES);
  await cache.use('a', EXTENT_BYTES, filledWith(1), firstOf);
  await cache.use('b', EXTENT_BYTES, filledWith(2), firstOf);
  await cache.use('a', EXTENT_BYTES, never, firstOf);
  await cache.use('c', EXTENT_BYTES, filledWith(3), firstOf);
  assert.is(await cache.use('a', EXTENT_BYTES, never, firstOf), 1);
  assert.is(cache.heldBytes, 2 * EXTENT_BYTES);
  assert.is(await cache.use('b', EXTENT_BYTES, filledWith(4), firstOf), 4);
});

test('a load that fails is told to all who wait and not kept', async () => {
  const cache = new ExtentCache();
  const failures = await Promise.allSettled([1, 2].map(() => cache.use('a', 10, never, firstOf)));
  assert.equal(
    failures.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  assert.is(cache.heldBytes, 0);
  assert.is(await cache.use('a', 10, filledWith(5), firstOf), 5);
});

test('memory is not used again while somebody waits to look at it', async () => {
  const cache = new ExtentCache(EXTENT_BYTES);
  const looked: number[] = [];
  await cache.use('a', EXTENT_BYTES, filledWith(1), firstOf);
  const slow = cache.use('a', EXTENT_BYTES, never, (bytes) => void looked.push(firstOf(bytes)));
  // Loading the next one gives up the first before the one who waits has looked.
  const next = cache.use('b', EXTENT_BYTES, filledWith(2), (bytes) => void looked.push(firstOf(bytes)));
  await Promise.all([slow, next]);
  assert.equal(looked.sort(), [1, 2]);
  assert.is(await cache.use('c', EXTENT_BYTES, filledWith(3), firstOf), 3);
});

test('what is dropped is loaded anew', async () => {
  const cache = new ExtentCache();
  await cache.use('a', 10, filledWith(1), firstOf);
  cache.drop('a');
  assert.is(cache.heldBytes, 0);
  assert.is(await cache.use('a', 10, filledWith(2), firstOf), 2);
});

test.run();
