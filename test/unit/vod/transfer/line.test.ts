/** How fast all neighbours together bring what is asked for. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Line } from '../../../../src/vod/transfer/line.js';

test('nothing is known before anything has come for a while', () => {
  const line = new Line();
  line.asked(0);
  line.received(1_000, 10);
  assert.is(line.takesMs(5_000), undefined);
});

test('a steady line is measured, and time without requests does not count', () => {
  const line = new Line();
  line.asked(0);
  for (let atMs = 50; atMs <= 1_000; atMs += 50) line.received(5_000, atMs);
  assert.ok(Math.abs(line.bytesPerMs - 100) < 5, String(line.bytesPerMs));
  line.settled();
  line.asked(60_000);
  for (let atMs = 50; atMs <= 1_000; atMs += 50) line.received(5_000, 60_000 + atMs);
  assert.ok(Math.abs((line.takesMs(100_000) ?? 0) - 1_000) < 50);
});

test('a faster line is believed at once, a slower one by and by', () => {
  const line = new Line();
  line.asked(0);
  for (let atMs = 250; atMs <= 1_000; atMs += 250) line.received(25_000, atMs);
  line.received(250_000, 1_250);
  assert.is(line.bytesPerMs, 1_000);
  line.received(25_000, 1_500);
  assert.ok(line.bytesPerMs > 500 && line.bytesPerMs < 1_000, String(line.bytesPerMs));
});

test.run();
