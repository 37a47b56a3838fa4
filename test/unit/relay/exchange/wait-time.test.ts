import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WaitTime } from '../../../../src/relay/exchange/wait-time.js';

/** Asks and gets one piece at a time, each after so many milliseconds. */
function answers(wait: WaitTime, sizeBytes: number, tookMs: readonly number[], fromMs = 0): number {
  let nowMs = fromMs;
  for (const took of tookMs) {
    const predictedMs = wait.predictMs(sizeBytes);
    wait.asked(sizeBytes);
    wait.answered(sizeBytes, nowMs, predictedMs, true, nowMs + took);
    nowMs += took;
  }
  return nowMs;
}

test('predictions settle at what really happens', () => {
  const wait = new WaitTime();
  answers(wait, 16_384, new Array(40).fill(80));
  assert.ok(Math.abs(wait.predictMs(16_384) - 80) < 60, `${wait.predictMs(16_384)}`);
});

test('what is asked already makes the next answer later, and what is released does not', () => {
  const wait = new WaitTime();
  const idleMs = wait.predictMs(10_000);
  wait.asked(100_000);
  assert.ok(wait.predictMs(10_000) > idleMs);
  assert.is(wait.queuedBytes, 100_000);
  assert.ok(wait.backlogMs > 0);
  wait.released(100_000);
  wait.released(100_000);
  assert.is(wait.predictMs(10_000), idleMs);
});

test('timeouts double what is expected, up to eight times, and answers halve it again', () => {
  const wait = new WaitTime();
  const before = wait.predictMs(1_000);
  for (let count = 1; count <= 5; count++) wait.timedOut();
  assert.is(wait.predictMs(1_000), 8 * before);
  assert.ok(wait.suspect);
  answers(wait, 1_000, [100, 100, 100]);
  assert.not(wait.suspect);
});

test("an answer that did not come before somebody else's lengthens the wait if it was overdue, and says nothing if it was not", () => {
  const wait = new WaitTime();
  answers(wait, 1_000, new Array(40).fill(100));
  const before = wait.waitMs(1_000, 1);
  const predictedMs = wait.predictMs(1_000);
  wait.overtaken(0, predictedMs, predictedMs);
  assert.is(wait.waitMs(1_000, 1), before);
  wait.overtaken(0, predictedMs, predictedMs + 400);
  assert.ok(wait.waitMs(1_000, 1) > before + 300);
});

test('a wait is longer than the prediction by the spread of past errors', () => {
  const steady = new WaitTime();
  const moody = new WaitTime();
  answers(steady, 1_000, new Array(40).fill(100));
  answers(
    moody,
    1_000,
    Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? 20 : 400)),
  );
  const margin = (wait: WaitTime): number => wait.waitMs(1_000, 100) - wait.predictMs(1_000);
  assert.ok(margin(steady) >= 100);
  assert.ok(margin(moody) > 3 * margin(steady));
});

test('whatever comes, estimates stay finite and positive', () => {
  const step = fc.tuple(fc.nat({ max: 100_000 }), fc.nat({ max: 10_000 }), fc.boolean(), fc.boolean());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const wait = new WaitTime();
      let nowMs = 0;
      for (const [sizeBytes, tookMs, idle, late] of steps) {
        wait.asked(sizeBytes);
        if (late) wait.timedOut();
        wait.answered(sizeBytes, nowMs, wait.predictMs(sizeBytes), idle, nowMs + tookMs);
        nowMs += tookMs;
        assert.ok(Number.isFinite(wait.waitMs(1_000, 100)) && wait.waitMs(1_000, 100) > 0);
        assert.ok(wait.queuedBytes >= 0);
      }
    }),
  );
});

test.run();
