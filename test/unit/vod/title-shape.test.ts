import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { shapeOf } from '../../../src/vod/title-shape.js';
import { folderInfo, readTorrent, torrentBytes } from '../../support/metainfo-fixture.js';

const PIECE_BYTES = 1024 * 1024;

test('the end of an MP4 is fetched early as far as its index may reach, that of other files only a little', () => {
  const files = [
    { length: 128 * 1024 * 1024, path: ['film.mp4'] },
    { length: 128 * 1024 * 1024, path: ['film.mkv'] },
    { length: 1000, path: ['short.mp4'] },
    { length: 2 ** 34, path: ['long.MOV'] },
  ];
  const { files: spans, pieceCount } = shapeOf(readTorrent(torrentBytes(folderInfo(files, 16 * PIECE_BYTES))));
  assert.equal(
    spans.map(({ tailBytes }) => tailBytes),
    [PIECE_BYTES, 65_536, 65_536, 4 * PIECE_BYTES],
  );
  assert.is(spans[1]?.offsetBytes, 128 * 1024 * 1024);
  assert.is(pieceCount, 1041);
});

test('a title of one file bears the name of the file', () => {
  const pieces = new Uint8Array(20 * 64);
  const info = { name: 'film.m4v', length: 64 * PIECE_BYTES, 'piece length': PIECE_BYTES, pieces };
  assert.is(shapeOf(readTorrent(torrentBytes(info))).files[0]?.tailBytes, PIECE_BYTES / 2);
});

test.run();
