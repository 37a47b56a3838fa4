/** The index of a Matroska file under mutation: a sentence or times come back, whatever lengths the elements claim. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../src/kernel/errors.js';
import { CUES_BYTES_MAX, cuesLengthBytes, locateCues, parseCues } from '../../src/vod/matroska-cues.js';
import { forMutants } from '../support/mutation.js';

test('a mutated file has no index, or one with ascending times', () => {
  let found = 0;
  forMutants('matroska-cues', 20_261_123, 800, (bytes) => {
    const location = locateCues(bytes);
    if (location instanceof Malformed) return;
    const cues = bytes.subarray(location.offsetBytes);
    const lengthBytes = cuesLengthBytes(cues.subarray(0, 12));
    if (lengthBytes instanceof Malformed) return;
    assert.ok(lengthBytes >= 0 && lengthBytes <= CUES_BYTES_MAX);
    const times = parseCues(cues.subarray(0, lengthBytes), location);
    if (times instanceof Malformed) return;
    found++;
    for (const [index, timeS] of times.entries()) assert.ok(timeS >= 0 && (index === 0 || timeS > (times[index - 1] ?? 0)));
  });
  assert.ok(found > 0);
});

test.run();
