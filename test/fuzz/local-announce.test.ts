/** Local announces under mutation: a port, distinct info hashes of 40 digits, bounded text; or a refusal. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  decodeLocalAnnounce,
  encodeLocalAnnounce,
  LOCAL_ANNOUNCE_BYTES_MAX,
  LOCAL_ANNOUNCE_TORRENTS_MAX,
} from '../../src/io/peers/local-announce.js';
import { Malformed } from '../../src/kernel/errors.js';
import { forMutants } from '../support/mutation.js';

test('mutated announces are read the same when written again, or refused', () => {
  let acceptedCount = 0;
  forMutants('local-announce', 17, 500, (mutant) => {
    const announce = decodeLocalAnnounce(mutant);
    if (announce instanceof Malformed) return;
    acceptedCount++;
    assert.ok(announce.port >= 1 && announce.port <= 65_535);
    assert.ok(announce.infoHashes.length >= 1 && announce.infoHashes.length <= LOCAL_ANNOUNCE_TORRENTS_MAX);
    assert.is(new Set(announce.infoHashes).size, announce.infoHashes.length);
    assert.ok(announce.cookie.length <= 64);
    const again = encodeLocalAnnounce(announce, 'group');
    assert.ok(again.length <= LOCAL_ANNOUNCE_BYTES_MAX);
    assert.equal(decodeLocalAnnounce(again), announce);
  });
  assert.ok(acceptedCount > 0);
});

test.run();
