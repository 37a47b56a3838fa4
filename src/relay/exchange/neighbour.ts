/**
 * All that the exchange remembers of one neighbour: what it holds, how fast it answers, what it was told, how it behaved.
 */
import type { Bytes, ConnectionId, Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import { BufferMap } from './buffer-map.js';
import { CertificateMemory } from './certificate-memory.js';
import type { LiveMessage } from './live-message.js';
import type { LiveParameters } from './live-parameters.js';
import type { ContentVersion } from './manifest.js';
import { type FeedStatus, NO_FEED, NO_SUBSTREAMS, type SubstreamSet } from './substreams.js';
import { WaitTime } from './wait-time.js';

/** Work a neighbour may cause: an honest one at 10 Mbit/s causes about a tenth of it. One unit is about ten microseconds here. */
const WORK_PER_SECOND = 2_000;
/** Saved up work: a neighbour that was asleep catches up at once. */
const WORK_BURST = 20_000;
/** Checking a signature costs as much as looking at this many pieces. */
const SIGNATURE_WORK = 20;
/** What a neighbour was sent so long ago counts half when it is decided whose turn it is. */
const SERVED_HALF_LIFE_MS: Milliseconds = 4_000;
/** After so many nothing is left of any number of bytes; to halve on for a day would hold up a publisher that ranks a thousand requests. */
const HALF_LIVES_MAX = 64;
/** Whether a neighbour gives what it is asked for is remembered over a few pieces: whoever refuses is hardly asked again. With 1/16 riders were not told from others. */
const GIVEN_GAIN = 1 / 4;
/** Below this a neighbour gives little: two refusals in a row, and one piece makes up for them. */
const GIVES_LITTLE_SHARE = 3 / 5;
/** So many whole maps that a neighbour owes are no accident any more. */
export const MUTE_MAP_PERIODS = 4;
/** Windows in a map are cheap each, but a map may name a thousand of them. */
const WINDOWS_PER_WORK = 8;
/** A neighbour that fails again and again is left alone for at most eight times as long as the first time. */
const REST_DOUBLINGS_MAX = 3;
/** One that has never sent anything good rests longer: up to 6.4 s. */
const REST_DOUBLINGS_UNPROVEN_MAX = 6;
/** Pieces asked of one neighbour at most, whatever its speed. */
const OUTSTANDING_MAX = 64;
/** Of one that has sent nothing good yet. */
const OUTSTANDING_UNPROVEN = 8;
/** Of a viewer that has sent nothing good yet, or anything bad: two bad pieces end the acquaintance, and it shall not get in a third. */
const OUTSTANDING_ON_TRIAL = 2;
/** A viewer asks for something, or tells of something, at every window; one that has said nothing for a window and this much longer may be dead. */
const AWAKE_MARGIN_MS: Milliseconds = 700;
/** So many timeouts in a row are no accident any more. */
const UNANSWERED_DOUBT = 2;
/** Manifests asked of one neighbour whose answer is remembered to be awaited. */
const MANIFESTS_ASKED_MAX = 256;
/** Whoever has named so many windows that it could not show is not listened to. */
const EMPTY_CLAIMS_MAX = 3;
/** One that it shows makes up for so much of one that it did not. */
const PROOF_WEIGHT = 1 / 4;

/** `settled`: it came from elsewhere, or is not wanted any more. `other-content`: another content is wanted under the number than it was asked for. */
export type CallOff = 'settled' | 'other-content';

/** As the connection says, see there. */
export interface NeighbourOrigin {
  readonly peerId?: string | undefined;
  readonly addressBlock?: string | undefined;
}

/** Whoever has said nothing for so long is dealt nothing, and asked last. */
export function awakeMs({ windowMs }: Pick<LiveParameters, 'windowMs'>): Milliseconds {
  return windowMs + AWAKE_MARGIN_MS;
}

export class Neighbour {
  // What nearly every step looks at comes first, and so lies together in memory: with hundreds of viewers in one process each line of it is fetched from afar.
  readonly id: ConnectionId;
  readonly map = new BufferMap();
  readonly wait = new WaitTime();
  /** It said that it holds the source. Hearsay, used only to spare it. */
  publisher = false;
  /** It says that it makes windows at the moment. */
  onAir = false;
  /** Pieces asked of it and still awaited. */
  outstanding = 0;
  /** Requests in a row that ran into their timeout, and since when. */
  unanswered = 0;
  /** Pieces that did not match their hash; two are enough for a ban. */
  badPieces = 0;
  /** Of one on trial: pieces that are here and wait for the manifest that vouches for them. */
  unverified = 0;
  /** Pieces that were thrown away before anybody could tell whether they were good. */
  unjudged = 0;
  #proven = false;
  /** It was busy: do not ask it again before this time. */
  busyUntilMs: Milliseconds = 0;
  /** Since when its outgoing buffer on our side has been full. */
  blockedSinceMs: Milliseconds | undefined;
  lastHeardMs: Milliseconds;
  /** Its hello has come. */
  greeted = false;
  /** How often it refused, or went back on, what it had announced; what may have gone meanwhile counts less, and good pieces make up for it. */
  brokenPromises = 0;
  #work = WORK_BURST;
  #workMs: Milliseconds;
  /** Windows with news it has not been told yet; all in the buffer. */
  readonly news = new Set<WindowNumber>();
  lastNewsMs: Milliseconds = 0;
  /** The newest window of which it has been told. */
  shown: WindowNumber = -1;
  /** Windows of which it has been told the details, and of which content; as far back as the buffer reaches. */
  readonly detailed = new Map<WindowNumber, ContentVersion>();

  /** Who it is, whatever the connection; absent where nobody says. */
  readonly peerId: string | undefined;
  /** What its site is likely to hold of the address space; its own id where that means nothing. */
  readonly addressBlock: string;
  readonly sinceMs: Milliseconds;
  readonly certificates = new CertificateMemory();
  /** Of a publisher: how much later than ours its windows are shown, on average. */
  lagMs: Milliseconds = 0;
  /** When a dissent of it was last looked at. */
  dissentMs: Milliseconds = Number.NEGATIVE_INFINITY;
  /** Drawn by it at random, as its hello says; orders publishers. */
  rank = 0;
  /** When it last told of a window that it holds something of. */
  lastToldMs: Milliseconds = Number.NEGATIVE_INFINITY;
  /** Its word counts when a start is chosen; lost by naming a start that nobody could send. */
  credible = true;
  /** Windows and infos whose signer had no right to sign; two are enough for a ban. */
  offences = 0;
  /** Serial of the newest revocation list that it has been sent, or has sent us. */
  toldSerial = 0;
  /** Serial of the newest list that it has certainly read: it has answered something that was asked after that list was sent. */
  readSerial = 0;
  /** Windows that it named and could not show, less those that it did show. */
  emptyClaims = 0;
  /** The newest window that it has spoken of. */
  told: WindowNumber | undefined;
  /** Where, and when, it was first heard to be ahead of what this publisher makes; forgotten once this publisher has got there itself. */
  ahead: { readonly number: WindowNumber; readonly sinceMs: Milliseconds } | undefined;
  /** Pieces sent to us that nobody asked for. */
  unasked = 0;
  mediaDownBytes: Bytes = 0;
  /** When it last sent a piece that was wanted. */
  lastPieceMs: Milliseconds = Number.NEGATIVE_INFINITY;
  mediaUpBytes: Bytes = 0;
  #servedBytes: Bytes = 0;
  #servedMs: Milliseconds = 0;
  #firstServedMs: Milliseconds = Number.POSITIVE_INFINITY;
  /** What there is to tell it may wait until then. */
  newsDueMs: Milliseconds = 0;
  /** What it says of its part in feeding. */
  feed: FeedStatus = NO_FEED;
  /** What it is fed by us, and we by it. */
  subscribed: SubstreamSet = NO_SUBSTREAMS;
  feeds: SubstreamSet = NO_SUBSTREAMS;
  /** What it fed us before, of which something may still be on its way until then. */
  leftFeeds: SubstreamSet = NO_SUBSTREAMS;
  leftUntilMs: Milliseconds = 0;
  /** Windows of which it has been fed something, but not the first piece, with which the manifest goes, before it told of any. */
  readonly fedBare = new Set<WindowNumber>();
  /** It failed as a feeder, or would not be one: it is left alone until then. */
  shunnedUntilMs: Milliseconds = 0;
  /** How often it has. */
  failedFeeds = 0;
  /** It has got one map with all details. */
  informed = false;
  unansweredSinceMs: Milliseconds = 0;
  /** Windows whose manifest was asked of it, with the list it had been told of by then. */
  readonly #manifestsAsked = new Map<WindowNumber, number>();
  /** Requests that were called off, by window; of windows in the buffer's reach, so bounded by it. */
  readonly #calledOff = new Map<WindowNumber, Map<PieceIndex, CallOff>>();
  /** Windows that it refused because it does not hold them. */
  readonly #lacking = new Set<WindowNumber>();
  #failures = 0;
  #givenShare = 1;

  constructor(id: ConnectionId, nowMs: Milliseconds, { peerId, addressBlock = id }: NeighbourOrigin = {}) {
    this.id = id;
    this.peerId = peerId;
    this.addressBlock = addressBlock;
    this.sinceMs = nowMs;
    this.lastHeardMs = nowMs;
    this.#workMs = nowMs;
  }

  get blocked(): boolean {
    return this.blockedSinceMs !== undefined;
  }

  /** A viewer that has said nothing for so long may be dead, or cut off. A publisher says nothing while it has nothing for us. */
  isQuiet(nowMs: Milliseconds, forMs: Milliseconds): boolean {
    return !this.publisher && nowMs - this.lastHeardMs > forMs;
  }

  /** Its word on what there is counts. */
  get trusted(): boolean {
    return this.emptyClaims < EMPTY_CLAIMS_MAX;
  }

  /** It showed a window that it had named. */
  proved(): void {
    this.emptyClaims = Math.max(0, this.emptyClaims - PROOF_WEIGHT);
  }

  /** Books the work of one message. False once it has caused more than any honest neighbour does. */
  affords(message: LiveMessage, nowMs: Milliseconds): boolean {
    this.#work = Math.min(WORK_BURST, this.#work + ((nowMs - this.#workMs) * WORK_PER_SECOND) / 1000);
    this.#workMs = nowMs;
    this.#work -= workOf(message);
    return this.#work > 0;
  }

  /** It would not, or did not, send what it was asked for: leave it alone, longer each time until it answers. */
  rest(forMs: Milliseconds, nowMs: Milliseconds): void {
    if (nowMs < this.busyUntilMs) return;
    this.busyUntilMs = nowMs + forMs * 2 ** Math.min(this.#failures, this.#proven ? REST_DOUBLINGS_MAX : REST_DOUBLINGS_UNPROVEN_MAX);
    this.#failures += 1;
  }

  /** It has sent nothing good yet, or something bad. */
  get onTrial(): boolean {
    return !this.#proven || this.badPieces > 0;
  }

  /** How many pieces may be asked of it at once: few until it has shown that it answers, one while it leaves requests unanswered. */
  get allowance(): number {
    if (this.unanswered >= UNANSWERED_DOUBT) return 1;
    return this.#proven ? OUTSTANDING_MAX : OUTSTANDING_UNPROVEN;
  }

  /** One more piece may be asked of it if nobody else is left to ask. */
  get hasRoom(): boolean {
    return this.outstanding < this.allowance;
  }

  /** One more piece may be asked of it: were all that it owes bad, it would be banned for them. */
  get isSafe(): boolean {
    return this.hasRoom && (!this.onTrial || this.outstanding + this.unverified + this.#suspected < OUTSTANDING_ON_TRIAL);
  }

  /**
   * What nobody has judged counts as bad from the first bad piece on, or a third would get in. Before that it does not: after a change from one publisher to another a
   * newcomer would have nobody to ask, and liars would not be found out.
   */
  get #suspected(): number {
    return this.badPieces > 0 ? this.badPieces + this.unjudged : 0;
  }

  /** A piece of it was thrown away, because another content is wanted, or nothing of the window. */
  noteUnjudged(): void {
    this.unjudged += 1;
  }

  /** Nothing speaks against asking it for one more: it is not on trial, or `isSafe`, or a publisher, without which a stream may not begin. */
  get bearsAnother(): boolean {
    return this.publisher || !this.onTrial || this.isSafe;
  }

  /** A request ran into its timeout. Every further one in a row makes it rest longer. */
  leftUnanswered(tickMs: Milliseconds, nowMs: Milliseconds): void {
    if (this.unanswered === 0) this.unansweredSinceMs = nowMs;
    this.unanswered += 1;
    if (this.unanswered >= UNANSWERED_DOUBT) this.rest(tickMs, nowMs);
  }

  noteManifestAsked(window: WindowNumber): void {
    // The earliest question stands: its answer may be on its way.
    if (this.#manifestsAsked.has(window)) return;
    this.#manifestsAsked.set(window, this.toldSerial);
    const [oldest] = this.#manifestsAsked.keys();
    if (this.#manifestsAsked.size > MANIFESTS_ASKED_MAX && oldest !== undefined) this.#manifestsAsked.delete(oldest);
  }

  /**
   * A manifest has come from it.
   *
   * @returns the serial of the list that it had read before it answered; 0 when it was not asked.
   */
  noteManifestCame(window: WindowNumber): number {
    const serial = this.#manifestsAsked.get(window) ?? 0;
    this.#manifestsAsked.delete(window);
    this.readSerial = Math.max(this.readSerial, serial);
    return serial;
  }

  /** It sent something good. */
  succeeded(): void {
    this.#failures = 0;
    this.#proven = true;
    this.unanswered = 0;
    this.credible = true;
    // Good pieces make up for odd ones, or years of honest service would end in a ban.
    this.unasked = Math.max(0, this.unasked - 1);
    this.brokenPromises = Math.max(0, this.brokenPromises - 1);
  }

  /** A request to it has been called off; its answer may be on its way already. */
  noteCalledOff(window: WindowNumber, piece: PieceIndex, why: CallOff): void {
    const pieces = this.#calledOff.get(window) ?? new Map<PieceIndex, CallOff>();
    this.#calledOff.set(window, pieces.set(piece, why));
  }

  /** Why a piece that is not awaited any more had been asked of it before, if so; asked once, it may come once. */
  takeCalledOff(window: WindowNumber, piece: PieceIndex): CallOff | undefined {
    const pieces = this.#calledOff.get(window);
    const why = pieces?.get(piece);
    pieces?.delete(piece);
    return why;
  }

  /** A piece has been sent to it. */
  noteServed(sizeBytes: Bytes, nowMs: Milliseconds): void {
    this.mediaUpBytes += sizeBytes;
    this.#firstServedMs = Math.min(this.#firstServedMs, nowMs);
    this.#servedBytes = this.servedOfLate(nowMs) + sizeBytes;
    this.#servedMs = nowMs;
  }

  /** What it has been sent, older bytes counting less and less. */
  servedOfLate(nowMs: Milliseconds): Bytes {
    return this.#servedBytes * remaining((nowMs - this.#servedMs) / SERVED_HALF_LIFE_MS);
  }

  /** It has told of nothing that it holds for so long, although it has been sent something. */
  isMute(nowMs: Milliseconds, forMs: Milliseconds): boolean {
    return nowMs - Math.max(this.lastToldMs, this.#firstServedMs) > forMs;
  }

  /** A piece that it had announced was asked of it, and it sent it, or would not or did not. */
  noteGiven(isGiven: boolean): void {
    this.#givenShare += ((isGiven ? 1 : 0) - this.#givenShare) * GIVEN_GAIN;
  }

  /** Of what it was asked for of late it has left too much unsent. */
  get givesLittle(): boolean {
    return this.#givenShare < GIVES_LITTLE_SHARE;
  }

  noteLacks(window: WindowNumber): void {
    this.#lacking.add(window);
  }

  /** It was asked for something of the window, and had none of it. */
  lacks(window: WindowNumber): boolean {
    return this.#lacking.has(window);
  }

  /** Windows below this one are gone here. */
  forgetBelow(tail: WindowNumber): void {
    for (const window of this.#calledOff.keys()) if (window < tail) this.#calledOff.delete(window);
    this.map.forgetBelow(tail);
    for (const number of this.#manifestsAsked.keys()) if (number < tail) this.#manifestsAsked.delete(number);
    for (const number of this.#lacking) if (number < tail) this.#lacking.delete(number);
    for (const number of this.news) if (number < tail) this.news.delete(number);
    for (const number of this.fedBare) if (number < tail) this.fedBare.delete(number);
    for (const number of this.detailed.keys()) if (number < tail) this.detailed.delete(number);
  }
}

/** What is left after so many half-lives: halved with each, and on a straight line between. A power would not be the same number on every machine. */
function remaining(halfLives: number): number {
  const whole = Math.floor(halfLives);
  if (whole >= HALF_LIVES_MAX) return 0;
  let share = 1 - (halfLives - whole) / 2;
  for (let passed = 0; passed < whole; passed++) share /= 2;
  return share;
}

function workOf(message: LiveMessage): number {
  switch (message.kind) {
    case 'map':
      return 1 + message.windows.length / WINDOWS_PER_WORK;
    case 'request':
      return 1 + message.pieces.length + (message.wantManifest ? SIGNATURE_WORK / 2 : 0);
    case 'have':
    case 'cancel':
    case 'refuse':
      return 1 + message.pieces.length;
    case 'manifest':
    case 'info':
    case 'dissent':
    case 'revocations':
      return SIGNATURE_WORK;
    default:
      return 1;
  }
}
