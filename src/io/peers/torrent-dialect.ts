/**
 * What peers of a torrent speak: BitTorrent's own frames, with and without BEP 10, ordinary clients and our own kind alike.
 *
 * Every peer is wanted. It is ready when it has said something after its handshake (the extended handshake, which tells what it is,
 * comes first where it comes at all), or 2 s later. The number of pieces, and whether the torrent is private, may be learnt from the metadata.
 */
import { Malformed } from '../../kernel/errors.js';
import type { Milliseconds } from '../../kernel/units.js';
import { FRAME_EXTENSIONS } from '../../vod/torrent-frame.js';
import type { FrameRules } from './frame-guard.js';
import { TORRENT_METADATA_LIMITS } from './metadata-exchange.js';
import type { PeerConnection } from './peer-connection.js';
import type { PeerBearing, PeerVerdict, SwarmDialect } from './swarm-dialect.js';
import { torrentFrameRules } from './torrent-frame-rules.js';

/** What the metadata says that matters to the wire. */
export interface TorrentShape {
  readonly pieceCount: number;
  readonly isPrivate: boolean;
}

/** Requests we queue of one peer, as many as its upload queue holds; libtorrent's default is 500, others' 250 to 2000. */
export const REQUEST_QUEUE_COUNT = 512;
/** A peer with BEP 10 sends its extended handshake at once; this long it is waited for. */
const UNHEARD_MS: Milliseconds = 2_000;
const BITFIELD_ID = 5;
const PIECE_ID = 7;

export class TorrentDialect implements SwarmDialect {
  readonly extensions = FRAME_EXTENSIONS;
  readonly metadataLimits = TORRENT_METADATA_LIMITS;
  readonly fast = true;
  readonly carriage = 'frames';
  readonly #onMetadata: (bytes: Uint8Array) => TorrentShape | Malformed;
  #shape: TorrentShape | undefined;
  #isPrivate: boolean;
  #uploadOnly: boolean;
  #rules: { readonly fast: FrameRules; readonly plain: FrameRules };

  constructor(options: {
    readonly isPrivate: boolean;
    readonly pieceCount: number | null;
    readonly uploadOnly: boolean;
    readonly onMetadata: (bytes: Uint8Array) => TorrentShape | Malformed;
  }) {
    this.#isPrivate = options.isPrivate;
    this.#uploadOnly = options.uploadOnly;
    this.#onMetadata = options.onMetadata;
    if (options.pieceCount !== null) this.#shape = { pieceCount: options.pieceCount, isPrivate: options.isPrivate };
    this.#rules = rulesOf(this.#shape);
  }

  get isPrivate(): boolean {
    return this.#isPrivate;
  }

  get uploadOnly(): boolean {
    return this.#uploadOnly;
  }

  set uploadOnly(value: boolean) {
    this.#uploadOnly = value;
  }

  introduction(): { readonly publisher: false; readonly uploadOnly: boolean; readonly requestQueueCount: number } {
    return { publisher: false, uploadOnly: this.#uploadOnly, requestQueueCount: REQUEST_QUEUE_COUNT };
  }

  frameRules(fast: boolean): FrameRules {
    return fast ? this.#rules.fast : this.#rules.plain;
  }

  judge(peer: PeerBearing): PeerVerdict {
    return !peer.extended || peer.heard || peer.ageMs >= UNHEARD_MS ? 'ready' : 'wait';
  }

  learn(metadata: Uint8Array): Malformed | undefined {
    const shape = this.#onMetadata(metadata);
    if (shape instanceof Malformed) return shape;
    this.#shape = shape;
    this.#isPrivate ||= shape.isPrivate;
    this.#rules = rulesOf(shape);
    return undefined;
  }

  judgeWaiting(connection: PeerConnection): string | undefined {
    const pieceCount = this.#shape?.pieceCount;
    if (pieceCount === undefined) return undefined;
    const bitfieldBytes = Math.ceil(pieceCount / 8);
    for (const frame of connection.waiting) {
      if (frame[4] === PIECE_ID) return 'sent a piece before anything could be asked of it';
      const length = frame.length - 5;
      if (frame[4] === BITFIELD_ID && length !== bitfieldBytes) return `a bitfield of ${length} bytes; expected ${bitfieldBytes}`;
    }
    return undefined;
  }
}

function rulesOf(shape: TorrentShape | undefined): { readonly fast: FrameRules; readonly plain: FrameRules } {
  return { fast: torrentFrameRules(true, shape?.pieceCount), plain: torrentFrameRules(false, shape?.pieceCount) };
}
