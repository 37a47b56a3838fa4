/**
 * Which neighbour may know of which pieces of a new window: a publisher deals them out, one neighbour each, before it tells everybody.
 *
 * So each piece leaves the publisher about once, and viewers get the rest from each other. As long as a piece goes on, to the one that it was dealt to and
 * from there to more and more others, it is left alone. One that goes no further for as long as the swarm usually takes is dealt to somebody else, and who
 * did not pass it on is passed over for a while. In the end everybody learns of everything; where nobody passes anything on (viewers that cannot reach each
 * other), nothing is held back. Both are tried again now and then.
 */
import { Bitfield } from '../../kernel/bitfield.js';
import type { ConnectionId, Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import type { Part } from './fellow-publishers.js';
import { LeftBehind } from './left-behind.js';
import type { Neighbour } from './neighbour.js';
import { PassRecords } from './pass-records.js';
import type { BufferedWindow } from './window-buffer.js';

/** After so many times `revealMs` a new window is everybody's, unless it is still spreading. */
const REVEALS_MAX = 12;
/** The same when somebody names another content, because viewers go by what most of those name whom they hear; and when many viewers are gone at once. */
const REVEALS_MAX_IN_TROUBLE = 3;
/** The same of a window that is still spreading. In a swarm of a thousand a window takes longer than 12; shown to all, it was asked for by all, and the next ones waited in the queue. */
const REVEALS_MAX_SPREADING = 30;
/** So many of the viewers must be left that were there when a window was dealt: with the others their pieces are lost. */
const LEFT_RATIO_MIN = 0.75;
/** How often it is looked after a window, in parts of `revealMs`. */
const LOOKS_PER_REVEAL = 4;
/** Each so many windows a swarm that does not spread gets one dealt: it may do better by now. */
const PROBE_WINDOWS = 16;
/** That many of the neighbours may lie about what they hold without a piece being taken for spread. */
const LIARS_RATIO = 0.2;
/** Who passes on less of what it is dealt is not fed. */
const PASSED_ON_MIN = 0.5;
/** Copies in the swarm for each one sent: below this, dealing only costs time. */
const SPREAD_MIN = 1.25;
const SPREAD_GAIN = 1 / 4;
const NOTHING = new Bitfield(0);

/** The viewers that a window is dealt to, and what they say that they hold, or have been sent. */
export interface Crowd {
  readonly able: readonly ConnectionId[];
  holders(piece: PieceIndex): readonly ConnectionId[];
  /** Somebody names another content under the window's number. */
  readonly contested: boolean;
}

/** Whom a piece is fed, if anybody: it is dealt to that one. */
export type TakerOf = (piece: PieceIndex) => ConnectionId | undefined;

/** `dealt`: somebody may know of more than before. */
export type DealState = 'over' | 'dealt' | 'unchanged';

/** How far one piece has come. */
interface Fate {
  /** The last one it was dealt to; undefined before that, and once that one is gone. */
  dealtTo: ConnectionId | undefined;
  /** Whoever it was dealt to is gone. */
  isGone: boolean;
  sentMs: Milliseconds | undefined;
  /** When it last went on, or was dealt to somebody else. */
  movedMs: Milliseconds;
  /** When it last went on by itself, further than ever. */
  spreadMs: Milliseconds;
  /** How many have held it at most that had it from others. */
  farthest: number;
  /** How many hold it that have it from others. */
  beyond: number;
  /** Somebody has had it from others. */
  isPassedOn: boolean;
}

interface Deal {
  readonly openedMs: Milliseconds;
  /** Viewers that it could be dealt to. */
  readonly ableCount: number;
  /** Windows published before. */
  readonly before: number;
  /** Turns that other publishers have with their parts, before this one deals everything: one to show the window, one to spread something of it. */
  turnsOfOthers: number;
  readonly part: Part | undefined;
  readonly shares: Map<ConnectionId, Bitfield>;
  readonly fates: readonly Fate[];
  /** They claimed to hold the window before anybody could: their word counts for nothing. */
  readonly liars: ReadonlySet<ConnectionId>;
}

export class WindowShares {
  readonly #revealMs: Milliseconds;
  readonly #deals = new Map<WindowNumber, Deal>();
  readonly #records: PassRecords;
  readonly #leftBehind = new LeftBehind();
  /** How many copies the swarm has made of what it was sent, on average. */
  #spread = Number.POSITIVE_INFINITY;
  #turn = 0;

  constructor(revealMs: Milliseconds) {
    this.#revealMs = revealMs;
    this.#records = new PassRecords(revealMs);
  }

  /** How soon to look after a window again. */
  get lookMs(): Milliseconds {
    return this.#revealMs / LOOKS_PER_REVEAL;
  }

  /** Deals a new window's pieces out in turn. False when there are too few neighbours to share it. */
  open(window: BufferedWindow, crowd: Crowd, nowMs: Milliseconds, part?: Part, takerOf: TakerOf = () => undefined): boolean {
    const probe = this.#records.windows++ % PROBE_WINDOWS === 0;
    if (this.#revealMs === 0 || crowd.able.length < 2 || (this.#spread < SPREAD_MIN && !probe)) return false;
    const isShared = part !== undefined && part.count > 1;
    const pieces = [...window.copies.keys()];
    const deal: Deal = {
      openedMs: nowMs,
      ableCount: crowd.able.length,
      before: this.#records.windows - 1,
      turnsOfOthers: isShared ? 2 : 0,
      part: isShared ? part : undefined,
      shares: new Map(),
      fates: pieces.map(() => ({
        dealtTo: undefined,
        isGone: false,
        sentMs: undefined,
        movedMs: nowMs,
        spreadMs: nowMs,
        farthest: 0,
        beyond: 0,
        isPassedOn: false,
      })),
      // With other publishers at work viewers may well be ahead of us.
      liars: new Set(isShared ? [] : pieces.flatMap((piece) => crowd.holders(piece))),
    };
    this.#deals.set(window.number, deal);
    const reliable = this.#records.reliable(crowd.able);
    for (const piece of pieces) {
      if (isShared && !part.isOurs(piece)) continue;
      const taker = takerOf(piece);
      this.#give(deal, taker !== undefined && reliable.includes(taker) ? [taker] : reliable, piece, nowMs);
    }
    return true;
  }

  /** Looks how far a window has come, and deals what goes no further to others. */
  next(window: BufferedWindow, crowd: Crowd, nowMs: Milliseconds): DealState {
    const deal = this.#deals.get(window.number);
    if (!deal) return 'over';
    if (deal.turnsOfOthers > 0) return this.#takeOver(deal, window, crowd, nowMs);
    const isInTrouble = crowd.contested || crowd.able.length < LEFT_RATIO_MIN * deal.ableCount;
    const reveals = (nowMs - deal.openedMs) / this.#revealMs;
    const isDue = reveals >= (isInTrouble ? REVEALS_MAX_IN_TROUBLE : REVEALS_MAX);
    if (isDue && (isInTrouble || reveals >= REVEALS_MAX_SPREADING || !this.#isSpreading(deal, crowd, nowMs))) {
      this.#measure(window, crowd);
      if (!isInTrouble) {
        const { liars, before } = deal;
        const holders = (piece: PieceIndex): readonly ConnectionId[] => crowd.holders(piece);
        this.#leftBehind.look({ pieceCount: window.copies.length, holders, viewers: crowd.able, liars, before }, this.#records.windows);
      }
      this.#deals.delete(window.number);
      return 'over';
    }
    let dealt = false;
    for (const [piece, fate] of deal.fates.entries()) {
      const holders = crowd.holders(piece);
      this.#follow(deal, window, piece, holders, nowMs);
      const isAwaited = fate.beyond > 1 + crowd.able.length * LIARS_RATIO || nowMs - fate.movedMs < this.#patienceMs;
      const isVain = isOrphaned(deal, piece, holders) || isLost(deal, fate, holders, crowd);
      if (isAwaited && !isVain) continue;
      if (!fate.isPassedOn) this.#records.noteStopped(fate.dealtTo, isVain);
      const lacks = (peer: ConnectionId): boolean =>
        !deal.shares.get(peer)?.has(piece) && !(holders.includes(peer) && !deal.liars.has(peer));
      dealt = this.#give(deal, this.#records.reliable(crowd.able).filter(lacks), piece, nowMs) || dealt;
    }
    return dealt ? 'dealt' : 'unchanged';
  }

  /** Most of its pieces are with some viewers, not yet with all, and have gone on of late. */
  #isSpreading({ fates }: Deal, { able }: Crowd, nowMs: Milliseconds): boolean {
    const isOnItsWay = ({ beyond, spreadMs }: Fate): boolean =>
      beyond > 0 && beyond < able.length - 1 && nowMs - spreadMs < this.#patienceMs;
    return 2 * fates.filter(isOnItsWay).length > fates.length;
  }

  /** How much of what it was dealt this neighbour has passed on in time, 0 to 1; undefined while it has been dealt nothing. */
  recordOf(peer: ConnectionId): number | undefined {
    return this.#records.of(peer);
  }

  /** It passes on most of what it is dealt, as far as anybody knows. */
  passesOn(peer: ConnectionId): boolean {
    return (this.#records.of(peer) ?? 1) >= PASSED_ON_MIN;
  }

  /** Whether other publishers still have the first turn with their parts of this window. */
  isEarly(number: WindowNumber): boolean {
    return (this.#deals.get(number)?.turnsOfOthers ?? 0) > 0;
  }

  /** What this neighbour may know of the window. */
  visibleTo(peer: ConnectionId, window: BufferedWindow): Bitfield {
    const deal = this.#deals.get(window.number);
    return deal && !this.#leftBehind.isServed(peer, this.#records.windows) ? (deal.shares.get(peer) ?? NOTHING) : window.held;
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
    this.#records.drop(peer);
    this.#leftBehind.drop(peer);
    for (const { shares, fates } of this.#deals.values()) {
      shares.delete(peer);
      for (const fate of fates) if (fate.dealtTo === peer) [fate.dealtTo, fate.isGone] = [undefined, true];
    }
  }

  /** A turn of the others is over: what nobody has anything of, and whose owner has not shown the window or spreads nothing, is dealt here. */
  #takeOver(deal: Deal, window: BufferedWindow, crowd: Crowd, nowMs: Milliseconds): DealState {
    const moving = deal.turnsOfOthers === 1 ? ownersThatMove(deal, crowd) : undefined;
    deal.turnsOfOthers -= 1;
    let dealt = false;
    for (const [piece, fate] of deal.fates.entries()) {
      fate.movedMs = nowMs;
      if (deal.part?.isOurs(piece) !== false || crowd.holders(piece).length > 0 || deal.fates[piece]?.dealtTo !== undefined) continue;
      const owner = deal.part.ownerOf(piece);
      if (owner?.map.has(window.number, window.version) === true && moving?.has(owner) !== false) continue;
      dealt = this.#give(deal, this.#records.reliable(crowd.able), piece, nowMs) || dealt;
    }
    return dealt ? 'dealt' : 'unchanged';
  }

  /** Notes whether a piece has gone on since it was last looked at. */
  #follow(deal: Deal, window: BufferedWindow, piece: PieceIndex, holders: readonly ConnectionId[], nowMs: Milliseconds): void {
    const fate = deal.fates[piece] as Fate;
    if (fate.sentMs === undefined && (window.copies[piece] ?? 0) > 0) fate.sentMs = fate.movedMs = nowMs;
    // Nobody can have what has never been sent, unless another publisher has sent it.
    const isOut = fate.sentMs !== undefined || deal.part?.isOurs(piece) === false;
    const beyond = isOut ? holders.filter((peer) => !deal.liars.has(peer) && !window.wasSentTo(piece, peer)).length : 0;
    if (beyond > fate.beyond) fate.movedMs = nowMs;
    if (beyond > fate.farthest) [fate.farthest, fate.spreadMs] = [beyond, nowMs];
    // Fewer than before: some of them are gone, or asleep.
    fate.beyond = beyond;
    if (beyond === 0 || fate.isPassedOn) return;
    fate.isPassedOn = true;
    // Once several have been sent it, nobody knows who passed it on.
    if (fate.sentMs !== undefined && window.copies[piece] === 1) this.#records.notePassed(fate.dealtTo, nowMs - fate.sentMs);
  }

  get #patienceMs(): Milliseconds {
    return this.#spread < SPREAD_MIN ? this.#revealMs : this.#records.patienceMs;
  }

  #measure(window: BufferedWindow, crowd: Crowd): void {
    let [sent, held] = [0, 0];
    // What was sent to those who pass nothing on in any case says nothing of the others.
    for (const piece of window.copies.keys()) {
      sent += crowd.able.filter((peer) => window.wasSentTo(piece, peer)).length;
      held += crowd.holders(piece).length;
    }
    if (sent === 0) return;
    const ratio = held / sent;
    this.#spread = this.#spread === Number.POSITIVE_INFINITY ? ratio : this.#spread + SPREAD_GAIN * (ratio - this.#spread);
  }

  #give(deal: Deal, among: readonly ConnectionId[], piece: PieceIndex, nowMs: Milliseconds): boolean {
    const fate = deal.fates[piece] as Fate;
    fate.movedMs = nowMs;
    const peer = among[this.#turn++ % Math.max(1, among.length)];
    if (peer === undefined) return false;
    fate.dealtTo = peer;
    fate.isGone = false;
    const share = deal.shares.get(peer) ?? new Bitfield(deal.fates.length);
    share.add(piece);
    deal.shares.set(peer, share);
    return true;
  }
}

/** The publisher whose part it was is gone, and nobody has it. */
function isOrphaned({ part, fates }: Deal, piece: PieceIndex, holders: readonly ConnectionId[]): boolean {
  if (part === undefined || part.isOurs(piece) || holders.length > 0) return false;
  return part.ownerOf(piece) === undefined && fates[piece]?.dealtTo === undefined;
}

/** It was dealt to somebody who is gone, or spreads nothing any more: silent, asleep, or of another content. And nobody else has it. */
function isLost({ liars }: Deal, { dealtTo, isGone }: Fate, holders: readonly ConnectionId[], { able }: Crowd): boolean {
  if (!isGone && (dealtTo === undefined || able.includes(dealtTo))) return false;
  return !holders.some((peer) => peer !== dealtTo && !liars.has(peer));
}

/** Publishers of whose part somebody holds something by now. */
function ownersThatMove({ part, fates }: Deal, crowd: Crowd): ReadonlySet<Neighbour> {
  const owners = new Set<Neighbour>();
  for (const piece of fates.keys()) {
    const owner = part?.ownerOf(piece);
    if (owner && crowd.holders(piece).length > 0) owners.add(owner);
  }
  return owners;
}
