/**
 * How the publishers of one channel divide a new window among them, without talking: each piece leaves one of them, whichever is alive.
 *
 * Everybody draws a rank when it starts and says it in its greeting. Publishers that hear each other publish order themselves by rank; piece p of
 * window n is the business of number (n + p) mod k of them, and each viewer belongs to one of them in the same way. They may disagree for a moment about
 * who is alive: then a piece goes out twice, or a little later.
 */
import type { Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import type { Neighbour } from './neighbour.js';

/** A publisher that said nothing for this long does not count: it says something at every window. */
const ALIVE_MS: Milliseconds = 1_200;
/** Publishers of one source are this far apart at most, in windows. */
const BEHIND_WINDOWS_MAX = 3;

/** One publisher's part in a window. */
export interface Part {
  /** How many share the window, this one included. */
  readonly count: number;
  isOurs(piece: PieceIndex): boolean;
  /** Whether the viewer is one that we serve first. */
  serves(viewer: Neighbour): boolean;
}

export class FellowPublishers {
  readonly #context: ExchangeContext;
  readonly rank: number;

  constructor(context: ExchangeContext) {
    this.#context = context;
    this.rank = context.options.rng.uint32();
  }

  /** Who shares this window now. */
  partIn(number: WindowNumber): Part {
    const { neighbours, nowMs } = this.#context;
    const fellows = [...neighbours.values()].filter(
      ({ publisher, lastHeardMs, map }) =>
        publisher && nowMs - lastHeardMs < ALIVE_MS && map.head !== undefined && map.head + BEHIND_WINDOWS_MAX >= number,
    );
    const ranks = [this.rank, ...fellows.map(({ rank }) => rank)].sort((a, b) => a - b);
    const place = ranks.indexOf(this.rank);
    const count = ranks.length;
    return {
      count,
      isOurs: (piece) => (number + piece) % count === place,
      serves: ({ rank }) => rank % count === place,
    };
  }
}
