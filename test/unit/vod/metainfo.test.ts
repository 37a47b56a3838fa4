/** Torrents as they come: what is read of them, what their hash is over, and a table of those refused. */
import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher } from '../../../src/io/crypto.js';
import { encodeBencode } from '../../../src/kernel/bencode.js';
import { Malformed } from '../../../src/kernel/errors.js';
import { FILES_MAX_COUNT, parseInfo, parseTorrent, pieceHash, pieceSpanBytes, TORRENT_BYTES_MAX } from '../../../src/vod/metainfo.js';
import { type Fields, folderInfo, readTorrent, torrentBytes } from '../../support/metainfo-fixture.js';

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const sha1 = (text: string): string => createHash('sha1').update(Buffer.from(text, 'latin1')).digest('hex');
const PIECES = 'x'.repeat(60);

function reasonOf(bytes: Uint8Array): string {
  const metainfo = parseTorrent(bytes, nodeHasher);
  return metainfo instanceof Malformed ? metainfo.reason : 'accepted';
}

test('a torrent of one file is read', () => {
  const metainfo = readTorrent(
    torrentBytes({ private: 1 }, { comment: 'c', 'created by': 'x', 'creation date': 5, announce: 'udp://t.example:1' }),
  );
  assert.is(metainfo.name, 'film.mkv');
  assert.is(metainfo.isSingleFile, true);
  assert.is(metainfo.isPrivate, true);
  assert.is(metainfo.pieceCount, 3);
  assert.is(metainfo.totalBytes, 40_000);
  assert.equal([metainfo.comment, metainfo.createdBy, metainfo.createdS], ['c', 'x', 5]);
  assert.equal(metainfo.trackerTiers, [['udp://t.example:1']]);
  assert.equal(metainfo.files, [
    { index: 0, path: ['film.mkv'], originalPath: ['film.mkv'], offsetBytes: 0, lengthBytes: 40_000, isPad: false },
  ]);
  assert.equal(
    [0, 1, 2, 3].map((piece) => pieceSpanBytes(metainfo, piece)),
    [16_384, 16_384, 7232, 0],
  );
  assert.is(pieceHash(metainfo, 2).length, 20);
});

test('the info hash is over the bytes as they came, sorted or not', () => {
  const info = `d6:pieces60:${PIECES}4:name1:a12:piece lengthi16384e6:lengthi40000e1:\xff1:ze`;
  const metainfo = readTorrent(bytesOf(`d4:info${info}8:announce0:e`));
  assert.is(metainfo.infoHash, sha1(info));
  assert.equal(metainfo.infoBytes, bytesOf(info));
  const again = parseInfo(bytesOf(info), nodeHasher);
  assert.is(again instanceof Malformed ? again.reason : again.infoHash, metainfo.infoHash);
});

test('an "info" within another dictionary is not taken for the torrent\'s', () => {
  const decoy = `d4:infod4:name1:xee`;
  const info = `d6:lengthi40000e4:name1:a12:piece lengthi16384e6:pieces60:${PIECES}e`;
  assert.is(readTorrent(bytesOf(`d1:a${decoy}4:info${info}e`)).infoHash, sha1(info));
});

test('files lie one after the other, pad files and empty ones too', () => {
  const info = folderInfo([
    { length: 10_000, path: ['Sub', 'a.mkv'] },
    { length: 6384, path: ['.pad', '6384'], attr: 'p' },
    { length: 0, path: ['empty'] },
    { length: 5, path: ['b'], attr: 'x' },
  ]);
  const { files, isSingleFile, name, totalBytes } = readTorrent(torrentBytes(info));
  assert.equal([isSingleFile, name, totalBytes], [false, 'folder', 16_389]);
  assert.equal(
    files.map(({ offsetBytes, isPad }) => [offsetBytes, isPad]),
    [
      [0, false],
      [10_000, true],
      [16_384, false],
      [16_384, false],
    ],
  );
  assert.equal(files[0]?.path, ['Sub', 'a.mkv']);
});

test('names are made safe and told apart, and kept as they were for web seeds', () => {
  const files = [['..', '..', 'etc', 'passwd'], ['a.mkv'], ['A.MKV']].map((path) => ({ length: 1, path }));
  const metainfo = readTorrent(torrentBytes({ ...folderInfo(files), name: '../up' }));
  assert.equal([metainfo.name, metainfo.originalName], ['.._up', '../up']);
  assert.equal(
    metainfo.files.map(({ path }) => path.join('/')),
    ['_/_/etc/passwd', 'a.mkv', 'A (2).MKV'],
  );
  assert.equal(metainfo.files[0]?.originalPath, ['..', '..', 'etc', 'passwd']);
});

test('names in UTF-8 are preferred, and other bytes are read as Windows-1252', () => {
  const legacy = readTorrent(torrentBytes({ name: bytesOf('caf\xe9') }));
  assert.is(legacy.name, 'café');
  const info = folderInfo([{ length: 1, path: [bytesOf('\xe9')], 'path.utf-8': ['é', 'x'] }]);
  const both = readTorrent(torrentBytes({ ...info, name: bytesOf('\xff'), 'name.utf-8': 'ü' }));
  assert.equal([both.name, both.files[0]?.path], ['ü', ['é', 'x']]);
});

test('tiers keep their order; announce counts only without them', () => {
  const tiers = (announceList: Fields[string], announce?: string) =>
    readTorrent(torrentBytes({}, { 'announce-list': announceList, announce })).trackerTiers;
  const [a, b, c] = ['http://a.example/x', 'udp://b.example:1', 'https://c.example/'];
  assert.equal(tiers([[b, a], [], [c, a]], 'http://z.example/'), [[b, a], [c]]);
  assert.equal(tiers([['ftp://x.example/', 'wss://x.example/', 'udp://noport.example', '']], a), [[a]]);
  assert.equal(tiers([a, [b]]), [[a], [b]]);
  assert.equal(tiers(7, a), [[a]]);
  assert.equal(tiers(undefined), []);
  assert.is(tiers([Array.from({ length: 500 }, (_, index) => `http://t${index}.example/`)])[0]?.length, 64);
});

test('web seeds come as a string or a list', () => {
  const seeds = (list: Fields[string]) => readTorrent(torrentBytes({}, { 'url-list': list })).webSeeds;
  assert.equal(seeds('http://a.example/x#y'), ['http://a.example/x']);
  assert.equal(seeds(['http://a.example/', 'ftp://a.example/', 'http://a.example/', 'http://u:p@a.example/', 3]), ['http://a.example/']);
  assert.equal(seeds(''), []);
});

test('nodes are read, but not those of a private title', () => {
  const nodes = [['127.0.0.1', 6881], ['router.example', 1], ['x', 0], ['y'], 5];
  assert.equal(readTorrent(torrentBytes({}, { nodes })).dhtNodes, [
    { host: '127.0.0.1', port: 6881 },
    { host: 'router.example', port: 1 },
  ]);
  assert.equal(readTorrent(torrentBytes({ private: 1 }, { nodes })).dhtNodes, []);
});

test('a hybrid torrent is read as version 1', () => {
  const tree = { a: { '': { length: 40_000, 'pieces root': new Uint8Array(32) } } };
  assert.is(readTorrent(torrentBytes({ 'meta version': 2, 'file tree': tree })).pieceCount, 3);
});

const REFUSED: readonly (readonly [info: Fields, reason: RegExp])[] = [
  [{ name: undefined }, /info\.name is missing/],
  [{ name: 5 }, /info\.name is 5/],
  [{ name: 'x'.repeat(5000) }, /info\.name is a string of 5000 bytes; expected a name of at most 4096/],
  [{ 'piece length': undefined }, /"piece length"\] is missing; expected 16384 to/],
  [{ 'piece length': 0 }, /"piece length"\] is 0/],
  [{ 'piece length': 1 }, /"piece length"\] is 1/],
  [{ 'piece length': -16_384 }, /is -16384/],
  [{ 'piece length': 2 ** 40 }, /is 1099511627776; expected 16384 to 134217728/],
  [{ pieces: new Uint8Array(61) }, /info\.pieces has 61 bytes; expected a multiple of 20/],
  [{ pieces: new Uint8Array(40) }, /hashes of 2 pieces; its files of 40000 bytes have 3/],
  [{ pieces: new Uint8Array(0) }, /hashes of 0 pieces/],
  [{ pieces: ['x'] }, /info\.pieces is a list of 1/],
  [{ pieces: undefined }, /info\.pieces is missing/],
  [{ length: -1 }, /info\.length is -1; expected a number of bytes/],
  [{ length: undefined }, /info\.length is missing/],
  [{ length: 0, pieces: new Uint8Array(0) }, /holds no bytes/],
  [{ length: 2 ** 52 }, /has 274877906944 pieces; at most 2097152/],
  [{ length: 2 ** 43 + 1, 'piece length': 2 ** 27 }, /files have 8796093022209 bytes; at most 8796093022208/],
  [{ attr: 'l', 'symlink path': ['a'] }, /symbolic link/],
  [{ files: [] }, /both length and files/],
  [{ length: undefined, files: [] }, /holds no bytes/],
  [{ length: undefined, files: 'x' }, /info\.files is a string of 1 bytes/],
  [{ length: undefined, files: [5] }, /info\.files\[0\] is 5; expected a dictionary/],
  [{ length: undefined, files: [{ length: 1 }] }, /info\.files\[0\]\.path is missing/],
  [{ length: undefined, files: [{ length: 1, path: [] }] }, /info\.files\[0\]\.path is a list of 0/],
  [{ length: undefined, files: [{ length: 1, path: 'a' }] }, /path is a string of 1 bytes; expected a list of names/],
  [{ length: undefined, files: [{ length: 1, path: [1] }] }, /expected a list of names/],
  [{ length: undefined, files: [{ length: -5, path: ['a'] }] }, /info\.files\[0\]\.length is -5/],
  [
    {
      length: undefined,
      files: [
        { length: 1, path: ['a'] },
        { path: ['b'], attr: 'l' },
      ],
    },
    /files\[1\] is a symbolic link/,
  ],
  [{ length: undefined, files: [1, 2].map(() => ({ length: Number.MAX_SAFE_INTEGER, path: ['a'] })) }, /files\[1\] have more than 2\^53/],
  [
    { length: undefined, files: [{ length: 1, path: new Array(40).fill('a') }] },
    /files\[0\]\.path is refused: the path is 40 folders deep/,
  ],
  [{ pieces: undefined, 'meta version': 2, 'file tree': {} }, /version 2 only/],
];

test('torrents that make no sense are refused with what is wrong and where', () => {
  for (const [info, reason] of REFUSED) assert.match(reasonOf(torrentBytes(info)), reason);
});

test('what is no torrent at all is refused with words', () => {
  assert.match(reasonOf(new Uint8Array(0)), /file is empty/);
  assert.match(reasonOf(bytesOf('<!DOCTYPE html>')), /no torrent file: bencode: "<" where .*, at byte 0/);
  assert.match(reasonOf(bytesOf('i5e')), /no dictionary/);
  assert.match(reasonOf(bytesOf('de')), /no "info" dictionary \(missing there\)/);
  assert.match(reasonOf(bytesOf('d4:info1:xe')), /a string of 1 bytes there/);
  assert.match(reasonOf(Buffer.concat([torrentBytes(), Buffer.from('e')])), /1 bytes follow/);
  assert.match(reasonOf(torrentBytes().subarray(0, -1)), /the end within/);
  assert.match(reasonOf(bytesOf('l'.repeat(200_000))), /nested deeper than 64/);
  assert.match(reasonOf(new Uint8Array(TORRENT_BYTES_MAX + 1)), /at most 10485760 are read/);
});

test('more files than anybody has are refused', () => {
  const files = Array.from({ length: FILES_MAX_COUNT + 1 }, () => ({}));
  assert.match(reasonOf(torrentBytes({ length: undefined, files })), /has 100001 entries; at most 100000/);
});

test('what is read shares no memory with the bytes it was read from', () => {
  const bytes = torrentBytes({ pieces: new Uint8Array(60).fill(1) });
  const metainfo = readTorrent(bytes);
  bytes.fill(0);
  assert.is(createHash('sha1').update(metainfo.infoBytes).digest('hex'), metainfo.infoHash);
  assert.is(metainfo.pieceHashes[0], 1);
});

test('an info dictionary from peers is held to the same rules', () => {
  const refused = parseInfo(encodeBencode({ name: 'x' }), nodeHasher);
  assert.match(refused instanceof Malformed ? refused.reason : '', /piece length/);
  const noInfo = parseInfo(bytesOf('li1ee'), nodeHasher);
  assert.match(noInfo instanceof Malformed ? noInfo.reason : '', /no info dictionary/);
});

test.run();
