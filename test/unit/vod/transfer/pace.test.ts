import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BLOCK_BYTES } from '../../../../src/vod/block.js';
import { Pace } from '../../../../src/vod/transfer/pace.js';

/** A line with a queue: blocks leave one after another at its rate, and each takes the round trip besides. */
class Line {
  readonly #bytesPerMs: number;
  #freeMs = 0;
  roundTripMs: number;

  constructor(bytesPerMs: number, roundTripMs: number) {
    this.#bytesPerMs = bytesPerMs;
    this.roundTripMs = roundTripMs;
  }

  /** When the answer to a request of now is here. */
  answerMs(nowMs: number): number {
    this.#freeMs = Math.max(this.#freeMs, nowMs) + BLOCK_BYTES / this.#bytesPerMs;
    return this.#freeMs + this.roundTripMs;
  }
}

interface InFlight {
  readonly askedMs: number;
  readonly predictedMs: number;
  readonly wasIdle: boolean;
  readonly answerMs: number;
}

/** Keeps the line busy as the requester does, for so long. @returns the share of the line that was used in the second half, and the depth at the end. */
function run(pace: Pace, line: Line, bytesPerMs: number, queueMs: number, lastMs: number, fromMs = 0): { used: number; depth: number } {
  const inFlight: InFlight[] = [];
  let receivedBytes = 0;
  for (let nowMs = fromMs; nowMs < fromMs + lastMs; nowMs++) {
    while ((inFlight[0]?.answerMs ?? Number.POSITIVE_INFINITY) <= nowMs) {
      const { askedMs, predictedMs, wasIdle } = inFlight.shift() as InFlight;
      pace.answered(BLOCK_BYTES, askedMs, predictedMs, wasIdle, nowMs);
      if (nowMs >= fromMs + lastMs / 2) receivedBytes += BLOCK_BYTES;
    }
    while (inFlight.length < pace.depth(queueMs, 500)) {
      const asked = { askedMs: nowMs, predictedMs: pace.predictMs(), wasIdle: inFlight.length === 0, answerMs: line.answerMs(nowMs) };
      inFlight.push(asked);
      pace.asked(BLOCK_BYTES, nowMs);
    }
  }
  return { used: receivedBytes / bytesPerMs / (lastMs / 2), depth: inFlight.length };
}

test('the queue at the other end is as long as was asked for, on slow lines and on fast ones', () => {
  for (const bytesPerMs of [500, 2_000, 20_000]) {
    const { used, depth } = run(new Pace(), new Line(bytesPerMs, 40), bytesPerMs, 100, 20_000);
    assert.ok(used > 0.95, `${bytesPerMs} bytes a ms: used ${used}`);
    const queueMs = (depth * BLOCK_BYTES) / bytesPerMs - 40;
    assert.ok(queueMs > 40 && queueMs < 100 + 80 + BLOCK_BYTES / bytesPerMs, `${bytesPerMs} bytes a ms: a queue of ${queueMs} ms`);
  }
});

test('a way that becomes longer does not starve the neighbour', () => {
  const pace = new Pace();
  const line = new Line(2_000, 20);
  run(pace, line, 2_000, 100, 10_000);
  line.roundTripMs = 400;
  const { used } = run(pace, line, 2_000, 100, 60_000, 20_000);
  assert.ok(used > 0.7, `used ${used}`);
});

test('no answer is taken for a round trip that is longer than another answer took', () => {
  const pace = new Pace();
  pace.asked(BLOCK_BYTES, 0);
  pace.answered(BLOCK_BYTES, 0, 100, true, 500);
  assert.is(pace.roundTripMs, 500);
  pace.asked(BLOCK_BYTES, 500);
  pace.answered(BLOCK_BYTES, 500, 100, false, 530);
  assert.is(pace.roundTripMs, 30);
});

test.run();
