import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bodyKey } from '../../../bench/support/recording.js';
import { SourceTimes } from '../../../bench/support/source-times.js';

const FRAME_MS = 100;
const LENGTH_MS = 6_000;
/** Each frame has a body of its own, but one in ten. */
const bodyAt = (timeMs: number): Uint8Array => Uint8Array.of(timeMs % 1_000 === 0 ? 255 : ((timeMs % LENGTH_MS) / FRAME_MS) | 0);
const TIMES = Array.from({ length: LENGTH_MS / FRAME_MS }, (_, index) => index * FRAME_MS);
const RECORDING = {
  lengthMs: LENGTH_MS,
  timesByBody: new Map(TIMES.filter((timeMs) => timeMs % 1_000 !== 0).map((timeMs) => [bodyKey(bodyAt(timeMs)), timeMs])),
};

test('frames have the times that they had in the source, round after round, also after a feed has closed gaps', () => {
  const times = new SourceTimes(RECORDING);
  let closedMs = 0;
  for (let sourceMs = 0; sourceMs < 40_000; sourceMs += FRAME_MS) {
    const missing = [7_100, 30_300].find((fromMs) => sourceMs === fromMs);
    if (missing !== undefined) {
      sourceMs += 2_500;
      closedMs += 2_500;
    }
    assert.is(times.of({ type: 9, timestampMs: sourceMs - closedMs, body: bodyAt(sourceMs) }), sourceMs);
  }
});

test.run();
