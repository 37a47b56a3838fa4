/**
 * Metadata exchange (BEP 9, `ut_metadata`) of one swarm: serves the channel descriptor, and fetches it when only its hash is known.
 *
 * Our own, because the npm package ends the process on a piece number out of range. A fetch takes the whole metadata from one
 * peer (64 KiB at most, so four pieces) and checks its SHA-1 against the info hash; when it is wrong, exactly one peer is to
 * blame. Up to three peers are asked side by side so that one who stalls costs no time. The class is a pure state machine: time
 * comes in, effects go out.
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
/** How long a peer may take for all pieces before another one is asked. */
const FETCH_TIMEOUT_MS: Milliseconds = 5_000;
const PARALLEL_FETCHES_MAX = 3;
/** The longest rest of a peer that timed out or rejected; the rests double from `FETCH_TIMEOUT_MS` up to it. */
const LONGEST_REST_MS: Milliseconds = 60_000;
/** Pieces served to one connection: all four, sixteen times over. */
const SERVED_PIECES_MAX = 64;
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
  readonly buffer: Uint8Array;
  readonly missing: Set<number>;
  readonly deadlineMs: Milliseconds;
}

interface Peer {
  sizeBytes: Bytes | undefined;
  fetch: Fetch | undefined;
  attemptCount: number;
  servedCount: number;
  /** Not asked before this time. */
  restUntilMs: Milliseconds;
}

const TYPES = ['request', 'data', 'reject'] as const;

export class MetadataExchange {
  readonly #infoHash: InfoHash;
  readonly #hasher: Hasher;
  readonly #peers = new Map<ConnectionId, Peer>();
  #metadata: Uint8Array | undefined;

  constructor(infoHash: InfoHash, hasher: Hasher, metadata: Uint8Array | null) {
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
    if (peer === undefined) this.#peers.set(id, { sizeBytes, fetch: undefined, attemptCount: 0, servedCount: 0, restUntilMs: nowMs });
    else peer.sizeBytes = sizeBytes ?? peer.sizeBytes;
    return this.#fetchMore(nowMs);
  }

  peerGone(id: ConnectionId, nowMs: Milliseconds): MetadataEffect[] {
    this.#peers.delete(id);
    return this.#fetchMore(nowMs);
  }

  /** To be called about once a second: gives up on peers that take too long and asks others. */
  tick(nowMs: Milliseconds): MetadataEffect[] {
    for (const peer of this.#peers.values()) {
      if (peer.fetch !== undefined && nowMs >= peer.fetch.deadlineMs) abandon(peer, nowMs);
    }
    return this.#fetchMore(nowMs);
  }

  /** A `ut_metadata` message. Messages of peers never announced by `peerReady` are ignored. */
  message(id: ConnectionId, bytes: Uint8Array, nowMs: Milliseconds): MetadataEffect[] {
    const peer = this.#peers.get(id);
    if (peer === undefined) return [];
    const message = decodeMetadataMessage(bytes);
    if (message instanceof Malformed) return [{ kind: 'misbehaved', peer: id, detail: message.reason }];
    if (message.type === 'request') return this.#serve(id, peer, message.piece);
    if (message.type === 'data') return this.#store(id, peer, message, nowMs);
    if (message.type === 'reject' && peer.fetch !== undefined) {
      abandon(peer, nowMs);
      return this.#fetchMore(nowMs);
    }
    return [];
  }

  #serve(id: ConnectionId, peer: Peer, piece: number): MetadataEffect[] {
    const metadata = this.#metadata;
    peer.servedCount++;
    // Beyond twice the allowance not even rejects are sent: silence costs nothing.
    if (peer.servedCount > 2 * SERVED_PIECES_MAX) return [];
    const offset = piece * METADATA_PIECE_BYTES;
    if (metadata === undefined || offset >= metadata.length || peer.servedCount > SERVED_PIECES_MAX) {
      return [{ kind: 'send', to: id, bytes: encodeBencode({ msg_type: 2, piece }) }];
    }
    const header = encodeBencode({ msg_type: 1, piece, total_size: metadata.length });
    const payload = metadata.subarray(offset, offset + METADATA_PIECE_BYTES);
    return [{ kind: 'send', to: id, bytes: concatenate(header, payload) }];
  }

  #store(id: ConnectionId, peer: Peer, message: MetadataMessage, nowMs: Milliseconds): MetadataEffect[] {
    const fetch = peer.fetch;
    const offset = message.piece * METADATA_PIECE_BYTES;
    if (offset >= METADATA_BYTES_MAX) return [{ kind: 'misbehaved', peer: id, detail: `metadata piece ${message.piece} cannot exist` }];
    // A piece nobody waits for any more is late, not hostile.
    if (fetch === undefined || this.#metadata !== undefined) return [];
    const expectedBytes = Math.min(METADATA_PIECE_BYTES, fetch.buffer.length - offset);
    const sizeDiffers = message.totalBytes !== undefined && message.totalBytes !== fetch.buffer.length;
    if (sizeDiffers || message.payload.length !== expectedBytes) {
      return [{ kind: 'misbehaved', peer: id, detail: 'metadata piece of another size than announced' }];
    }
    if (!fetch.missing.delete(message.piece)) return [];
    fetch.buffer.set(message.payload, offset);
    return fetch.missing.size === 0 ? this.#finish(id, peer, fetch.buffer, nowMs) : [];
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
    let fetchCount = [...this.#peers.values()].filter((peer) => peer.fetch !== undefined).length;
    for (const [id, peer] of this.#peers) {
      if (fetchCount >= PARALLEL_FETCHES_MAX) break;
      const sizeBytes = peer.sizeBytes;
      if (peer.fetch !== undefined || !mayAsk(peer, nowMs) || sizeBytes === undefined) continue;
      effects.push(...begin(id, peer, sizeBytes, nowMs));
      fetchCount++;
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

function mayAsk(peer: Peer, nowMs: Milliseconds): boolean {
  const fits = peer.sizeBytes !== undefined && peer.sizeBytes > 0 && peer.sizeBytes <= METADATA_BYTES_MAX;
  return fits && nowMs >= peer.restUntilMs;
}

function begin(id: ConnectionId, peer: Peer, sizeBytes: Bytes, nowMs: Milliseconds): MetadataEffect[] {
  const pieces = Array.from({ length: Math.ceil(sizeBytes / METADATA_PIECE_BYTES) }, (_, piece) => piece);
  peer.attemptCount++;
  peer.fetch = { buffer: new Uint8Array(sizeBytes), missing: new Set(pieces), deadlineMs: nowMs + FETCH_TIMEOUT_MS };
  return pieces.map((piece) => ({ kind: 'send', to: id, bytes: encodeBencode({ msg_type: 0, piece }) }));
}

function abandon(peer: Peer, nowMs: Milliseconds): void {
  peer.fetch = undefined;
  peer.restUntilMs = nowMs + Math.min(LONGEST_REST_MS, FETCH_TIMEOUT_MS * 2 ** (peer.attemptCount - 1));
}

function concatenate(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const whole = new Uint8Array(head.length + tail.length);
  whole.set(head);
  whole.set(tail, head.length);
  return whole;
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
