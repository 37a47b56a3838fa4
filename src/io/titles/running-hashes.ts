/**
 * The SHA-1 of pieces while they arrive: each block goes into its piece's hash as long as it is in memory, so that a finished piece needs no second pass.
 *
 * Blocks may come a little out of order: those that are early are held, within a bound over all pieces, until their turn. A piece
 * whose blocks came too far apart is hashed from the disk from where the order broke.
 */
import { createHash, type Hash } from 'node:crypto';
import { copyOf } from '../../kernel/bytes.js';
import type { Bytes, PieceIndex } from '../../kernel/units.js';

/** How far the hash of a piece has come. */
export interface PartialHash {
  readonly hash: Hash;
  /** Bytes of the piece that are in it. */
  readonly doneBytes: Bytes;
}

interface Running {
  readonly hash: Hash;
  doneBytes: Bytes;
  readonly early: Map<Bytes, Uint8Array>;
}

/** Early blocks held over all pieces of a title. */
const EARLY_BYTES_MAX = 4_194_304;
/** Pieces hashed at once; the one that was begun first is given up. */
const PIECES_MAX_COUNT = 256;

export class RunningHashes {
  readonly #pieces = new Map<PieceIndex, Running>();
  #earlyBytes: Bytes = 0;

  get earlyBytes(): Bytes {
    return this.#earlyBytes;
  }

  /**
   * Takes in a block; what is held of it is a copy.
   *
   * @param isBegun the beginning of the piece is on the disk: unless it went through here, there is nothing to wait for.
   */
  add(piece: PieceIndex, offsetBytes: Bytes, bytes: Uint8Array, isBegun = false): void {
    const running = this.#pieces.get(piece) ?? (isBegun ? undefined : this.#begin(piece, offsetBytes));
    if (!running || offsetBytes < running.doneBytes) return;
    if (offsetBytes > running.doneBytes) return this.#hold(running, offsetBytes, bytes);
    this.#feed(running, bytes);
    for (let next = running.early.get(running.doneBytes); next; next = running.early.get(running.doneBytes)) {
      running.early.delete(running.doneBytes);
      this.#earlyBytes -= next.length;
      this.#feed(running, next);
    }
  }

  /** The hash of a piece as far as it has come; it is no longer kept here. */
  take(piece: PieceIndex): PartialHash {
    const running = this.#pieces.get(piece);
    this.drop(piece);
    return running ?? { hash: createHash('sha1'), doneBytes: 0 };
  }

  /** Forgets a piece: what went into its hash is not what is on the disk. */
  drop(piece: PieceIndex): void {
    const running = this.#pieces.get(piece);
    if (!running) return;
    for (const { length } of running.early.values()) this.#earlyBytes -= length;
    this.#pieces.delete(piece);
  }

  /** A piece without its beginning is worth a hash only while the beginning may still come soon. */
  #begin(piece: PieceIndex, offsetBytes: Bytes): Running | undefined {
    if (offsetBytes > 0 && this.#earlyBytes >= EARLY_BYTES_MAX) return undefined;
    if (this.#pieces.size >= PIECES_MAX_COUNT)
      for (const [oldest] of this.#pieces) {
        this.drop(oldest);
        break;
      }
    const running: Running = { hash: createHash('sha1'), doneBytes: 0, early: new Map() };
    this.#pieces.set(piece, running);
    return running;
  }

  #hold(running: Running, offsetBytes: Bytes, bytes: Uint8Array): void {
    if (this.#earlyBytes + bytes.length > EARLY_BYTES_MAX || running.early.has(offsetBytes)) return;
    running.early.set(offsetBytes, copyOf(bytes));
    this.#earlyBytes += bytes.length;
  }

  #feed(running: Running, bytes: Uint8Array): void {
    running.hash.update(bytes);
    running.doneBytes += bytes.length;
  }
}
