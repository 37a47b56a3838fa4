/** Mutations of corpus bytes for the fuzz tests of the peer wire: seeded, near the bencode grammar, time-boxed. */
import { readdirSync, readFileSync } from 'node:fs';
import { Rng } from '../../src/kernel/rng.js';

const ALPHABET = Buffer.from('dlie0123456789:-');

/** The corpus files of one decoder, by their names' order. */
export function corpusOf(name: string): Uint8Array[] {
  const folder = new URL(`../../../test/fuzz/corpus/${name}/`, import.meta.url);
  return readdirSync(folder)
    .sort()
    .map((file) => readFileSync(new URL(file, folder)));
}

/** Calls `task` with mutants of the corpus until the time is up; returns how often. The first calls bring the corpus itself. */
export function forMutants(name: string, seed: number, budgetMs: number, task: (mutant: Uint8Array, rng: Rng) => void): number {
  const rng = new Rng(seed);
  const corpus = corpusOf(name);
  for (const bytes of corpus) task(bytes, rng);
  let count = 0;
  for (const endMs = performance.now() + budgetMs; performance.now() < endMs; count++) {
    task(mutate(corpus[rng.below(corpus.length)] ?? new Uint8Array(0), rng), rng);
  }
  return count;
}

function mutate(bytes: Uint8Array, rng: Rng): Uint8Array {
  const mutant = [...bytes];
  for (let count = rng.below(6); count > 0; count--) {
    const index = rng.below(mutant.length + 1);
    const byte = rng.below(2) === 0 ? rng.below(256) : (ALPHABET[rng.below(ALPHABET.length)] ?? 0);
    const cut = mutant.slice(index, index + rng.below(12));
    mutant.splice(index, rng.below(3), ...(rng.below(3) === 0 ? cut : [byte]));
  }
  return Uint8Array.from(mutant);
}
