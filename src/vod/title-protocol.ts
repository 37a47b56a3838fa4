/**
 * What the session of one title can be told, what it reports, and the names of its timers; its messages stand in `peer-message.ts`.
 *
 * The session holds no payload: a block that has come is handed on in the event of the same step, a block that is asked for is read by
 * whoever drives the session and comes back as a command. Pieces are 0-based; offsets count from the beginning of their piece.
 */
import type { Effect } from '../kernel/protocol.js';
import type { Bytes, BytesPerSecond, ConnectionId, Milliseconds } from '../kernel/units.js';
import type { PeerMessage } from './peer-message.js';

/** What the session must know of a title; every `Metainfo` is one. */
export interface TitleShape {
  readonly pieceCount: number;
  readonly pieceLengthBytes: Bytes;
  readonly totalBytes: Bytes;
  readonly files: readonly TitleSpan[];
}

/** Where a file lies in the title. */
export interface TitleSpan {
  readonly offsetBytes: Bytes;
  readonly lengthBytes: Bytes;
  readonly isPad: boolean;
  /** So much of its end is fetched early; 64 KiB where nothing is said. */
  readonly tailBytes?: Bytes;
}

/** 0: not wanted. 1, 2, 3: low, normal, high. */
export type PiecePriority = 0 | 1 | 2 | 3;

export interface PieceRange {
  readonly firstPiece: number;
  /** Included. */
  readonly lastPiece: number;
  readonly priority: PiecePriority;
}

/** When to stop giving after all that is wanted is here; whichever limit is reached first. Null: no such limit. */
export interface SeedingPolicy {
  /** Bytes sent by bytes of the title. */
  readonly ratio: number | null;
  readonly durationMs: Milliseconds | null;
}

/** What was given of the title before this session began. */
export interface Given {
  readonly upBytes: Bytes;
  readonly seededMs: Milliseconds;
}

/** A neighbour as the wire knows it, right after `peer-up`. */
export interface Introduction {
  readonly peer: ConnectionId;
  /** The fast extension was negotiated (BEP 6). */
  readonly fast: boolean;
  /** Requests it takes at once: its `reqq`, 250 when it says none. */
  readonly requestQueueCount: number;
  /** Addresses of one group share one place in the upload: '203.0.113.0/24'. Of peers on this machine, better the whole address with port. */
  readonly addressGroup: string;
  /** It is one of us (it maps `shoal_title`): it is never choked, but served by priority. */
  readonly kin: boolean;
  readonly outgoing: boolean;
  readonly mapsDontHave: boolean;
  readonly mapsUploadOnly: boolean;
  readonly uploadOnly: boolean;
}

export type TitleCommand =
  /** Begin, with what is on the disk: verified pieces as a bitfield, and which blocks of other pieces are there. */
  | { readonly kind: 'start'; readonly have: Uint8Array; readonly blocks: ReadonlyMap<number, Uint8Array> }
  | ({ readonly kind: 'introduce' } & Introduction)
  /**
   * A reader stands at `fromByte` of the title, will go on to `toByte` (excluded), at this speed (0: unknown). Said again as it moves on; a jump is a seek.
   * `isIdle`: its player takes nothing for now (it is paused, or has enough in hand), so whoever waits for bytes goes first.
   */
  | {
      readonly kind: 'need';
      readonly reader: string;
      readonly fromByte: Bytes;
      readonly toByte: Bytes;
      readonly bytesPerSecond: BytesPerSecond;
      readonly isIdle?: boolean;
    }
  | { readonly kind: 'need-gone'; readonly reader: string }
  /** What is wanted from now on: ranges over each other, the later ones win; pieces that none names are not wanted. At first all are, at 2. */
  | { readonly kind: 'select'; readonly ranges: readonly PieceRange[] }
  /** Answers `read-block`; null: it could not be read. `hasHeadroom` as in `PieceMessage`. */
  | {
      readonly kind: 'block-read';
      readonly peer: ConnectionId;
      readonly piece: number;
      readonly offsetBytes: Bytes;
      /** As it was asked for. */
      readonly lengthBytes: Bytes;
      readonly bytes: Uint8Array | null;
      readonly hasHeadroom?: boolean;
    }
  /** Answers `store-block`: it lies in the store, so memory is free again. */
  | { readonly kind: 'block-stored'; readonly piece: number; readonly offsetBytes: Bytes }
  /** Answers `check-piece`. */
  | { readonly kind: 'piece-checked'; readonly piece: number; readonly ok: boolean }
  /** The store lost this piece or could not write it: nobody's fault, what was there of it is fetched again. */
  | { readonly kind: 'piece-lost'; readonly piece: number }
  /** Answers `digest-blocks`: one digest a block, in their order, in whatever form compares by `===`. */
  | { readonly kind: 'blocks-digested'; readonly piece: number; readonly digests: readonly string[] }
  /** Answers `drop-blocks`. */
  | { readonly kind: 'blocks-dropped'; readonly piece: number; readonly blocks: readonly number[] }
  /** These pieces leave the disk now. They are not wanted any more until they are selected or needed again. */
  | { readonly kind: 'evict'; readonly pieces: readonly number[] }
  /** How fast this title may fetch what no reader waits for; null: no limit, 0: not at all. */
  | { readonly kind: 'allow'; readonly bulkBytesPerSecond: BytesPerSecond | null }
  /** How long to give; `before` counts as given. */
  | { readonly kind: 'seed'; readonly policy: SeedingPolicy; readonly before?: Given }
  /** A server that holds the whole title (BEP 19). Its name is a neighbour's and must not be one. */
  | { readonly kind: 'web-seed-up'; readonly peer: ConnectionId }
  | { readonly kind: 'web-seed-down'; readonly peer: ConnectionId }
  /** A block of a `fetch`, whole; in the order of the range. */
  | {
      readonly kind: 'fetched';
      readonly peer: ConnectionId;
      readonly piece: number;
      readonly offsetBytes: Bytes;
      readonly bytes: Uint8Array;
    }
  /** The rest of its `fetch` will not come. `lacks`: pieces that are not to be asked of it. */
  | { readonly kind: 'fetch-failed'; readonly peer: ConnectionId; readonly lacks?: readonly Omit<PieceRange, 'priority'>[] };

export type TitleEvent =
  /** A block to write. Its bytes are the receiver's now. */
  | { readonly kind: 'store-block'; readonly piece: number; readonly offsetBytes: Bytes; readonly bytes: Uint8Array }
  /** All blocks of the piece have been handed on in `store-block`: check it once they are written; answered by `piece-checked`. */
  | { readonly kind: 'check-piece'; readonly piece: number }
  /** Verified: it may be read, played and passed on. */
  | { readonly kind: 'piece-complete'; readonly piece: number }
  /** A piece did not match; several had a part in it. The digest of each block as it lies there now; answered by `blocks-digested`. */
  | { readonly kind: 'digest-blocks'; readonly piece: number }
  /** These blocks of a piece are not to be relied on: the store forgets them, and they will come again. Answered by `blocks-dropped`. */
  | { readonly kind: 'drop-blocks'; readonly piece: number; readonly blocks: readonly number[] }
  /** Everything wanted is here. May happen again after a new selection. */
  | { readonly kind: 'wanted-complete' }
  /** After that: something is wanted once more, by a player or a selection, or because it was lost. */
  | { readonly kind: 'wanted-again' }
  /** A block that a neighbour waits for may now be read; answered by `block-read`, always. */
  | {
      readonly kind: 'read-block';
      readonly peer: ConnectionId;
      readonly piece: number;
      readonly offsetBytes: Bytes;
      readonly lengthBytes: Bytes;
    }
  /** Ask a web seed for this range of the title; `toByte` excluded. At most one at a time each. */
  | { readonly kind: 'fetch'; readonly peer: ConnectionId; readonly fromByte: Bytes; readonly toByte: Bytes }
  /** The range that is being fetched is not wanted any more; nothing of it is waited for. */
  | { readonly kind: 'fetch-cancelled'; readonly peer: ConnectionId }
  /** It sent bytes that are wrong; it may be gone already. A connected neighbour is disconnected as well, a web seed is not asked again. */
  | { readonly kind: 'offence'; readonly peer: ConnectionId; readonly detail: string }
  /** The policy's limit has been reached. Said once until the next `seed`. */
  | { readonly kind: 'seeding-done'; readonly why: 'ratio' | 'time' };

export type TitleTimer = 'watch' | 'news' | 'upload' | 'download' | 'review';

export type TitleEffect = Effect<PeerMessage, TitleEvent, TitleTimer>;
