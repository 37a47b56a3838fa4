/**
 * The player of a simulated viewer of a live channel: it begins with some media in hand, plays in real time, and waits when it has none.
 *
 * It skips nothing and does not hurry: after a stall everything is due that much later.
 */
import type { Milliseconds, WindowNumber } from '../kernel/units.js';

export class LivePlayer {
  readonly #windowMs: Milliseconds;
  /** Windows that must be in hand before it begins. */
  readonly #needed: number;
  #first: WindowNumber | undefined;
  #count = 0;
  startMs: Milliseconds | undefined;
  stalls = 0;
  stallMs: Milliseconds = 0;

  /** @param bufferMs with which it begins. */
  constructor(bufferMs: Milliseconds, windowMs: Milliseconds) {
    this.#windowMs = windowMs;
    this.#needed = Math.max(1, Math.ceil(bufferMs / windowMs));
  }

  /** The first window it was given. */
  get first(): WindowNumber | undefined {
    return this.#first;
  }

  /** When it needs a window; undefined as long as it does not play. */
  deadlineMs(number: WindowNumber): Milliseconds | undefined {
    const { startMs } = this;
    return startMs === undefined || this.#first === undefined
      ? undefined
      : startMs + (number - this.#first) * this.#windowMs + this.stallMs;
  }

  /**
   * It is given a window; numbers only grow.
   *
   * @returns how late it came; 0 and less: in time.
   */
  take(number: WindowNumber, atMs: Milliseconds): Milliseconds {
    this.#first ??= number;
    this.#count += 1;
    if (this.#count === this.#needed) this.startMs = atMs;
    const lateMs = atMs - (this.deadlineMs(number) ?? atMs);
    if (lateMs <= 0) return lateMs;
    this.stalls += 1;
    this.stallMs += lateMs;
    return lateMs;
  }
}
