/**
 * How fast one neighbour sends what it is asked for: what its past says about its next answer, and how much to ask of it at once.
 *
 * Throughput while something is awaited, folded in every 100 ms; round trip and the error of our own predictions as moving averages in
 * the manner of RFC 6298; a penalty that doubles on a timeout and halves on an answer (algorithm sheet 5.4). The depth of the
 * pipeline grows by one with every block until the queue it makes is long enough (slow start), then follows bandwidth times delay.
 */
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import { BLOCK_BYTES } from '../block.js';

/** Before the first answer. */
const INITIAL_ROUND_TRIP_MS = 100;
const INITIAL_BYTES_PER_MS = 64;
const BYTES_PER_MS_MIN = 0.5;
const SAMPLE_MS = 100;
const RATE_GAIN = 0.3;
/** Over this time a longer way shows. */
const LEAST_MS = 2_000;
const PENALTY_MAX = 16;
const WAIT_MIN_MS = 1_000;
const WAIT_MAX_MS = 20_000;
const URGENT_WAIT_MIN_MS = 300;
const URGENT_WAIT_MAX_MS = 4_000;
const GRANULARITY_MS = 200;
/** Before the first answer all predictions are guesses. */
const UNKNOWN_SLACK_MS = 1_500;
/** The depth is at least this, so that the link is never idle between an answer and the next request. */
const DEPTH_MIN = 2;
const DEPTH_AT_FIRST = 4;
/** A longer queue gains nothing, and all of it has to be held when the disk is slow. */
const QUEUE_BYTES_MAX: Bytes = 2 * 1024 * 1024;

export class Pace {
  roundTripMs: Milliseconds = INITIAL_ROUND_TRIP_MS;
  bytesPerMs = INITIAL_BYTES_PER_MS;
  deviationMs: Milliseconds = INITIAL_ROUND_TRIP_MS / 2;
  penalty = 1;
  /** Bytes asked and not yet received. */
  queuedBytes: Bytes = 0;
  /** When the last block came. */
  lastBlockMs: Milliseconds = 0;
  /** Nothing has come yet, so its speed is a guess. */
  isUnknown = true;
  #slowStartDepth = DEPTH_AT_FIRST;
  #isSlowStart = true;
  #sampleBytes: Bytes = 0;
  /** The last queue that was asked for, and the shortest answer of late. */
  #queueMs: Milliseconds = 0;
  #leastTookMs: Milliseconds = Number.POSITIVE_INFINITY;
  #leastFromMs: Milliseconds = 0;
  #sampleFromMs: Milliseconds | undefined;

  /** Bytes per second while it is sending. */
  get bytesPerSecond(): number {
    return this.isUnknown ? 0 : this.bytesPerMs * 1000;
  }

  /** Time until one more block would be here, if asked for now. */
  predictMs(): Milliseconds {
    return this.penalty * (this.roundTripMs + (this.queuedBytes + BLOCK_BYTES) / this.bytesPerMs);
  }

  /** How long nothing at all may come before the neighbour counts as stalled. */
  get waitMs(): Milliseconds {
    return clamp(this.penalty * (this.roundTripMs + BLOCK_BYTES / this.bytesPerMs + this.#slackMs()), WAIT_MIN_MS, WAIT_MAX_MS);
  }

  /** The same while a reader waits. */
  get urgentWaitMs(): Milliseconds {
    return clamp(this.roundTripMs + BLOCK_BYTES / this.bytesPerMs + this.#slackMs(), URGENT_WAIT_MIN_MS, URGENT_WAIT_MAX_MS);
  }

  /** By how much a request may be later than predicted before somebody else is asked as well. */
  get lateMs(): Milliseconds {
    return this.isUnknown ? Math.max(UNKNOWN_SLACK_MS, this.#slackMs()) : this.#slackMs();
  }

  /** Requests to keep in flight for a queue of `queueMs` beyond the round trip. */
  depth(queueMs: Milliseconds, most: number): number {
    this.#queueMs = queueMs;
    const queueBytes = Math.min(queueMs * this.bytesPerMs, QUEUE_BYTES_MAX);
    const wanted = Math.ceil((this.roundTripMs * this.bytesPerMs + queueBytes) / BLOCK_BYTES);
    const depth = this.#isSlowStart ? Math.min(this.#slowStartDepth, Math.max(wanted, DEPTH_AT_FIRST)) : wanted;
    return Math.max(Math.min(DEPTH_MIN, most), Math.min(depth, most));
  }

  asked(sizeBytes: Bytes, nowMs: Milliseconds): void {
    // The clock of the throughput runs only while something is awaited.
    if (this.queuedBytes === 0) {
      this.#sampleFromMs = nowMs;
      this.#sampleBytes = 0;
    }
    this.queuedBytes += sizeBytes;
  }

  /** The request is not expected any more: cancelled, refused, or given up. */
  released(sizeBytes: Bytes): void {
    this.queuedBytes = Math.max(0, this.queuedBytes - sizeBytes);
  }

  /** A block came. `wasIdle`: nothing else was awaited when it was asked for, so the time is a round trip. */
  answered(sizeBytes: Bytes, askedMs: Milliseconds, predictedMs: Milliseconds, wasIdle: boolean, nowMs: Milliseconds): void {
    this.released(sizeBytes);
    const tookMs = nowMs - askedMs;
    if (wasIdle) this.#sampleRoundTrip(Math.max(1, tookMs - (this.isUnknown ? 0 : sizeBytes / this.bytesPerMs)));
    else this.#boundRoundTrip(tookMs, nowMs);
    const errorMs = Math.abs(tookMs - predictedMs);
    this.deviationMs = this.isUnknown ? Math.max(this.deviationMs, errorMs / 2) : this.deviationMs + (errorMs - this.deviationMs) / 8;
    if (this.penalty > 1) this.penalty = Math.max(1, this.penalty / 2);
    if (this.#isSlowStart) this.#slowStartDepth += 1;
    this.lastBlockMs = nowMs;
    this.#sampleRate(sizeBytes, nowMs);
    this.isUnknown = false;
  }

  timedOut(): void {
    this.penalty = Math.min(PENALTY_MAX, this.penalty * 2);
    this.#isSlowStart = true;
    this.#slowStartDepth = DEPTH_AT_FIRST;
  }

  /** Every answer takes a round trip and more; when all of them take much more than our queue explains, the way has become longer. */
  #boundRoundTrip(tookMs: Milliseconds, nowMs: Milliseconds): void {
    this.#leastTookMs = Math.min(this.#leastTookMs, tookMs);
    this.roundTripMs = Math.max(1, Math.min(this.roundTripMs, tookMs));
    if (nowMs - this.#leastFromMs < LEAST_MS) return;
    const explainedMs = this.roundTripMs + 2 * this.#queueMs + (4 * BLOCK_BYTES) / this.bytesPerMs;
    if (this.#leastTookMs > explainedMs && this.#leastFromMs > 0) this.roundTripMs = this.#leastTookMs;
    this.#leastTookMs = Number.POSITIVE_INFINITY;
    this.#leastFromMs = nowMs;
  }

  #slackMs(): Milliseconds {
    return Math.max(GRANULARITY_MS, 4 * this.deviationMs);
  }

  #sampleRoundTrip(sampleMs: Milliseconds): void {
    this.roundTripMs = this.isUnknown ? sampleMs : this.roundTripMs + (sampleMs - this.roundTripMs) / 4;
  }

  #sampleRate(sizeBytes: Bytes, nowMs: Milliseconds): void {
    this.#sampleBytes += sizeBytes;
    const fromMs = this.#sampleFromMs ?? nowMs;
    const tookMs = nowMs - fromMs;
    if (tookMs < SAMPLE_MS && this.queuedBytes > 0) return;
    // A short exchange says little: its round trip is not transfer.
    if (tookMs < SAMPLE_MS && !this.isUnknown && this.#sampleBytes < 4 * BLOCK_BYTES) return;
    const sample = this.#sampleBytes / Math.max(1, tookMs - (tookMs < SAMPLE_MS ? Math.min(this.roundTripMs, tookMs / 2) : 0));
    const before = this.bytesPerMs;
    this.bytesPerMs = Math.max(
      BYTES_PER_MS_MIN,
      this.isUnknown || this.#isSlowStart ? Math.max(sample, before * 0.5) : before + RATE_GAIN * (sample - before),
    );
    if (this.#isSlowStart && tookMs >= SAMPLE_MS && sample < before * 1.1 && !this.isUnknown) this.#isSlowStart = false;
    this.#sampleFromMs = nowMs;
    this.#sampleBytes = 0;
  }
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value));
}
