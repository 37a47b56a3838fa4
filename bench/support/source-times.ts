/**
 * When what a feed gives out was in the source: once windows were missing, a feed closes the gap, and its own times are early from then on.
 */
import type { Milliseconds } from '../../src/kernel/units.js';
import type { FlvTag } from '../../src/media/flv.js';
import { bodyKey, type Recording } from './recording.js';

export class SourceTimes {
  readonly #recording: Pick<Recording, 'timesByBody' | 'lengthMs'>;
  /** Of the newest frame that could be told from all others: its time in the source minus that in the feed. */
  #aheadMs: Milliseconds = 0;

  constructor(recording: Pick<Recording, 'timesByBody' | 'lengthMs'>) {
    this.#recording = recording;
  }

  /** The recording is played over and over: of all rounds the one that is nearest. */
  of({ body, timestampMs }: FlvTag): Milliseconds {
    const { timesByBody, lengthMs } = this.#recording;
    const expectedMs = timestampMs + this.#aheadMs;
    const firstMs = timesByBody.get(bodyKey(body));
    if (firstMs === undefined) return expectedMs;
    const sourceMs = firstMs + Math.round((expectedMs - firstMs) / lengthMs) * lengthMs;
    this.#aheadMs = sourceMs - timestampMs;
    return sourceMs;
  }
}
