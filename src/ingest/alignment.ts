/**
 * What the aligners of both containers share: the states a publisher's source can be in, what they are told of the swarm, what they ask for, and the times
 * they keep. All publishers of a channel keep the same times, so that they take turns instead of beginning at once.
 */
import type { Milliseconds, WindowNumber } from '../kernel/units.js';
import type { CutWindow } from './window-cutter.js';

export type AlignmentState = 'waiting' | 'looking' | 'leading' | 'aligned' | 'standby';

/** What the exchange sees of the swarm right now. */
export interface SwarmOutlook {
  /** How long the exchange has been looking for neighbours. */
  readonly upMs: Milliseconds;
  readonly neighbours: number;
  /** Neighbours that say they hold the source. */
  readonly publishers: number;
  /** Those of them that make windows, or are about to. */
  readonly onAir: number;
  /** Those of them that go first where nobody is publishing, so that not all begin at once. */
  readonly before: number;
  /** The newest window that a neighbour speaks of; hearsay. */
  readonly head: WindowNumber | null;
  /** For how long no newer window has been heard of that we had not published; `Infinity`: never was one. */
  readonly quietMs: Milliseconds;
}

/** A window of the swarm, verified, that was fetched for comparison. */
export interface SurveyedWindow {
  readonly number: WindowNumber;
  readonly startMs: Milliseconds;
  readonly bytes: Uint8Array;
  /** Public key of the publisher that signed it. */
  readonly publisher: Uint8Array;
}

export type AlignmentEffect =
  /** `confirm`: only once others have announced the same, or nobody has announced anything. */
  | { readonly kind: 'publish'; readonly window: CutWindow; readonly confirm: boolean }
  /** Asks the exchange for this many of the newest windows of others. */
  | { readonly kind: 'survey'; readonly count: number }
  | { readonly kind: 'state'; readonly state: AlignmentState; readonly detail: string }
  /** Another publisher shows other content under our numbers. */
  | { readonly kind: 'conflict'; readonly number: WindowNumber; readonly publisher: Uint8Array };

/** Signed numbers are waited for so much longer before we go on above what we know. */
export const FLOOR_PATIENCE_MS: Milliseconds = 1_000;
/** While looking, samples come in this step at most; on standby, and when somebody differs, much less often: a sample costs as much as a viewer. */
export const SURVEY_STEP_MS: Milliseconds = 500;
export const STANDBY_SURVEY_MS: Milliseconds = 30_000;
/** Who stands by says so again at this step; people forget a conflict that nobody speaks of. */
export const REPORT_MS: Milliseconds = 5_000;

/** Silent for a window and this much longer, others have stopped. */
const STALL_MARGIN_MS: Milliseconds = 1_000;
/** Publishers that wait for the same silence go on the air one after the other: the first one's windows are there to be compared by then. */
const TURN_MS: Milliseconds = 800;
const TURNS_MAX = 3;
/** Who goes on the air in the middle of a source leaves out a window or two, and a second or two, before its first one. */
const PROMISE_MARGIN_MS: Milliseconds = 3_000;
/** Content that could not be found in two windows and so much more time of an advancing swarm is other content. */
const MATCH_MARGIN_MS: Milliseconds = 7_000;

/** How long others may be silent before they count as stopped. */
export function stallMs(windowMs: Milliseconds): Milliseconds {
  return windowMs + STALL_MARGIN_MS;
}

/** How long the first windows of one who has just gone on the air are waited for. */
export function promiseMs(windowMs: Milliseconds): Milliseconds {
  return 2 * windowMs + PROMISE_MARGIN_MS;
}

/** How long content is looked for in the swarm before it counts as other content. */
export function matchMs(windowMs: Milliseconds): Milliseconds {
  return 2 * windowMs + MATCH_MARGIN_MS;
}

/** How long those who go first are given. */
export function turnMs(before: number): Milliseconds {
  return Math.min(before, TURNS_MAX) * TURN_MS;
}
