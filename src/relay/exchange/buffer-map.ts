/**
 * What one neighbour says it holds (CoolFish: PieceMap). Hearsay: it steers requests and is never trusted for content.
 *
 * Bounded: at most `MAP_WINDOWS_MAX` windows, oldest dropped first.
 */
import { Bitfield } from '../../kernel/bitfield.js';
import type { PieceIndex, WindowNumber } from '../../kernel/units.js';
import { MAP_WINDOWS_MAX, type WindowAvailability } from './live-message.js';
import type { ContentVersion } from './manifest.js';

export class BufferMap {
  #windows = new Map<WindowNumber, WindowAvailability>();
  #head: WindowNumber | undefined;
  #tail: WindowNumber = 0;

  /** The newest window spoken of. */
  get head(): WindowNumber | undefined {
    return this.#head;
  }

  /** Windows below this one are gone at the neighbour. */
  get tail(): WindowNumber {
    return this.#tail;
  }

  /** Takes a map message; a full one replaces what was said before, but keeps known piece counts and key flags. */
  update(full: boolean, tail: WindowNumber, windows: readonly WindowAvailability[]): void {
    const known = this.#windows;
    if (full) this.#windows = new Map();
    this.#tail = tail;
    for (const window of windows) this.#windows.set(window.number, merge(known.get(window.number), window, full));
    for (const number of this.#windows.keys()) {
      if (number < tail || this.#windows.size > MAP_WINDOWS_MAX) this.#windows.delete(number);
    }
    this.#head = undefined;
    for (const number of this.#windows.keys()) this.#head = Math.max(this.#head ?? number, number);
  }

  get(number: WindowNumber): WindowAvailability | undefined {
    return this.#windows.get(number);
  }

  /** It speaks of the window, and not of another content than `version` under its number. */
  has(number: WindowNumber, version?: ContentVersion): boolean {
    return fits(this.#windows.get(number), version) !== undefined;
  }

  holds(number: WindowNumber, piece: PieceIndex, version?: ContentVersion): boolean {
    const window = fits(this.#windows.get(number), version);
    return window !== undefined && (window.held === null || window.held.has(piece));
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
    if (!window) this.#windows.set(number, { number, pieceCount, key: false, held, version });
  }

  /** What it has under this number is this content, as its signed manifest shows; of which pieces it holds, nothing is known any more. */
  noteVersion(number: WindowNumber, version: ContentVersion): void {
    const window = this.#windows.get(number);
    if (!window || window.version === version) return;
    const held = window.version === undefined ? window.held : new Bitfield(window.pieceCount);
    this.#windows.set(number, { ...window, held, version });
  }

  /** The neighbour refused it: it does not hold it after all. */
  noteMissing(number: WindowNumber): void {
    this.#windows.delete(number);
  }

  /** Windows below this one are gone here, so what others say of them is of no interest. */
  forgetBelow(tail: WindowNumber): void {
    for (const number of this.#windows.keys()) if (number < tail) this.#windows.delete(number);
  }

  numbers(): IterableIterator<WindowNumber> {
    return this.#windows.keys();
  }
}

function fits(window: WindowAvailability | undefined, version: ContentVersion | undefined): WindowAvailability | undefined {
  const isOther = window?.version !== undefined && version !== undefined && window.version !== version;
  return isOther ? undefined : window;
}

/** Later words add to earlier ones, as long as they speak of one content; a run without details keeps those known. */
function merge(before: WindowAvailability | undefined, now: WindowAvailability, full: boolean): WindowAvailability {
  if (before && !fits(before, now.version)) return now;
  const pieceCount = now.pieceCount || (before?.pieceCount ?? 0);
  const key = now.key || (before?.key ?? false);
  const version = now.version ?? before?.version;
  const details = { number: now.number, pieceCount, key, ...(version === undefined ? {} : { version }) };
  if (now.held === null || (!full && before?.held === null)) return { ...details, held: null };
  if (!full && before?.held) now.held.addAll(before.held);
  return { ...details, held: now.held };
}
