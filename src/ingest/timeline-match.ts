/**
 * Whether two stretches of frames are one source on two timelines, and how far apart these are: by content, never by clocks.
 *
 * Two ways lead to a match. *Found*: frames that occur once on either side are paired, and nearly all pairs of each track must be the same time apart,
 * over two seconds. *Tried*: an offset that there is reason to expect (none at all, or the one before a reconnect) is laid over both, and nearly
 * all frames must lie on top of each other; this works for pictures that do not change and for sound that is silence, too. Protocols sheet 4.6, B 11.
 */
import type { Milliseconds } from '../kernel/units.js';
import { type FrameIndex, TRACKS, type TrackOrder } from './frame-index.js';

/** `deltaMs`: the other timeline's time of a frame minus our own. `unknown`: there is not enough to tell yet. */
export type TimelineMatch =
  | { readonly kind: 'same'; readonly deltaMs: Milliseconds }
  | { readonly kind: 'different' }
  | { readonly kind: 'unknown' };

/** Pairs that a track needs. */
const HITS_MIN = 16;
/** Part of the pairs that must agree. */
const AGREEMENT_MIN = 0.9;
/** Pairs must reach over so much time: a moment could be alike by accident. */
const SPREAD_MS_MIN: Milliseconds = 2_000;
/** An offset that is tried has to hold for a whole window. */
const TRIAL_SPREAD_MS_MIN: Milliseconds = 400;
const TRIAL_AGREEMENT_MIN = 0.95;
/** So much at both ends of our own stretch may not be there yet, or not any more. */
const MARGIN_MS: Milliseconds = 100;

/** Finds the offset between our frames and theirs. One track decides it; the other has to bear it out, unless it says nothing. */
export function matchTimelines(own: FrameIndex, theirs: FrameIndex): TimelineMatch {
  const tracks = TRACKS.filter((track) => own.span(track).count > 0 && theirs.span(track).count > 0);
  const votes = tracks.map((track) => ({ track, votes: votesOf(own, theirs, track) }));
  const decided = votes.flatMap((track) => decision(track.votes) ?? []);
  const [deltaMs] = decided;
  if (decided.some((other) => other !== deltaMs)) return { kind: 'different' };
  if (deltaMs === undefined) return { kind: 'unknown' };
  const bears = votes.map(({ track, votes }) => {
    if (votes.hits > 0 && !agrees(votes, deltaMs)) return 'no';
    return votes.hits >= HITS_MIN || isMute(theirs, track) || isMute(own, track) ? 'yes' : 'perhaps';
  });
  if (bears.includes('no')) return { kind: 'different' };
  return bears.includes('perhaps') ? { kind: 'unknown' } : { kind: 'same', deltaMs };
}

/** Whether our frames, moved by `deltaMs`, lie on theirs. */
export function liesOn(own: FrameIndex, theirs: FrameIndex, deltaMs: Milliseconds): boolean {
  let compared = 0;
  let equal = 0;
  let firstMs = Number.POSITIVE_INFINITY;
  let lastMs = Number.NEGATIVE_INFINITY;
  for (const track of TRACKS) {
    const covered = own.span(track);
    for (const timeMs of theirs.times(track)) {
      const ownMs = timeMs - deltaMs;
      if (ownMs < covered.firstMs + MARGIN_MS || ownMs > covered.lastMs - MARGIN_MS) continue;
      compared += 1;
      if (own.printAt(track, ownMs) === theirs.printAt(track, timeMs)) equal += 1;
      firstMs = Math.min(firstMs, timeMs);
      lastMs = Math.max(lastMs, timeMs);
    }
  }
  return compared >= HITS_MIN && equal >= compared * TRIAL_AGREEMENT_MIN && lastMs - firstMs >= TRIAL_SPREAD_MS_MIN;
}

/** Pairs of frames by the time that they are apart. */
interface Votes {
  readonly hits: number;
  readonly byDelta: ReadonlyMap<Milliseconds, { readonly count: number; readonly firstMs: Milliseconds; readonly lastMs: Milliseconds }>;
}

function votesOf(own: FrameIndex, theirs: FrameIndex, track: TrackOrder): Votes {
  const byDelta = new Map<Milliseconds, { count: number; firstMs: Milliseconds; lastMs: Milliseconds }>();
  let hits = 0;
  for (const [print, theirMs] of theirs.unique(track)) {
    const ownMs = own.timeOf(track, print);
    if (ownMs === undefined) continue;
    hits += 1;
    const vote = byDelta.get(theirMs - ownMs) ?? { count: 0, firstMs: theirMs, lastMs: theirMs };
    byDelta.set(theirMs - ownMs, vote);
    vote.count += 1;
    vote.firstMs = Math.min(vote.firstMs, theirMs);
    vote.lastMs = Math.max(vote.lastMs, theirMs);
  }
  return { hits, byDelta };
}

function agrees({ hits, byDelta }: Votes, deltaMs: Milliseconds): boolean {
  return (byDelta.get(deltaMs)?.count ?? 0) >= hits * AGREEMENT_MIN;
}

/** Undefined while the track does not decide. */
function decision(votes: Votes): Milliseconds | undefined {
  if (votes.hits < HITS_MIN) return undefined;
  for (const [deltaMs, { firstMs, lastMs }] of votes.byDelta)
    if (lastMs - firstMs >= SPREAD_MS_MIN && agrees(votes, deltaMs)) return deltaMs;
  return undefined;
}

/** A track that repeats itself (silence), or has hardly any frames that could be told apart (a standing picture), cannot decide, and need not. */
function isMute(index: FrameIndex, track: TrackOrder): boolean {
  const { firstMs, lastMs } = index.span(track);
  if (lastMs - firstMs < SPREAD_MS_MIN) return false;
  let unique = 0;
  for (const _ of index.unique(track)) unique += 1;
  return unique < HITS_MIN;
}
