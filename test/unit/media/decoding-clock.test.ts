import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DecodingClock } from '../../../src/media/decoding-clock.js';

function run(clock: DecodingClock, timesMs: readonly number[]): { readonly dts: number[]; readonly pts: number[] } {
  const read = timesMs.map((timeMs) => clock.read(timeMs));
  return { dts: read.map(({ decodingMs }) => decodingMs), pts: read.map(({ decodingMs, compositionMs }) => decodingMs + compositionMs) };
}

/** Presentation times in the order of decoding: I, then P and two B-frames in a pyramid. */
const PYRAMID = [1000, 1160, 1080, 1040, 1120, 1320, 1240, 1200, 1280];

test('with the right depth decoding goes on frame by frame and presentation is as given', () => {
  const clock = new DecodingClock();
  clock.configure(2, 40);
  const { dts, pts } = run(clock, PYRAMID);
  assert.equal(pts, PYRAMID);
  assert.equal(dts, [920, 960, 1000, 1040, 1080, 1120, 1160, 1200, 1240]);
});

test('frames in order are decoded when they are presented', () => {
  const clock = new DecodingClock();
  clock.configure(0, undefined);
  assert.equal(run(clock, [0, 40, 80]).dts, [0, 40, 80]);
});

test('a depth said too small costs a few frames their time and then grows', () => {
  const clock = new DecodingClock();
  clock.configure(0, 40);
  const { dts, pts } = run(clock, [...PYRAMID, ...PYRAMID.map((timeMs) => timeMs + 360)]);
  assert.equal(
    dts,
    dts.toSorted((a, b) => a - b),
  );
  assert.equal(
    pts.slice(9),
    PYRAMID.map((timeMs) => timeMs + 360),
  );
});

test('times that wrap at 2^32 stay in step', () => {
  const clock = new DecodingClock();
  clock.configure(0, 40);
  assert.equal(run(clock, [2 ** 32 - 40, 0, 40]).dts, [2 ** 32 - 40, 0, 40]);
});

test('the same configuration again changes nothing, and a jump starts anew', () => {
  const clock = new DecodingClock();
  clock.configure(2, 40);
  run(clock, PYRAMID);
  clock.configure(2, 40);
  assert.equal(clock.read(1480), { decodingMs: 1280, compositionMs: 200 });
  assert.equal(clock.read(60_000), { decodingMs: 59_920, compositionMs: 80 });
  assert.equal(clock.read(0), { decodingMs: 0, compositionMs: 0 });
});

test.run();
