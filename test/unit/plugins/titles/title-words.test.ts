import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { TitleView } from '../../../../src/plugins/titles/title-view.js';
import {
  missingText,
  progressOf,
  publishedLines,
  sizeText,
  statusText,
  torrentFileName,
} from '../../../../src/plugins/titles/title-words.js';

const TITLE: TitleView = {
  id: 'a'.repeat(40),
  name: 'Film',
  link: 'magnet:?xt=urn:btih:aa',
  state: 'downloading',
  error: null,
  published: false,
  isPrivate: false,
  pinned: false,
  sizeBytes: 1_400_000_000,
  haveBytes: 700_000_000,
  progress: 0.5099,
  pieceCount: 1336,
  pieceLengthBytes: 1_048_576,
  downBytesPerSecond: 2_500_000,
  upBytesPerSecond: 0,
  downloadedBytes: 0,
  uploadedBytes: 0,
  ratio: 0,
  peers: 1,
  seeders: 1,
  addedAt: '',
  picture: null,
  playlist: null,
  files: [],
};

test('sizes have three digits and decimal units, and never four digits by rounding', () => {
  const expected: readonly (readonly [number, string])[] = [
    [0, '0 bytes'],
    [999, '999 bytes'],
    [1000, '1.00 kB'],
    [9_994, '9.99 kB'],
    [9_996, '10.0 kB'],
    [99_960, '100 kB'],
    [999_499, '999 kB'],
    [999_500, '1.00 MB'],
    [1_400_000_000, '1.40 GB'],
    [3e15, '3000 TB'],
  ];
  for (const [bytes, text] of expected) assert.is(sizeText(bytes), text);
});

test('progress is a bar of twenty parts, and says 100 % only when all is done', () => {
  assert.is(progressOf(0, 10), `[${'-'.repeat(20)}]   0 %`);
  assert.is(progressOf(5, 10), `[${'#'.repeat(10)}${'-'.repeat(10)}]  50 %`);
  assert.match(progressOf(9_999, 10_000), / 99 %$/);
  assert.match(progressOf(10, 10), /100 %$/);
  assert.match(progressOf(0, 0), /100 %$/);
});

test('a published title is told with its link, its torrent file and the command for others', () => {
  const lines = publishedLines({ ...TITLE, files: [] }, '/data/Film.torrent').join('\n');
  assert.match(lines, /"Film" is published: 0 files, 1\.40 GB in 1336 pieces of 1024 KiB\./);
  assert.match(lines, /Link +magnet:\?xt=urn:btih:aa$/m);
  assert.match(lines, /Torrent file +\/data\/Film\.torrent$/m);
  assert.match(lines, /npx shoal play "magnet:\?xt=urn:btih:aa"/);
});

test('the line of one title tells rates and how many more there are; one without a name has its id', () => {
  assert.is(statusText(TITLE, 1), 'Film · downloading · 50.9 % · 1 peer · down 2.50 MB/s · up 0 bytes/s');
  assert.is(statusText({ ...TITLE, error: 'The disk is full.' }, 2), 'Film · downloading · 50.9 % · and 1 more · The disk is full.');
  assert.match(statusText({ ...TITLE, name: '', peers: 2 }, 3), /^a{40} · .* 2 peers .* and 2 more$/);
});

test('what is missing is told of every title that is not all here, and nothing when all are', () => {
  const here = { ...TITLE, progress: 1, state: 'seeding' as const };
  assert.is(missingText([here]), undefined);
  assert.match(missingText([here, TITLE]) ?? '', /"Film" is here to 50 %/);
  // Of a bare link nothing is known, so nothing is wanted yet.
  assert.match(missingText([{ ...here, state: 'metadata', name: '' }]) ?? '', /"a{40}"/);
});

test('the name of a torrent file fits on any disk, and no character is cut in two', () => {
  assert.is(torrentFileName('Film'), 'Film.torrent');
  const long = torrentFileName('🐟'.repeat(200));
  assert.ok(Buffer.byteLength(long) <= 255);
  assert.match(long, /^(?:🐟)+\.torrent$/u);
});

test.run();
