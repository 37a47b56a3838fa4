/** Torrents under mutation: read or refused, never thrown at; and what is read keeps every promise of `Metainfo`. */
import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher } from '../../src/io/crypto.js';
import { Malformed } from '../../src/kernel/errors.js';
import { type Metainfo, parseInfo, parseTorrent } from '../../src/vod/metainfo.js';
import { safePath } from '../../src/vod/safe-path.js';
import { encodeTorrent } from '../../src/vod/torrent-draft.js';
import { corpusOf, forMutants } from '../support/mutation.js';

function assertSound(metainfo: Metainfo): void {
  assert.is(createHash('sha1').update(metainfo.infoBytes).digest('hex'), metainfo.infoHash);
  assert.is(metainfo.pieceHashes.length, 20 * metainfo.pieceCount);
  assert.is(Math.ceil(metainfo.totalBytes / metainfo.pieceLengthBytes), metainfo.pieceCount);
  assert.ok(Number.isSafeInteger(metainfo.totalBytes) && metainfo.totalBytes > 0);
  let offsetBytes = 0;
  for (const file of metainfo.files) {
    assert.is(file.offsetBytes, offsetBytes);
    offsetBytes += file.lengthBytes;
    assert.equal(safePath(file.path), file.path);
  }
  assert.is(offsetBytes, metainfo.totalBytes);
  const names = metainfo.files.filter(({ isPad }) => !isPad).map(({ path }) => path.join('/').toLowerCase());
  assert.is(new Set(names).size, names.length);
}

test('mutated torrents are read or refused, and what is read is sound', () => {
  let readCount = 0;
  forMutants('metainfo', 20_260_901, 800, (mutant) => {
    const metainfo = parseTorrent(mutant, nodeHasher);
    if (metainfo instanceof Malformed) {
      assert.ok(metainfo.reason.endsWith('.'));
      return;
    }
    readCount++;
    assertSound(metainfo);
    const again = parseTorrent(encodeTorrent(metainfo), nodeHasher);
    assert.equal(again, metainfo);
    const alone = parseInfo(metainfo.infoBytes, nodeHasher);
    assert.is(alone instanceof Malformed ? alone.reason : alone.infoHash, metainfo.infoHash);
  });
  assert.ok(readCount > 100, `only ${readCount} mutants were torrents`);
});

test('every file of the corpus is a torrent', () => {
  for (const bytes of corpusOf('metainfo')) {
    const metainfo = parseTorrent(bytes, nodeHasher);
    assert.is(metainfo instanceof Malformed ? metainfo.reason : '', '');
  }
});

test.run();
