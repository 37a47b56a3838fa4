import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { countWithin, type SeenFrame, type Sight, sightOf } from '../../../bench/support/player-sight.js';

const FRAME_MS = 100;
const FRAMES = Array.from({ length: 100 }, (_, index) => ({ type: 9, timestampMs: index * FRAME_MS }));

/** Frames that come as long after their time as the function says; `undefined`: never. */
function seen(lateMs: (timestampMs: number) => number | undefined, endMs = 9_000): Sight {
  const frames = FRAMES.flatMap((frame): SeenFrame[] => {
    const late = lateMs(frame.timestampMs);
    return late === undefined ? [] : [{ ...frame, arrivedMs: 1_000 + frame.timestampMs + late }];
  });
  return sightOf({
    frames,
    source: (fromMs) => FRAMES.filter(({ timestampMs }) => timestampMs >= fromMs),
    bufferMs: 1_000,
    windowMs: 500,
    endMs,
  });
}

test('a player begins with its buffer in hand, and everything that comes in that time is in time', () => {
  const sight = seen(() => 0);
  assert.is(sight.beganMs, 2_000);
  assert.equal(sight.stalls, []);
  assert.equal(countWithin([sight], 0, 9_000), { due: 70, onTime: 70 });
  const jittering = seen((timestampMs) => ((timestampMs / 100) % 11 === 5 ? 900 : 0));
  assert.is(jittering.stalls.length, 0);
});

test('for a late frame it waits once, its window was not in time, and what follows is due that much later', () => {
  const sight = seen((timestampMs) => (timestampMs >= 3_000 ? 1_500 : 0));
  assert.equal(sight.stalls, [{ atMs: 5_000, lengthMs: 500 }]);
  const { due, onTime } = countWithin([sight], 0, 9_000);
  assert.is(due - onTime, 5);
});

test('what never comes was not in time, and is not waited for', () => {
  const sight = seen((timestampMs) => (timestampMs >= 3_000 && timestampMs < 4_000 ? undefined : 0));
  assert.is(sight.stalls.length, 0);
  assert.equal(countWithin([sight], 5_000, 6_000), { due: 10, onTime: 0 });
  assert.equal(countWithin([sight], 6_000, 7_000), { due: 10, onTime: 10 });
});

test('who never has enough in hand has not begun', () => {
  assert.is(seen((timestampMs) => (timestampMs < 800 ? 0 : undefined)).beganMs, undefined);
  assert.is(seen(() => 0, 1_900).beganMs, undefined);
});

test.run();
