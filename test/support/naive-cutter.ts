/**
 * What windows a source has, worked out from whole tracks at leisure: no arrival order, no state carried along, nothing closed early.
 *
 * Shares no code with the cutter but the tag format. One timeline only; times may wrap, and a track may step back by less than a second.
 */
import { classifyTag, encodeTag, type FlvTag } from '../../src/media/flv.js';

export interface SourceTracks {
  readonly video: readonly FlvTag[];
  readonly audio: readonly FlvTag[];
}

interface Frame {
  readonly tag: FlvTag;
  readonly timeMs: number;
  readonly header: FlvTag | undefined;
}

/** The least value congruent to `rawMs` modulo one of the two wraps that lies nearest to the time before. */
function unwrapped(rawMs: number, beforeMs: number): number {
  const candidates = [rawMs];
  for (const wrap of [2 ** 31, 2 ** 32]) {
    // A 31-bit wrap happens only where a value near zero follows one near 2^31.
    if (wrap === 2 ** 31 && (rawMs > 60_000 || beforeMs < wrap - 60_000)) continue;
    for (let times = 0; times < 3; times++) candidates.push(rawMs + times * wrap);
  }
  return candidates.reduce((best, candidate) => (Math.abs(candidate - beforeMs) < Math.abs(best - beforeMs) ? candidate : best));
}

/** Each frame with the latest time its track had reached and the header that governs it. */
function framesOf(track: readonly FlvTag[], isVideo: boolean, startMs: number): readonly Frame[] {
  const frames: Frame[] = [];
  let beforeMs = startMs;
  let latestMs = Number.NEGATIVE_INFINITY;
  let header: FlvTag | undefined;
  let announced: FlvTag | undefined;
  for (const tag of track) {
    const { kind, key } = classifyTag(tag);
    if (kind === 'header') announced = tag;
    if (kind !== 'frame') continue;
    beforeMs = unwrapped(tag.timestampMs, beforeMs);
    latestMs = Math.max(latestMs, beforeMs);
    if (!isVideo || key) header = announced;
    frames.push({ tag: { ...tag, timestampMs: beforeMs % 2 ** 32 }, timeMs: latestMs, header });
  }
  return frames;
}

function sameBody(a: FlvTag | undefined, b: FlvTag | undefined): boolean {
  return Buffer.compare(a?.body ?? Buffer.of(), b?.body ?? Buffer.of()) === 0;
}

/** Bytes of every window that has a frame, by its number on the grid. */
export function cutNaively(tracks: SourceTracks, windowMs: number): ReadonlyMap<number, Uint8Array> {
  const startMs = tracks.video[0]?.timestampMs ?? tracks.audio[0]?.timestampMs ?? 0;
  const both = [framesOf(tracks.video, true, startMs), framesOf(tracks.audio, false, startMs)];
  const grids = new Set(both.flat().map(({ timeMs }) => Math.floor(timeMs / windowMs)));
  return new Map([...grids].sort((a, b) => a - b).map((grid) => [grid, windowBytes(both, grid, windowMs)]));
}

function windowBytes(both: readonly (readonly Frame[])[], grid: number, windowMs: number): Uint8Array {
  const inWindow = ({ timeMs }: Frame): boolean => Math.floor(timeMs / windowMs) === grid;
  const [video = [], audio = []] = both.map((frames) => frames.filter(inWindow));
  const first = [...video.map((frame) => ({ frame, order: 0 })), ...audio.map((frame) => ({ frame, order: 1 }))].sort(
    (a, b) => a.frame.timeMs - b.frame.timeMs || a.order - b.order,
  )[0];
  const headMs = first?.frame.tag.timestampMs ?? 0;
  const heads = both.flatMap((frames) => {
    const governing = frames.find(inWindow) ?? frames.findLast(({ timeMs }) => timeMs < grid * windowMs) ?? frames[0];
    return governing?.header ? [{ ...governing.header, timestampMs: headMs }] : [];
  });
  return Buffer.concat([...heads, ...merged(withChanges(video), withChanges(audio))].map(encodeTag));
}

/** The tags of one track in one window, with each header that changes inside before the frame it governs. */
function withChanges(frames: readonly Frame[]): readonly { readonly tag: FlvTag; readonly timeMs: number }[] {
  return frames.flatMap(({ tag, timeMs, header }, index) => {
    const changed = index > 0 && header && !sameBody(header, frames[index - 1]?.header);
    return changed
      ? [
          { tag: { ...header, timestampMs: tag.timestampMs }, timeMs },
          { tag, timeMs },
        ]
      : [{ tag, timeMs }];
  });
}

function merged(
  video: readonly { readonly tag: FlvTag; readonly timeMs: number }[],
  audio: readonly { readonly tag: FlvTag; readonly timeMs: number }[],
): readonly FlvTag[] {
  const tags: FlvTag[] = [];
  const rest = [...audio];
  for (const frame of video) {
    while (rest[0] && rest[0].timeMs < frame.timeMs) tags.push((rest.shift() as { tag: FlvTag }).tag);
    tags.push(frame.tag);
  }
  return [...tags, ...rest.map(({ tag }) => tag)];
}
