import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Rng } from '../../../src/kernel/rng.js';
import { MediaSource } from '../../../src/sim/media-source.js';

const source = (): MediaSource => new MediaSource({ windowMs: 500, bytesPerSecond: 1_001, keyIntervalMs: 2_000, rng: new Rng(1) });

test('windows follow each other on the grid, with the bytes of the rate, a key frame every so often', () => {
  const made = source();
  const windows = Array.from({ length: 8 }, () => made.cut());
  assert.equal(
    windows.map(({ number }) => number),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
  assert.equal(
    windows.map(({ previous }) => previous),
    [null, 1, 2, 3, 4, 5, 6, 7],
  );
  assert.equal(
    windows.map(({ keyMarks }) => keyMarks.length),
    [0, 0, 0, 1, 0, 0, 0, 1],
  );
  assert.ok(windows.every(({ bytes, startMs, number }) => bytes.length === 501 && startMs === number * 500));
});

test('silence leaves a gap that the next window names, a restart one that it does not', () => {
  const made = source();
  made.cut();
  made.miss();
  const [after] = [made.cut()];
  assert.equal([after.number, after.previous, after.discontinuity], [3, 1, true]);
  made.restart(100);
  const restarted = made.cut();
  assert.equal([restarted.number, restarted.previous, restarted.discontinuity], [104, null, true]);
});

test('the same seed gives the same media', () => {
  assert.equal(source().cut().bytes, source().cut().bytes);
});

test.run();
