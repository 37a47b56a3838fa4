/**
 * Metadata exchange (BEP 9, `ut_metadata`) of one swarm: serves the metadata (a channel's descriptor, a torrent's info dictionary), and
 * fetches it when only its hash is known.
 *
 * Our own, because the npm package ends the process on a piece number out of range. A fetch takes the whole metadata from one
 * peer, eight pieces on their way at a time, and checks its SHA-1 against the info hash; when it is wrong, exactly one peer is to
 * blame. Up to three peers are asked side by side so that one who stalls costs no time, but no more than 16 MiB in all. What a peer
 * announces costs nothing; only what it has sent is kept. Serving is capped for each peer, in all and per second.
 * The class is a pure state machine: time comes in, effects go out.
 *
 * | msg_type | meaning | further keys                                                   |
 * |----------|---------|----------------------------------------------------------------|
 * | 0        | request | `piece`                                                        |
 * | 1        | data    | `piece`, `total_size`; the piece's bytes follow the dictionary |
 * | 2        | reject  | `piece`                                                        |
 */
import { type BencodeDictionary, decodeBencodePrefix, encodeBencode } from '../../kernel/bencode.js';
import { Malformed } from '../../kernel/errors.js';
import type { Hasher } from '../../kernel/ports.js';
import type { Bytes, ConnectionId, InfoHash, Milliseconds } from '../../kernel/units.js';

/** The longest metadata accepted: a channel descriptor has a few hundred bytes. */
export const METADATA_BYTES_MAX: Bytes = 65_536;
/** BEP 9. */
export const METADATA_PIECE_BYTES: Bytes = 16_384;
/** How long a peer may take for the next piece before another one is asked. */
const FETCH_TIMEOUT_MS: Milliseconds = 5_000;
/** And for all of them: as if it sent this much in a second, so that nobody keeps a place by single pieces. */
const FETCH_BYTES_PER_SECOND_MIN = 32_768;
/** Requests on their way to one peer; more gains nothing, and other clients serve few at once. */
const WINDOW_PIECES = 8;
const PARALLEL_FETCHES_MAX = 3;
/** The announced sizes of fetches side by side. */
const PARALLEL_BYTES_MAX: Bytes = 16_777_216;
/** The longest rest of a peer that timed out or rejected; the rests double from `FETCH_TIMEOUT_MS` up to it. */
const LONGEST_REST_MS: Milliseconds = 60_000;
/** Requests of a connection, beside four for each piece, before it counts as flooding. */
const SPARE_REQUESTS_COUNT = 256;
/** And as long as nobody here knows how many pieces there are. */
const BLIND_REQUESTS_MAX = 2_048;

/** What a swarm's kind allows. */
export interface MetadataLimits {
  readonly bytesMax: Bytes;
  /** Pieces served to one connection. Beyond it they are rejected, beyond twice as many ignored. */
  readonly servedPiecesMax: number;
  /** Pieces served to one connection at once, and then in a second; what comes faster waits. */
  readonly burstPieces: number;
  readonly piecesPerSecond: number;
  /** Requests of one peer that wait for its rate; what comes on top is rejected. Some clients ask for all pieces at once. */
  readonly waitingRequestsMax: number;
  /** Whether a peer that asks for much more than there is, is sent away. */
  readonly endsFloods: boolean;
}

/** A channel's descriptor has four pieces at most: all of them, sixteen times over, at any speed. */
export const LIVE_METADATA_LIMITS: MetadataLimits = {
  bytesMax: METADATA_BYTES_MAX,
  servedPiecesMax: 64,
  burstPieces: 64,
  piecesPerSecond: 64,
  waitingRequestsMax: 64,
  endsFloods: false,
};
/** 16 MiB (anacrolix/torrent's limit): some 800 000 pieces of a torrent; served four times over, 1 MiB at once and 512 KiB/s then. */
export const TORRENT_METADATA_LIMITS: MetadataLimits = {
  bytesMax: 16_777_216,
  servedPiecesMax: 4096,
  burstPieces: 64,
  piecesPerSecond: 32,
  waitingRequestsMax: 1024,
  endsFloods: true,
};
/** The dictionary in front of a piece. */
const HEADER_LIMITS = { maxBytes: 1024, maxDepth: 4, maxTokens: 32 } as const;

/** What the owner of the exchange is to do. */
export type MetadataEffect =
  | { readonly kind: 'send'; readonly to: ConnectionId; readonly bytes: Uint8Array }
  | { readonly kind: 'verified'; readonly metadata: Uint8Array }
  | { readonly kind: 'misbehaved'; readonly peer: ConnectionId; readonly detail: string };

/** One decoded `ut_metadata` message. */
export interface MetadataMessage {
  readonly type: 'request' | 'data' | 'reject' | 'unknown';
  readonly piece: number;
  readonly totalBytes?: Bytes;
  /** The bytes after the dictionary; empty unless `data`. */
  readonly payload: Uint8Array;
}

interface Fetch {
  readonly sizeBytes: Bytes;
  readonly pieces: Map<number, Uint8Array>;
  /** Asked for and not here. */
  readonly asked: Set<number>;
  nextPiece: number;
  /** For the next piece. */
  deadlineMs: Milliseconds;
  /** For all. */
  readonly endMs: Milliseconds;
}

interface Peer {
  sizeBytes: Bytes | undefined;
  fetch: Fetch | undefined;
  attemptCount: number;
  servedCount: number;
  creditPieces: number;
  creditedMs: Milliseconds;
  /** Requests that wait for credit. */
  readonly waiting: number[];
  /** Not asked before this time. */
  restUntilMs: Milliseconds;
}

const TYPES = ['request', 'data', 'reject'] as const;

export class MetadataExchange {
  readonly #infoHash: InfoHash;
  readonly #hasher: Hasher;
  readonly #peers = new Map<ConnectionId, Peer>();
  readonly #limits: MetadataLimits;
  #metadata: Uint8Array | undefined;

  constructor(infoHash: InfoHash, hasher: Hasher, metadata: Uint8Array | null, limits: MetadataLimits = LIVE_METADATA_LIMITS) {
    this.#limits = limits;
    this.#infoHash = infoHash;
    this.#hasher = hasher;
    this.#metadata = metadata ?? undefined;
  }

  get metadata(): Uint8Array | undefined {
    return this.#metadata;
  }

  /** The metadata became known from elsewhere; the caller has checked it. */
  provide(metadata: Uint8Array): void {
    this.#metadata = metadata;
    for (const peer of this.#peers.values()) peer.fetch = undefined;
  }

  /** A peer maps `ut_metadata`; `sizeBytes` is what its extended handshake says, undefined when it has none itself. May come again. */
  peerReady(id: ConnectionId, sizeBytes: Bytes | undefined, nowMs: Milliseconds): MetadataEffect[] {
    const peer = this.#peers.get(id);
    if (peer === undefined) this.#peers.set(id, newPeer(sizeBytes, this.#limits.burstPieces, nowMs));
    else peer.sizeBytes = sizeBytes ?? peer.sizeBytes;
    return this.#fetchMore(nowMs);
  }

  peerGone(id: ConnectionId, nowMs: Milliseconds): MetadataEffect[] {
    this.#peers.delete(id);
    return this.#fetchMore(nowMs);
  }

  /** To be called about once a second: gives up on peers that take too long and asks others. */
  tick(nowMs: Milliseconds): MetadataEffect[] {
    const effects: MetadataEffect[] = [];
    for (const [id, peer] of this.#peers) {
      if (peer.fetch !== undefined && nowMs >= Math.min(peer.fetch.deadlineMs, peer.fetch.endMs)) abandon(peer, nowMs);
      effects.push(...this.#serveWaiting(id, peer, nowMs));
    }
    return [...effects, ...this.#fetchMore(nowMs)];
  }

  /** A `ut_metadata` message. Messages of peers never announced by `peerReady` are ignored. */
  message(id: ConnectionId, bytes: Uint8Array, nowMs: Milliseconds): MetadataEffect[] {
    const peer = this.#peers.get(id);
    if (peer === undefined) return [];
    const message = decodeMetadataMessage(bytes);
    if (message instanceof Malformed) return [{ kind: 'misbehaved', peer: id, detail: message.reason }];
    if (message.type === 'request') return this.#serve(id, peer, message.piece, nowMs);
    if (message.type === 'data') return this.#store(id, peer, message, nowMs);
    if (message.type === 'reject' && peer.fetch !== undefined) {
      abandon(peer, nowMs);
      return this.#fetchMore(nowMs);
    }
    return [];
  }

  #serve(id: ConnectionId, peer: Peer, piece: number, nowMs: Milliseconds): MetadataEffect[] {
    const metadata = this.#metadata;
    const { servedPiecesMax, waitingRequestsMax, endsFloods } = this.#limits;
    peer.servedCount++;
    if (endsFloods && peer.servedCount > this.#requestsMax()) {
      return [{ kind: 'misbehaved', peer: id, detail: 'floods with requests for metadata' }];
    }
    // Beyond twice the allowance not even rejects are sent: silence costs nothing.
    if (peer.servedCount > 2 * servedPiecesMax) return [];
    const isThere = metadata !== undefined && piece * METADATA_PIECE_BYTES < metadata.length;
    if (!isThere || peer.servedCount > servedPiecesMax || peer.waiting.length >= waitingRequestsMax) {
      return [{ kind: 'send', to: id, bytes: encodeBencode({ msg_type: 2, piece }) }];
    }
    peer.waiting.push(piece);
    return this.#serveWaiting(id, peer, nowMs);
  }

  #requestsMax(): number {
    const pieceCount = Math.ceil((this.#metadata?.length ?? 0) / METADATA_PIECE_BYTES);
    return pieceCount === 0 ? BLIND_REQUESTS_MAX : SPARE_REQUESTS_COUNT + 4 * pieceCount;
  }

  /** As many of the requests that wait as the peer's rate allows now. */
  #serveWaiting(id: ConnectionId, peer: Peer, nowMs: Milliseconds): MetadataEffect[] {
    const metadata = this.#metadata;
    if (peer.waiting.length === 0 || metadata === undefined) return [];
    const { burstPieces, piecesPerSecond } = this.#limits;
    peer.creditPieces = Math.min(burstPieces, peer.creditPieces + ((nowMs - peer.creditedMs) * piecesPerSecond) / 1000);
    peer.creditedMs = nowMs;
    const pieces = peer.waiting.splice(0, Math.floor(peer.creditPieces));
    peer.creditPieces -= pieces.length;
    return pieces.map((piece) => {
      const offset = piece * METADATA_PIECE_BYTES;
      const header = encodeBencode({ msg_type: 1, piece, total_size: metadata.length });
      return { kind: 'send', to: id, bytes: concatenate([header, metadata.subarray(offset, offset + METADATA_PIECE_BYTES)]) };
    });
  }

  #store(id: ConnectionId, peer: Peer, message: MetadataMessage, nowMs: Milliseconds): MetadataEffect[] {
    const fetch = peer.fetch;
    const { piece, payload } = message;
    const offset = piece * METADATA_PIECE_BYTES;
    if (offset >= this.#limits.bytesMax) return [{ kind: 'misbehaved', peer: id, detail: `metadata piece ${piece} cannot exist` }];
    // A piece nobody waits for any more is late, not hostile.
    if (fetch === undefined || this.#metadata !== undefined) return [];
    const expectedBytes = Math.min(METADATA_PIECE_BYTES, fetch.sizeBytes - offset);
    const sizeDiffers = message.totalBytes !== undefined && message.totalBytes !== fetch.sizeBytes;
    if (sizeDiffers || payload.length !== expectedBytes) {
      return [{ kind: 'misbehaved', peer: id, detail: 'metadata piece of another size than announced' }];
    }
    if (!fetch.asked.delete(piece)) return [];
    fetch.pieces.set(piece, payload);
    fetch.deadlineMs = nowMs + FETCH_TIMEOUT_MS;
    if (fetch.pieces.size < pieceCountOf(fetch)) return ask(id, fetch);
    const inOrder = Array.from({ length: fetch.pieces.size }, (_, index) => fetch.pieces.get(index) ?? new Uint8Array(0));
    return this.#finish(id, peer, concatenate(inOrder), nowMs);
  }

  #finish(id: ConnectionId, peer: Peer, metadata: Uint8Array, nowMs: Milliseconds): MetadataEffect[] {
    peer.fetch = undefined;
    if (toHex(this.#hasher.sha1(metadata)) !== this.#infoHash) {
      this.#peers.delete(id);
      return [{ kind: 'misbehaved', peer: id, detail: 'metadata that does not hash to the info hash' }, ...this.#fetchMore(nowMs)];
    }
    this.provide(metadata);
    return [{ kind: 'verified', metadata }];
  }

  #fetchMore(nowMs: Milliseconds): MetadataEffect[] {
    if (this.#metadata !== undefined) return [];
    const effects: MetadataEffect[] = [];
    const fetches = [...this.#peers.values()].flatMap(({ fetch }) => fetch ?? []);
    let fetchCount = fetches.length;
    let totalBytes = fetches.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (const [id, peer] of this.#peers) {
      if (fetchCount >= PARALLEL_FETCHES_MAX) break;
      const sizeBytes = peer.sizeBytes;
      if (peer.fetch !== undefined || !mayAsk(peer, this.#limits.bytesMax, nowMs) || sizeBytes === undefined) continue;
      if (fetchCount > 0 && totalBytes + sizeBytes > PARALLEL_BYTES_MAX) continue;
      effects.push(...begin(id, peer, sizeBytes, nowMs));
      fetchCount++;
      totalBytes += sizeBytes;
    }
    return effects;
  }
}

/** Reads a message; one of an unknown `msg_type` is `unknown`, as BEP 9 asks that such be ignored. */
export function decodeMetadataMessage(bytes: Uint8Array): MetadataMessage | Malformed {
  const decoded = decodeBencodePrefix(bytes, HEADER_LIMITS);
  if (decoded instanceof Malformed) return decoded;
  if (!(decoded.value instanceof Map)) return new Malformed('a metadata message that is no dictionary');
  const fields: BencodeDictionary = decoded.value;
  const type = fields.get('msg_type');
  if (typeof type !== 'number') return new Malformed('a metadata message without msg_type');
  const name = TYPES[type];
  if (name === undefined) return { type: 'unknown', piece: 0, payload: new Uint8Array(0) };
  const piece = fields.get('piece');
  // Beyond 2^31 a piece's offset would leave the safe integers.
  if (typeof piece !== 'number' || piece < 0 || piece > 0x7fff_ffff) return new Malformed('a metadata message without a valid piece');
  const totalBytes = fields.get('total_size');
  return {
    type: name,
    piece,
    payload: name === 'data' ? bytes.subarray(decoded.bytesUsed) : new Uint8Array(0),
    ...(typeof totalBytes === 'number' ? { totalBytes } : {}),
  };
}

function mayAsk(peer: Peer, bytesMax: Bytes, nowMs: Milliseconds): boolean {
  const fits = peer.sizeBytes !== undefined && peer.sizeBytes > 0 && peer.sizeBytes <= bytesMax;
  return fits && nowMs >= peer.restUntilMs;
}

function newPeer(sizeBytes: Bytes | undefined, creditPieces: number, nowMs: Milliseconds): Peer {
  return { sizeBytes, fetch: undefined, attemptCount: 0, servedCount: 0, creditPieces, creditedMs: nowMs, waiting: [], restUntilMs: nowMs };
}

function begin(id: ConnectionId, peer: Peer, sizeBytes: Bytes, nowMs: Milliseconds): MetadataEffect[] {
  peer.attemptCount++;
  peer.fetch = {
    sizeBytes,
    pieces: new Map(),
    asked: new Set(),
    nextPiece: 0,
    deadlineMs: nowMs + FETCH_TIMEOUT_MS,
    endMs: nowMs + FETCH_TIMEOUT_MS + (sizeBytes * 1000) / FETCH_BYTES_PER_SECOND_MIN,
  };
  return ask(id, peer.fetch);
}

/** Fills the window. */
function ask(id: ConnectionId, fetch: Fetch): MetadataEffect[] {
  const effects: MetadataEffect[] = [];
  for (; fetch.asked.size < WINDOW_PIECES && fetch.nextPiece < pieceCountOf(fetch); fetch.nextPiece++) {
    fetch.asked.add(fetch.nextPiece);
    effects.push({ kind: 'send', to: id, bytes: encodeBencode({ msg_type: 0, piece: fetch.nextPiece }) });
  }
  return effects;
}

function pieceCountOf({ sizeBytes }: Fetch): number {
  return Math.ceil(sizeBytes / METADATA_PIECE_BYTES);
}

function abandon(peer: Peer, nowMs: Milliseconds): void {
  peer.fetch = undefined;
  peer.restUntilMs = nowMs + Math.min(LONGEST_REST_MS, FETCH_TIMEOUT_MS * 2 ** (peer.attemptCount - 1));
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
