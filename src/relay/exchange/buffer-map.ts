/**
 * What one neighbour says it holds (CoolFish: PieceMap). Hearsay: it steers requests and is never trusted for content.
 *
 * Bounded: at most `MAP_WINDOWS_MAX` windows, oldest dropped first.
 */
import { Bitfield } from '../../kernel/bitfield.js';
import type { PieceIndex, WindowNumber } from '../../kernel/units.js';
import { MAP_WINDOWS_MAX, type WindowAvailability } from './live-message.js';

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

  holds(number: WindowNumber, piece: PieceIndex): boolean {
    const window = this.#windows.get(number);
    return window !== undefined && (window.held === null || window.held.has(piece));
  }

  holdsAll(number: WindowNumber): boolean {
    const window = this.#windows.get(number);
    return window !== undefined && (window.held === null || window.held.full);
  }

  /** The neighbour has just sent or been sent this piece, so it holds it whatever it has announced. `pieceCount` from the manifest. */
  noteHeld(number: WindowNumber, piece: PieceIndex, pieceCount: number): void {
    const window = this.#windows.get(number);
    if (window?.held === null) return;
    const held = window?.held ?? new Bitfield(pieceCount);
    held.add(piece);
    if (!window) this.#windows.set(number, { number, pieceCount, key: false, held });
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

/** Later words add to earlier ones; a run without details keeps those known. */
function merge(before: WindowAvailability | undefined, now: WindowAvailability, full: boolean): WindowAvailability {
  const pieceCount = now.pieceCount || (before?.pieceCount ?? 0);
  const key = now.key || (before?.key ?? false);
  if (now.held === null || (!full && before?.held === null)) return { number: now.number, pieceCount, key, held: null };
  if (!full && before?.held) now.held.addAll(before.held);
  return { number: now.number, pieceCount, key, held: now.held };
}
