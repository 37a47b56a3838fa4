/** Channel descriptors under mutation: decoding returns, and what it accepts has exactly one encoding. */
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeDescriptor, encodeDescriptor } from '../../src/ingest/channel.js';
import { Malformed } from '../../src/kernel/errors.js';
import { Rng } from '../../src/kernel/rng.js';

const CORPUS = new URL('../../../test/fuzz/corpus/descriptor/', import.meta.url);
const BUDGET_MS = 600;

const corpus = readdirSync(CORPUS).map((name) => readFileSync(new URL(name, CORPUS)));

function mutate(bytes: Uint8Array, rng: Rng): Uint8Array {
  const mutant = [...bytes];
  for (let count = 1 + rng.below(3); count > 0; count--) {
    const index = rng.below(mutant.length + 1);
    if (rng.below(4) === 0) mutant.splice(index, rng.below(4), rng.below(256));
    else if (index < mutant.length) mutant[index] = rng.below(3) === 0 ? 0x30 + rng.below(10) : rng.below(256);
  }
  return Uint8Array.from(mutant);
}

test('a mutated descriptor is refused, or is the one encoding of another descriptor', () => {
  const rng = new Rng(20_260_102);
  let acceptedCount = 0;
  for (const endMs = Date.now() + BUDGET_MS; Date.now() < endMs; ) {
    const mutant = mutate(corpus[rng.below(corpus.length)] ?? new Uint8Array(), rng);
    const descriptor = decodeDescriptor(mutant);
    if (descriptor instanceof Malformed) continue;
    acceptedCount++;
    assert.equal(encodeDescriptor(descriptor), mutant);
  }
  assert.ok(acceptedCount > 0, 'no mutation was a descriptor');
});

test.run();
