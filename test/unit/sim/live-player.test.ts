import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LivePlayer } from '../../../src/sim/live-player.js';

test('a player begins with its buffer in hand and needs each window when those before it have been played', () => {
  const player = new LivePlayer(1_000, 500);
  assert.is(player.take(7, 100), 0);
  assert.is(player.startMs, undefined);
  assert.is(player.deadlineMs(9), undefined);
  player.take(8, 300);
  assert.equal([player.startMs, player.first, player.deadlineMs(7), player.deadlineMs(9)], [300, 7, 300, 1_300]);
});

test('a late window makes everything after it due that much later; one in time does not', () => {
  const player = new LivePlayer(500, 500);
  player.take(1, 0);
  assert.is(player.take(2, 400), -100);
  assert.is(player.take(3, 1_250), 250);
  assert.equal([player.stalls, player.stallMs, player.deadlineMs(4)], [1, 250, 1_750]);
});

test('windows that never came take their time all the same', () => {
  const player = new LivePlayer(500, 500);
  player.take(1, 0);
  assert.is(player.take(4, 1_400), -100);
  assert.is(player.stalls, 0);
});

test.run();
