import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ReadingPace } from '../../../../src/plugins/titles/reading-pace.js';

/** A player that takes so much each 100 ms, from a time on, and has to wait for it or not. */
function take(pace: ReadingPace, bytesEach: number, fromMs: number, forMs: number, waitedMs = 0): void {
  for (let atMs = fromMs; atMs <= fromMs + forMs; atMs += 100) pace.took(bytesEach, waitedMs, atMs);
}

test('the speed of a player is what it takes once its own buffer is full', () => {
  const pace = new ReadingPace();
  assert.is(pace.bytesPerSecond, 0);
  take(pace, 400_000, 0, 4_000);
  take(pace, 30_000, 4_100, 40_000);
  assert.ok(Math.abs(pace.bytesPerSecond - 300_000) < 15_000, String(pace.bytesPerSecond));
});

test('a player that starves is not taken for a slow one', () => {
  const pace = new ReadingPace(300_000);
  take(pace, 5_000, 0, 30_000, 90);
  assert.is(pace.bytesPerSecond, 300_000);
  take(pace, 60_000, 30_100, 30_000, 90);
  assert.ok(pace.bytesPerSecond > 550_000);
});

test('what was known of a file stands until the first span is over, and speeds stay within what films have', () => {
  const pace = new ReadingPace(200_000);
  take(pace, 10_000_000, 0, 4_500);
  assert.is(pace.bytesPerSecond, 200_000);
  take(pace, 10_000_000, 4_600, 60_000);
  assert.ok(pace.bytesPerSecond <= 8 * 1024 * 1024);
});

test.run();
