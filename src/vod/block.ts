/**
 * The block: the 16 KiB unit in which pieces travel, and the arithmetic of blocks within a piece.
 *
 * Every block of a piece has `BLOCK_BYTES` bytes but the last one, which has what is left. A piece length need be no multiple of 16 KiB.
 *
 * Source: BEP 3 ("All current implementations use 2^14 (16 kiB)").
 */
import type { Bytes } from '../kernel/units.js';

/** Bytes of a whole block; peers refuse requests for more. */
export const BLOCK_BYTES = 16_384;

/** How many blocks a piece of `pieceBytes` bytes has. */
export function blockCount(pieceBytes: Bytes): number {
  return Math.ceil(pieceBytes / BLOCK_BYTES);
}

/** Length of block `block` of a piece of `pieceBytes` bytes; 0 past its end. */
export function blockBytes(pieceBytes: Bytes, block: number): Bytes {
  return Math.max(0, Math.min(BLOCK_BYTES, pieceBytes - block * BLOCK_BYTES));
}

/** Whether a request names one block or part of one: inside the piece, not empty, no longer than a block. */
export function isBlockRange(pieceBytes: Bytes, offsetBytes: Bytes, lengthBytes: Bytes): boolean {
  return lengthBytes > 0 && lengthBytes <= BLOCK_BYTES && offsetBytes >= 0 && offsetBytes + lengthBytes <= pieceBytes;
}
