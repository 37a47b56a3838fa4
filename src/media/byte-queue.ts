/**
 * Bytes that wait for the rest of their message: appended at the end, looked at and taken from the front.
 *
 * Grows with what really arrives, never by what a header claims, so a caller that bounds what it waits for bounds the memory. Cutting
 * the input anywhere makes no difference to what comes out.
 */
import { copyOf } from '../kernel/bytes.js';
import type { Bytes } from '../kernel/units.js';

const FIRST_CAPACITY_BYTES: Bytes = 4096;
/** A buffer larger than this is given back once it is empty. */
const KEPT_CAPACITY_BYTES: Bytes = 64 * 1024;
const NOTHING = new Uint8Array(0);

export class ByteQueue {
  #buffer: Uint8Array = NOTHING;
  #startOffset: Bytes = 0;
  #endOffset: Bytes = 0;

  get lengthBytes(): Bytes {
    return this.#endOffset - this.#startOffset;
  }

  push(bytes: Uint8Array): void {
    if (this.#endOffset + bytes.length > this.#buffer.length) this.#makeRoom(bytes.length);
    this.#buffer.set(bytes, this.#endOffset);
    this.#endOffset += bytes.length;
  }

  /** A view of the next `count` bytes, good until the next `push`; undefined when they are not all there. */
  peek(count: Bytes): Uint8Array | undefined {
    return count > this.lengthBytes ? undefined : this.#buffer.subarray(this.#startOffset, this.#startOffset + count);
  }

  /** A copy of the next `count` bytes, which leave the queue; undefined when they are not all there. */
  take(count: Bytes): Uint8Array | undefined {
    const view = this.peek(count);
    if (view === undefined) return undefined;
    const bytes = copyOf(view);
    this.skip(count);
    return bytes;
  }

  /** Everything that waits, as a copy; the queue is empty afterwards. */
  takeAll(): Uint8Array {
    return this.take(this.lengthBytes) ?? NOTHING;
  }

  /** Drops up to `count` bytes and says how many there were. */
  skip(count: Bytes): Bytes {
    const skippedBytes = Math.min(count, this.lengthBytes);
    this.#startOffset += skippedBytes;
    if (this.#startOffset < this.#endOffset) return skippedBytes;
    this.#startOffset = 0;
    this.#endOffset = 0;
    if (this.#buffer.length > KEPT_CAPACITY_BYTES) this.#buffer = NOTHING;
    return skippedBytes;
  }

  #makeRoom(count: Bytes): void {
    const waiting = this.#buffer.subarray(this.#startOffset, this.#endOffset);
    const neededBytes = waiting.length + count;
    const roomy = neededBytes * 2 <= this.#buffer.length;
    const next = roomy ? this.#buffer : new Uint8Array(Math.max(FIRST_CAPACITY_BYTES, this.#buffer.length * 2, neededBytes));
    next.set(waiting, 0);
    this.#buffer = next;
    this.#startOffset = 0;
    this.#endOffset = waiting.length;
  }
}
