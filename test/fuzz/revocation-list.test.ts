/** Revocation lists under mutation: decoding returns, within its bounds, and nothing that was touched keeps the owner's signature. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeVerifier } from '../../src/io/crypto.js';
import { sameBytes } from '../../src/kernel/bytes.js';
import { Malformed } from '../../src/kernel/errors.js';
import { decodeRevocationList, REVOCATIONS_MAX, revocationListIsSigned } from '../../src/relay/exchange/revocation-list.js';
import { CHANNEL, OWNER } from '../support/exchange-fixture.js';
import { corpusOf, forMutants } from '../support/mutation.js';

const BUDGET_MS = 600;
const corpus = corpusOf('revocation-list');

const isGenuine = (bytes: Uint8Array): boolean => {
  const list = decodeRevocationList(bytes);
  return !(list instanceof Malformed) && revocationListIsSigned(list, CHANNEL, OWNER.publicKey, nodeVerifier);
};

test('the kept lists are genuine', () => {
  for (const bytes of corpus) assert.ok(isGenuine(bytes));
});

test('mutated lists are decoded or refused, never thrown at, and never genuine', () => {
  let acceptedCount = 0;
  forMutants('revocation-list', 20_261_122, BUDGET_MS, (mutant) => {
    const list = decodeRevocationList(mutant);
    if (list instanceof Malformed) return;
    acceptedCount++;
    assert.ok(list.entries.length <= REVOCATIONS_MAX && list.entries.every(({ key }) => key.length === 32));
    assert.ok(!isGenuine(mutant) || corpus.some((bytes) => sameBytes(bytes, mutant)));
  });
  assert.ok(acceptedCount > 0, 'the mutations never met a list of good shape');
});

test.run();
