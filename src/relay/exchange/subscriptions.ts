/**
 * Who feeds us: for each substream at most one neighbour, which sends what is new of it unasked.
 *
 * A feeder is somebody who has the pieces earlier than they come here now, so feeding makes trees, flat ones, out of the mesh. What a feeder does not bring in the time it
 * usually takes is asked for like everything else; when it fails twice in a row, or is gone, the substream is pulled until somebody better is found. Pull stays what everything
 * rests on: feeding only comes before it.
 */
import type { ConnectionId, Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import type { Lineage } from './lineage.js';
import type { Neighbour } from './neighbour.js';
import type { Playout } from './playout.js';
import { DEPTH_UNKNOWN, hasSubstream, NO_SUBSTREAMS, SUBSTREAMS, type SubstreamSet, substreamOf } from './substreams.js';
import type { BufferedWindow } from './window-buffer.js';

/** A substream is looked at for a better feeder so often, one at a time. */
const REVIEW_MS: Milliseconds = 400;
/** Nobody is left for somebody nearer to a publisher before this: who changes has some pieces twice. */
const STAY_MS: Milliseconds = 3_000;
/** Who has lost a feeder waits so long: all who have the substream from it have heard of that by then, and offer it to nobody any more. */
const ORPHAN_MS: Milliseconds = 500;
/** A feeder that has lost its own is left after so long: by then it has found another one, if there is any. */
const UNROOTED_MS: Milliseconds = 2_000;
/** Nobody is subscribed to who has said nothing for so long beyond the period of whole maps. */
const SILENT_MARGIN_MS: Milliseconds = 1_000;
/** Gain of the moving averages, as in `WaitTime`. */
const GAIN = 1 / 4;
/** Before the first piece: how long after the first word of its window it comes. */
const INITIAL_DELAY_MS: Milliseconds = 250;
/** And how much that differs. */
const INITIAL_DEVIATION_MS: Milliseconds = 100;
/** Bounds of the wait for a piece that is to be fed, from the first word of its window on. */
const PATIENCE_MIN_MS: Milliseconds = 200;
/** The upper one: with 800 ms half of the swarm that went was felt for longer, with 400 ms every tenth piece came twice. */
const PATIENCE_MAX_MS: Milliseconds = 450;
/** With less in hand nobody is waited for who has not been asked. */
const SLACK_MIN_MS: Milliseconds = 500;
/** Pieces in a row that a feeder may fail to bring. */
const MISSED_MAX = 2;
/** Whoever would not is left alone until its next whole map: many may have asked at once. */
const REFUSED_MS: Milliseconds = 2_000;
/** Whoever failed is left alone for so long. */
const SHUNNED_MS: Milliseconds = 8_000;
/** Twice as long each time, so many times: there are those who say that they feed, and don't. */
const SHUN_DOUBLINGS_MAX = 5;
/** But whoever fed us for so long before it failed begins anew: in a session of hours everybody fails now and then, and in the end nobody would be left. */
const FORGIVEN_MS: Milliseconds = 30_000;
/** What was on its way when a feeder was left is no flood. */
const GRACE_MS: Milliseconds = 3_000;
/** Windows beyond the newest that is known to be true of which pieces are taken unasked. */
const AHEAD_MAX: WindowNumber = 8;

interface Substream {
  feeder: ConnectionId | undefined;
  sinceMs: Milliseconds;
  /** What was heard of before may have been there before it knew that it feeds us. */
  fromMs: Milliseconds;
  /** When it was last fed all the way from a publisher, or by nobody. */
  rootedMs: Milliseconds;
  /** When the last one was lost, or left. */
  lostMs: Milliseconds;
  /** How far from a publisher this peer was by then. */
  lostDepth: number;
  /** Windows in a row of which it did not bring a piece in time. */
  missed: number;
  /** From the first word of a window to the arrival of the pieces that were fed, and how much that differs. */
  delayMs: Milliseconds;
  deviationMs: Milliseconds;
}

export class Subscriptions {
  readonly #context: ExchangeContext;
  readonly #playout: Playout;
  readonly #lineage: Lineage;
  readonly #substreams: readonly Substream[] = Array.from({ length: SUBSTREAMS }, () => ({
    feeder: undefined,
    sinceMs: 0,
    fromMs: 0,
    rootedMs: 0,
    lostMs: Number.NEGATIVE_INFINITY,
    lostDepth: DEPTH_UNKNOWN,
    missed: 0,
    delayMs: INITIAL_DELAY_MS,
    deviationMs: INITIAL_DEVIATION_MS,
  }));
  /** When a window was first heard of, and of which substreams a piece was missed in it. */
  readonly #windows = new Map<WindowNumber, { readonly heardMs: Milliseconds; missed: SubstreamSet }>();
  /** Neighbours of which something else is wanted than they have been told. */
  readonly #changed = new Set<Neighbour>();
  #reviewMs: Milliseconds = 0;
  #turn = 0;

  constructor(context: ExchangeContext, playout: Playout, lineage: Lineage) {
    this.#context = context;
    this.#playout = playout;
    this.#lineage = lineage;
  }

  /** What is fed to us. */
  get fed(): SubstreamSet {
    let fed = NO_SUBSTREAMS;
    for (const [substream, { feeder }] of this.#substreams.entries()) if (feeder !== undefined) fed |= 1 << substream;
    return fed;
  }

  /** How far from a publisher, by substream, as the feeders say of themselves. */
  get depths(): readonly number[] {
    return this.#substreams.map(({ feeder }, index) => {
      const depth = feeder === undefined ? DEPTH_UNKNOWN : (this.#context.neighbours.get(feeder)?.feed.depths[index] ?? DEPTH_UNKNOWN);
      return Math.min(DEPTH_UNKNOWN, depth + 1);
    });
  }

  /** What is fed to us from feeder to feeder, all the way from a publisher. */
  get rooted(): SubstreamSet {
    let rooted = NO_SUBSTREAMS;
    for (const [substream, depth] of this.depths.entries()) if (depth < DEPTH_UNKNOWN) rooted |= 1 << substream;
    return rooted;
  }

  /** Somebody has spoken of this window, or sent something of it. */
  noteHeard(number: WindowNumber): void {
    if (this.fed === NO_SUBSTREAMS || this.#windows.has(number) || !this.takes(number)) return;
    this.#windows.set(number, { heardMs: this.#context.nowMs, missed: NO_SUBSTREAMS });
  }

  /**
   * The piece will come by itself, as far as its feeder's past tells. What a publisher shows us and does not feed us it may have dealt to us alone, and whoever is to feed it waits for
   * us.
   *
   * @param slackMs time until the player wants it.
   * @param showing who says that it holds the piece.
   */
  awaits(number: WindowNumber, piece: PieceIndex, slackMs: Milliseconds, showing: readonly Neighbour[]): boolean {
    const substream = this.#substreams[substreamOf(number, piece)] as Substream;
    if (substream.feeder === undefined || slackMs < SLACK_MIN_MS) return false;
    if (showing.some(({ publisher, id }) => publisher && id !== substream.feeder)) return false;
    const heardMs = this.#windows.get(number)?.heardMs ?? Number.NEGATIVE_INFINITY;
    return heardMs >= substream.fromMs && this.#context.nowMs < heardMs + patienceMs(substream);
  }

  /** Whether the neighbour feeds us this piece, or did a moment ago. */
  isFedBy(neighbour: Neighbour, number: WindowNumber, piece: PieceIndex): boolean {
    return hasSubstream(this.#feedsOf(neighbour), substreamOf(number, piece));
  }

  /** The same of any piece. */
  isFedAnythingBy(neighbour: Neighbour): boolean {
    return this.#feedsOf(neighbour) !== NO_SUBSTREAMS;
  }

  #feedsOf({ feeds, leftFeeds, leftUntilMs }: Neighbour): SubstreamSet {
    return feeds | (this.#context.nowMs < leftUntilMs ? leftFeeds : NO_SUBSTREAMS);
  }

  /** Whether something of this window is taken in although nobody was asked for it: what is made up lies anywhere. */
  takes(number: WindowNumber): boolean {
    return number > this.#playout.playedOut && number <= this.#context.buffer.highest + AHEAD_MAX;
  }

  /** A piece that was fed has come. */
  noteFed(neighbour: Neighbour, number: WindowNumber, piece: PieceIndex): void {
    const index = substreamOf(number, piece);
    const substream = this.#substreams[index] as Substream;
    this.noteHeard(number);
    const heard = this.#windows.get(number);
    if (substream.feeder !== neighbour.id || !heard || heard.heardMs < substream.fromMs) return;
    // What comes after it was missed was asked of others meanwhile: it makes up for nothing, or one that is always late would never be left.
    if (!hasSubstream(heard.missed, index)) substream.missed = 0;
    const delayMs = this.#context.nowMs - heard.heardMs;
    substream.deviationMs += GAIN * (Math.abs(delayMs - substream.delayMs) - substream.deviationMs);
    substream.delayMs += GAIN * (delayMs - substream.delayMs);
  }

  /** What the neighbour feeds us from now on, and how far it is from a publisher. */
  onFeeding(neighbour: Neighbour, substreams: SubstreamSet, depths: readonly number[]): void {
    neighbour.feed = { ...neighbour.feed, depths };
    const lost = neighbour.feeds & ~substreams;
    if (lost !== NO_SUBSTREAMS) neighbour.shunnedUntilMs = Math.max(neighbour.shunnedUntilMs, this.#context.nowMs + REFUSED_MS);
    for (const [index, substream] of this.#substreams.entries()) if (hasSubstream(lost, index)) this.#lose(index, substream, neighbour);
    neighbour.feeds &= substreams;
    // What waits in its queue comes all the same, and may be the only copy that a publisher has sent.
    if (lost !== NO_SUBSTREAMS) this.#noteLeft(neighbour, lost);
    // Words have crossed.
    if (substreams !== neighbour.feeds) this.#context.send(neighbour, { kind: 'subscribe', substreams: neighbour.feeds });
  }

  dropPeer(neighbour: Neighbour): void {
    for (const [index, substream] of this.#substreams.entries())
      if (substream.feeder === neighbour.id) this.#lose(index, substream, neighbour);
  }

  #lose(index: number, substream: Substream, feeder: Neighbour): void {
    substream.lostDepth = (feeder.feed.depths[index] ?? DEPTH_UNKNOWN) + 1;
    substream.feeder = undefined;
    substream.lostMs = this.#context.nowMs;
  }

  /** Each tick: who failed is left, and somebody better looked for. */
  check(): void {
    if (this.#context.parameters.pushRatio === 0) return;
    this.#review();
    // One word for all that has changed: the answer to an earlier one would seem to refuse what the later one asks for.
    for (const neighbour of this.#changed) this.#context.send(neighbour, { kind: 'subscribe', substreams: neighbour.feeds });
    this.#changed.clear();
  }

  #review(): void {
    const { nowMs } = this.#context;
    for (const number of this.#windows.keys()) if (!this.takes(number)) this.#windows.delete(number);
    if (this.fed !== NO_SUBSTREAMS) this.#noteMissed();
    if (!this.#lineage.isCalm) return this.#leaveAll();
    this.#leaveUnrooted();
    // Nobody has anything to play yet, or next to nothing in hand: what is not asked for would come too late.
    if (!this.#isOffered || !this.#playout.lastDelivered || this.#slackMs < SLACK_MIN_MS) return;
    for (const [index, substream] of this.#substreams.entries())
      if (substream.feeder === undefined) this.#choose(index, substream, limitOf(substream, nowMs));
    if (nowMs < this.#reviewMs) return;
    this.#reviewMs = nowMs + REVIEW_MS;
    this.#turn = (this.#turn + 1) % SUBSTREAMS;
    const substream = this.#substreams[this.#turn] as Substream;
    if (substream.feeder !== undefined && nowMs - substream.sinceMs > STAY_MS)
      this.#choose(this.#turn, substream, (this.depths[this.#turn] ?? DEPTH_UNKNOWN) - 1);
  }

  /** Who is not fed all the way from a publisher asks for what it passes on, and who asks itself has it sooner. */
  #leaveUnrooted(): void {
    const { nowMs } = this.#context;
    const { rooted } = this;
    for (const [index, substream] of this.#substreams.entries()) {
      if (substream.feeder === undefined || hasSubstream(rooted, index)) substream.rootedMs = nowMs;
      else if (nowMs - substream.rootedMs > UNROOTED_MS) this.#leave(index, substream);
    }
  }

  get #isOffered(): boolean {
    for (const { feed } of this.#context.neighbours.values()) if (feed.offered !== NO_SUBSTREAMS) return true;
    return false;
  }

  get #slackMs(): Milliseconds {
    const { nowMs } = this.#context;
    return this.#playout.deadlineMs(this.#playout.next ?? 0, nowMs) - nowMs;
  }

  #noteMissed(): void {
    const { buffer, nowMs } = this.#context;
    for (const [number, heard] of this.#windows) {
      const window = buffer.get(number);
      if (!window || window.complete) continue;
      for (const [index, substream] of this.#substreams.entries()) {
        if (substream.feeder === undefined || hasSubstream(heard.missed, index) || !lacks(window, index)) continue;
        if (heard.heardMs < substream.fromMs || nowMs < heard.heardMs + patienceMs(substream)) continue;
        heard.missed |= 1 << index;
        const feeder = this.#context.neighbours.get(substream.feeder);
        substream.missed += 1;
        // One that has said nothing at all since then may be dead, one that has never sent anything may never do.
        if (substream.missed < MISSED_MAX && feeder && !feeder.onTrial && feeder.lastHeardMs >= heard.heardMs) continue;
        if (feeder) this.#shun(feeder, nowMs - substream.sinceMs);
        this.#leaveFeeder(substream.feeder);
      }
    }
  }

  /** Whoever is nearest to a publisher, and to us. `limit`: fewer feeders than this must lie between it and a publisher. */
  #choose(index: number, substream: Substream, limit: number): void {
    const { neighbours, nowMs, parameters } = this.#context;
    let best: Neighbour | undefined;
    let [bestDepth, bestMs] = [limit, Number.NEGATIVE_INFINITY];
    const isTrying = neighbours.values().some(({ onTrial, feeds }) => onTrial && feeds !== NO_SUBSTREAMS);
    for (const neighbour of neighbours.values()) {
      if (!hasSubstream(neighbour.feed.offered, index) || neighbour.id === substream.feeder || neighbour.blocked) continue;
      if (nowMs < neighbour.shunnedUntilMs || neighbour.isQuiet(nowMs, parameters.mapPeriodMs + SILENT_MARGIN_MS)) continue;
      // Whoever has sent nothing yet shows with one substream what it sends, one after the other: newcomers become feeders, and liars cost little.
      if (neighbour.badPieces > 0 || (neighbour.onTrial && (isTrying || best?.onTrial === false))) continue;
      // Two that feed each other the same have it from nobody.
      if (hasSubstream(neighbour.subscribed, index)) continue;
      const depth = neighbour.feed.depths[index] ?? DEPTH_UNKNOWN;
      const { roundTripMs } = neighbour.wait;
      const isPreferred = best?.onTrial === true && !neighbour.onTrial && depth < limit;
      if (!isPreferred && (depth > bestDepth || (depth === bestDepth && roundTripMs >= bestMs))) continue;
      [best, bestDepth, bestMs] = [neighbour, depth, roundTripMs];
    }
    if (!best) return;
    this.#leave(index, substream);
    substream.feeder = best.id;
    substream.missed = 0;
    substream.sinceMs = nowMs;
    substream.fromMs = nowMs + best.wait.roundTripMs;
    substream.delayMs = INITIAL_DELAY_MS;
    substream.deviationMs = INITIAL_DEVIATION_MS;
    best.feeds |= 1 << index;
    this.#changed.add(best);
  }

  #leaveFeeder(peer: ConnectionId): void {
    for (const [index, substream] of this.#substreams.entries()) if (substream.feeder === peer) this.#leave(index, substream);
  }

  #leaveAll(): void {
    for (const [index, substream] of this.#substreams.entries()) this.#leave(index, substream);
  }

  #leave(index: number, substream: Substream): void {
    const feeder = substream.feeder === undefined ? undefined : this.#context.neighbours.get(substream.feeder);
    if (!feeder) return;
    this.#lose(index, substream, feeder);
    this.#noteLeft(feeder, 1 << index);
    feeder.feeds &= ~(1 << index);
    this.#changed.add(feeder);
  }

  /** It feeds us these no more, but some of them are on their way. */
  #noteLeft(feeder: Neighbour, substreams: SubstreamSet): void {
    const { nowMs } = this.#context;
    feeder.leftFeeds = substreams | (nowMs < feeder.leftUntilMs ? feeder.leftFeeds : NO_SUBSTREAMS);
    feeder.leftUntilMs = nowMs + GRACE_MS;
  }

  #shun(neighbour: Neighbour, fedForMs: Milliseconds): void {
    if (fedForMs > FORGIVEN_MS) neighbour.failedFeeds = 0;
    neighbour.shunnedUntilMs = this.#context.nowMs + SHUNNED_MS * 2 ** Math.min(SHUN_DOUBLINGS_MAX, neighbour.failedFeeds);
    neighbour.failedFeeds += 1;
  }
}

/** Whoever is nearer than we were does not have it from us; of others that is known only once they have heard that we have lost it. */
function limitOf({ lostMs, lostDepth }: Substream, nowMs: Milliseconds): number {
  return nowMs - lostMs > ORPHAN_MS ? DEPTH_UNKNOWN : lostDepth;
}

function patienceMs({ delayMs, deviationMs }: Substream): Milliseconds {
  return Math.max(PATIENCE_MIN_MS, Math.min(PATIENCE_MAX_MS, delayMs + 3 * deviationMs));
}

/** A piece of this substream is not here. */
function lacks(window: BufferedWindow, substream: number): boolean {
  for (let piece = 0; piece < window.held.length; piece++)
    if (!window.held.has(piece) && substreamOf(window.number, piece) === substream) return true;
  return false;
}
