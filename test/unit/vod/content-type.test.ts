import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { contentTypeOf, extensionOf, mediaKindOf } from '../../../src/vod/content-type.js';

test('media is named by its ending, whatever the case', () => {
  assert.equal(['a.MKV', 'b.mp4', 'c.flac', 'd.srt'].map(contentTypeOf), [
    'video/x-matroska',
    'video/mp4',
    'audio/flac',
    'application/x-subrip',
  ]);
  assert.equal(['a.MKV', 'c.flac', 'd.srt', 'e.jpg', 'f.nfo', 'g'].map(mediaKindOf), [
    'video',
    'audio',
    'subtitle',
    'picture',
    'other',
    'other',
  ]);
});

test('nothing that a browser would run or render as a document keeps its type', () => {
  for (const ending of ['html', 'htm', 'xhtml', 'svg', 'js', 'mjs', 'css', 'xml', 'pdf', 'swf', 'wasm', 'constructor', '__proto__'])
    assert.is(contentTypeOf(`a.${ending}`), 'application/octet-stream', ending);
});

test('a name without an ending has none', () => {
  assert.equal(['', '.mkv', 'a.', 'a.tar.gz', 'a b.c d'].map(extensionOf), ['', '', '', 'gz', '']);
});

test.run();
