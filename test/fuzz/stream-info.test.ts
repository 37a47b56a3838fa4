/** Stream info under mutation: decoding returns, and nothing that was touched keeps its signature. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sameBytes } from '../../src/kernel/bytes.js';
import { Malformed } from '../../src/kernel/errors.js';
import { decodeStreamInfo, INFO_DOMAIN, METADATA_BYTES_MAX } from '../../src/relay/exchange/stream-info.js';
import { authorityAt } from '../support/exchange-fixture.js';
import { corpusOf, forMutants } from '../support/mutation.js';

const BUDGET_MS = 600;
const AUTHORITY = authorityAt();
const corpus = corpusOf('stream-info');

const isGenuine = (bytes: Uint8Array): boolean => {
  const info = decodeStreamInfo(bytes);
  return !(info instanceof Malformed) && AUTHORITY.judge(INFO_DOMAIN, info) === 'valid';
};

test('the kept infos are genuine', () => {
  for (const bytes of corpus) assert.ok(isGenuine(bytes));
});

test('mutated infos are decoded or refused, never thrown at, and never genuine', () => {
  let acceptedCount = 0;
  forMutants('stream-info', 20_260_203, BUDGET_MS, (mutant) => {
    const info = decodeStreamInfo(mutant);
    if (info instanceof Malformed) return;
    acceptedCount++;
    assert.ok(info.metadata.length <= METADATA_BYTES_MAX);
    assert.ok(!isGenuine(mutant) || corpus.some((bytes) => sameBytes(bytes, mutant)));
  });
  assert.ok(acceptedCount > 0, 'the mutations never met an info of good shape');
});

test.run();
