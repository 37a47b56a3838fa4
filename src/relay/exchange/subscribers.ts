/**
 * Neighbours that are fed from here: what is new of the substreams they have subscribed to is sent to them unasked, as long as there is upload to spare.
 *
 * Where upload is scarce every piece that was promised is one that cannot go where it is needed most, and all are worse off than with pull alone; so nothing is offered
 * below `pushRatio` times the bit rate, and not for a while after something that was to be fed could not leave in time.
 */
import type { Bytes, ConnectionId, Milliseconds, PieceIndex } from '../../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import { MUTE_MAP_PERIODS, type Neighbour } from './neighbour.js';
import type { Subscriptions } from './subscriptions.js';
import {
  ALL_SUBSTREAMS,
  countSubstreams,
  hasSubstream,
  NO_FEED,
  NO_SUBSTREAMS,
  SOURCE_DEPTHS,
  SUBSTREAMS,
  type SubstreamSet,
  substreamOf,
} from './substreams.js';
import type { Uploader } from './uploader.js';
import type { BufferedWindow } from './window-buffer.js';

/** Of the uplink so many bit rates are kept for those who ask. */
const PULL_RESERVE_RATIO = 1.2;
/** A publisher deals everything out once anyway: to feed it takes no more, as long as something is left for those who ask. It needs so much of what viewers need. */
const PUBLISHER_SHARE = 1 / 2;
/** More copies than this nobody feeds, however wide the line is: trees stay flat enough, and nobody carries them alone. */
const COPIES_MAX = 4;
/** A substream is fed to as many as a piece reaches the uplink's end for in this time: the last one of more would have it sooner from one of the others. */
const SPREAD_MS: Milliseconds = 250;
/** Bounds of that number: with one there is no tree, and with more a few at the top would carry all. */
const FAN_OUT_MIN = 2;
/** The upper one. */
const FAN_OUT_MAX = 8;
/** The bit rate is that of so many of the newest windows. */
const RATE_WINDOWS = 8;
/** Of what is to be fed more than this could not leave in time: then nobody is fed for a while. Others use the uplink too, other channels above all. With one late piece enough, 20 viewers with three times the bit rate were 1.3 s behind instead of 0.9 s. */
const LATE_SHARE_MAX = 1 / 4;
/** For so long. */
const TIRED_MS: Milliseconds = 10_000;
/** Changes of depth that go on at once; then one each tick. What a feeder says ten thousand times would else go down the whole tree, whose members would ban each other for it. */
const MOVES_AT_ONCE_MAX = 16;
/** Nobody is fed that has said nothing for so long beyond the period of whole maps: it may be dead. */
const SILENT_MARGIN_MS: Milliseconds = 1_000;

export interface SubscribersParts {
  readonly context: ExchangeContext;
  readonly uploader: Uploader;
  readonly subscriptions: Subscriptions;
  /** Of a publisher: whether this viewer passes on what it is dealt. */
  readonly passesOn: (peer: ConnectionId) => boolean;
}

export class Subscribers {
  readonly #context: ExchangeContext;
  readonly #uploader: Uploader;
  readonly #subscriptions: Subscriptions;
  #toldDepths: readonly number[] = NO_FEED.depths;
  #toldFed: SubstreamSet = NO_SUBSTREAMS;
  readonly #passesOn: (peer: ConnectionId) => boolean;
  #tiredUntilMs: Milliseconds = 0;
  #movesLeft = MOVES_AT_ONCE_MAX;
  #movesMs: Milliseconds = 0;

  constructor({ context, uploader, subscriptions, passesOn }: SubscribersParts) {
    this.#passesOn = passesOn;
    this.#subscriptions = subscriptions;
    this.#context = context;
    this.#uploader = uploader;
  }

  /** A neighbour wants these substreams from now on, and no others. It is told what it gets. */
  onSubscribe(neighbour: Neighbour, wanted: SubstreamSet): void {
    neighbour.subscribed &= wanted;
    // One after the other: each takes of the room that there is.
    for (let substream = 0; substream < SUBSTREAMS; substream++)
      if (hasSubstream(wanted & ~neighbour.subscribed & this.offeredTo(neighbour), substream)) neighbour.subscribed |= 1 << substream;
    this.#tell(neighbour);
  }

  /** What this neighbour may subscribe to now. A publisher feeds each substream to one viewer, which has upload itself to pass it on. */
  offeredTo(neighbour: Neighbour): SubstreamSet {
    const { isPublisher } = this.#context;
    if (!this.#hasRoom || neighbour.givesLittle || this.#isMute(neighbour)) return NO_SUBSTREAMS;
    // A publisher wants to know who could pass on what it would feed.
    if (!isPublisher)
      return neighbour.publisher ? ALL_SUBSTREAMS : this.#subscriptions.rooted & ~neighbour.feeds & ~this.#servedTo(this.#fanOut);
    if (neighbour.feed.offered === NO_SUBSTREAMS || !this.#passesOn(neighbour.id)) return NO_SUBSTREAMS;
    return ALL_SUBSTREAMS & ~this.#servedTo(1) & this.#turnOf(neighbour);
  }

  /** Substreams that so many neighbours are fed. */
  #servedTo(count: number): SubstreamSet {
    let set = NO_SUBSTREAMS;
    for (let substream = 0; substream < SUBSTREAMS; substream++) {
      let fed = 0;
      for (const { subscribed } of this.#context.neighbours.values()) if (hasSubstream(subscribed, substream)) fed += 1;
      if (fed >= count) set |= 1 << substream;
    }
    return set;
  }

  /** It tells of nothing that it holds: it would pass nothing on. */
  #isMute(neighbour: Neighbour): boolean {
    const { nowMs, parameters } = this.#context;
    return neighbour.isMute(nowMs, MUTE_MAP_PERIODS * parameters.mapPeriodMs);
  }

  /** What this neighbour is fed goes no further: somebody else may have its place. */
  revoke(peer: ConnectionId): void {
    const neighbour = this.#context.neighbours.get(peer);
    if (!neighbour) return;
    neighbour.subscribed = NO_SUBSTREAMS;
    this.#tell(neighbour);
  }

  /** A publisher offers each substream to one after the other: offered to all, most would be refused. */
  #turnOf(neighbour: Neighbour): SubstreamSet {
    const { neighbours, nowMs, parameters } = this.#context;
    const viewers = neighbours.values().filter(({ publisher }) => !publisher);
    const turn = Math.floor(nowMs / (2 * parameters.mapPeriodMs)) + viewers.indexOf(neighbour);
    let set = NO_SUBSTREAMS;
    for (let substream = 0; substream < SUBSTREAMS; substream++)
      if ((turn + substream) % Math.max(1, viewers.length) === 0) set |= 1 << substream;
    return set;
  }

  /** Whom a publisher feeds this piece. */
  takerOf(window: BufferedWindow, piece: PieceIndex): ConnectionId | undefined {
    const substream = substreamOf(window.number, piece);
    return this.#context.neighbours.values().find(({ subscribed }) => hasSubstream(subscribed, substream))?.id;
  }

  /** A piece is new here. `maySee`: a publisher's neighbours are fed what has been dealt to them. */
  feed(window: BufferedWindow, piece: PieceIndex, maySee: (neighbour: Neighbour) => boolean = () => true): void {
    const { neighbours, nowMs, parameters } = this.#context;
    const substream = substreamOf(window.number, piece);
    for (const neighbour of neighbours.values()) {
      if (!hasSubstream(neighbour.subscribed, substream) || neighbour.blocked || !maySee(neighbour)) continue;
      if (neighbour.isQuiet(nowMs, parameters.mapPeriodMs + SILENT_MARGIN_MS)) continue;
      if (!neighbour.map.holds(window.number, piece, window.version)) this.#uploader.push(neighbour, window, piece);
    }
  }

  /** How far from a publisher this peer is has changed: who depends on it hears of it at once, or those who have lost a feeder would take one that has it from them. */
  tellChanges(): void {
    const { depths } = this;
    const { fed } = this.#subscriptions;
    const isLost = (this.#toldFed & ~fed) !== NO_SUBSTREAMS;
    const isMoved = depths.some((depth, substream) => depth !== this.#toldDepths[substream]);
    this.#toldFed = fed;
    if ((!isMoved && !isLost) || (!isLost && !this.#mayTellMove())) return;
    this.#toldDepths = depths;
    for (const neighbour of this.#context.neighbours.values()) {
      if (neighbour.subscribed !== NO_SUBSTREAMS) this.#tell(neighbour);
      // What they hold is asked for again: they must not wait with their news.
      if (isLost && !neighbour.publisher && !neighbour.blocked)
        this.#context.send(neighbour, { kind: 'map', full: false, feed: { offered: NO_SUBSTREAMS, fed, depths }, windows: [] });
    }
  }

  #mayTellMove(): boolean {
    const { nowMs, parameters } = this.#context;
    this.#movesLeft = Math.min(MOVES_AT_ONCE_MAX, this.#movesLeft + (nowMs - this.#movesMs) / parameters.tickMs);
    this.#movesMs = nowMs;
    if (this.#movesLeft < 1) return false;
    this.#movesLeft -= 1;
    return true;
  }

  get depths(): readonly number[] {
    return this.#context.isPublisher ? SOURCE_DEPTHS : this.#subscriptions.depths;
  }

  #tell(neighbour: Neighbour): void {
    this.#context.send(neighbour, { kind: 'feeding', substreams: neighbour.subscribed, depths: this.depths });
  }

  /** Now and then: where there is no upload to spare any more, nobody is fed. */
  review(): void {
    const { late, sent } = this.#uploader.takePushes();
    if (late > sent * LATE_SHARE_MAX) this.#tiredUntilMs = this.#context.nowMs + TIRED_MS;
    if (this.#capacity > 0) return;
    for (const neighbour of this.#context.neighbours.values()) {
      if (neighbour.subscribed === NO_SUBSTREAMS) continue;
      neighbour.subscribed = NO_SUBSTREAMS;
      this.#tell(neighbour);
    }
  }

  get #fanOut(): number {
    const { bytesPerSecond } = this.#uploader;
    if (bytesPerSecond === 0) return FAN_OUT_MAX;
    const count = (SPREAD_MS * bytesPerSecond) / (1000 * this.#context.parameters.pieceBytes);
    return Math.max(FAN_OUT_MIN, Math.min(FAN_OUT_MAX, count));
  }

  /** One more substream may be fed. */
  get #hasRoom(): boolean {
    let fed = 0;
    for (const { subscribed } of this.#context.neighbours.values()) fed += countSubstreams(subscribed);
    return fed < this.#capacity;
  }

  /** Substreams that may be fed in all, to whomever. */
  get #capacity(): number {
    const { nowMs, parameters, isPublisher } = this.#context;
    const { bytesPerSecond } = this.#uploader;
    const rate = this.#streamBytesPerSecond;
    if (parameters.pushRatio === 0 || rate === 0 || nowMs < this.#tiredUntilMs) return 0;
    const ratio = bytesPerSecond === 0 ? Number.POSITIVE_INFINITY : bytesPerSecond / rate;
    // Of a stream that several deal out each would feed a part.
    if (isPublisher) return ratio < parameters.pushRatio * PUBLISHER_SHARE || this.#hasFellow ? 0 : SUBSTREAMS;
    return ratio < parameters.pushRatio || this.#uploader.isDoubtful ? 0 : Math.min(COPIES_MAX, ratio - PULL_RESERVE_RATIO) * SUBSTREAMS;
  }

  /** Another publisher is at hand. */
  get #hasFellow(): boolean {
    return this.#context.neighbours.values().some(({ publisher }) => publisher);
  }

  get #streamBytesPerSecond(): number {
    const newest = this.#context.buffer.windows().slice(-RATE_WINDOWS);
    let [sizeBytes, durationMs]: [Bytes, Milliseconds] = [0, 0];
    for (const { manifest } of newest) {
      sizeBytes += manifest.sizeBytes;
      durationMs += manifest.durationMs;
    }
    return durationMs === 0 ? 0 : (sizeBytes * 1000) / durationMs;
  }
}
