/**
 * What one neighbour says it holds (CoolFish: PieceMap). Hearsay: it steers requests and is never trusted for content.
 *
 * Bounded: at most `MAP_WINDOWS_MAX` windows, the lowest dropped first.
 */
import { Bitfield } from '../../kernel/bitfield.js';
import type { PieceIndex, WindowNumber } from '../../kernel/units.js';
import { MAP_WINDOWS_MAX, type WindowAvailability } from './live-message.js';
import type { ContentVersion } from './manifest.js';
import { WindowRow } from './window-row.js';

export class BufferMap {
  #windows = new WindowRow<WindowAvailability>();
  #head: WindowNumber | undefined;
  #tail: WindowNumber = 0;
  /** From the one to below the other all windows that have not been forgotten are spoken of, and held whole. */
  #wholeFrom: WindowNumber = 0;
  #wholeBelow: WindowNumber = 0;

  /** The newest window spoken of. */
  get head(): WindowNumber | undefined {
    return this.#head;
  }

  /** Windows below this one are gone at the neighbour. */
  get tail(): WindowNumber {
    return this.#tail;
  }

  /**
   * Takes a map message; a full one replaces what was said before, but keeps known piece counts and key flags.
   *
   * @returns what it says that was not known: most of a whole map has been said before.
   */
  update(full: boolean, tail: WindowNumber | undefined, windows: readonly WindowAvailability[]): readonly WindowAvailability[] {
    const news = full ? this.#replace(windows) : this.#add(windows);
    this.#tail = tail ?? this.#tail;
    this.#windows.dropBelow(this.#tail);
    this.#windows.dropFirst(this.#windows.size - MAP_WINDOWS_MAX);
    this.#noteDropped();
    this.#head = this.#windows.last;
    return news;
  }

  #add(windows: readonly WindowAvailability[]): readonly WindowAvailability[] {
    const news: WindowAvailability[] = [];
    for (const window of windows) {
      const before = this.#windows.get(window.number);
      const now = merge(before, window, false);
      if (now === before) continue;
      this.#set(now);
      news.push(now);
    }
    return news;
  }

  /**
   * Nearly all whole maps name each window that was spoken of before, without a gap, and say nothing new of most: so the row is kept, and what has been heard to be
   * whole is not even looked at. To make each map anew took a fifteenth of all time in a simulated swarm of hundreds.
   */
  #replace(windows: readonly WindowAvailability[]): readonly WindowAvailability[] {
    const known = this.#windows;
    const first = windows[0]?.number ?? 0;
    const isRun = windows.every(({ number }, at) => number === first + at);
    const isKept = isRun && known.last !== undefined && known.last < first + windows.length;
    if (isKept) known.dropBelow(first);
    else this.#windows = new WindowRow();
    const news: WindowAvailability[] = [];
    let wholeCount = 0;
    for (let at = 0; at < windows.length; at++) {
      const window = windows[at] as WindowAvailability;
      const isSaid = isKept && isBare(window) && window.number >= this.#wholeFrom && window.number < this.#wholeBelow;
      const isWhole = isSaid || this.#enter(window, known, news);
      if (isRun && isWhole && wholeCount === at) wholeCount += 1;
    }
    this.#wholeFrom = first;
    this.#wholeBelow = first + wholeCount;
    return news;
  }

  /** @returns whether it holds all of the window. */
  #enter(window: WindowAvailability, known: WindowRow<WindowAvailability>, news: WindowAvailability[]): boolean {
    const before = known.get(window.number);
    const now = merge(before, window, true);
    if (now !== before) news.push(now);
    if (now !== before || known !== this.#windows) this.#windows.set(window.number, now);
    return now.held === null;
  }

  #set(window: WindowAvailability): void {
    if (window.held !== null) this.#noteNotWhole(window.number);
    this.#windows.set(window.number, window);
  }

  /** The lowest have gone. */
  #noteDropped(): void {
    this.#wholeFrom = Math.max(this.#wholeFrom, this.#windows.numbers[0] ?? this.#wholeBelow);
  }

  #noteNotWhole(number: WindowNumber): void {
    if (number >= this.#wholeFrom) this.#wholeBelow = Math.min(this.#wholeBelow, number);
  }

  /** What a short word about a window amounts to; undefined where it says nothing new, or its details are not known: the next whole map has them. */
  spellOut(number: WindowNumber, pieces: readonly PieceIndex[]): WindowAvailability | undefined {
    const known = this.#windows.get(number);
    if (!known || known.held === null || known.pieceCount === 0) return undefined;
    if (pieces.length === 0) return { ...known, held: null };
    const held = new Bitfield(known.pieceCount);
    for (const piece of pieces) held.add(piece);
    return { ...known, held };
  }

  get(number: WindowNumber): WindowAvailability | undefined {
    return this.#windows.get(number);
  }

  /** What it says of the window, if that is not another content than `version`. */
  claim(number: WindowNumber, version: ContentVersion | undefined): WindowAvailability | undefined {
    return fits(this.#windows.get(number), version);
  }

  /** It speaks of the window, and not of another content than `version` under its number. */
  has(number: WindowNumber, version?: ContentVersion): boolean {
    return this.claim(number, version) !== undefined;
  }

  holds(number: WindowNumber, piece: PieceIndex, version?: ContentVersion): boolean {
    const window = fits(this.#windows.get(number), version);
    return window !== undefined && covers(window, piece);
  }

  holdsAll(number: WindowNumber, version?: ContentVersion): boolean {
    const window = fits(this.#windows.get(number), version);
    return window !== undefined && (window.held === null || window.held.full);
  }

  /** The neighbour has just sent or been sent this piece, so it holds it whatever it has announced. `pieceCount` and `version` from the manifest. */
  noteHeld(number: WindowNumber, piece: PieceIndex, pieceCount: number, version: ContentVersion): void {
    const window = this.#windows.get(number);
    if (window?.held === null || (window && !fits(window, version))) return;
    const held = window?.held ?? new Bitfield(pieceCount);
    held.add(piece);
    if (!window) this.#set({ number, pieceCount, key: false, held, version });
  }

  /** What it has under this number is this content, as its signed manifest shows; of which pieces it holds, nothing is known any more. */
  noteVersion(number: WindowNumber, version: ContentVersion): void {
    const window = this.#windows.get(number);
    if (!window || window.version === version) return;
    const held = window.version === undefined ? window.held : new Bitfield(window.pieceCount);
    this.#set({ ...window, held, version });
  }

  /** The neighbour refused it: it does not hold it after all. */
  noteMissing(number: WindowNumber): void {
    this.#noteNotWhole(number);
    this.#windows.delete(number);
  }

  /** Windows below this one are gone here, so what others say of them is of no interest. */
  forgetBelow(tail: WindowNumber): void {
    this.#windows.dropBelow(tail);
    this.#noteDropped();
  }

  /** Ascending. Valid until the map changes. */
  numbers(): readonly WindowNumber[] {
    return this.#windows.numbers;
  }

  /** The lowest of the numbers that is this one or higher. */
  firstFrom(first: WindowNumber): WindowNumber | undefined {
    return this.#windows.numbers[this.#windows.indexFrom(first)];
  }

  /** Those of the numbers that are this one or higher. */
  numbersFrom(first: WindowNumber): readonly WindowNumber[] {
    return this.#windows.numbers.slice(this.#windows.indexFrom(first));
  }
}

/**
 * Whether what a neighbour says of a window speaks of this piece. A whole window has the pieces that it is said to have: while its manifest is not here, somebody
 * else may say that there are more, and whoever was asked for those would seem to break its word. Of unknown length it covers any.
 */
export function covers({ held, pieceCount }: WindowAvailability, piece: PieceIndex): boolean {
  return held === null ? pieceCount === 0 || piece < pieceCount : held.has(piece);
}

function fits(window: WindowAvailability | undefined, version: ContentVersion | undefined): WindowAvailability | undefined {
  if (window === undefined || version === undefined || window.version === undefined || window.version === version) return window;
  return undefined;
}

/** All of it is held, and the details are left out. */
function isBare({ held, pieceCount, version, key }: WindowAvailability): boolean {
  return held === null && pieceCount === 0 && version === undefined && !key;
}

/** Later words add to earlier ones, as long as they speak of one content; a run without details keeps those known. */
function merge(before: WindowAvailability | undefined, now: WindowAvailability, full: boolean): WindowAvailability {
  // Most of a whole map has been said before.
  if (before?.held === null && isBare(now)) return before;
  if (before && !fits(before, now.version)) return now;
  const pieceCount = now.pieceCount || (before?.pieceCount ?? 0);
  const key = now.key || (before?.key ?? false);
  const version = now.version ?? before?.version;
  const isWhole = now.held === null || (!full && before?.held === null);
  if (isWhole && before?.held === null && before.pieceCount === pieceCount && before.key === key && before.version === version)
    return before;
  const held = isWhole ? null : now.held;
  if (held && !full && before?.held) held.addAll(before.held);
  return version === undefined ? { number: now.number, pieceCount, key, held } : { number: now.number, pieceCount, key, held, version };
}
