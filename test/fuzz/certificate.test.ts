/** Certificates under mutation: decoding returns, and nothing that was touched keeps the owner's signature. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeVerifier } from '../../src/io/crypto.js';
import { sameBytes } from '../../src/kernel/bytes.js';
import { Malformed } from '../../src/kernel/errors.js';
import { certificateIsSigned, decodeCertificate } from '../../src/relay/exchange/certificate.js';
import { CHANNEL, OWNER } from '../support/exchange-fixture.js';
import { corpusOf, forMutants } from '../support/mutation.js';

const BUDGET_MS = 600;
const corpus = corpusOf('certificate');

const isGenuine = (bytes: Uint8Array): boolean => {
  const certificate = decodeCertificate(bytes);
  return !(certificate instanceof Malformed) && certificateIsSigned(certificate, CHANNEL, OWNER.publicKey, nodeVerifier);
};

test('the kept certificates are genuine', () => {
  for (const bytes of corpus) assert.ok(isGenuine(bytes));
});

test('mutated certificates are decoded or refused, never thrown at, and never genuine', () => {
  let acceptedCount = 0;
  forMutants('certificate', 20_261_121, BUDGET_MS, (mutant) => {
    const certificate = decodeCertificate(mutant);
    if (certificate instanceof Malformed) return;
    acceptedCount++;
    assert.ok(certificate.key.length === 32 && certificate.fromMs < certificate.untilMs);
    assert.ok(!isGenuine(mutant) || corpus.some((bytes) => sameBytes(bytes, mutant)));
  });
  assert.ok(acceptedCount > 0, 'the mutations never met a certificate of good shape');
});

test.run();
