/**
 * Smooth neighbour priority: how much of our upload a neighbour deserves, by what it gave us.
 *
 * `pr <- 0.8 · pr + 0.2 · (bytes received from it in the last 10 s / mean over all)`, between 0.1 and 10; newcomers begin at 1, which plays
 * the part of the optimistic unchoke. Unlike choking it never falls to nothing and never jumps (algorithm sheet, section 9; CoolFish).
 */
import type { Bytes } from '../../kernel/units.js';

/** Reviews in 10 s, at one every 2 s. */
export const STANDING_REVIEWS = 5;
const KEEP_RATIO = 0.8;
const PRIORITY_MIN = 0.1;
const PRIORITY_MAX = 10;

export class Standing {
  priority = 1;
  readonly #received = new Float64Array(STANDING_REVIEWS);
  #at = 0;

  /** Bytes received in the last 10 s, or a little less. */
  get recentBytes(): Bytes {
    return this.#received.reduce((sum, bytes) => sum + bytes, 0);
  }

  received(sizeBytes: Bytes): void {
    this.#received[this.#at] = (this.#received[this.#at] as number) + sizeBytes;
  }

  /** Every 2 s. @param meanBytes of `recentBytes` over all neighbours; 0 when nobody gave anything, and then all are equal. */
  review(meanBytes: Bytes): void {
    const share = meanBytes > 0 ? this.recentBytes / meanBytes : 1;
    this.priority = Math.max(PRIORITY_MIN, Math.min(PRIORITY_MAX, KEEP_RATIO * this.priority + (1 - KEEP_RATIO) * share));
    this.#at = (this.#at + 1) % STANDING_REVIEWS;
    this.#received[this.#at] = 0;
  }
}
