/** Torrents as they are written: canonical, with nothing added, and with the info bytes untouched. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher } from '../../../src/io/crypto.js';
import { decodeBencode } from '../../../src/kernel/bencode.js';
import { ShoalError } from '../../../src/kernel/errors.js';
import { encodeInfo, encodeTorrent, type TorrentDraft } from '../../../src/vod/torrent-draft.js';
import { readTorrent, torrentBytes } from '../../support/metainfo-fixture.js';

const INFO = { name: 'a', pieceLengthBytes: 16_384, pieceHashes: new Uint8Array(20), content: 5, isPrivate: false };
const BARE: Omit<TorrentDraft, 'infoBytes'> = {
  trackerTiers: [],
  webSeeds: [],
  dhtNodes: [],
  comment: '',
  createdBy: '',
  createdS: undefined,
};
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

test('nothing is in a torrent but what was given', () => {
  const bytes = encodeTorrent({ ...BARE, infoBytes: encodeInfo(INFO) });
  assert.is(text(bytes), `d4:infod6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces20:${'\0'.repeat(20)}ee`);
});

test('fields stand in order, and one tracker needs no tiers', () => {
  const draft = {
    ...BARE,
    infoBytes: encodeInfo({ ...INFO, isPrivate: true }),
    comment: 'c',
    createdS: 7,
    webSeeds: ['http://w.example/'],
  };
  const one = encodeTorrent({ ...draft, trackerTiers: [['http://t.example/']] });
  const two = encodeTorrent({ ...draft, trackerTiers: [['http://t.example/'], [], ['http://u.example/']] });
  for (const bytes of [one, two]) assert.ok(decodeBencode(bytes, { canonical: true }) instanceof Map);
  assert.not.match(text(one), /announce-list/);
  assert.equal(readTorrent(two).trackerTiers, [['http://t.example/'], ['http://u.example/']]);
  assert.is(readTorrent(one).isPrivate, true);
});

test('what was read is written with the same hash, sorted or not', () => {
  const info = `d6:pieces20:${'x'.repeat(20)}4:name1:a12:piece lengthi16384e6:lengthi5ee`;
  const read = readTorrent(Buffer.from(`d4:info${info}e`, 'latin1'));
  assert.is(readTorrent(encodeTorrent(read)).infoHash, read.infoHash);
  const whole = torrentBytes({}, { nodes: [['127.0.0.1', 5]], 'url-list': ['http://a.example/'], comment: 'ü', 'creation date': 3 });
  assert.equal(encodeTorrent(readTorrent(whole)), whole);
});

test('a draft whose hashes do not fit its length is our bug', () => {
  for (const wrong of [{ content: 20_000 }, { content: 0 }, { content: [] }]) {
    assert.throws(
      () => encodeInfo({ ...INFO, ...wrong }),
      (error: unknown) => error instanceof ShoalError && error.code === 'INVARIANT',
    );
  }
  assert.is(nodeHasher.sha1(encodeInfo(INFO)).length, 20);
});

test.run();
