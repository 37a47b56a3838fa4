/**
 * Blocks on their way to the disk: a few writes at a time, and neighbours that wait together go out in one.
 *
 * Nothing is copied: the bytes are written from where the caller has them, who leaves them alone until the promise settles. The queue is bounded; its owner
 * looks at `isFull` and waits for `drained` before it asks for more.
 */
import { ShoalError } from '../../kernel/errors.js';
import type { Bytes } from '../../kernel/units.js';

export interface WriteQueueOptions {
  /** Writes the buffers one after another from that byte on. */
  readonly write: (fromByte: Bytes, buffers: readonly Uint8Array[]) => Promise<void>;
  /** From here on the owner should not ask for more. */
  readonly fullBytes?: Bytes;
}

interface Waiting {
  readonly fromByte: Bytes;
  readonly bytes: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Two, so that one is in the system while the next is prepared; more would take the threads that readers need. */
const WRITES_MAX_COUNT = 2;
/** A run longer than this gains nothing and keeps its first block waiting. */
const RUN_BYTES_MAX = 1_048_576;
/** A quarter of a second of a fast network. */
const FULL_BYTES = 16_777_216;
/** Beyond this many times `fullBytes` blocks are refused: the owner did not look. */
const REFUSED_FACTOR = 4;

export class WriteQueue {
  readonly #write: WriteQueueOptions['write'];
  readonly #fullBytes: Bytes;
  /** By their first byte, in the order they came. */
  readonly #waiting = new Map<Bytes, Waiting>();
  readonly #drained: (() => void)[] = [];
  readonly #idle: (() => void)[] = [];
  #pendingBytes: Bytes = 0;
  #writeCount = 0;

  constructor({ write, fullBytes = FULL_BYTES }: WriteQueueOptions) {
    this.#write = write;
    this.#fullBytes = fullBytes;
  }

  /** Bytes that are waiting or being written. */
  get pendingBytes(): Bytes {
    return this.#pendingBytes;
  }

  get isFull(): boolean {
    return this.#pendingBytes >= this.#fullBytes;
  }

  /** Resolves when the queue is no longer full. */
  drained(): Promise<void> {
    return this.isFull ? new Promise((resolve) => this.#drained.push(resolve)) : Promise.resolve();
  }

  /** Resolves when nothing waits and nothing is being written. */
  idle(): Promise<void> {
    return this.#pendingBytes > 0 ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  /**
   * Resolves when the bytes are with the system.
   *
   * @throws ShoalError `TITLE_STORE_BUSY` when the queue is beyond its bound; otherwise what `write` rejects with.
   */
  push(fromByte: Bytes, bytes: Uint8Array): Promise<void> {
    if (this.#pendingBytes + bytes.length > this.#fullBytes * REFUSED_FACTOR) return Promise.reject(busy(this.#pendingBytes));
    this.#pendingBytes += bytes.length;
    return new Promise((resolve, reject) => {
      this.#waiting.set(fromByte, { fromByte, bytes, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    while (this.#writeCount < WRITES_MAX_COUNT && this.#waiting.size > 0) void this.#writeRun(this.#takeRun());
  }

  async #writeRun(run: readonly Waiting[]): Promise<void> {
    this.#writeCount++;
    try {
      await this.#write(
        run[0]?.fromByte ?? 0,
        run.map(({ bytes }) => bytes),
      );
      for (const { resolve } of run) resolve();
    } catch (error) {
      for (const { reject } of run) reject(error);
    }
    this.#writeCount--;
    for (const { bytes } of run) this.#pendingBytes -= bytes.length;
    this.#next();
    if (!this.isFull) for (const resolve of this.#drained.splice(0)) resolve();
    if (this.#pendingBytes === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** The block that waits longest, and those that wait and follow it without a gap. */
  #takeRun(): Waiting[] {
    const run: Waiting[] = [];
    let [next] = this.#waiting.values();
    for (let runBytes = 0; next && runBytes < RUN_BYTES_MAX; ) {
      this.#waiting.delete(next.fromByte);
      run.push(next);
      runBytes += next.bytes.length;
      next = this.#waiting.get(next.fromByte + next.bytes.length);
    }
    return run;
  }
}

function busy(pendingBytes: Bytes): ShoalError {
  const message = `The disk is too slow: ${pendingBytes} bytes wait to be written. Blocks are refused until there are fewer.`;
  return new ShoalError('TITLE_STORE_BUSY', message, { pendingBytes });
}
