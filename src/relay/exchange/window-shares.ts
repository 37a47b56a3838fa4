/**
 * Which neighbour may know of which pieces of a new window: a publisher deals them out, one neighbour each, before it tells everybody.
 *
 * So each piece leaves the publisher about once, and viewers get the rest from each other. A piece that has not spread after a while is dealt to
 * somebody else; after a few rounds everybody learns of everything, so that a badly connected swarm still gets it. Who does not pass on what it is
 * dealt is passed over from then on, and where nobody passes anything on (viewers that cannot reach each other), nothing is held back. Both are
 * tried again now and then.
 */
import { Bitfield } from '../../kernel/bitfield.js';
import type { ConnectionId, PieceIndex, WindowNumber } from '../../kernel/units.js';
import type { Part } from './fellow-publishers.js';
import type { Neighbour } from './neighbour.js';
import type { BufferedWindow } from './window-buffer.js';

/** After so many rounds a new window is everybody's. */
const ROUNDS_MAX = 3;
/** How much one piece counts against all before it in the record of a neighbour. */
const RECORD_GAIN = 1 / 8;
/** Whoever passes on less than this share of what it is dealt is passed over. */
const RECORD_MIN = 0.5;
/** Each so many windows those passed over get a share as well, and a swarm that does not spread gets one dealt: it may do better by now. */
const PROBE_WINDOWS = 16;
/** That many of the neighbours may lie about what they hold without a piece being taken for spread. */
const LIARS_RATIO = 0.2;
/** Copies in the swarm for each one sent: below this, dealing only costs time. */
const SPREAD_MIN = 1.25;
const SPREAD_GAIN = 1 / 4;
const NOTHING = new Bitfield(0);

interface Deal {
  /** Before round 0, other publishers have the first turn with their parts: two rounds to show the window, and to spread something of it. */
  round: number;
  readonly part: Part | undefined;
  readonly shares: Map<ConnectionId, Bitfield>;
}

export class WindowShares {
  readonly #deals = new Map<WindowNumber, Deal>();
  /** How much of what it was dealt each neighbour has passed on in time, 0 to 1. */
  readonly #records = new Map<ConnectionId, number>();
  /** How many copies the swarm has made of what it was sent, on average. */
  #spread = Number.POSITIVE_INFINITY;
  #turn = 0;
  #windows = 0;

  /** Deals a new window's pieces out in turn. False when there are too few neighbours to share it. */
  open(window: BufferedWindow, able: readonly ConnectionId[], part?: Part): boolean {
    const probe = this.#windows++ % PROBE_WINDOWS === 0;
    if (able.length < 2 || (this.#spread < SPREAD_MIN && !probe)) return false;
    const shared = part !== undefined && part.count > 1;
    const deal: Deal = { round: shared ? -2 : 0, part: shared ? part : undefined, shares: new Map() };
    const among = probe ? able : this.#reliable(able);
    this.#deals.set(window.number, deal);
    for (let piece = 0; piece < window.held.length; piece++)
      if (!shared || part.isOurs(piece)) this.#give(deal, among, piece, window.held.length);
    return true;
  }

  /**
   * Deals what has not spread to others. False once the window is everybody's.
   *
   * @param holdersOf how many of the neighbours say that they hold a piece.
   */
  next(window: BufferedWindow, able: readonly ConnectionId[], holdersOf: (piece: PieceIndex) => number): boolean {
    const deal = this.#deals.get(window.number);
    if (!deal) return false;
    const holdersMin = 1 + able.length * LIARS_RATIO;
    const isOthers = (piece: PieceIndex): boolean => deal.part?.isOurs(piece) === false;
    const isSpread = (piece: PieceIndex): boolean => ((window.copies[piece] ?? 0) > 0 || isOthers(piece)) && holdersOf(piece) > holdersMin;
    const moving = deal.round === -1 ? ownersThatMove(deal, window, holdersOf) : undefined;
    const isTaken = (piece: PieceIndex): boolean => {
      if (!isOthers(piece) || holdersOf(piece) > 0) return true;
      const owner = deal.part?.ownerOf(piece);
      return owner?.map.has(window.number, window.version) === true && moving?.has(owner) !== false;
    };
    const isDone = deal.round < 0 ? isTaken : isSpread;
    if (deal.round === 0) this.#record(deal, isSpread);
    deal.round += 1;
    if (deal.round > ROUNDS_MAX) {
      this.#measure(window, holdersOf);
      this.#deals.delete(window.number);
      return false;
    }
    const reliable = this.#reliable(able);
    for (let piece = 0; piece < window.held.length; piece++) {
      if (isDone(piece)) continue;
      const fresh = reliable.filter((peer) => !deal.shares.get(peer)?.has(piece));
      this.#give(deal, fresh, piece, window.held.length);
    }
    return true;
  }

  /** Whether other publishers still have the first turn with their parts of this window. */
  isEarly(number: WindowNumber): boolean {
    return (this.#deals.get(number)?.round ?? 0) < 0;
  }

  /** What this neighbour may know of the window. */
  visibleTo(peer: ConnectionId, window: BufferedWindow): Bitfield {
    const deal = this.#deals.get(window.number);
    return deal ? (deal.shares.get(peer) ?? NOTHING) : window.held;
  }

  /** From now on everybody may know of everything. False if that was so already. */
  revealAll(): boolean {
    const isNews = this.#deals.size > 0;
    this.#deals.clear();
    return isNews;
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

  #measure(window: BufferedWindow, holdersOf: (piece: PieceIndex) => number): void {
    const sent = window.copies.reduce((sum, copies) => sum + copies, 0);
    if (sent === 0) return;
    const held = [...window.copies.keys()].reduce((sum, piece) => sum + holdersOf(piece), 0);
    const ratio = held / sent;
    this.#spread = this.#spread === Number.POSITIVE_INFINITY ? ratio : this.#spread + SPREAD_GAIN * (ratio - this.#spread);
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

/** Publishers of whose part somebody holds something by now. */
function ownersThatMove({ part }: Deal, window: BufferedWindow, holdersOf: (piece: PieceIndex) => number): ReadonlySet<Neighbour> {
  const owners = new Set<Neighbour>();
  for (let piece = 0; piece < window.held.length; piece++) {
    const owner = part?.ownerOf(piece);
    if (owner && holdersOf(piece) > 0) owners.add(owner);
  }
  return owners;
}
