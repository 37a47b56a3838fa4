/**
 * What is said to a tracker, and what it answers, whatever the wire: HTTP (`tracker-http.ts`) or UDP (`tracker-udp.ts`).
 */
import { normaliseHost } from '../../kernel/peer-address.js';
import type { Bytes } from '../../kernel/units.js';

export interface Announce {
  /** 20 bytes. */
  readonly infoHash: Uint8Array;
  /** 20 bytes. */
  readonly peerId: Uint8Array;
  /** Where we listen for peers. */
  readonly port: number;
  readonly uploaded: Bytes;
  readonly downloaded: Bytes;
  readonly left: Bytes;
  /** How many peers it may name. */
  readonly numwant: number;
  /** Undefined for one between the first and the last. */
  readonly event: 'started' | 'completed' | 'stopped' | undefined;
  /** 32 bits. Tells a tracker that two addresses are one peer (BEP 7, BEP 15); no secret of ours. */
  readonly key: number;
  /** What it asked us to say again, over HTTP. */
  readonly trackerId: string | undefined;
}

export interface AnnounceResponse {
  readonly intervalS?: number;
  readonly minIntervalS?: number;
  readonly trackerId?: string;
  /** 6 bytes each (BEP 23). */
  readonly peers: Uint8Array;
  /** 18 bytes each (BEP 7). */
  readonly peers6?: Uint8Array;
}

/** Peers taken from one response; libtorrent asks for as many. */
export const PEERS_PER_RESPONSE_MAX_COUNT = 200;
const REASON_LENGTH_MAX = 200;

/** `host:port` of each peer that is named. */
export function* peersOf({ peers, peers6 }: AnnounceResponse): Generator<string> {
  yield* compactPeers(peers, 4);
  yield* compactPeers(peers6 ?? new Uint8Array(0), 16);
}

/** Of compact peers as many whole ones as are taken. */
export function wholeEntries(bytes: Uint8Array, entryBytes: Bytes): Uint8Array {
  const count = Math.min(PEERS_PER_RESPONSE_MAX_COUNT, Math.floor(bytes.length / entryBytes));
  return bytes.subarray(0, count * entryBytes);
}

/** A remote's words for a log line: one line, not long, nothing that moves a terminal's cursor. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, ' ').slice(0, REASON_LENGTH_MAX);
}

/** Addresses of so many bytes, each with its port in two more. */
function* compactPeers(bytes: Uint8Array, addressBytes: 4 | 16): Generator<string> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + addressBytes + 2 <= bytes.length; at += addressBytes + 2) {
    const port = view.getUint16(at + addressBytes);
    if (addressBytes === 4) yield `${bytes.subarray(at, at + 4).join('.')}:${port}`;
    else {
      const groups = Array.from({ length: 8 }, (_, group) => view.getUint16(at + 2 * group).toString(16)).join(':');
      yield `[${normaliseHost(groups) ?? groups}]:${port}`;
    }
  }
}
