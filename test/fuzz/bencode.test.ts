/** Bencode under mutation: decoding returns, whatever the bytes are, and what it accepts it can write again. */
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeBencode, decodeBencodePrefix, encodeBencode } from '../../src/kernel/bencode.js';
import { Malformed } from '../../src/kernel/errors.js';
import { Rng } from '../../src/kernel/rng.js';

const CORPUS = new URL('../../../test/fuzz/corpus/bencode/', import.meta.url);
const BUDGET_MS = 600;
/** What bencode is made of, so that mutations stay near its grammar. */
const ALPHABET = Buffer.from('dlie0123456789:-');

const corpus = readdirSync(CORPUS).map((name) => readFileSync(new URL(name, CORPUS)));

function mutate(bytes: Uint8Array, rng: Rng): Uint8Array {
  const mutant = [...bytes];
  for (let count = 1 + rng.below(6); count > 0; count--) {
    const index = rng.below(mutant.length + 1);
    const byte = rng.below(2) === 0 ? rng.below(256) : (ALPHABET[rng.below(ALPHABET.length)] ?? 0);
    const cut = mutant.slice(index, index + rng.below(12));
    mutant.splice(index, rng.below(3), ...(rng.below(3) === 0 ? cut : [byte]));
  }
  return Uint8Array.from(mutant);
}

test('mutated bencode is decoded or refused, never thrown at', () => {
  const rng = new Rng(20_260_101);
  let acceptedCount = 0;
  for (const endMs = Date.now() + BUDGET_MS; Date.now() < endMs; ) {
    const mutant = mutate(corpus[rng.below(corpus.length)] ?? new Uint8Array(), rng);
    const strict = decodeBencode(mutant, { canonical: true });
    const prefix = decodeBencodePrefix(mutant);
    if (strict instanceof Malformed) continue;
    acceptedCount++;
    assert.equal(encodeBencode(strict), mutant);
    assert.is(prefix instanceof Malformed ? -1 : prefix.bytesUsed, mutant.length);
  }
  assert.ok(acceptedCount > 0, 'the mutations never met valid bencode');
});

test.run();
