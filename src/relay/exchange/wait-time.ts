/**
 * What one neighbour's past says about its next answer: when a piece will come, and how long to wait for it.
 *
 * The round trip as in RFC 6298 (gain 1/8), throughput while busy and the error of our own predictions as moving averages with gain 1/4, and a penalty that
 * doubles on a timeout and halves on an answer (algorithm sheet 5.4). The error of the predictions stands where RFC 6298 has the variation of the round trip: it holds
 * that as well. Request and answer name the same piece, so a sample is never ambiguous and Karn's rule is not needed.
 */
import type { Bytes, Milliseconds } from '../../kernel/units.js';

/** Before the first answer: a home connection across a continent. */
const INITIAL_ROUND_TRIP_MS = 120;
/** Before the first answer: 2 Mbit/s. */
const INITIAL_BYTES_PER_MS = 256;
/** Of the slowest neighbour that is worth a prediction: 32 kbit/s. */
const BYTES_PER_MS_MIN = 4;
/** Three timeouts in a row: whoever fails longer is let go for that, and one answer brings it back half of the way. */
const PENALTY_MAX = 8;

export class WaitTime {
  #roundTripMs: Milliseconds = INITIAL_ROUND_TRIP_MS;
  #bytesPerMs = INITIAL_BYTES_PER_MS;
  #deviationMs: Milliseconds = INITIAL_ROUND_TRIP_MS / 2;
  #penalty = 1;
  #queuedBytes: Bytes = 0;
  #lastAnswerMs: Milliseconds = 0;
  #answers = 0;

  /** Bytes asked and not yet received. */
  get queuedBytes(): Bytes {
    return this.#queuedBytes;
  }

  /** Smoothed round trip. */
  get roundTripMs(): Milliseconds {
    return this.#roundTripMs;
  }

  /** It has run into the timeout more often of late than it has answered. */
  get suspect(): boolean {
    return this.#penalty > 1;
  }

  /** How long the neighbour will be busy with what we have asked already. */
  get backlogMs(): Milliseconds {
    return this.#queuedBytes / this.#bytesPerMs;
  }

  /** Time until `sizeBytes` more would be here, if asked for now. */
  predictMs(sizeBytes: Bytes): Milliseconds {
    return this.#penalty * (this.#roundTripMs + (this.#queuedBytes + sizeBytes) / this.#bytesPerMs);
  }

  /** How long to wait before the others are asked, before bounds and slack are applied. */
  waitMs(sizeBytes: Bytes, granularityMs: Milliseconds): Milliseconds {
    return this.predictMs(sizeBytes) + this.#penalty * Math.max(granularityMs, 4 * this.#deviationMs);
  }

  asked(sizeBytes: Bytes): void {
    this.#queuedBytes += sizeBytes;
  }

  /** The request is no longer expected: cancelled, refused, or given up. */
  released(sizeBytes: Bytes): void {
    this.#queuedBytes = Math.max(0, this.#queuedBytes - sizeBytes);
  }

  /** The piece came. `wasIdle`: nothing else was outstanding when it was asked for, so the time is a round trip. */
  answered(sizeBytes: Bytes, askedMs: Milliseconds, predictedMs: Milliseconds, wasIdle: boolean, nowMs: Milliseconds): void {
    this.released(sizeBytes);
    const tookMs = nowMs - askedMs;
    if (wasIdle) this.#sampleRoundTrip(Math.max(1, tookMs - sizeBytes / this.#bytesPerMs));
    const busyMs = Math.max(1, nowMs - Math.max(askedMs, this.#lastAnswerMs));
    const gain = this.#answers === 0 ? 1 : 1 / 4;
    this.#bytesPerMs = Math.max(BYTES_PER_MS_MIN, this.#bytesPerMs + gain * (sizeBytes / busyMs - this.#bytesPerMs));
    this.#deviationMs += (Math.abs(tookMs - predictedMs) - this.#deviationMs) / 4;
    this.#penalty = Math.max(1, this.#penalty / 2);
    this.#lastAnswerMs = nowMs;
    this.#answers += 1;
  }

  /**
   * The request was called off before an answer came. If that was later than predicted, the answer would have been later still: left out, only quick answers would be
   * learnt from, and waits would be too short.
   */
  overtaken(askedMs: Milliseconds, predictedMs: Milliseconds, nowMs: Milliseconds): void {
    const overMs = nowMs - askedMs - predictedMs;
    if (overMs > this.#deviationMs) this.#deviationMs += (overMs - this.#deviationMs) / 4;
  }

  timedOut(): void {
    this.#penalty = Math.min(PENALTY_MAX, this.#penalty * 2);
  }

  #sampleRoundTrip(sampleMs: Milliseconds): void {
    this.#roundTripMs += (sampleMs - this.#roundTripMs) * (this.#answers === 0 ? 1 : 1 / 8);
  }
}
