/**
 * Viewers that are cut off from the others: they get nothing from them, so a publisher that deals its windows out shows these everything at once.
 *
 * Else such a viewer would stay as far behind for good as a window takes to become everybody's. Time is counted in windows published.
 */
import type { ConnectionId, PieceIndex } from '../../kernel/units.js';

/** A viewer that has so little of so many windows in a row, which most of the others have, is cut off from them. */
const LEFT_BEHIND_WINDOWS = 4;
/** Not counted are windows dealt before it has been here for so many: a newcomer begins late, and has none of those before. */
const NEWCOMER_WINDOWS = 10;
/** For so many windows at first, twice as many each time: it is found out only when it is behind again. */
const LEFT_BEHIND_SERVED = 64;
const SERVED_DOUBLINGS_MAX = 6;
/** At most so many at a time: with two, liars that everybody else had banned used up what a publisher has to spread new pieces with, and windows were lost. */
const LEFT_BEHIND_MAX = 1;

interface Lag {
  /** How many windows had been published when it was first looked at. */
  readonly since: number;
  /** Windows in a row. */
  windows: number;
  /** It is shown everything before so many windows have been published. */
  servedUntil: number;
  doublings: number;
}

/** A window whose time to spread is over. */
export interface SpreadWindow {
  readonly pieceCount: number;
  holders(piece: PieceIndex): readonly ConnectionId[];
  /** The viewers it was for; and those of them whose word on it counts for nothing. */
  readonly viewers: readonly ConnectionId[];
  readonly liars: ReadonlySet<ConnectionId>;
  /** How many windows had been published before it. */
  readonly before: number;
}

export class LeftBehind {
  readonly #lags = new Map<ConnectionId, Lag>();

  /** It is shown everything, now that so many windows have been published. */
  isServed(peer: ConnectionId, windows: number): boolean {
    return (this.#lags.get(peer)?.servedUntil ?? 0) > windows;
  }

  drop(peer: ConnectionId): void {
    this.#lags.delete(peer);
  }

  /** Looks who has not got from the others what most of them have. `windows`: how many have been published by now. */
  look({ pieceCount, holders, viewers, liars, before }: SpreadWindow, windows: number): void {
    const spread = Array.from({ length: pieceCount }, (_, piece) => holders(piece)).filter((held) => 2 * held.length > viewers.length);
    if (2 * spread.length <= pieceCount) return;
    let servedCount = viewers.filter((peer) => this.isServed(peer, windows)).length;
    for (const peer of viewers) {
      if (this.isServed(peer, windows) || liars.has(peer)) continue;
      const lag = this.#lags.get(peer) ?? { since: windows, windows: 0, servedUntil: 0, doublings: 0 };
      this.#lags.set(peer, lag);
      if (before < lag.since + NEWCOMER_WINDOWS) continue;
      const heldCount = spread.filter((held) => held.includes(peer)).length;
      lag.windows = 2 * heldCount < spread.length ? lag.windows + 1 : 0;
      if (lag.windows < LEFT_BEHIND_WINDOWS || servedCount >= LEFT_BEHIND_MAX) continue;
      servedCount += 1;
      lag.windows = 0;
      lag.servedUntil = windows + LEFT_BEHIND_SERVED * 2 ** lag.doublings;
      lag.doublings = Math.min(SERVED_DOUBLINGS_MAX, lag.doublings + 1);
    }
  }
}
