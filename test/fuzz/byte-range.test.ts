/** Range fields under mutation: an answer always comes, and no range of it lies outside the file. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RANGES_MAX, resolveRange } from '../../src/vod/byte-range.js';
import { forMutants } from '../support/mutation.js';

const LENGTHS = [0, 1, 500, 100_000, Number.MAX_SAFE_INTEGER];

test('a mutated field asks for nothing, for everything, or for parts of the file', () => {
  let partial = 0;
  forMutants('byte-range', 20_261_121, 500, (bytes, rng) => {
    const lengthBytes = LENGTHS[rng.below(LENGTHS.length)] ?? 0;
    const answer = resolveRange(Buffer.from(bytes).toString('latin1'), lengthBytes);
    if (typeof answer === 'string') return;
    partial++;
    assert.ok(answer.length > 0 && answer.length <= RANGES_MAX);
    let sumBytes = 0;
    for (const { fromByte, toByte } of answer) {
      assert.ok(
        Number.isSafeInteger(fromByte) && Number.isSafeInteger(toByte) && fromByte >= 0 && fromByte < toByte && toByte <= lengthBytes,
      );
      sumBytes += toByte - fromByte;
    }
    assert.ok(sumBytes <= lengthBytes);
  });
  assert.ok(partial > 0);
});

test.run();
