/**
 * Whether what a player gets is what the publisher sent: every body is the source's of that time, and none comes a second time.
 */
import { classifyTag, type FlvTag } from '../../src/media/flv.js';
import { bodyKey, type Recording } from './recording.js';

export class SourceCheck {
  /** Bodies of coded media and of codec headers. */
  takenBytes = 0;
  /** Of these, what is not the source's, or not of this place. */
  wrongBytes = 0;
  readonly #lengthMs: number;
  readonly #headers: ReadonlySet<string>;
  readonly #frames: ReadonlyMap<string, string>;
  /** By type of tag: where the player is. */
  readonly #newestMs = new Map<number, number>();

  constructor({ headers, frames, lengthMs }: Recording) {
    this.#lengthMs = lengthMs;
    this.#headers = new Set(headers.map(({ body }) => bodyKey(body)));
    this.#frames = new Map(frames.map(({ type, timestampMs, body }) => [placeOf(type, timestampMs), bodyKey(body)]));
  }

  /** @param sourceMs when it was in the source, which is played over and over. */
  take(tag: FlvTag, sourceMs: number): void {
    const { kind } = classifyTag(tag);
    if (kind !== 'frame' && kind !== 'header') return;
    this.takenBytes += tag.body.length;
    const isRight = kind === 'header' ? this.#headers.has(bodyKey(tag.body)) : this.#isInPlace(tag, sourceMs);
    if (!isRight) this.wrongBytes += tag.body.length;
  }

  #isInPlace({ type, body }: FlvTag, sourceMs: number): boolean {
    const isNew = sourceMs > (this.#newestMs.get(type) ?? Number.NEGATIVE_INFINITY);
    this.#newestMs.set(type, sourceMs);
    return isNew && this.#frames.get(placeOf(type, sourceMs % this.#lengthMs)) === bodyKey(body);
  }
}

function placeOf(type: number, timestampMs: number): string {
  return `${type} ${timestampMs}`;
}
