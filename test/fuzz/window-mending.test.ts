/** Windows under mutation with gaps anywhere: menders return, give no more than they were given, and what they give reads as their container does. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../src/kernel/errors.js';
import type { Rng } from '../../src/kernel/rng.js';
import { mendAsf } from '../../src/media/asf-mending.js';
import { decodeAsfWindow } from '../../src/media/asf-window.js';
import { decodeTags, FLV_HEADER_BYTES } from '../../src/media/flv.js';
import { mendFlv } from '../../src/media/flv-mending.js';
import type { HoledWindow } from '../../src/media/holed-window.js';
import { forMutants } from '../support/mutation.js';

const BUDGET_MS = 600;
const PIECE_BYTES = 64;

function holed(mutant: Uint8Array, rng: Rng): HoledWindow {
  const bytes = Uint8Array.from(mutant);
  const gaps: { offsetBytes: number; lengthBytes: number }[] = [];
  for (let offsetBytes = 0; offsetBytes < bytes.length; offsetBytes += 2 * PIECE_BYTES) {
    if (rng.below(8) > 0) continue;
    const lengthBytes = Math.min(PIECE_BYTES, bytes.length - offsetBytes);
    bytes.fill(0, offsetBytes, offsetBytes + lengthBytes);
    gaps.push({ offsetBytes, lengthBytes });
  }
  return { bytes, gaps, keyOffsets: rng.below(2) === 0 ? [] : [rng.below(bytes.length + 10)] };
}

test('mutated FLV is mended to whole tags, or not at all', () => {
  let mendedCount = 0;
  forMutants('flv', 20_261_130, BUDGET_MS, (mutant, rng) => {
    const window = holed(mutant.subarray(FLV_HEADER_BYTES), rng);
    const mended = mendFlv(window);
    if (!mended) return;
    mendedCount += 1;
    assert.ok(mended.bytes.length <= window.bytes.length && mended.keyOffsets.length === window.keyOffsets.length);
    assert.not.instance(decodeTags(mended.bytes), Malformed);
  });
  assert.ok(mendedCount > 0);
});

test('a mutated window of ASF is mended to whole packets, or not at all', () => {
  let mendedCount = 0;
  forMutants('asf-window', 20_261_131, BUDGET_MS, (mutant, rng) => {
    const window = holed(mutant, rng);
    const mended = mendAsf(window);
    if (!mended) return;
    mendedCount += 1;
    assert.ok(mended.bytes.length <= window.bytes.length && mended.keyOffsets.length === window.keyOffsets.length);
    const decoded = decodeAsfWindow(mended.bytes);
    if (decoded instanceof Malformed) assert.match(decoded.reason, 'more than');
  });
  assert.ok(mendedCount > 0);
});

test.run();
