/**
 * The datagram of local service discovery, which looks like HTTP: somebody on this network has peers of these torrents at this port.
 *
 * ```
 * BT-SEARCH * HTTP/1.1
 * Host: 239.192.152.143:6771
 * Port: 6881
 * Infohash: 40 hex digits (may come several times)
 * cookie: anything, by which the sender knows its own
 * ```
 * Lines end with CR LF, and the message with two empty ones. Source: BEP 14.
 */
import { Malformed } from '../../kernel/errors.js';
import type { Bytes, InfoHash } from '../../kernel/units.js';

export interface LocalAnnounce {
  readonly port: number;
  readonly infoHashes: readonly InfoHash[];
  /** Possibly empty. */
  readonly cookie: string;
}

/** What fits into one Ethernet frame. */
export const LOCAL_ANNOUNCE_BYTES_MAX: Bytes = 1400;
/** Torrents in one datagram: 53 bytes each. */
export const LOCAL_ANNOUNCE_TORRENTS_MAX = 20;
const COOKIE_CHARACTERS_MAX = 64;
const FIRST_LINE = 'BT-SEARCH * HTTP/1.1';

export function encodeLocalAnnounce({ port, infoHashes, cookie }: LocalAnnounce, group: string): Uint8Array {
  const hashes = infoHashes.slice(0, LOCAL_ANNOUNCE_TORRENTS_MAX).map((infoHash) => `Infohash: ${infoHash}`);
  const lines = [FIRST_LINE, `Host: ${group}`, `Port: ${port}`, ...hashes, `cookie: ${cookie}`, '', '', ''];
  return Uint8Array.from(lines.join('\r\n'), (character) => character.charCodeAt(0));
}

export function decodeLocalAnnounce(bytes: Uint8Array): LocalAnnounce | Malformed {
  if (bytes.length > LOCAL_ANNOUNCE_BYTES_MAX) return new Malformed(`a local announce of ${bytes.length} bytes`);
  const [first, ...lines] = String.fromCharCode(...bytes).split('\r\n');
  if (first !== FIRST_LINE) return new Malformed('no local announce');
  const values = (name: string): string[] =>
    lines.filter((line) => line.toLowerCase().startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim());
  const [portText = ''] = values('port');
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : 0;
  if (port < 1 || port > 65_535) return new Malformed('a local announce without a port');
  const infoHashes = [...new Set(values('infohash').map((text) => text.toLowerCase()))].filter((text) => /^[0-9a-f]{40}$/.test(text));
  if (infoHashes.length === 0) return new Malformed('a local announce without a torrent');
  const [cookie = ''] = values('cookie');
  return { port, infoHashes: infoHashes.slice(0, LOCAL_ANNOUNCE_TORRENTS_MAX), cookie: cookie.slice(0, COOKIE_CHARACTERS_MAX) };
}
