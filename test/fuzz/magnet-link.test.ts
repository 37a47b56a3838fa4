/** Magnet links under mutation: read or refused, never thrown at; what is read is bounded and is written so that it reads the same. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../src/kernel/errors.js';
import { formatMagnet, parseMagnet } from '../../src/vod/magnet-link.js';
import { forMutants } from '../support/mutation.js';

test('mutated links are read or refused', () => {
  let readCount = 0;
  forMutants('magnet-link', 20_260_902, 600, (mutant) => {
    const link = parseMagnet(Buffer.from(mutant).toString('utf8'));
    if (link instanceof Malformed) return;
    readCount++;
    assert.match(link.infoHash, /^[0-9a-f]{40}$/);
    assert.ok(link.trackers.length <= 64 && link.webSeeds.length <= 32 && link.peers.length <= 64);
    assert.equal(parseMagnet(formatMagnet(link)), link);
  });
  assert.ok(readCount > 100, `only ${readCount} mutants were links`);
});

test.run();
