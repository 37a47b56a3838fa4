/** Fragmented MP4 under mutation and cut anywhere: fragments or a fault come back, never more bytes than went in. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../src/kernel/errors.js';
import { FragmentSplitter } from '../../src/vod/fragment-splitter.js';
import { forMutants } from '../support/mutation.js';

test('a mutated stream gives fragments with times, or a fault', () => {
  let found = 0;
  forMutants('fragment', 20_261_124, 800, (bytes, rng) => {
    const splitter = new FragmentSplitter();
    let givenBytes = 0;
    for (let atByte = 0; atByte < bytes.length; ) {
      const endByte = atByte + 1 + rng.below(4000);
      const fragments = splitter.push(bytes.subarray(atByte, endByte));
      if (fragments instanceof Malformed) return;
      for (const { startS, bytes: part } of fragments) {
        assert.ok(Number.isFinite(startS));
        givenBytes += part.length;
        found++;
      }
      atByte = endByte;
    }
    assert.ok(givenBytes <= bytes.length);
  });
  assert.ok(found > 0);
});

test.run();
