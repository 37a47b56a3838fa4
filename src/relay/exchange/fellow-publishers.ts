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

/** A publisher that said nothing for a window and this much longer does not count: it says something at every window. */
const ALIVE_MARGIN_MS: Milliseconds = 700;
/** Who has not shown the window before this one is left out: it is frozen, or too far behind to be of help. */
const BEHIND_WINDOWS_MAX = 1;

/** Of the moving average of how much later than we another publisher has a window; as of throughput. */
const LAG_GAIN = 1 / 4;

/** One publisher's part in a window. */
export interface Part {
  /** How many share the window, this one included. */
  readonly count: number;
  isOurs(piece: PieceIndex): boolean;
  /** Whose it is; undefined for our own, and for one whose owner is gone. */
  ownerOf(piece: PieceIndex): Neighbour | undefined;
  /** So much later than we the slowest of them shows its windows. */
  readonly lagMs: Milliseconds;
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

  /** Another publisher shows these windows: learns how far it is behind. */
  onMap(neighbour: Neighbour, windows: readonly { readonly number: WindowNumber }[]): void {
    if (!neighbour.publisher) return;
    for (const { number } of windows) {
      const own = this.#context.buffer.get(number);
      if (!own || number !== this.#context.buffer.head || neighbour.map.has(number)) continue;
      neighbour.lagMs += (this.#context.nowMs - own.originMs - neighbour.lagMs) * LAG_GAIN;
    }
  }

  /** Who shares this window now. */
  partIn(number: WindowNumber): Part {
    const { neighbours, nowMs, parameters } = this.#context;
    const aliveMs = parameters.windowMs + ALIVE_MARGIN_MS;
    const fellows = neighbours
      .values()
      .filter(
        ({ publisher, lastHeardMs, map }) =>
          publisher && nowMs - lastHeardMs < aliveMs && map.head !== undefined && map.head + BEHIND_WINDOWS_MAX >= number,
      );
    // Not `undefined`: a sort puts that last without asking.
    const order: readonly (Neighbour | null)[] = [null, ...fellows].sort((a, b) => (a?.rank ?? this.rank) - (b?.rank ?? this.rank));
    const place = order.indexOf(null);
    const count = order.length;
    return {
      count,
      isOurs: (piece) => (number + piece) % count === place,
      ownerOf: (piece) => {
        const owner = order[(number + piece) % count];
        return owner && neighbours.has(owner.id) ? owner : undefined;
      },
      lagMs: Math.max(0, ...fellows.map(({ lagMs }) => lagMs)),
      serves: ({ rank }) => rank % count === place,
    };
  }
}
