/** Grants under mutation: decoding returns, within its bounds, and what it accepts it can say again. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../src/kernel/errors.js';
import { decodeGrant, encodeGrant } from '../../src/plugins/grant.js';
import { corpusOf, forMutants } from '../support/mutation.js';

const BUDGET_MS = 1_000;
const corpus = corpusOf('grant');

test('the kept grants are good', () => {
  for (const bytes of corpus) assert.not.instance(decodeGrant(bytes), Malformed);
});

test('mutated grants are decoded or refused, never thrown at', () => {
  let acceptedCount = 0;
  forMutants('grant', 20_261_123, BUDGET_MS, (mutant) => {
    const grant = decodeGrant(mutant);
    if (grant instanceof Malformed) return;
    acceptedCount++;
    assert.ok(grant.trackers.length <= 16 && grant.peers.length <= 16 && grant.name.length <= 400);
    assert.equal(decodeGrant(encodeGrant(grant)), grant);
  });
  assert.ok(acceptedCount > 0, 'the mutations never met a valid grant');
});

test.run();
