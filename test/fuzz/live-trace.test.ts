/** Recorded traces under mutation: decoding returns, within its bounds; what it takes replays to an end, with a difference or without, and never throws. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher, nodeVerifier } from '../../src/io/crypto.js';
import { Malformed } from '../../src/kernel/errors.js';
import { decodeTrace } from '../../src/relay/trace/live-trace.js';
import { wordsOfEffect } from '../../src/relay/trace/trace-effect.js';
import { replayLive } from '../../src/sim/live-replay.js';
import { corpusOf, forMutants } from '../support/mutation.js';

const BUDGET_MS = 1_200;
const PORTS = { hasher: nodeHasher, verifier: nodeVerifier };

test('the kept traces are good', () => {
  const corpus = corpusOf('live-trace');
  assert.ok(corpus.length >= 3);
  for (const bytes of corpus) assert.not.instance(decodeTrace(bytes), Malformed);
});

test('mutated traces are refused with a reason, or replay to an end', () => {
  let [takenCount, refusedCount] = [0, 0];
  forMutants('live-trace', 20_261_121, BUDGET_MS, (mutant) => {
    const trace = decodeTrace(mutant);
    if (trace instanceof Malformed) {
      refusedCount += 1;
      assert.ok(trace.reason.length > 0 && trace.reason.length < 500);
      return;
    }
    takenCount += 1;
    assert.ok(trace.steps.length * 5 <= mutant.length);
    for (const { effects } of trace.steps) for (const effect of effects) assert.type(wordsOfEffect(effect), 'string');
    const { equalSteps, difference } = replayLive(trace, PORTS);
    assert.is(equalSteps, difference === undefined ? trace.steps.length : difference.step - 1);
  });
  assert.ok(takenCount > 0, 'the mutations never met a valid trace');
  assert.ok(refusedCount > 0, 'nothing was ever refused');
});

test.run();
