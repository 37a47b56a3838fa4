/**
 * The URLs of trackers and web seeds that torrents and magnet links name, cleaned or left out.
 *
 * They are foreign text: other schemes, credentials, port 0 and endless URLs are dropped. Whether a host may be reached at all is decided where
 * it is dialled.
 *
 * Source: BEP 3 and 15 (trackers), BEP 19 (web seeds).
 */

/** Longest URL kept, in characters; common servers take no longer ones. */
export const SOURCE_LENGTH_MAX = 2048;

/** An http, https or udp URL in one spelling; undefined for anything else. A udp URL has no default port, so it needs one. */
export function cleanTracker(text: string): string | undefined {
  const url = readUrl(text);
  if (url === undefined || !/^(https?|udp):$/.test(url.protocol) || (url.protocol === 'udp:' && url.port === '')) return undefined;
  return url.href;
}

/** An http or https URL in one spelling; undefined for anything else. */
export function cleanWebSeed(text: string): string | undefined {
  const url = readUrl(text);
  return url !== undefined && /^https?:$/.test(url.protocol) ? url.href : undefined;
}

function readUrl(text: string): URL | undefined {
  const trimmed = text.trim();
  if (trimmed === '' || trimmed.length > SOURCE_LENGTH_MAX || !URL.canParse(trimmed)) return undefined;
  const url = new URL(trimmed);
  if (url.hostname === '' || url.port === '0' || url.username !== '' || url.password !== '') return undefined;
  url.hash = '';
  return url.href.length <= SOURCE_LENGTH_MAX ? url : undefined;
}
