/**
 * Decides which missing piece is asked of whom: by deadline class, then rarity, then age; of the holder that will have it here first.
 *
 * Algorithm sheet 5.5. Pure: it reads a view of the exchange and returns requests, in the order they should be sent.
 */
import type { Bytes, Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import type { Neighbour } from './neighbour.js';

/** A piece we want and nobody has been asked for. */
export interface Need {
  readonly window: WindowNumber;
  readonly piece: PieceIndex;
  readonly sizeBytes: Bytes;
  /** Time until the player runs dry without it. */
  readonly slackMs: Milliseconds;
  /** 0 urgent, 1 soon, 2 the rest. */
  readonly deadlineClass: 0 | 1 | 2;
  /**
   * A publisher shows it to us and to nobody else, and other viewers wait for us to take it. Not asked for at once, whatever else is owed us, a swarm of 1000 at a
   * station with 2.2 times the bit rate fell back further and further.
   */
  readonly dealt: boolean;
  readonly holders: readonly Neighbour[];
}

/** A neighbour is not given more than this much work in advance. */
const BACKLOG_MAX_MS = 1_000;
/** Nor a publisher than this, if it has dealt us something. */
const DEALT_BACKLOG_MAX_MS: Milliseconds = 2_000;
/** A publisher's answer is held this much dearer than a viewer's, so that it is not drained while others have the piece. */
export const PUBLISHER_COST = 3;

/** The windows 0 and 1 after the playhead are urgent, the next four come soon. */
export function deadlineClass(windowsAhead: number): 0 | 1 | 2 {
  return windowsAhead < 2 ? 0 : windowsAhead < 6 ? 1 : 2;
}

export function byUrgency(a: Need, b: Need): number {
  return a.deadlineClass - b.deadlineClass || a.holders.length - b.holders.length || a.window - b.window || a.piece - b.piece;
}

/** It may be asked for a piece now; otherwise for none, however urgent. */
export function isFree(neighbour: Neighbour, nowMs: Milliseconds): boolean {
  return neighbour.busyUntilMs <= nowMs && neighbour.hasRoom && neighbour.bearsAnother;
}

/** It may be asked for a piece that is not urgent, if it is free: it has nothing to do for us, or little, or may have dealt us something. */
export function isHandy({ outstanding, wait, publisher }: Neighbour): boolean {
  return outstanding === 0 || wait.backlogMs < (publisher ? DEALT_BACKLOG_MAX_MS : BACKLOG_MAX_MS);
}

/** The holder to ask, or undefined when all are busy enough. `quietMs`: who has said nothing for so long comes last; `random` breaks ties and herds. */
export function chooseHolder(need: Need, nowMs: Milliseconds, quietMs: Milliseconds, random: () => number): Neighbour | undefined {
  const idle = need.holders.filter((holder) => isFree(holder, nowMs));
  const safe = idle.filter((holder) => holder.isSafe);
  const free = safe.length > 0 ? safe : idle;
  const quick = free.filter((holder) => holder.wait.backlogMs < BACKLOG_MAX_MS && holder.wait.predictMs(need.sizeBytes) < need.slackMs);
  const mayWait = (holder: Neighbour): boolean => need.deadlineClass === 0 || holder.outstanding === 0 || (need.dealt && isHandy(holder));
  const suitable = quick.length > 0 ? quick : free.filter(mayWait);
  const awake = suitable.filter((holder) => !holder.isQuiet(nowMs, quietMs));
  const among = awake.length > 0 ? awake : suitable;
  let best: Neighbour | undefined;
  let bestCost = Number.POSITIVE_INFINITY;
  for (const holder of among) {
    const cost =
      holder.wait.predictMs(need.sizeBytes) * (holder.publisher && among.length > 1 ? PUBLISHER_COST : 1) * (1 + 0.05 * random());
    if (cost < bestCost) {
      best = holder;
      bestCost = cost;
    }
  }
  return best;
}
