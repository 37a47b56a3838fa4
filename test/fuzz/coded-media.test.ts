/** Tag bodies under mutation: reading configurations and frames returns, and frames lie inside the body. */
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Rng } from '../../src/kernel/rng.js';
import { readAudioConfig, readAudioFrame, readMetadataNumber, readVideoConfig, readVideoFrame } from '../../src/media/coded-media.js';
import { AUDIO, VIDEO } from '../../src/media/flv.js';
import { SegmentCutter } from '../../src/relay/endpoints/segment-cutter.js';
import { TagFeed } from '../../src/relay/endpoints/tag-feed.js';

/** Each file is one tag type followed by its body. */
const CORPUS = new URL('../../../test/fuzz/corpus/coded-media/', import.meta.url);
const BUDGET_MS = 1000;

const corpus = readdirSync(CORPUS).map((name) => readFileSync(new URL(name, CORPUS)));

function mutate(bytes: Uint8Array, rng: Rng): Uint8Array {
  const mutant = Uint8Array.from(bytes);
  for (let count = rng.below(4); count > 0; count--) mutant[rng.below(mutant.length)] = rng.below(256);
  return rng.below(5) === 0 ? mutant.subarray(0, rng.below(mutant.length)) : mutant;
}

test('a mutated body is read or not, and the cutter and the feed take it', () => {
  const rng = new Rng(20_260_111);
  let readCount = 0;
  for (const endMs = Date.now() + BUDGET_MS; Date.now() < endMs; ) {
    const feed = new TagFeed();
    const cutter = new SegmentCutter(2000);
    feed.subscribe({ onTag: (tag) => void cutter.push(tag) });
    for (let count = 0; count < 40; count++) {
      const sample = corpus[rng.below(corpus.length)] ?? new Uint8Array(1);
      const body = mutate(sample.subarray(1), rng);
      const type = rng.below(5) === 0 ? VIDEO : sample[0] === AUDIO ? AUDIO : sample[0] === VIDEO ? VIDEO : 18;
      const tag = { type, timestampMs: rng.below(100_000), body } as const;
      const frame = readVideoFrame(tag) ?? readAudioFrame(tag);
      assert.ok(frame === undefined || frame.data.length <= body.length);
      for (const read of [readVideoConfig(tag), readAudioConfig(tag), readMetadataNumber(body, 'width')])
        if (read !== undefined) readCount += 1;
      feed.push(tag);
    }
  }
  assert.ok(readCount > 0, 'no mutation could be read');
});

test.run();
