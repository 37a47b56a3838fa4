/**
 * Memory for blocks on their way between sockets and the disk, used again and again.
 *
 * Blocks pass by the ten thousand a second, and V8 frees the memory behind a `Uint8Array` late: dead blocks alone would hold a hundred megabytes. Each
 * portion has room for a block and, before it, for the header of the message that carries it. What is taken and never given back is
 * collected like anything else, so only whoever knows that nobody else looks at a block any more gives it back.
 */
import type { Bytes } from '../kernel/units.js';
import { BLOCK_BYTES } from '../vod/block.js';
import { PIECE_HEADER_BYTES } from '../vod/peer-message.js';

/** A whole piece message with a block of the usual length. */
export const BLOCK_FRAME_BYTES: Bytes = PIECE_HEADER_BYTES + BLOCK_BYTES;
/** Kept for later at most: what a fast neighbour has on its way, and what waits for the disk. */
const FREE_MAX_COUNT = 1024;

export class BlockMemory {
  readonly #free: Uint8Array[] = [];
  /** The buffers behind what is lent, so that none is given back twice, nor what was never ours. */
  readonly #lent = new WeakMap<ArrayBufferLike, Uint8Array>();

  get freeCount(): number {
    return this.#free.length;
  }

  /** `BLOCK_FRAME_BYTES` bytes of any content, in a buffer of their own. */
  take(): Uint8Array {
    const frame = this.#free.pop() ?? new Uint8Array(BLOCK_FRAME_BYTES);
    this.#lent.set(frame.buffer, frame);
    return frame;
  }

  /** Nobody looks at these bytes any more. They may be any part of what was taken; other bytes are ignored. */
  giveBack(bytes: Uint8Array): void {
    const frame = this.#lent.get(bytes.buffer);
    if (frame === undefined) return;
    this.#lent.delete(bytes.buffer);
    if (this.#free.length < FREE_MAX_COUNT) this.#free.push(frame);
  }
}

/** That of the process. */
export const blockMemory = new BlockMemory();
