/** Manifests under mutation: decoding returns, and nothing that was touched keeps its signature. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sameBytes } from '../../src/kernel/bytes.js';
import { Malformed } from '../../src/kernel/errors.js';
import { decodeManifest, KEY_MARKS_MAX, PIECES_MAX, WINDOW_DOMAIN } from '../../src/relay/exchange/manifest.js';
import { authorityAt, PIECE_BYTES } from '../support/exchange-fixture.js';
import { corpusOf, forMutants } from '../support/mutation.js';

const BUDGET_MS = 800;
const AUTHORITY = authorityAt();
const corpus = corpusOf('manifest');

const isGenuine = (bytes: Uint8Array): boolean => {
  const manifest = decodeManifest(bytes, PIECE_BYTES);
  return !(manifest instanceof Malformed) && AUTHORITY.judge(WINDOW_DOMAIN, manifest) === 'valid';
};

test('the kept manifests are genuine', () => {
  for (const bytes of corpus) assert.ok(isGenuine(bytes));
});

test('mutated manifests are decoded or refused, never thrown at, and never genuine', () => {
  let acceptedCount = 0;
  forMutants('manifest', 20_260_202, BUDGET_MS, (mutant) => {
    const manifest = decodeManifest(mutant, PIECE_BYTES);
    if (manifest instanceof Malformed) return;
    acceptedCount++;
    assert.ok(manifest.pieceHashes.length > 0 && manifest.pieceHashes.length <= PIECES_MAX && manifest.keyMarks.length <= KEY_MARKS_MAX);
    assert.ok(manifest.previous === null || manifest.previous < manifest.number);
    assert.ok(!isGenuine(mutant) || corpus.some((bytes) => sameBytes(bytes, mutant)));
  });
  assert.ok(acceptedCount > 0, 'the mutations never met a manifest of good shape');
});

test.run();
