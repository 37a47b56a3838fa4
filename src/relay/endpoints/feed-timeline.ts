/**
 * The clock of a local feed: raw tag timestamps in, timestamps that never go backwards within a track out.
 *
 * While the source is continuous its times pass unchanged. A restart shifts everything behind it by one constant, so that both
 * tracks stay in step. Wraps at 2^31 (ffmpeg, OBS) and 2^32 are undone (protocols sheet 4.6 B, rules 7 and 8). Output stays
 * below 2^31, which browsers need (sheet, section 5): a start above 2^30 is rebased to 0.
 */
import type { Milliseconds } from '../../kernel/units.js';

/** Distance between the last time before a restart and the first one behind it: one frame at 25 frames a second. */
export const RESTART_GAP_MS: Milliseconds = 40;
/** A step forward beyond this is no longer the same timeline (protocols sheet 4.6 B, rule 8). */
export const JUMP_FORWARD_MS: Milliseconds = 10_000;
/** Tracks may be interleaved this loosely; a larger step back is a restart (the same rule). */
export const JUMP_BACK_MS: Milliseconds = 1_000;
/** First output that would no longer fit a signed 32-bit number. */
export const TIMELINE_END_MS: Milliseconds = 2 ** 31;

const REBASE_ABOVE_MS: Milliseconds = 2 ** 30;
const WRAP_MS: Milliseconds = 2 ** 31;

/** One timeline for all tracks of a feed; a track is named by its FLV tag type. */
export class FeedTimeline {
  readonly #lastOutputMs = new Map<number, Milliseconds>();
  #started = false;
  #anchored = false;
  #lastSourceMs: Milliseconds = 0;
  /** Source time of the first frame since the start or the last restart. */
  #anchorMs: Milliseconds = 0;
  #offsetMs: Milliseconds = 0;
  #newestMs: Milliseconds = 0;

  /** Newest time handed out; 0 before the first. */
  get newestMs(): Milliseconds {
    return this.#newestMs;
  }

  /** The next time mapped is not related to the ones before. */
  restart(): void {
    this.#anchored = false;
  }

  /** Forgets everything: the next time mapped starts a timeline of its own. */
  reset(): void {
    this.#started = false;
    this.#anchored = false;
    this.#newestMs = 0;
    this.#lastOutputMs.clear();
  }

  /** True when `rawMs` cannot belong to the same timeline as the times before it. */
  isJump(rawMs: Milliseconds): boolean {
    if (!this.#anchored) return false;
    const stepMs = this.#unwrap(rawMs) - this.#lastSourceMs;
    return stepMs > JUMP_FORWARD_MS || stepMs < -JUMP_BACK_MS;
  }

  /** True for a frame from before the first one of this timeline: it could only be squeezed onto that one's time. */
  precedesStart(rawMs: Milliseconds): boolean {
    return this.#anchored && this.#unwrap(rawMs) < this.#anchorMs;
  }

  /** The output time of a frame of `track`. */
  map(track: number, rawMs: Milliseconds): Milliseconds {
    if (!this.#anchored) this.#anchor(rawMs);
    const sourceMs = this.#unwrap(rawMs);
    this.#lastSourceMs = sourceMs;
    const outputMs = Math.max(0, sourceMs + this.#offsetMs, this.#lastOutputMs.get(track) ?? 0);
    this.#lastOutputMs.set(track, outputMs);
    this.#newestMs = Math.max(this.#newestMs, outputMs);
    return outputMs;
  }

  #anchor(rawMs: Milliseconds): void {
    if (this.#started) this.#offsetMs = this.#newestMs + RESTART_GAP_MS - rawMs;
    else this.#offsetMs = rawMs > REBASE_ABOVE_MS ? -rawMs : 0;
    this.#lastSourceMs = rawMs;
    this.#anchorMs = rawMs;
    this.#started = true;
    this.#anchored = true;
  }

  /** The value nearest to the last one among all that wrap to `rawMs`; 2^32 is twice 2^31, so one modulus serves both. */
  #unwrap(rawMs: Milliseconds): Milliseconds {
    return rawMs + Math.round((this.#lastSourceMs - rawMs) / WRAP_MS) * WRAP_MS;
  }
}
