/**
 * Unwraps the timestamps of one track and notices when its timeline breaks.
 *
 * Sources wrap at 2^32 ms (the field) or at 2^31 ms (ffmpeg and OBS mask the sign bit). Differences are taken modulo the right one,
 * so time inside Shoal only grows. Rules 7 and 8 of the protocols sheet, 4.6 B.
 */
import type { Milliseconds } from '../kernel/units.js';

const WRAP_31 = 0x8000_0000;
const WRAP_32 = 0x1_0000_0000;
/** A fall from the last minute before 2^31 into the first minute after 0 is a 31-bit wrap. */
const WRAP_MARGIN_MS = 60_000;
/** A step forward beyond this is not a gap but another timeline. */
export const FORWARD_JUMP_MS = 10_000;
/** A step back beyond this is not jitter but another timeline. */
export const BACKWARD_JUMP_MS = 1_000;

export class SourceClock {
  #lastRawMs: Milliseconds | undefined;
  #lastMs: Milliseconds = 0;

  get started(): boolean {
    return this.#lastRawMs !== undefined;
  }

  /** The last timestamp read, and its time. */
  get position(): { readonly rawMs: Milliseconds; readonly timeMs: Milliseconds } | undefined {
    return this.#lastRawMs === undefined ? undefined : { rawMs: this.#lastRawMs, timeMs: this.#lastMs };
  }

  stop(): void {
    this.#lastRawMs = undefined;
  }

  /** From now on a tag stamped `rawMs` has the time `timeMs`. */
  set(rawMs: Milliseconds, timeMs: Milliseconds): void {
    this.#lastRawMs = rawMs;
    this.#lastMs = timeMs;
  }

  /** Goes on from where another clock of the same track stands. */
  takeOver(other: SourceClock): void {
    this.#lastRawMs = other.#lastRawMs;
    this.#lastMs = other.#lastMs;
  }

  /**
   * Sets this clock on the timeline of another track, on the right side of a wrap.
   *
   * @param withinMs how far `rawMs` may lie from the other track's time to be of the same timeline.
   * @returns false when it lies farther; this clock then stays as it is.
   */
  join(other: SourceClock, rawMs: Milliseconds, withinMs: Milliseconds = FORWARD_JUMP_MS): boolean {
    if (other.#lastRawMs === undefined) return true;
    const stepMs = other.#stepTo(rawMs);
    if (Math.abs(stepMs) > withinMs) return false;
    this.set(rawMs, other.#lastMs + stepMs);
    return true;
  }

  /** The unwrapped time of the tag, or `undefined` when the step from the previous tag breaks the timeline. */
  read(rawMs: Milliseconds): Milliseconds | undefined {
    if (this.#lastRawMs === undefined) this.#lastMs = rawMs;
    const stepMs = this.#stepTo(rawMs);
    if (stepMs > FORWARD_JUMP_MS || stepMs < -BACKWARD_JUMP_MS) return undefined;
    this.#lastRawMs = rawMs;
    this.#lastMs += stepMs;
    return this.#lastMs;
  }

  /** The step from the last raw timestamp with wraps undone. */
  #stepTo(toRawMs: Milliseconds): Milliseconds {
    const fromRawMs = this.#lastRawMs ?? toRawMs;
    if (isBeforeWrap31(fromRawMs) && toRawMs < WRAP_MARGIN_MS) return toRawMs + WRAP_31 - fromRawMs;
    // A tag that was sent before the wrap and comes after it: of the other track, or out of order.
    if (fromRawMs < WRAP_MARGIN_MS && isBeforeWrap31(toRawMs)) return toRawMs - WRAP_31 - fromRawMs;
    const step = (toRawMs - fromRawMs + WRAP_32) % WRAP_32;
    return step >= WRAP_31 ? step - WRAP_32 : step;
  }
}

function isBeforeWrap31(rawMs: Milliseconds): boolean {
  return rawMs < WRAP_31 && rawMs >= WRAP_31 - WRAP_MARGIN_MS;
}
