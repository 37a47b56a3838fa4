/**
 * Tells neighbours what is held here: news at once or in small batches, and the whole map now and then to repair what was lost.
 *
 * A piece is announced only when it is held and verified (invariant L1), and by a publisher only to those it has been dealt to.
 */
import type { Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import type { LiveMessage, WindowAvailability } from './live-message.js';
import type { Neighbour } from './neighbour.js';
import { type FeedStatus, hasSubstream, NO_FEED, substreamOf } from './substreams.js';
import type { BufferedWindow } from './window-buffer.js';
import type { WindowShares } from './window-shares.js';

/** A short word names so many pieces at most: more take fewer bytes as bits. */
const PIECES_NAMED_MAX = 4;
/** What is fed to a neighbour it is told of so much later: by then it holds most of it, and then there is nothing to tell. */
const FED_NEWS_MS: Milliseconds = 400;

/** What this peer says of its part in feeding, to that neighbour. */
export type FeedStatusFor = (neighbour: Neighbour) => FeedStatus;

export class Announcer {
  readonly #context: ExchangeContext;
  readonly #shares: WindowShares;
  readonly #feedStatus: FeedStatusFor;

  constructor(context: ExchangeContext, shares: WindowShares, feedStatus: FeedStatusFor) {
    this.#context = context;
    this.#shares = shares;
    this.#feedStatus = feedStatus;
  }

  /** Something of this window is new here, or this piece: tell the neighbours that lack it, at once or with the next batch. */
  note(window: BufferedWindow, piece?: PieceIndex): void {
    const { number, version } = window;
    for (const neighbour of this.#context.neighbours.values()) {
      const mustHear = neighbour.publisher || number > neighbour.shown;
      const isKnown = piece !== undefined && !mustHear && neighbour.map.holds(number, piece, version);
      if (!isKnown && this.#cares(neighbour, window)) this.#queueNews(neighbour, number, piece);
    }
    this.sendNews();
  }

  #queueNews(neighbour: Neighbour, number: WindowNumber, piece: PieceIndex | undefined): void {
    const { nowMs } = this.#context;
    const substream = piece === undefined ? 0 : substreamOf(number, piece);
    // Whoever feeds it to us, and has not, is told that there is no need to any more.
    const isFed = piece !== undefined && !neighbour.publisher && hasSubstream(neighbour.feed.fed & ~neighbour.feeds, substream);
    const dueMs = isFed ? nowMs + FED_NEWS_MS : nowMs;
    neighbour.newsDueMs = neighbour.news.size === 0 ? dueMs : Math.min(neighbour.newsDueMs, dueMs);
    neighbour.news.add(number);
  }

  /** Sends the news that are due and comes back for the rest. */
  sendNews(): void {
    const { neighbours, nowMs, parameters } = this.#context;
    let soonestMs = Number.POSITIVE_INFINITY;
    for (const neighbour of neighbours.values()) {
      // Who does not read what it is sent gets no more of it; the news wait.
      if (neighbour.news.size === 0 || neighbour.blocked) continue;
      const waitMs = Math.max(neighbour.newsDueMs, neighbour.lastNewsMs + parameters.haveBatchMs) - nowMs;
      if (waitMs > 0) soonestMs = Math.min(soonestMs, waitMs);
      else this.#sendNewsTo(neighbour);
    }
    if (soonestMs !== Number.POSITIVE_INFINITY) this.#context.schedule('news', soonestMs);
  }

  /** The timer `map`: every neighbour gets the whole map. */
  sendMaps(): void {
    for (const neighbour of this.#context.neighbours.values()) this.sendMap(neighbour);
    this.#context.schedule('map', this.#context.parameters.mapPeriodMs);
  }

  /**
   * The whole map; the first one with all details, later ones as short runs. The newest window that is shown whole always names its version: neighbours
   * see by it that we follow one line.
   */
  sendMap(neighbour: Neighbour): void {
    if (neighbour.blocked) return;
    const windows: WindowAvailability[] = [];
    let newestWhole = true;
    const buffered = this.#context.buffer.windows();
    for (let at = buffered.length - 1; at >= 0; at--) {
      const window = buffered[at] as BufferedWindow;
      const isWhole = window.held.full && (neighbour.publisher || this.#shares.visibleTo(neighbour.id, window).full);
      const details = !neighbour.informed || neighbour.news.has(window.number) || (isWhole && newestWhole);
      if (isWhole) newestWhole = false;
      const told = this.#availability(neighbour, window, details);
      if (told) windows.push(told);
    }
    windows.reverse();
    neighbour.informed = true;
    neighbour.news.clear();
    this.#send(neighbour, true, windows, this.#feedStatus(neighbour));
  }

  /** Other publishers hear at once whether this one is making windows. */
  tellPublishers(): void {
    for (const neighbour of this.#context.neighbours.values())
      if (neighbour.publisher && !neighbour.blocked) this.#send(neighbour, false, []);
  }

  #sendNewsTo(neighbour: Neighbour): void {
    const windows = [...neighbour.news].sort((a, b) => a - b).flatMap((number) => this.#newsOf(neighbour, number) ?? []);
    neighbour.news.clear();
    if (windows.length === 0) return;
    neighbour.lastNewsMs = this.#context.nowMs;
    neighbour.shown = Math.max(neighbour.shown, ...windows.map(({ number }) => number));
    const [only] = windows;
    const have = windows.length === 1 && only ? this.#inShort(neighbour, only) : undefined;
    if (have) this.#context.send(neighbour, have);
    else this.#send(neighbour, false, windows);
  }

  /** Of a window whose details it knows. A publisher's maps also say whether it is on the air. */
  #inShort(neighbour: Neighbour, { number, version, held }: WindowAvailability): (LiveMessage & { kind: 'have' }) | undefined {
    if (this.#context.isPublisher || neighbour.detailed.get(number) !== version) return undefined;
    if (held && held.count > PIECES_NAMED_MAX) return undefined;
    const pieces: PieceIndex[] = [];
    for (let piece = 0; held && piece < held.length; piece++) if (held.has(piece)) pieces.push(piece);
    return { kind: 'have', window: number, pieces };
  }

  #newsOf(neighbour: Neighbour, number: WindowNumber): WindowAvailability | undefined {
    const window = this.#context.buffer.get(number);
    return window && this.#cares(neighbour, window) ? this.#availability(neighbour, window, true) : undefined;
  }

  /** Who has all of it needs to hear nothing, but a publisher wants to know which others are at work. */
  #cares(neighbour: Neighbour, window: BufferedWindow): boolean {
    const isFellow = this.#context.isPublisher && neighbour.publisher && window.number > neighbour.shown;
    return isFellow || !neighbour.map.holdsAll(window.number, window.version);
  }

  #send(neighbour: Neighbour, full: boolean, windows: readonly WindowAvailability[], feed?: FeedStatus): void {
    const { onAir, buffer } = this.#context;
    // What a whole map leaves out its receiver forgets. Of what stands whole in it there is no more to tell.
    if (full) neighbour.detailed.clear();
    for (const { number, version } of windows) if (version !== undefined) neighbour.detailed.set(number, version);
    const tail = full ? { tail: buffer.tail } : {};
    const feeding = feed === undefined || feed === NO_FEED ? {} : { feed };
    this.#context.send(neighbour, { kind: 'map', full, ...(onAir ? { onAir } : {}), ...tail, ...feeding, windows });
  }

  /** What this neighbour may know of a window; undefined when it is nothing yet. */
  #availability(neighbour: Neighbour, window: BufferedWindow, details: boolean): WindowAvailability | undefined {
    const { number, key, version } = window;
    const pieceCount = window.held.length;
    // Publishers take nothing from each other, but they look at what the others make.
    const visible = neighbour.publisher ? window.held : this.#shares.visibleTo(neighbour.id, window);
    if (visible.count === 0) return undefined;
    if (!visible.full) return { number, key, held: visible, pieceCount, version };
    return details ? { number, key, held: null, pieceCount, version } : { number, key, held: null, pieceCount: 0 };
  }
}
