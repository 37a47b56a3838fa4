/** What one player missed, got twice, or had to wait for, of what a source sent. */
import type { RecordedTag } from './flv-recorder.js';

export interface Continuity {
  /** Frames that the source sent between the player's first and last one and that the player never got. */
  readonly missing: number;
  /** Frames that came again, or after a later one of their track. */
  readonly repeated: number;
  /** Frames that the source never sent. */
  readonly unknown: number;
}

/** Compared by bodies, track by track: the tracks' order among each other is the relay's affair. */
export function continuityOf(sent: readonly RecordedTag[], received: readonly RecordedTag[]): Continuity {
  const tracks = ([8, 9] as const).map((type) =>
    ofTrack(
      sent.filter((tag) => tag.type === type),
      received.filter((tag) => tag.type === type),
    ),
  );
  const sum = (of: (track: Continuity) => number): number => tracks.reduce((total, track) => total + of(track), 0);
  return { missing: sum(({ missing }) => missing), repeated: sum(({ repeated }) => repeated), unknown: sum(({ unknown }) => unknown) };
}

function ofTrack(sent: readonly RecordedTag[], received: readonly RecordedTag[]): Continuity {
  const places = placesOf(sent);
  let [missing, repeated, unknown] = [0, 0, 0];
  let next: number | undefined;
  for (const { hash } of received) {
    const known = places.get(hash);
    const place = known?.find((at) => next === undefined || at >= next);
    if (known === undefined) unknown += 1;
    else if (place === undefined) repeated += 1;
    else {
      missing += place - (next ?? place);
      next = place + 1;
    }
  }
  return { missing, repeated, unknown };
}

function placesOf(tags: readonly RecordedTag[]): ReadonlyMap<string, readonly number[]> {
  const places = new Map<string, number[]>();
  for (const [place, { hash }] of tags.entries()) places.set(hash, [...(places.get(hash) ?? []), place]);
  return places;
}

export interface Gap {
  readonly fromMs: number;
  readonly lengthMs: number;
}

/** The longest time without an arrival that ends within a span, on `performance`'s clock; `undefined` when nothing arrived in it. */
export function longestGapWithin(frames: readonly RecordedTag[], startMs: number, endMs: number): Gap | undefined {
  let longest: Gap | undefined;
  for (const [index, { arrivedMs }] of frames.entries()) {
    if (arrivedMs < startMs || arrivedMs >= endMs) continue;
    const fromMs = frames[index - 1]?.arrivedMs ?? arrivedMs;
    if (longest === undefined || arrivedMs - fromMs > longest.lengthMs) longest = { fromMs, lengthMs: arrivedMs - fromMs };
  }
  return longest;
}
