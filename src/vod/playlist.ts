/**
 * Playlists as text: the extended M3U of a title, and the HLS playlist of a file that is converted while it plays (RFC 8216).
 *
 * Names come from strangers: every control character becomes a blank, so that no name can begin a line of its own.
 */

/** One line pair of a title's playlist. */
export interface PlaylistEntry {
  readonly name: string;
  /** Absolute, already escaped. */
  readonly url: string;
}

const LINE_BREAKERS = /[\p{Cc}\p{Zl}\p{Zp}]+/gu;

/** Players take the names from it and play one entry after the other. Lengths are unknown, which is −1. */
export function formatTitlePlaylist(name: string, entries: readonly PlaylistEntry[]): string {
  const lines = entries.flatMap((entry) => [`#EXTINF:-1,${oneLine(entry.name)}`, oneLine(entry.url)]);
  return `${['#EXTM3U', `#PLAYLIST:${oneLine(name)}`, ...lines].join('\n')}\n`;
}

/**
 * A complete list of fragmented MP4 segments.
 *
 * @param boundariesS where segments begin, seconds, ascending from 0, and as the last one where the file ends.
 */
export function formatSegmentPlaylist(boundariesS: readonly number[], initUrl: string, segmentUrl: (index: number) => string): string {
  const durations = boundariesS.slice(1).map((endS, index) => endS - (boundariesS[index] ?? 0));
  const lines = durations.flatMap((durationS, index) => [`#EXTINF:${durationS.toFixed(6)},`, segmentUrl(index)]);
  return `${[
    '#EXTM3U',
    '#EXT-X-VERSION:7',
    `#EXT-X-TARGETDURATION:${Math.max(1, Math.ceil(Math.max(0, ...durations)))}`,
    '#EXT-X-PLAYLIST-TYPE:VOD',
    '#EXT-X-INDEPENDENT-SEGMENTS',
    `#EXT-X-MAP:URI="${initUrl}"`,
    ...lines,
    '#EXT-X-ENDLIST',
  ].join('\n')}\n`;
}

function oneLine(text: string): string {
  return text.replace(LINE_BREAKERS, ' ').trim();
}
