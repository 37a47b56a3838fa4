import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatPlaylist } from '../../../../src/relay/endpoints/hls-playlist.js';

test('a playlist lists its segments, and names an initialisation section only where it changes', () => {
  const text = formatPlaylist({
    mediaSequence: 7,
    discontinuitySequence: 1,
    targetDurationMs: 2400,
    segments: [
      { name: 's7', initName: 'i0', durationMs: 2000, discontinuity: false },
      { name: 's8', initName: 'i0', durationMs: 2400, discontinuity: false },
      { name: 's9', initName: 'i1', durationMs: 1040, discontinuity: true },
    ],
  });
  assert.is(
    text,
    [
      '#EXTM3U',
      '#EXT-X-VERSION:6',
      '#EXT-X-TARGETDURATION:3',
      '#EXT-X-MEDIA-SEQUENCE:7',
      '#EXT-X-DISCONTINUITY-SEQUENCE:1',
      '#EXT-X-INDEPENDENT-SEGMENTS',
      '#EXT-X-MAP:URI="i0"',
      '#EXTINF:2.000,',
      's7',
      '#EXTINF:2.400,',
      's8',
      '#EXT-X-DISCONTINUITY',
      '#EXT-X-MAP:URI="i1"',
      '#EXTINF:1.040,',
      's9',
      '',
    ].join('\n'),
  );
});

test.run();
