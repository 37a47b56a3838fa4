import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher } from '../../../../src/io/crypto.js';
import { linkTo, ownSources, torrentTo } from '../../../../src/plugins/titles/own-sources.js';
import { parseTitleEntry } from '../../../../src/plugins/titles/title-entry.js';
import { type MagnetLink, parseMagnet } from '../../../../src/vod/magnet-link.js';
import { type Metainfo, parseTorrent } from '../../../../src/vod/metainfo.js';

const PLACE = {
  trackers: ['http://198.51.100.7:8081/announce'],
  seedBase: 'http://198.51.100.7:8080/seed/',
  peerAddresses: ['198.51.100.7:6881', 'no address'],
};
const TORRENT = parseTorrent(
  Buffer.from(`d8:announce22:http://tracker.test/an4:infod6:lengthi5e4:name4:film12:piece lengthi16384e6:pieces20:${'x'.repeat(20)}ee`),
  nodeHasher,
) as Metainfo;
const LINK = parseMagnet(`magnet:?xt=urn:btih:${TORRENT.infoHash}&dn=other`) as MagnetLink;

function entry(more: object): ReturnType<typeof parseTitleEntry> {
  const known = {
    version: 1,
    id: TORRENT.infoHash,
    link: 'magnet:',
    folder: '/films',
    published: true,
    publicSeed: true,
    cached: false,
    paused: false,
  };
  return parseTitleEntry({
    ...known,
    addedAt: '2026-11-21T07:00:00.000Z',
    usedAt: '2026-11-21T07:00:00.000Z',
    uploadedBytes: 0,
    downloadedBytes: 0,
    ...more,
  });
}

test('a link and a torrent of what is published here name this process beside what they named before', () => {
  const own = ownSources(PLACE, entry({}), TORRENT);
  const link = parseMagnet(linkTo(own, LINK, TORRENT)) as MagnetLink;
  assert.equal(link.trackers, ['http://tracker.test/an', ...PLACE.trackers]);
  assert.equal(link.webSeeds, [`${PLACE.seedBase}${TORRENT.infoHash}/`]);
  assert.equal(
    link.peers.map(({ host, port }) => `${host}:${port}`),
    ['198.51.100.7:6881'],
  );
  assert.is(link.name, 'film');
  const torrent = parseTorrent(torrentTo(own, TORRENT), nodeHasher) as Metainfo;
  assert.equal([torrent.infoHash, torrent.trackerTiers], [TORRENT.infoHash, [['http://tracker.test/an'], PLACE.trackers]]);
});

test('what came from elsewhere names nothing of ours, and files that are not offered have no web seed', () => {
  assert.equal(ownSources(PLACE, entry({ published: false }), TORRENT), { trackers: [], webSeeds: [], peers: [] });
  assert.equal(ownSources(PLACE, entry({ publicSeed: false }), TORRENT).webSeeds, []);
  assert.equal(ownSources({ ...PLACE, seedBase: null }, entry({}), TORRENT).webSeeds, []);
});

test('a private title is told to the trackers that were named for it, and its link names no peer', () => {
  const closed = { ...TORRENT, isPrivate: true };
  const own = ownSources(PLACE, entry({}), closed);
  assert.equal(own.trackers, []);
  assert.equal((parseMagnet(linkTo(own, LINK, closed)) as MagnetLink).peers, []);
  assert.equal(ownSources(PLACE, entry({}), { ...closed, trackerTiers: [] }).trackers, PLACE.trackers);
});

test.run();
