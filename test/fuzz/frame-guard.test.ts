/** The frame guard under mutation: it returns, its frames are whole and bounded, and the cut of the stream changes nothing. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FrameGuard } from '../../src/io/peers/frame-guard.js';
import { Malformed } from '../../src/kernel/errors.js';
import type { Rng } from '../../src/kernel/rng.js';
import { forMutants } from '../support/mutation.js';
import { hex } from '../support/swarm-fixture.js';

interface Outcome {
  readonly frames: string[];
  readonly fault: string | undefined;
}

/** Feeds the bytes cut by lot; frames that came with or after a fault do not count. */
function feed(bytes: Uint8Array, nextCut: () => number): Outcome {
  const guard = new FrameGuard();
  const frames: string[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    const cut = Math.max(1, nextCut());
    const result = guard.push(bytes.subarray(offset, offset + cut));
    offset += cut;
    if (result instanceof Malformed) return { frames, fault: result.reason };
    for (const frame of result) frames.push(check(frame));
  }
  return { frames, fault: undefined };
}

function check(frame: Uint8Array): string {
  const isHandshake = frame.length === 68 && frame[0] === 19;
  const length = new DataView(frame.buffer, frame.byteOffset).getUint32(0);
  assert.ok(isHandshake || (length === frame.length - 4 && length > 0 && length <= 1_048_576));
  return hex(frame);
}

test('mutated streams give whole frames or a fault, the same for every cut', () => {
  const cutBy = (rng: Rng) => (): number => rng.below(90);
  const count = forMutants('frame-guard', 7, 600, (mutant, rng) => {
    const byByte = feed(mutant, () => 1);
    const byLot = feed(mutant, cutBy(rng));
    assert.is(byLot.fault, byByte.fault);
    // A chunk with a fault in it gives none of its frames.
    assert.equal(byLot.frames, byByte.frames.slice(0, byLot.frames.length));
    if (byLot.fault === undefined) assert.is(byLot.frames.length, byByte.frames.length);
  });
  assert.ok(count > 100);
});

test.run();
