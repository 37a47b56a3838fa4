/**
 * What neighbours that have gone had done wrong. The second bad piece and the second offence end an acquaintance (peers sheet, goal 11); without a memory, whoever
 * leaves after the first one and comes back would get in another with every new acquaintance.
 *
 * A peer is known by its id. Whoever changes that as well begins anew until it is banned, and a ban is for the address too. Bounded: the longest gone are forgotten first.
 */
import type { Milliseconds } from '../../kernel/units.js';
import type { Neighbour } from './neighbour.js';

/** As long as a ban. */
const REMEMBERED_MS: Milliseconds = 60 * 60 * 1000;
/** Peers whose offences are remembered. */
const REMEMBERED_MAX = 256;

interface Past {
  readonly badPieces: number;
  readonly offences: number;
  readonly goneMs: Milliseconds;
}

export class PastOffences {
  /** By peer id, the longest gone first. */
  readonly #pasts = new Map<string, Past>();

  /** It has gone. */
  note({ peerId, badPieces, offences }: Neighbour, nowMs: Milliseconds): void {
    if (peerId === undefined) return;
    // Nothing new: of a second connection at the same time, say.
    if (badPieces === 0 && offences === 0) return;
    this.#pasts.delete(peerId);
    this.#pasts.set(peerId, { badPieces, offences, goneMs: nowMs });
    const [longest] = this.#pasts.keys();
    if (this.#pasts.size > REMEMBERED_MAX && longest !== undefined) this.#pasts.delete(longest);
  }

  /** It has come, perhaps again. However much it did before: what ends the acquaintance is something new. */
  recall(neighbour: Neighbour, nowMs: Milliseconds): void {
    const past = neighbour.peerId === undefined ? undefined : this.#pasts.get(neighbour.peerId);
    if (!past || nowMs - past.goneMs > REMEMBERED_MS) return;
    neighbour.badPieces = Math.min(1, past.badPieces);
    neighbour.offences = Math.min(1, past.offences);
  }
}
