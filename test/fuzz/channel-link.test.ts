/** Channel links under mutation: reading returns, the caps hold, and what it accepts survives being written. */
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { canonicalSource } from '../../src/ingest/channel.js';
import { formatMagnet, parseLink } from '../../src/ingest/channel-link.js';
import { Malformed } from '../../src/kernel/errors.js';
import { Rng } from '../../src/kernel/rng.js';

const CORPUS = new URL('../../../test/fuzz/corpus/channel-link/', import.meta.url);
const BUDGET_MS = 600;
const FRAGMENTS = [
  '%',
  '%00',
  '%ff',
  '&',
  '=',
  '?',
  '#',
  ':',
  '//',
  '[',
  ']',
  '@',
  'tr=',
  'x.pe=',
  'dn=',
  'xt=',
  'udp:',
  '\ud800',
  '\u202e',
  '\n',
  '0',
  'g',
];

const corpus = readdirSync(CORPUS).map((name) => readFileSync(new URL(name, CORPUS), 'utf8'));

function mutate(text: string, rng: Rng): string {
  let mutant = text;
  for (let count = 1 + rng.below(5); count > 0; count--) {
    const index = rng.below(mutant.length + 1);
    const fragment = rng.below(2) === 0 ? String.fromCharCode(rng.below(300)) : (FRAGMENTS[rng.below(FRAGMENTS.length)] ?? '');
    mutant = mutant.slice(0, index) + fragment + mutant.slice(index + rng.below(4));
  }
  return mutant;
}

test('a mutated link is refused with a sentence, or read within the caps', () => {
  const rng = new Rng(20_260_103);
  let acceptedCount = 0;
  for (const endMs = Date.now() + BUDGET_MS; Date.now() < endMs; ) {
    const mutant = mutate(corpus[rng.below(corpus.length)] ?? '', rng);
    canonicalSource(mutant);
    const link = parseLink(mutant);
    if (link instanceof Malformed) {
      assert.match(link.reason, /[.?]$/);
      continue;
    }
    acceptedCount++;
    assert.match(link.id, /^[0-9a-f]{40}$/);
    assert.ok(link.name.length <= 400 && link.trackers.length <= 16 && link.peers.length <= 16);
    assert.equal(parseLink(formatMagnet(link)), link);
  }
  assert.ok(acceptedCount > 0, 'no mutation was a link');
});

test.run();
