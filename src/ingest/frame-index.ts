/**
 * The frames of a stretch of source by what they hold: fingerprint to time, so that two timelines of one source can be laid side by side.
 *
 * A fingerprint is taken from a frame's type and body alone; timestamps do not enter it, because servers rewrite them. Small frames say little
 * (silence, an unchanged picture) and are left out; a fingerprint that occurs at two times says nothing and counts as unknown. Bounded: the
 * newest `FRAMES_MAX` of each track. Protocols sheet 4.6, B 11.
 */
import type { Hasher } from '../kernel/ports.js';
import type { Bytes, Milliseconds } from '../kernel/units.js';
import { classifyTag, type FlvTag, VIDEO } from '../media/flv.js';

/** Video 0, audio 1. */
export type TrackOrder = 0 | 1;
export const TRACKS: readonly TrackOrder[] = [0, 1];

/** Frames kept of one track: a minute of 60 pictures or of 43 sounds a second. */
const FRAMES_MAX = 4_096;
/** Smaller bodies are not told apart by their content. */
const BODY_BYTES_MIN: Readonly<Record<TrackOrder, Bytes>> = { 0: 48, 1: 32 };

interface Track {
  /** Undefined: at more than one time. In order of arrival. */
  readonly times: Map<number, Milliseconds | undefined>;
  readonly prints: Map<Milliseconds, number>;
  firstMs: Milliseconds;
  lastMs: Milliseconds;
}

export class FrameIndex {
  readonly #hasher: Pick<Hasher, 'sha1'>;
  readonly #tracks: Readonly<Record<TrackOrder, Track>> = { 0: emptyTrack(), 1: emptyTrack() };

  constructor(hasher: Pick<Hasher, 'sha1'>) {
    this.#hasher = hasher;
  }

  /** Enters a frame; everything else is ignored. */
  add(tag: FlvTag, timeMs: Milliseconds): void {
    if (classifyTag(tag).kind !== 'frame') return;
    const order: TrackOrder = tag.type === VIDEO ? 0 : 1;
    if (tag.body.length < BODY_BYTES_MIN[order]) return;
    const track = this.#tracks[order];
    const print = printOf(this.#hasher.sha1(tag.body));
    const known = track.times.has(print);
    track.times.set(print, known && track.times.get(print) !== timeMs ? undefined : timeMs);
    track.prints.set(timeMs, print);
    track.firstMs = Math.min(track.firstMs, timeMs);
    track.lastMs = Math.max(track.lastMs, timeMs);
    forgetOldest(track.times);
    // Of what is before the oldest frame nothing is known any more.
    if (forgetOldest(track.prints)) track.firstMs = track.prints.keys().next().value ?? timeMs;
  }

  /** When the frame was; undefined for one that was never there, or twice. */
  timeOf(track: TrackOrder, print: number): Milliseconds | undefined {
    return this.#tracks[track].times.get(print);
  }

  /** What was at that time. */
  printAt(track: TrackOrder, timeMs: Milliseconds): number | undefined {
    return this.#tracks[track].prints.get(timeMs);
  }

  /** Frames that occur once, with their times, in order of arrival. */
  *unique(track: TrackOrder): IterableIterator<readonly [print: number, timeMs: Milliseconds]> {
    for (const [print, timeMs] of this.#tracks[track].times) if (timeMs !== undefined) yield [print, timeMs];
  }

  /** Every time at which a frame was entered. */
  times(track: TrackOrder): IterableIterator<Milliseconds> {
    return this.#tracks[track].prints.keys();
  }

  /** From the first frame to the last; zero without any. */
  span(track: TrackOrder): { readonly firstMs: Milliseconds; readonly lastMs: Milliseconds; readonly count: number } {
    const { firstMs, lastMs, prints } = this.#tracks[track];
    return prints.size === 0 ? { firstMs: 0, lastMs: 0, count: 0 } : { firstMs, lastMs, count: prints.size };
  }

  clear(): void {
    for (const order of TRACKS) {
      const track = this.#tracks[order];
      track.times.clear();
      track.prints.clear();
      track.firstMs = Number.POSITIVE_INFINITY;
      track.lastMs = Number.NEGATIVE_INFINITY;
    }
  }
}

function emptyTrack(): Track {
  return { times: new Map(), prints: new Map(), firstMs: Number.POSITIVE_INFINITY, lastMs: Number.NEGATIVE_INFINITY };
}

function forgetOldest(map: Map<number, unknown>): boolean {
  const oldest = map.size > FRAMES_MAX ? map.keys().next().value : undefined;
  return oldest !== undefined && map.delete(oldest);
}

/** 48 bits of a hash: among the thousands of frames compared, two alike by chance are not to be expected in a lifetime. */
function printOf(hash: Uint8Array): number {
  let print = 0;
  for (let index = 0; index < 6; index++) print = print * 256 + (hash[index] ?? 0);
  return print;
}
