/** Dissents under mutation: decoding returns, and nothing that was touched keeps its signature. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sameBytes } from '../../src/kernel/bytes.js';
import { Malformed } from '../../src/kernel/errors.js';
import { DISSENT_DOMAIN, decodeDissent } from '../../src/relay/exchange/dissent.js';
import { authorityAt } from '../support/exchange-fixture.js';
import { corpusOf, forMutants } from '../support/mutation.js';

const BUDGET_MS = 600;
const AUTHORITY = authorityAt();
const corpus = corpusOf('dissent');

const isGenuine = (bytes: Uint8Array): boolean => {
  const dissent = decodeDissent(bytes);
  return !(dissent instanceof Malformed) && AUTHORITY.judge(DISSENT_DOMAIN, dissent) === 'valid';
};

test('the kept dissents are genuine', () => {
  for (const bytes of corpus) assert.ok(isGenuine(bytes));
});

test('mutated dissents are decoded or refused, never thrown at, and never genuine', () => {
  let acceptedCount = 0;
  forMutants('dissent', 20_261_121, BUDGET_MS, (mutant) => {
    const dissent = decodeDissent(mutant);
    if (dissent instanceof Malformed) return;
    acceptedCount++;
    assert.ok(!isGenuine(mutant) || corpus.some((bytes) => sameBytes(bytes, mutant)));
  });
  assert.ok(acceptedCount > 0, 'the mutations never met a dissent of good shape');
});

test.run();
