/**
 * The live buffer: the run of windows that is still worth having.
 *
 * Only windows with a verified manifest are in it, and only pieces that match their hash. Window numbers only grow; a window that leaves at
 * the tail never comes back. Memory is bounded by `capacityBytes` (counted in full from
 * the moment a window opens), length by `capacityWindows`.
 */
import { Bitfield } from '../../kernel/bitfield.js';
import type { Bytes, ConnectionId, Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import type { Gap } from '../../media/holed-window.js';
import type { ContentVersion, Manifest } from './manifest.js';
import { WindowRow } from './window-row.js';

export class BufferedWindow {
  readonly manifest: Manifest;
  /** When its manifest came: from then on there is something to wait for. */
  readonly openedMs: Milliseconds;
  /** When the publisher cut the window, on this peer's clock, as far as ages on the wire tell. */
  readonly originMs: Milliseconds;
  readonly held: Bitfield;
  /** How often each piece has been sent, for a publisher that spreads first copies first. */
  readonly copies: Uint16Array;
  /** Of a publisher: whom each piece has been sent to. */
  #takers: Map<PieceIndex, Set<ConnectionId>> | undefined;
  /** Pieces that some neighbour has claimed to hold; undefined while nobody has asked for it, and once the window is whole. */
  #offered: Bitfield | undefined;
  readonly #pieces: (Uint8Array | undefined)[];

  constructor(manifest: Manifest, openedMs: Milliseconds, originMs = openedMs) {
    this.manifest = manifest;
    this.openedMs = openedMs;
    this.originMs = originMs;
    const pieceCount = manifest.pieceHashes.length;
    this.held = new Bitfield(pieceCount);
    this.copies = new Uint16Array(pieceCount);
    this.#pieces = new Array<Uint8Array | undefined>(pieceCount).fill(undefined);
  }

  get number(): WindowNumber {
    return this.manifest.number;
  }

  get version(): ContentVersion {
    return this.manifest.version;
  }

  get complete(): boolean {
    return this.held.full;
  }

  get key(): boolean {
    return this.manifest.keyMarks.length > 0;
  }

  /** A publisher has sent a piece. */
  noteTaker(index: PieceIndex, peer: ConnectionId): void {
    this.#takers ??= new Map();
    this.#takers.set(index, (this.#takers.get(index) ?? new Set()).add(peer));
  }

  /** The publisher itself has sent something of it to somebody. */
  get isOut(): boolean {
    return this.#takers !== undefined;
  }

  /** The publisher itself has sent it that piece. */
  wasSentTo(index: PieceIndex, peer: ConnectionId): boolean {
    return this.#takers?.get(index)?.has(peer) === true;
  }

  /** A neighbour has claimed these pieces; null: all. */
  noteOffer(claimed: Bitfield | null): void {
    if (claimed) this.#offered?.addAll(claimed);
    else this.#offered?.fill();
  }

  /**
   * Pieces that some neighbour claims, or has claimed before: that it has gone, or has thought otherwise, takes none back.
   *
   * @param claims what neighbours say of the window now; looked at the first time only, `noteOffer` tells of all later ones.
   */
  offered(claims: () => Iterable<Bitfield | null>): Bitfield {
    if (this.#offered) return this.#offered;
    this.#offered = new Bitfield(this.held.length);
    for (const claimed of claims()) this.noteOffer(claimed);
    return this.#offered;
  }

  piece(index: PieceIndex): Uint8Array | undefined {
    return this.#pieces[index];
  }

  /** Stores a verified piece; a second copy is ignored. */
  store(index: PieceIndex, bytes: Uint8Array): boolean {
    if (!this.held.add(index)) return false;
    this.#pieces[index] = bytes;
    if (this.held.full) this.#offered = undefined;
    return true;
  }

  /** The window at its full size; pieces that are missing are zeros. */
  join(pieceBytes: Bytes): Uint8Array {
    const bytes = new Uint8Array(this.manifest.sizeBytes);
    for (const [index, piece] of this.#pieces.entries()) if (piece) bytes.set(piece, index * pieceBytes);
    return bytes;
  }

  /** Pieces that are missing. */
  get missingCount(): number {
    return this.held.length - this.held.count;
  }

  /** Where they lie in the window. */
  gaps(pieceBytes: Bytes): readonly Gap[] {
    const gaps: Gap[] = [];
    for (let piece = 0; piece < this.held.length; piece++) {
      if (this.held.has(piece)) continue;
      const first = piece;
      while (piece + 1 < this.held.length && !this.held.has(piece + 1)) piece += 1;
      const offsetBytes = first * pieceBytes;
      gaps.push({ offsetBytes, lengthBytes: Math.min((piece + 1) * pieceBytes, this.manifest.sizeBytes) - offsetBytes });
    }
    return gaps;
  }
}

export class WindowBuffer {
  readonly #capacityWindows: number;
  readonly #capacityBytes: Bytes;
  readonly #windows = new WindowRow<BufferedWindow>();
  #sizeBytes: Bytes = 0;
  #tail: WindowNumber = 0;
  #head: WindowNumber | undefined;
  #highest: WindowNumber = -1;

  constructor(capacityWindows: number, capacityBytes: Bytes) {
    this.#capacityWindows = capacityWindows;
    this.#capacityBytes = capacityBytes;
  }

  /** The newest window held in part or whole. */
  get head(): WindowNumber | undefined {
    return this.#head;
  }

  /** Nothing above this number has ever been held. */
  get highest(): WindowNumber {
    return this.#highest;
  }

  /** Nothing below this number is held or taken any more. */
  get tail(): WindowNumber {
    return this.#tail;
  }

  get(number: WindowNumber): BufferedWindow | undefined {
    return this.#windows.get(number);
  }

  /** Opens a window for its pieces. Undefined when it lies below the tail; the known one when it is open already. */
  open(manifest: Manifest, nowMs: Milliseconds, originMs = nowMs): BufferedWindow | undefined {
    if (manifest.number < this.#tail) return undefined;
    const known = this.#windows.get(manifest.number);
    if (known) return known;
    const window = new BufferedWindow(manifest, nowMs, originMs);
    this.#windows.set(manifest.number, window);
    this.#sizeBytes += manifest.sizeBytes;
    this.#head = Math.max(this.#head ?? 0, manifest.number);
    this.#highest = Math.max(this.#highest, manifest.number);
    this.#slide();
    return this.#windows.get(manifest.number);
  }

  /** Drops a window wherever it lies: its signer has lost its authority. It may be opened again with another manifest. */
  remove(number: WindowNumber): void {
    const window = this.#windows.get(number);
    if (!window) return;
    this.#windows.delete(number);
    this.#sizeBytes -= window.manifest.sizeBytes;
    this.#head = this.#windows.numbers.at(-1);
  }

  get count(): number {
    return this.#windows.size;
  }

  /** Windows in ascending order. Valid until one is opened or removed. */
  windows(): readonly BufferedWindow[] {
    return this.#windows.items;
  }

  /** The first window above this number. */
  after(number: WindowNumber): BufferedWindow | undefined {
    return this.#windows.items[this.#windows.indexFrom(number + 1)];
  }

  /** Windows above this number, ascending, so many at most. */
  following(number: WindowNumber, countMax: number): readonly BufferedWindow[] {
    const from = this.#windows.indexFrom(number + 1);
    return this.#windows.items.slice(from, from + countMax);
  }

  /** The newest window below this number that is as wanted. */
  newestBelow(number: WindowNumber, isWanted: (window: BufferedWindow) => boolean): BufferedWindow | undefined {
    const { items } = this.#windows;
    for (let at = this.#windows.indexFrom(number) - 1; at >= 0; at--) {
      const window = items[at] as BufferedWindow;
      if (isWanted(window)) return window;
    }
    return undefined;
  }

  /** Drops from the tail until both bounds hold. Windows are counted, not numbers: those in a gap do not exist. */
  #slide(): void {
    let count = 0;
    for (const window of this.#windows.items) {
      if (this.#windows.size - count <= this.#capacityWindows && this.#sizeBytes <= this.#capacityBytes) break;
      count += 1;
      this.#sizeBytes -= window.manifest.sizeBytes;
      this.#tail = window.number + 1;
    }
    this.#windows.dropFirst(count);
  }
}
