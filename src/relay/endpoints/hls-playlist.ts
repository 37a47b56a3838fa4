/**
 * The text of a live media playlist (RFC 8216, 4.3) over fragmented MP4 segments.
 */
import type { Milliseconds } from '../../kernel/units.js';

/** One line of the list. */
export interface PlaylistSegment {
  readonly name: string;
  /** Name of the initialisation section it needs. */
  readonly initName: string;
  readonly durationMs: Milliseconds;
  readonly discontinuity: boolean;
}

export interface Playlist {
  /** Number of the first segment; never goes back. */
  readonly mediaSequence: number;
  /** How many breaks have left the list. */
  readonly discontinuitySequence: number;
  /** Longest segment ever listed, which the format does not let shrink. */
  readonly targetDurationMs: Milliseconds;
  readonly segments: readonly PlaylistSegment[];
}

/** Version 6: `EXT-X-MAP` in a list of ordinary segments. Names stand as they are and must need no escaping. */
export function formatPlaylist(playlist: Playlist): string {
  const lines = [
    '#EXTM3U',
    '#EXT-X-VERSION:6',
    `#EXT-X-TARGETDURATION:${Math.max(1, Math.ceil(playlist.targetDurationMs / 1000))}`,
    `#EXT-X-MEDIA-SEQUENCE:${playlist.mediaSequence}`,
    `#EXT-X-DISCONTINUITY-SEQUENCE:${playlist.discontinuitySequence}`,
    '#EXT-X-INDEPENDENT-SEGMENTS',
  ];
  let initName = '';
  for (const segment of playlist.segments) {
    if (segment.discontinuity) lines.push('#EXT-X-DISCONTINUITY');
    if (segment.initName !== initName) lines.push(`#EXT-X-MAP:URI="${segment.initName}"`);
    initName = segment.initName;
    lines.push(`#EXTINF:${(segment.durationMs / 1000).toFixed(3)},`, segment.name);
  }
  return `${lines.join('\n')}\n`;
}
