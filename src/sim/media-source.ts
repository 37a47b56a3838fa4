/**
 * The source of a simulated channel: one window of random bytes per grid step, as a cutter would hand it to its publisher.
 */
import type { Rng } from '../kernel/rng.js';
import type { Bytes, BytesPerSecond, Milliseconds, WindowNumber } from '../kernel/units.js';
import type { WindowContent } from '../relay/exchange/manifest.js';

export interface MediaSourceOptions {
  readonly windowMs: Milliseconds;
  readonly bytesPerSecond: BytesPerSecond;
  /** A window in which a multiple of this lies holds a key frame. */
  readonly keyIntervalMs: Milliseconds;
  readonly rng: Rng;
}

const POOL_BYTES: Bytes = 65_536;

export class MediaSource {
  readonly #options: MediaSourceOptions;
  readonly #pool: Uint8Array;
  #number: WindowNumber = 0;
  #previous: WindowNumber | null = null;

  constructor(options: MediaSourceOptions) {
    this.#options = options;
    this.#pool = new Uint8Array(Uint32Array.from({ length: POOL_BYTES / 4 }, () => options.rng.uint32()).buffer);
  }

  /** Time passes without media: the window is never cut. */
  miss(): void {
    this.#number += 1;
  }

  /** The publisher starts anew and goes on with numbers that lie `by` higher. */
  restart(by: number): void {
    this.#number += by;
    this.#previous = null;
  }

  cut(): WindowContent {
    const { windowMs, keyIntervalMs } = this.#options;
    const number = this.#number + 1;
    const previous = this.#previous;
    const startMs = number * windowMs;
    const key = Math.ceil(startMs / keyIntervalMs) * keyIntervalMs < startMs + windowMs;
    this.#number = number;
    this.#previous = number;
    return {
      number,
      previous,
      discontinuity: previous !== number - 1,
      startMs,
      durationMs: windowMs,
      bytes: this.#media(),
      keyMarks: key ? [{ offsetBytes: 0, afterStartMs: 0 }] : [],
    };
  }

  /** Cut from a pool of random bytes, each window at another place: a generator for every byte would cost more than all peers together. */
  #media(): Uint8Array {
    const { windowMs, bytesPerSecond, rng } = this.#options;
    const bytes = new Uint8Array(Math.round((bytesPerSecond * windowMs) / 1000));
    for (let offset = 0; offset < bytes.length; ) {
      const run = this.#pool.subarray(rng.below(this.#pool.length - 4_096)).subarray(0, bytes.length - offset);
      bytes.set(run, offset);
      offset += run.length;
    }
    return bytes;
  }
}
