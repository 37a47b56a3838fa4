import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatSegmentPlaylist, formatTitlePlaylist } from '../../../src/vod/playlist.js';

test('a name cannot begin a line of its own', () => {
  const text = formatTitlePlaylist('A\r\n#EXT', [{ name: 'b\nhttp://evil\u2028c', url: 'http://127.0.0.1/1' }]);
  assert.is(text, '#EXTM3U\n#PLAYLIST:A #EXT\n#EXTINF:-1,b http://evil c\nhttp://127.0.0.1/1\n');
});

test('a segment playlist is complete, and no segment is longer than it says', () => {
  const text = formatSegmentPlaylist([0, 6, 13.5, 14], 'init', (index) => `s${index}`);
  const head = ['#EXTM3U', '#EXT-X-VERSION:7', '#EXT-X-TARGETDURATION:8', '#EXT-X-PLAYLIST-TYPE:VOD', '#EXT-X-INDEPENDENT-SEGMENTS'];
  const body = [
    '#EXT-X-MAP:URI="init"',
    '#EXTINF:6.000000,',
    's0',
    '#EXTINF:7.500000,',
    's1',
    '#EXTINF:0.500000,',
    's2',
    '#EXT-X-ENDLIST',
    '',
  ];
  assert.is(text, [...head, ...body].join('\n'));
});

test.run();
