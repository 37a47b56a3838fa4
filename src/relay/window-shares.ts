/**
 * Which neighbour may know of which pieces of a new window: a publisher deals them out, one neighbour each, before it tells everybody.
 *
 * So each piece leaves the publisher about once, and viewers get the rest from each other. What nobody has fetched after a while is dealt
 * to somebody else; after a few rounds everybody learns of everything, so that a badly connected swarm still gets it.
 */
import { Bitfield } from '../kernel/bitfield.js';
import type { ConnectionId, WindowNumber } from '../kernel/units.js';
import type { BufferedWindow } from './window-buffer.js';

/** After so many rounds a new window is everybody's. */
const ROUNDS_MAX = 3;
const NOTHING = new Bitfield(0);

interface Deal {
  round: number;
  readonly shares: Map<ConnectionId, Bitfield>;
}

export class WindowShares {
  readonly #deals = new Map<WindowNumber, Deal>();
  #turn = 0;

  /** Deals a new window's pieces out in turn. False when there are too few neighbours to share it. */
  open(window: BufferedWindow, able: readonly ConnectionId[]): boolean {
    if (able.length < 2) return false;
    const deal: Deal = { round: 0, shares: new Map() };
    this.#deals.set(window.number, deal);
    for (let piece = 0; piece < window.held.length; piece++) this.#give(deal, able, piece, window.held.length);
    return true;
  }

  /** Deals what nobody has fetched to others. False once the window is everybody's. */
  next(window: BufferedWindow, able: readonly ConnectionId[]): boolean {
    const deal = this.#deals.get(window.number);
    if (!deal) return false;
    deal.round += 1;
    if (deal.round > ROUNDS_MAX) {
      this.#deals.delete(window.number);
      return false;
    }
    for (const [piece, copies] of window.copies.entries()) {
      if (copies > 0) continue;
      const fresh = able.filter((peer) => !deal.shares.get(peer)?.has(piece));
      this.#give(deal, fresh, piece, window.held.length);
    }
    return true;
  }

  /** What this neighbour may know of the window. */
  visibleTo(peer: ConnectionId, window: BufferedWindow): Bitfield {
    const deal = this.#deals.get(window.number);
    return deal ? (deal.shares.get(peer) ?? NOTHING) : window.held;
  }

  /** The buffer has slid: nobody asks for these any more. */
  forgetBelow(tail: WindowNumber): void {
    for (const number of this.#deals.keys()) if (number < tail) this.#deals.delete(number);
  }

  dropPeer(peer: ConnectionId): void {
    for (const deal of this.#deals.values()) deal.shares.delete(peer);
  }

  #give(deal: Deal, among: readonly ConnectionId[], piece: number, pieceCount: number): void {
    const peer = among[this.#turn++ % Math.max(1, among.length)];
    if (peer === undefined) return;
    const share = deal.shares.get(peer) ?? new Bitfield(pieceCount);
    share.add(piece);
    deal.shares.set(peer, share);
  }
}
