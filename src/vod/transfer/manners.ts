/**
 * How much nonsense one neighbour may talk before it is shown the door.
 *
 * Nothing counted here is wrong in itself: a piece may be announced twice, a choke may follow an unchoke, a request may find the
 * queue full, a block may come that is not wanted any more. Each kind has a store of patience that fills again with time, so that years of
 * honest service end well and a flood ends soon.
 */
import type { Milliseconds } from '../../kernel/units.js';

interface Patience {
  readonly burst: number;
  readonly perSecond: number;
}

/** What may happen now and then. */
export type Nuisance =
  | 'chatter'
  | 'restatement'
  | 'excess-request'
  | 'stray-cancel'
  | 'unasked-piece'
  | 'unasked-reject'
  | 'broken-promise';

const PATIENCE: Readonly<Record<Nuisance, Patience>> = {
  // State that changes to and fro, announcements of what is known. Ordinary clients change their choke every 10 s.
  chatter: { burst: 500, perSecond: 20 },
  // A bitfield that says what was known: a piece came while it was on its way.
  restatement: { burst: 1, perSecond: 0.05 },
  // Requests beyond the queue, or while choked. An ordinary client that did not hear of our limit fills a queue of 2000 once.
  'excess-request': { burst: 4_000, perSecond: 50 },
  // Cancels of what does not wait here: mostly the block was on its way, of which fast neighbours have hundreds a second at the end of a title.
  'stray-cancel': { burst: 20_000, perSecond: 1_000 },
  // Blocks nobody asked for. A few may be answers to requests that were cancelled very long ago.
  'unasked-piece': { burst: 64, perSecond: 0.2 },
  'unasked-reject': { burst: 64, perSecond: 0.2 },
  // Refusals of what it holds and has unchoked us for: legal, but of no use to us if it goes on.
  'broken-promise': { burst: 2_000, perSecond: 20 },
};

export class Manners {
  readonly #left = new Map<Nuisance, number>();
  #updatedMs: Milliseconds;
  readonly #extraChatter: number;

  /** @param extraChatter an allowance that depends on the title: each piece may go once. */
  constructor(nowMs: Milliseconds, extraChatter: number) {
    this.#updatedMs = nowMs;
    this.#extraChatter = extraChatter;
  }

  /** Books one. False once that was too many. */
  bears(nuisance: Nuisance, nowMs: Milliseconds): boolean {
    this.#refill(nowMs);
    const left = (this.#left.get(nuisance) ?? this.#burst(nuisance)) - 1;
    this.#left.set(nuisance, left);
    return left >= 0;
  }

  #refill(nowMs: Milliseconds): void {
    const elapsedMs = nowMs - this.#updatedMs;
    if (elapsedMs < 1_000) return;
    this.#updatedMs = nowMs;
    for (const [nuisance, left] of this.#left) {
      this.#left.set(nuisance, Math.min(this.#burst(nuisance), left + (PATIENCE[nuisance].perSecond * elapsedMs) / 1000));
    }
  }

  #burst(nuisance: Nuisance): number {
    return PATIENCE[nuisance].burst + (nuisance === 'chatter' ? this.#extraChatter : 0);
  }
}
