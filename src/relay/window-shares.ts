/**
 * Which neighbour may know of which pieces of a new window: a publisher deals them out, one neighbour each, before it tells everybody.
 *
 * So each piece leaves the publisher about once, and viewers get the rest from each other. A piece that has not spread after a while is dealt to
 * somebody else; after a few rounds everybody learns of everything, so that a badly connected swarm still gets it. Who does not pass on what it is
 * dealt is passed over from then on, and only tried again now and then.
 */
import { Bitfield } from '../kernel/bitfield.js';
import type { ConnectionId, PieceIndex, WindowNumber } from '../kernel/units.js';
import type { BufferedWindow } from './window-buffer.js';

/** After so many rounds a new window is everybody's. */
const ROUNDS_MAX = 3;
/** How much one piece counts against all before it in the record of a neighbour. */
const RECORD_GAIN = 1 / 8;
/** Whoever passes on less than this share of what it is dealt is passed over. */
const RECORD_MIN = 0.5;
/** Each so many windows those passed over get a share as well: they may have been cut off only for a while. */
const PROBE_WINDOWS = 16;
const NOTHING = new Bitfield(0);

interface Deal {
  round: number;
  readonly shares: Map<ConnectionId, Bitfield>;
}

export class WindowShares {
  readonly #deals = new Map<WindowNumber, Deal>();
  /** How much of what it was dealt each neighbour has passed on in time, 0 to 1. */
  readonly #records = new Map<ConnectionId, number>();
  #turn = 0;
  #windows = 0;

  /** Deals a new window's pieces out in turn. False when there are too few neighbours to share it. */
  open(window: BufferedWindow, able: readonly ConnectionId[]): boolean {
    if (able.length < 2) return false;
    const deal: Deal = { round: 0, shares: new Map() };
    const among = this.#windows++ % PROBE_WINDOWS === 0 ? able : this.#reliable(able);
    this.#deals.set(window.number, deal);
    for (let piece = 0; piece < window.held.length; piece++) this.#give(deal, among, piece, window.held.length);
    return true;
  }

  /**
   * Deals what has not spread to others. False once the window is everybody's.
   *
   * @param isSpread whether a piece has been seen at more neighbours than the one it was dealt to.
   */
  next(window: BufferedWindow, able: readonly ConnectionId[], isSpread: (piece: PieceIndex) => boolean): boolean {
    const deal = this.#deals.get(window.number);
    if (!deal) return false;
    if (deal.round === 0) this.#record(deal, isSpread);
    deal.round += 1;
    if (deal.round > ROUNDS_MAX) {
      this.#deals.delete(window.number);
      return false;
    }
    const reliable = this.#reliable(able);
    for (let piece = 0; piece < window.held.length; piece++) {
      if (isSpread(piece)) continue;
      const fresh = reliable.filter((peer) => !deal.shares.get(peer)?.has(piece));
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
    this.#records.delete(peer);
    for (const deal of this.#deals.values()) deal.shares.delete(peer);
  }

  /** Those who pass on what they get; everybody while there are fewer than two of them. */
  #reliable(able: readonly ConnectionId[]): readonly ConnectionId[] {
    const reliable = able.filter((peer) => (this.#records.get(peer) ?? 1) >= RECORD_MIN);
    return reliable.length < 2 ? able : reliable;
  }

  #record(deal: Deal, isSpread: (piece: PieceIndex) => boolean): void {
    for (const [peer, share] of deal.shares) {
      for (let piece = 0; piece < share.length; piece++) {
        if (!share.has(piece)) continue;
        const record = this.#records.get(peer) ?? 1;
        this.#records.set(peer, record + RECORD_GAIN * ((isSpread(piece) ? 1 : 0) - record));
      }
    }
  }

  #give(deal: Deal, among: readonly ConnectionId[], piece: PieceIndex, pieceCount: number): void {
    const peer = among[this.#turn++ % Math.max(1, among.length)];
    if (peer === undefined) return;
    const share = deal.shares.get(peer) ?? new Bitfield(pieceCount);
    share.add(piece);
    deal.shares.set(peer, share);
  }
}
