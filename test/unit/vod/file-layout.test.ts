/** Bytes of a title as spans of files, and files as runs of pieces. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pathOnDisk, piecesOfFile, piecesOfRange, spansOf, spansOfPiece } from '../../../src/vod/file-layout.js';
import { folderInfo, readTorrent, torrentBytes } from '../../support/metainfo-fixture.js';

const title = readTorrent(
  torrentBytes(
    folderInfo([
      { length: 10_000, path: ['a'] },
      { length: 0, path: ['empty'] },
      { length: 6384, path: ['.pad', '6384'], attr: 'p' },
      { length: 20_000, path: ['Sub', 'b'] },
    ]),
  ),
);
const show = (spans: ReturnType<typeof spansOf>) =>
  spans.map(({ file, offsetBytes, lengthBytes, atBytes }) => [file.index, offsetBytes, lengthBytes, atBytes]);

test('a range is cut at the borders of files, and empty files take no part', () => {
  assert.equal(show(spansOf(title, 9999, 10_000)), [
    [0, 9999, 1, 0],
    [2, 0, 6384, 1],
    [3, 0, 3615, 6385],
  ]);
  assert.equal(show(spansOfPiece(title, 1)), [[3, 0, 16_384, 0]]);
});

test('what lies past the end is left out', () => {
  assert.equal(show(spansOfPiece(title, 2)), [[3, 16_384, 3616, 0]]);
  assert.equal(show(spansOf(title, 36_384, 5)), []);
  assert.equal(show(spansOf(title, 0, 0)), []);
});

test('a file is the pieces that hold a byte of it', () => {
  assert.equal(
    title.files.map((file) => piecesOfFile(title, file)),
    [{ firstPiece: 0, lastPiece: 0 }, undefined, { firstPiece: 0, lastPiece: 0 }, { firstPiece: 1, lastPiece: 2 }],
  );
  assert.equal(piecesOfRange(title, 16_383, 16_385), { firstPiece: 0, lastPiece: 1 });
});

test('a folder has its name in front on disk, a single file has not', () => {
  const single = readTorrent(torrentBytes());
  assert.equal(pathOnDisk(title, title.files[3] as (typeof title.files)[0]), ['folder', 'Sub', 'b']);
  assert.equal(pathOnDisk(single, single.files[0] as (typeof single.files)[0]), ['film.mkv']);
});

test.run();
