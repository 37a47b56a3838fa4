/** FLV streams under mutation and cut at random: the parser returns, and never hands out more than it was given. */
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../src/kernel/errors.js';
import { Rng } from '../../src/kernel/rng.js';
import { classifyTag, decodeTags, FlvParser } from '../../src/media/flv.js';

const CORPUS = new URL('../../../test/fuzz/corpus/flv/', import.meta.url);
const BUDGET_MS = 1000;

const corpus = readdirSync(CORPUS).map((name) => readFileSync(new URL(name, CORPUS)));

function mutate(bytes: Uint8Array, rng: Rng): Uint8Array {
  const mutant = Uint8Array.from(bytes);
  for (let count = rng.below(6); count > 0; count--) mutant[rng.below(mutant.length)] = rng.below(256);
  return rng.below(4) === 0 ? mutant.subarray(0, rng.below(mutant.length)) : mutant;
}

test('a mutated stream gives tags or is refused, and no tag is larger than the stream', () => {
  const rng = new Rng(20_260_110);
  let tagCount = 0;
  for (const endMs = Date.now() + BUDGET_MS; Date.now() < endMs; ) {
    const mutant = mutate(corpus[rng.below(corpus.length)] ?? new Uint8Array(1), rng);
    const parser = new FlvParser();
    for (let at = 0; at < mutant.length; ) {
      const size = 1 + rng.below(400);
      const tags = parser.push(mutant.subarray(at, at + size));
      at += size;
      if (tags instanceof Malformed) break;
      for (const tag of tags) {
        assert.ok(tag.body.length <= mutant.length);
        classifyTag(tag);
        tagCount += 1;
      }
    }
    decodeTags(mutant.subarray(13));
  }
  assert.ok(tagCount > 0, 'no mutation had a tag');
});

test.run();
