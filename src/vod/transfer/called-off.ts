/**
 * Requests to one neighbour that were called off and whose answer may be on its way: if it comes it is taken, as nobody is to blame.
 *
 * Bounded; the oldest is forgotten first. Copies are counted while they are owed: a cancel often comes too late for them.
 */
import { blockCount } from '../block.js';
import { PIECE_LENGTH_BYTES_MAX } from '../metainfo.js';

/** Four full pipelines. */
export const CALLED_OFF_MAX = 2_048;
/** Of the longest piece. */
const BLOCKS_MAX = blockCount(PIECE_LENGTH_BYTES_MAX);

export class CalledOff {
  /** Whether it was a copy of what somebody else was asked for. */
  readonly #keys = new Map<number, boolean>();
  #copies = 0;

  get size(): number {
    return this.#keys.size;
  }

  /** Copies called off and not answered yet. */
  get copies(): number {
    return this.#copies;
  }

  add(piece: number, block: number, isCopy = false): void {
    const key = keyOf(piece, block);
    this.#forget(key);
    this.#keys.set(key, isCopy);
    if (isCopy) this.#copies += 1;
    if (this.#keys.size <= CALLED_OFF_MAX) return;
    const [oldest] = this.#keys.keys();
    if (oldest !== undefined) this.#forget(oldest);
  }

  has(piece: number, block: number): boolean {
    return this.#keys.has(keyOf(piece, block));
  }

  /** An answer has come. @returns whether it was owed. */
  take(piece: number, block: number): boolean {
    return this.#forget(keyOf(piece, block));
  }

  #forget(key: number): boolean {
    if (this.#keys.get(key) === true) this.#copies -= 1;
    return this.#keys.delete(key);
  }
}

function keyOf(piece: number, block: number): number {
  return piece * BLOCKS_MAX + block;
}
