/**
 * How fast a player goes through a file, from what it takes: deadlines and the share of the line that is kept for it follow from this.
 *
 * A player fills its own buffer first, as fast as it can, then takes what it shows. So the first seconds say little, and time during which it
 * had to wait for us says nothing about its appetite: such a span counts only when it shows more than was known. A player that stands still (pause) keeps the
 * speed it had. What is said stays within what films have.
 */
import type { Bytes, BytesPerSecond, Milliseconds } from '../../kernel/units.js';

/** A span is measured over so much time, so that the steps in which players read even out. */
const SPAN_MS: Milliseconds = 4_000;
const GAIN = 0.5;
/** Sound alone, and the best of films. */
const BYTES_PER_SECOND_MIN: BytesPerSecond = 16 * 1024;
const BYTES_PER_SECOND_MAX: BytesPerSecond = 8 * 1024 * 1024;

export class ReadingPace {
  #bytesPerSecond: BytesPerSecond;
  #fromMs: Milliseconds | undefined;
  #bytes: Bytes = 0;
  #waitedMs: Milliseconds = 0;
  #isFilling = true;

  /** @param knownBytesPerSecond from an earlier reading of the same file; 0 when there was none. */
  constructor(knownBytesPerSecond: BytesPerSecond = 0) {
    this.#bytesPerSecond = knownBytesPerSecond;
  }

  /** 0 while nothing is known. */
  get bytesPerSecond(): BytesPerSecond {
    return Math.round(this.#bytesPerSecond);
  }

  /** The player took bytes, after it had waited so long for them. */
  took(bytes: Bytes, waitedMs: Milliseconds, nowMs: Milliseconds): void {
    this.#fromMs ??= nowMs;
    const tookMs = nowMs - this.#fromMs;
    if (tookMs >= SPAN_MS) this.#conclude(tookMs, nowMs);
    this.#bytes += bytes;
    this.#waitedMs += waitedMs;
  }

  #conclude(tookMs: Milliseconds, nowMs: Milliseconds): void {
    const sample = Math.min(BYTES_PER_SECOND_MAX, Math.max(BYTES_PER_SECOND_MIN, (this.#bytes * 1000) / tookMs));
    const wasStarved = this.#waitedMs > tookMs / 4;
    this.#fromMs = nowMs;
    this.#bytes = 0;
    this.#waitedMs = 0;
    // The first span is the filling of the player's own buffer.
    if (this.#isFilling && !wasStarved) {
      this.#isFilling = false;
      if (this.#bytesPerSecond === 0) this.#bytesPerSecond = sample;
    } else if (!wasStarved) this.#bytesPerSecond += GAIN * (sample - this.#bytesPerSecond);
    else if (sample > this.#bytesPerSecond) this.#bytesPerSecond = sample;
  }
}
