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

/** Finds the offset between our frames and theirs. */
export function matchTimelines(own: FrameIndex, theirs: FrameIndex): TimelineMatch {
  const tracks = TRACKS.filter((track) => own.span(track).count > 0 && theirs.span(track).count > 0);
  const findings = tracks.map((track) => ({ track, finding: compare(own, theirs, track) }));
  const decided = findings.flatMap(({ finding }) => (finding.deltaMs === undefined ? [] : [finding.deltaMs]));
  const [deltaMs] = decided;
  if (decided.some((other) => other !== deltaMs)) return { kind: 'different' };
  const open = findings.filter(({ track, finding }) => finding.deltaMs === undefined && !isMute(theirs, track) && !isMute(own, track));
  if (deltaMs === undefined || open.length > 0) return { kind: 'unknown' };
  return { kind: 'same', deltaMs };
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

interface Finding {
  /** Undefined while the track does not decide. */
  readonly deltaMs: Milliseconds | undefined;
}

function compare(own: FrameIndex, theirs: FrameIndex, track: TrackOrder): Finding {
  const votes = new Map<Milliseconds, { count: number; firstMs: Milliseconds; lastMs: Milliseconds }>();
  let hits = 0;
  for (const [print, theirMs] of theirs.unique(track)) {
    const ownMs = own.timeOf(track, print);
    if (ownMs === undefined) continue;
    hits += 1;
    const vote = votes.get(theirMs - ownMs) ?? { count: 0, firstMs: theirMs, lastMs: theirMs };
    votes.set(theirMs - ownMs, vote);
    vote.count += 1;
    vote.firstMs = Math.min(vote.firstMs, theirMs);
    vote.lastMs = Math.max(vote.lastMs, theirMs);
  }
  for (const [deltaMs, { count, firstMs, lastMs }] of votes) {
    const agrees = hits >= HITS_MIN && count >= hits * AGREEMENT_MIN;
    if (agrees && lastMs - firstMs >= SPREAD_MS_MIN) return { deltaMs };
  }
  return { deltaMs: undefined };
}

/** A track that repeats itself (silence, a standing picture) cannot decide, and need not. */
function isMute(index: FrameIndex, track: TrackOrder): boolean {
  const { firstMs, lastMs, count } = index.span(track);
  if (lastMs - firstMs < SPREAD_MS_MIN || count < HITS_MIN) return false;
  let unique = 0;
  for (const _ of index.unique(track)) unique += 1;
  return unique < HITS_MIN;
}
