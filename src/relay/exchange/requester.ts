/**
 * Asks neighbours for what is missing, and asks others when an answer does not come in time: the one-shot timeout, once per piece.
 *
 * Algorithm sheet 5.4 to 5.6. At most one original request and its hedge are out for a piece, and every one has a live timer (invariant L4).
 */
import type { Bytes, Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import { covers } from './buffer-map.js';
import { type Asked, type Download, Downloads } from './downloads.js';
import type { ExchangeContext } from './exchange-context.js';
import type { Lineage } from './lineage.js';
import type { LiveMessage } from './live-message.js';
import { changesNeeds, idleUntilMs, listNeeds, type NeedsView } from './needs.js';
import { awakeMs, type CallOff, type Neighbour } from './neighbour.js';
import type { PendingWindows } from './pending-windows.js';
import type { Playout } from './playout.js';
import { byUrgency, chooseHolder, type Need } from './scheduler.js';
import type { Subscriptions } from './subscriptions.js';
import { NO_SUBSTREAMS } from './substreams.js';
import { type Awaited, WaitPolicy } from './wait-policy.js';

export type LiveRefusal = LiveMessage & { readonly kind: 'refuse' };

/** Requests in a row that a neighbour may leave unanswered while others answer. */
const UNANSWERED_MAX = 6;
/** A manifest asked for and not here after this long is asked of somebody else. */
const MANIFEST_PATIENCE_MS: Milliseconds = 300;
/** Whoever has refused, or gone back on, so much of what it had announced, less the good pieces that it sent, is an offender. */
const BROKEN_PROMISES_MAX = 64;
/** What may have gone since it was announced counts as so much of a broken promise: honest neighbours refuse such once in a while. */
const GONE_PROMISE_RATIO = 1 / 8;
/** A publisher that is this much later than predicted is left for another publisher that shows the piece; for a viewer it is left at once. */
const OTHER_PUBLISHER_LATE_MS: Milliseconds = 100;

export interface RequesterParts {
  readonly context: ExchangeContext;
  readonly playout: Playout;
  readonly pending: PendingWindows;
  readonly lineage: Lineage;
  readonly subscriptions: Subscriptions;
}

export class Requester {
  readonly #context: ExchangeContext;
  readonly #playout: Playout;
  readonly #pending: PendingWindows;
  readonly #lineage: Lineage;
  readonly #downloads = new Downloads();
  readonly #policy: WaitPolicy;
  readonly #view: NeedsView;
  #idleUntilMs: Milliseconds = Number.NEGATIVE_INFINITY;
  /** Pieces whose one-shot timeout has fired. */
  firstTimeouts = 0;

  constructor({ context, playout, pending, lineage, subscriptions }: RequesterParts) {
    this.#context = context;
    this.#playout = playout;
    this.#pending = pending;
    this.#lineage = lineage;
    this.#policy = new WaitPolicy(context.parameters);
    this.#view = { context, playout, downloads: this.#downloads, pending, lineage, subscriptions };
  }

  /** Something has happened that may have changed what there is to ask for. */
  wake(): void {
    this.#idleUntilMs = Number.NEGATIVE_INFINITY;
  }

  /** A neighbour says this now: something to ask for may be among it. */
  wakeFor(neighbour: Neighbour, map: LiveMessage & { readonly kind: 'map' }): void {
    if (changesNeeds(neighbour, map, this.#view)) this.wake();
  }

  /** The last plan found nothing to ask for, and nothing has happened since that could have changed it. */
  get isIdle(): boolean {
    return this.#context.nowMs < this.#idleUntilMs;
  }

  /** Asks for everything that is missing and that somebody can send soon. */
  plan(): void {
    const { options, nowMs, neighbours } = this.#context;
    for (const neighbour of neighbours.values()) if (neighbour.onTrial) neighbour.unverified = this.#pending.countFrom(neighbour.id);
    const needs = listNeeds(this.#view);
    if (needs.length === 0) return this.#rest();
    const requests = new Map<Neighbour, Map<WindowNumber, PieceIndex[]>>();
    let isHeldBack = false;
    for (const need of needs.toSorted(byUrgency)) {
      isHeldBack = options.downlink.delayMs(nowMs) > 0;
      if (isHeldBack) break;
      const narrowed = this.#policy.narrowed(need, () => this.#publishersOf(need.window));
      const holder = chooseHolder(narrowed, nowMs, awakeMs(this.#context.parameters), () => options.rng.float());
      if (!holder) continue;
      this.#ask(need, holder);
      const windows = requests.get(holder) ?? new Map<WindowNumber, PieceIndex[]>();
      requests.set(holder, windows);
      windows.set(need.window, [...(windows.get(need.window) ?? []), need.piece]);
    }
    for (const [holder, windows] of requests) for (const [window, pieces] of windows) this.#sendRequest(holder, window, pieces);
    if (requests.size === 0 && !isHeldBack) this.#rest();
    else this.wake();
  }

  /** There is nothing to ask for before time has passed, or something has happened. */
  #rest(): void {
    // What is to be fed may be late at any moment.
    const mayRest = this.#policy.movesOnNews && this.#view.subscriptions.fed === NO_SUBSTREAMS;
    this.#idleUntilMs = mayRest ? idleUntilMs(this.#view) : Number.NEGATIVE_INFINITY;
  }

  /** This neighbour has been asked for the piece, and has not answered. */
  hasAsked(neighbour: Neighbour, window: WindowNumber, piece: PieceIndex): boolean {
    return this.#downloads.get(window, piece)?.asked.some(({ peer }) => peer === neighbour.id) === true;
  }

  /** A piece of this window is on its way. */
  awaits(window: WindowNumber): boolean {
    return this.#downloads.of(window).length > 0;
  }

  /**
   * A piece has come. Books the answer with the neighbour's estimates and calls off whoever else was asked.
   *
   * @returns whether the piece was awaited, and whether this neighbour had been asked for it.
   */
  onAnswer(neighbour: Neighbour, window: WindowNumber, piece: PieceIndex, receivedBytes: Bytes): { awaited: boolean; asked: boolean } {
    const download = this.#downloads.get(window, piece);
    const asked = download && this.#downloads.release(download, neighbour.id);
    if (asked) {
      neighbour.outstanding -= 1;
      neighbour.noteGiven(true);
      neighbour.wait.released(asked.sizeBytes - receivedBytes);
      neighbour.wait.answered(receivedBytes, asked.askedMs, asked.predictedMs, asked.wasIdle, this.#context.nowMs);
    }
    if (download) this.#finish(download);
    return { awaited: download !== undefined, asked: asked !== undefined };
  }

  onRefusal(neighbour: Neighbour, refusal: LiveRefusal): void {
    const { nowMs, parameters } = this.#context;
    // A publisher may be asked for what it has not shown; that it refuses this says nothing about the rest.
    const claimed = refusal.pieces.filter((piece) => neighbour.map.holds(refusal.window, piece));
    if (refusal.why !== 'not-held') neighbour.rest(clamp(refusal.etaMs, parameters.tickMs, parameters.waitMaxMs) / 2, nowMs);
    else if (claimed.length > 0) neighbour.map.noteMissing(refusal.window);
    for (const piece of refusal.pieces) {
      const download = this.#downloads.get(refusal.window, piece);
      const asked = download && this.#downloads.release(download, neighbour.id);
      if (!download || !asked) continue;
      neighbour.noteGiven(false);
      // Only of what it was asked for: there is no end to the windows that nobody asked for.
      if (refusal.why === 'not-held') neighbour.noteLacks(refusal.window);
      if (refusal.why === 'not-held' && claimed.includes(piece))
        neighbour.brokenPromises += this.#mayHaveGone(neighbour, refusal.window) ? GONE_PROMISE_RATIO : 1;
      neighbour.outstanding -= 1;
      neighbour.wait.released(asked.sizeBytes);
      if (download.asked.length === 0) this.#forget(download);
    }
    this.#judgePromises(neighbour);
    this.#context.planDue = true;
  }

  /**
   * The one-shot timeout: once per piece, other holders are asked at once. While there are none, the request stays out, and the first
   * neighbour that announces the piece is asked. After a second wait the piece is free to be asked for anew.
   */
  onTimeout(window: WindowNumber, piece: PieceIndex): void {
    const download = this.#downloads.get(window, piece);
    if (!download) return;
    if (download.overdue) return this.#giveUp(download);
    download.overdue = true;
    this.firstTimeouts += 1;
    for (const asked of download.asked) this.#unanswered(asked);
    this.#hedge(download, this.#othersFor(download));
  }

  /** One that answers nobody while others do is let go: what it announces only costs time. */
  #unanswered({ peer }: Asked): void {
    const { neighbours, parameters, nowMs, lastGoodMs } = this.#context;
    const neighbour = neighbours.get(peer);
    if (!neighbour) return;
    neighbour.wait.timedOut();
    neighbour.noteGiven(false);
    neighbour.leftUnanswered(parameters.tickMs, nowMs);
    const othersAnswer = lastGoodMs > neighbour.unansweredSinceMs;
    // The upload of the only publisher may be used up; but without it there would soon be nothing to get from the others. Whoever only says that it is one goes.
    const isNeeded =
      neighbour.publisher && !neighbour.onTrial && !neighbours.values().some((other) => other.publisher && other !== neighbour);
    if (neighbour.unanswered >= UNANSWERED_MAX && othersAnswer && !isNeeded)
      this.#context.dismiss(neighbour, `${neighbour.unanswered} requests without an answer`);
  }

  /** Its buffer has moved on since it last said how far it reaches. */
  #mayHaveGone({ map }: Neighbour, window: WindowNumber): boolean {
    const { mapPeriodMs, windowMs } = this.#context.parameters;
    return map.tail > 0 && window < map.tail + (2 * mapPeriodMs) / windowMs;
  }

  /** Asks for manifests that have not come: of somebody else than before, while there is somebody else. */
  askForManifests(): void {
    const { neighbours, nowMs } = this.#context;
    for (const number of this.#pending.numbers()) {
      if (!this.#pending.wantsManifest(number, MANIFEST_PATIENCE_MS, nowMs)) continue;
      const holders = neighbours.values().filter((neighbour) => this.#mayHold(neighbour, number));
      if (holders.every(({ id }) => this.#pending.hasAsked(number, id))) this.#pending.askAnew(number);
      const [holder] = holders
        .filter(({ id }) => !this.#pending.hasAsked(number, id))
        .sort((a, b) => a.wait.predictMs(0) - b.wait.predictMs(0));
      if (holder) this.#sendRequest(holder, number, []);
    }
  }

  /** This process stood still: what was asked for before has its whole time again. */
  onWake(): void {
    this.wake();
    for (const { window, piece, waitMs } of this.#downloads.all()) this.#context.schedule(`request:${window}:${piece}`, waitMs);
  }

  /**
   * A neighbour has news of a window. Pieces of it that are overdue elsewhere are asked of it too; pieces that a publisher has not sent in the
   * time it was expected to, or that were asked of somebody who often fails, are asked of this neighbour instead. What it was itself asked for while it
   * named another content is called off.
   */
  onNews(neighbour: Neighbour, window: WindowNumber): void {
    this.#callOffOther(neighbour, window);
    const awaited = this.#downloads.awaitedOf(window);
    const claim = awaited && neighbour.map.claim(window, this.#lineage.of(window));
    if (!awaited || !claim) return;
    for (const download of awaited.values()) {
      const first = download.asked[0];
      if (!first || download.hedged || first.peer === neighbour.id || !covers(claim, download.piece)) continue;
      if (download.overdue && this.#context.parameters.hedge > 0) this.#hedge(download, [neighbour]);
      else if (this.#isBetter(neighbour, first)) this.#move(download, first, neighbour);
    }
  }

  /** The neighbour is gone, and with it whatever it was asked for. */
  dropPeer(neighbour: Neighbour): void {
    for (const download of this.#downloads.from(neighbour.id)) {
      this.#downloads.release(download, neighbour.id);
      if (download.asked.length === 0) this.#forget(download);
    }
  }

  /** Another content is wanted under this number: what was asked for is called off, and nothing of it is kept. */
  startOver(window: WindowNumber): void {
    for (const download of this.#downloads.of(window)) this.#finish(download, 'other-content');
    this.wake();
    this.#context.planDue = true;
    this.#context.noteUnjudged(this.#pending.discard(window));
  }

  /** Windows below this one are not wanted any more. */
  abandonBelow(window: WindowNumber): void {
    for (const download of this.#downloads.below(window)) this.#finish(download);
  }

  /** Nothing of this window is awaited any more; what is still wanted of it is asked for anew. */
  abandon(window: WindowNumber): void {
    for (const download of this.#downloads.of(window)) this.#finish(download);
    this.#context.planDue = true;
  }

  /** Nothing of this window is awaited from this neighbour any more. */
  abandonAt(neighbour: Neighbour, window: WindowNumber): void {
    for (const download of this.#downloads.of(window)) {
      for (const asked of download.asked.filter(({ peer }) => peer === neighbour.id)) this.#cancelAt(download, asked);
      if (download.asked.length === 0) this.#forget(download);
    }
    this.#context.planDue = true;
  }

  /**
   * It goes over to another content, and may have sent pieces of that one. Honest viewers do so once in a while; each piece counts as a broken promise, or
   * whoever sends bad pieces would only have to name another content every time.
   */
  #callOffOther(neighbour: Neighbour, window: WindowNumber): void {
    // Most who tell news have not been asked for anything.
    const isConcerned = neighbour.outstanding > 0 || neighbour.brokenPromises > BROKEN_PROMISES_MAX;
    const named = isConcerned ? neighbour.map.get(window)?.version : undefined;
    if (named === undefined) return;
    for (const download of this.#downloads.of(window)) {
      const asked = download.asked.find(({ peer }) => peer === neighbour.id);
      if (asked?.version === undefined || asked.version === named) continue;
      this.#cancelAt(download, asked, 'other-content');
      neighbour.brokenPromises += 1;
      if (download.asked.length === 0) this.#forget(download);
    }
    this.#judgePromises(neighbour);
  }

  #judgePromises(neighbour: Neighbour): void {
    if (neighbour.brokenPromises > BROKEN_PROMISES_MAX) this.#context.accuse(neighbour, 'does not hold what it announces');
  }

  #holds(neighbour: Neighbour, window: WindowNumber, piece: PieceIndex): boolean {
    return neighbour.map.holds(window, piece, this.#lineage.of(window));
  }

  /** Enters the request in the books; the message follows in one batch per window. */
  #ask(need: Need, holder: Neighbour): void {
    const waitMs = this.#policy.waitMs(need, holder, () => this.#publishersOf(need.window));
    const download = this.#downloads.open(need.window, need.piece, waitMs);
    this.#addAsked(download, holder, need.sizeBytes);
    this.#await(download, waitMs);
  }

  /** The wait begins now. */
  #await(download: Download, waitMs: Milliseconds): void {
    download.waitMs = waitMs;
    this.#context.schedule(`request:${download.window}:${download.piece}`, waitMs);
  }

  /** A piece on its way that is taken from this one, for all others. */
  #awaitedOf({ window, piece }: Download, { peer, sizeBytes }: Asked): Awaited {
    const { neighbours, nowMs } = this.#context;
    const holders = neighbours.values().filter((neighbour) => neighbour.id !== peer && this.#holds(neighbour, window, piece));
    return { sizeBytes, slackMs: this.#playout.deadlineMs(window, nowMs) - nowMs, holders };
  }

  #addAsked(download: Download, holder: Neighbour, sizeBytes: Bytes): void {
    const { nowMs, options } = this.#context;
    const predictedMs = holder.wait.predictMs(sizeBytes);
    const version = holder.map.get(download.window)?.version;
    download.asked.push({ peer: holder.id, askedMs: nowMs, predictedMs, wasIdle: holder.outstanding === 0, sizeBytes, version });
    holder.outstanding += 1;
    holder.wait.asked(sizeBytes);
    options.downlink.take(sizeBytes, nowMs);
  }

  /** A publisher holds every window whole, whatever part of it it has shown us so far. */
  #publishersOf(window: WindowNumber): readonly Neighbour[] {
    return this.#context.neighbours.values().filter((neighbour) => neighbour.publisher && this.#mayHold(neighbour, window));
  }

  /** It speaks of the window, or is a publisher that will. */
  #mayHold(neighbour: Neighbour, window: WindowNumber): boolean {
    return neighbour.map.get(window) ? this.#lineage.has(neighbour, window) : this.#lineage.isPublisherOf(neighbour, window);
  }

  /** `hedged`: whoever was asked first does not answer, for the manifest either. */
  #sendRequest(holder: Neighbour, window: WindowNumber, pieces: readonly PieceIndex[], hedged = false): void {
    const { buffer, nowMs } = this.#context;
    const isDue = hedged ? !this.#pending.hasAsked(window, holder.id) : this.#pending.wantsManifest(window, MANIFEST_PATIENCE_MS, nowMs);
    const wantManifest = !buffer.get(window) && isDue;
    if (wantManifest) this.#pending.noteManifestAsked(window, holder.id, nowMs);
    // The way there and back is part of the wait: what the other side could only just send in that time would come too late.
    const waitMs = Math.max(0, ...pieces.map((piece) => this.#downloads.get(window, piece)?.waitMs ?? 0));
    const patienceMs = Math.max(0, Math.round(waitMs - holder.wait.roundTripMs));
    this.#context.send(holder, { kind: 'request', window, pieces, wantManifest, patienceMs });
  }

  #hedge(download: Download, others: readonly Neighbour[]): void {
    const { waitMinMs, waitMaxMs, pieceBytes } = this.#context.parameters;
    const { window, piece } = download;
    const sizeBytes = download.asked[0]?.sizeBytes ?? pieceBytes;
    const waits = others.map((other) => this.#policy.estimateMs(other, sizeBytes));
    this.#await(download, clamp(Math.max(download.waitMs, ...waits), waitMinMs, waitMaxMs));
    if (others.length > 0) download.hedged = true;
    for (const other of others) {
      this.#addAsked(download, other, sizeBytes);
      this.#sendRequest(other, window, [piece], true);
    }
  }

  #isBetter(neighbour: Neighbour, asked: Asked): boolean {
    const source = this.#context.neighbours.get(asked.peer);
    if (!this.#policy.movesOnNews || !source || neighbour.wait.suspect || neighbour.busyUntilMs > this.#context.nowMs) return false;
    if (!this.#bearsAnother(neighbour)) return false;
    if (source.wait.suspect) return true;
    const lateMs = this.#context.nowMs - asked.askedMs - asked.predictedMs;
    return source.publisher && lateMs > (neighbour.publisher ? OTHER_PUBLISHER_LATE_MS : 0);
  }

  /** Of a viewer on trial: one piece more would not be one too many, if all that it owes were bad. */
  #bearsAnother(neighbour: Neighbour): boolean {
    if (neighbour.onTrial) neighbour.unverified = this.#pending.countFrom(neighbour.id);
    return neighbour.bearsAnother;
  }

  #move(download: Download, from: Asked, to: Neighbour): void {
    this.#cancelAt(download, from);
    const spareMs = this.#policy.waitMs(this.#awaitedOf(download, from), to, () => this.#publishersOf(download.window));
    // Less would be of no use: whoever has just come to it would be overtaken by the next one.
    const waitMs = Math.max(2 * this.#context.parameters.waitMinMs, spareMs);
    this.#addAsked(download, to, from.sizeBytes);
    this.#await(download, waitMs);
    this.#sendRequest(to, download.window, [download.piece]);
  }

  #othersFor({ window, piece, asked }: Download): readonly Neighbour[] {
    const isUnasked = ({ id }: Neighbour): boolean => !asked.some(({ peer }) => peer === id);
    const holders = this.#context.neighbours
      .values()
      .filter((other) => isUnasked(other) && this.#holds(other, window, piece) && this.#bearsAnother(other));
    return this.#policy.secondChoice(holders, () => this.#publishersOf(window).filter(isUnasked), this.#context.nowMs);
  }

  /** Nobody who was asked has sent it: they are left alone for a while, and the piece may be asked for anew. */
  #giveUp(download: Download): void {
    for (const { peer } of download.asked) this.#context.neighbours.get(peer)?.rest(this.#context.parameters.tickMs, this.#context.nowMs);
    this.#finish(download);
    this.#context.planDue = true;
  }

  /** The piece is here, or not wanted: whoever still has it in the queue is told. */
  #finish(download: Download, why: CallOff = 'settled'): void {
    for (const asked of [...download.asked]) this.#cancelAt(download, asked, why);
    this.#forget(download);
  }

  #cancelAt(download: Download, asked: Asked, why: CallOff = 'settled'): void {
    this.#downloads.release(download, asked.peer);
    // Whoever is free of it may be asked for something else.
    this.wake();
    const neighbour = this.#context.neighbours.get(asked.peer);
    if (!neighbour) return;
    neighbour.outstanding -= 1;
    neighbour.wait.released(asked.sizeBytes);
    neighbour.wait.overtaken(asked.askedMs, asked.predictedMs, this.#context.nowMs);
    const wanted = this.#lineage.of(download.window);
    const isOther = wanted !== undefined && asked.version !== undefined && asked.version !== wanted;
    neighbour.noteCalledOff(download.window, download.piece, isOther ? 'other-content' : why);
    this.#context.send(neighbour, { kind: 'cancel', window: download.window, pieces: [download.piece] });
  }

  #forget(download: Download): void {
    this.#downloads.remove(download.window, download.piece);
    this.#context.cancel(`request:${download.window}:${download.piece}`);
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}
