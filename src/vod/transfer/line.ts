/**
 * How fast all neighbours together bring what is asked for: what is in flight to all of them shares one line.
 *
 * Many neighbours with short queues make one long queue where our own line, or theirs, is slow. Then nobody is to blame for a late answer,
 * and asking for more brings nothing sooner: without this a slow line full of answers looks like a swarm full of stalled neighbours, whose
 * requests are then made a second time. All titles of a process share one, for the same reason.
 */
import type { Bytes, Milliseconds } from '../../kernel/units.js';

const SAMPLE_MS: Milliseconds = 250;
const GAIN = 0.3;

export class Line {
  /** 0: unknown. */
  bytesPerMs = 0;
  #count = 0;
  #sampleBytes: Bytes = 0;
  #sampleFromMs: Milliseconds | undefined;

  /** Requests in flight, of all titles. */
  get count(): number {
    return this.#count;
  }

  /** Time during which nothing is awaited does not count. */
  asked(nowMs: Milliseconds): void {
    if (this.#count === 0) {
      this.#sampleFromMs = nowMs;
      this.#sampleBytes = 0;
    }
    this.#count += 1;
  }

  /** So many requests are answered, or not waited for any more. */
  settled(count = 1): void {
    this.#count -= count;
  }

  received(sizeBytes: Bytes, nowMs: Milliseconds): void {
    this.#sampleBytes += sizeBytes;
    const tookMs = nowMs - (this.#sampleFromMs ?? nowMs);
    if (tookMs < SAMPLE_MS) return;
    const sample = this.#sampleBytes / tookMs;
    this.bytesPerMs = this.bytesPerMs === 0 || sample > this.bytesPerMs ? sample : this.bytesPerMs + GAIN * (sample - this.bytesPerMs);
    this.#sampleBytes = 0;
    this.#sampleFromMs = nowMs;
  }

  /** How long so much takes, at the speed of late; undefined while that is unknown. */
  takesMs(sizeBytes: Bytes): Milliseconds | undefined {
    return this.bytesPerMs === 0 ? undefined : sizeBytes / this.bytesPerMs;
  }
}
