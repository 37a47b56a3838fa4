/**
 * The live buffer: the run of windows that is still worth having.
 *
 * Only windows with a verified manifest are in it, and only pieces that match their hash. Window numbers only grow; a window that leaves at
 * the tail never comes back. Memory is bounded by `capacityBytes` (counted in full from
 * the moment a window opens), length by `capacityWindows`.
 */
import { Bitfield } from '../../kernel/bitfield.js';
import type { Bytes, Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import type { ContentVersion, Manifest } from './manifest.js';

export class BufferedWindow {
  readonly manifest: Manifest;
  /** When the publisher cut the window, on this peer's clock, as far as ages on the wire tell. */
  readonly originMs: Milliseconds;
  readonly held: Bitfield;
  /** How often each piece has been sent, for a publisher that spreads first copies first. */
  readonly copies: Uint16Array;
  readonly #pieces: (Uint8Array | undefined)[];

  constructor(manifest: Manifest, originMs: Milliseconds) {
    this.manifest = manifest;
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

  piece(index: PieceIndex): Uint8Array | undefined {
    return this.#pieces[index];
  }

  /** Stores a verified piece; a second copy is ignored. */
  store(index: PieceIndex, bytes: Uint8Array): boolean {
    if (!this.held.add(index)) return false;
    this.#pieces[index] = bytes;
    return true;
  }

  /** The whole window; only for a complete one. */
  join(): Uint8Array {
    const bytes = new Uint8Array(this.manifest.sizeBytes);
    let offset = 0;
    for (const piece of this.#pieces) {
      if (!piece) continue;
      bytes.set(piece, offset);
      offset += piece.length;
    }
    return bytes;
  }
}

export class WindowBuffer {
  readonly #capacityWindows: number;
  readonly #capacityBytes: Bytes;
  /** In ascending order of number after `#sort`; most arrive in order, so sorting is rare. */
  #windows = new Map<WindowNumber, BufferedWindow>();
  #sizeBytes: Bytes = 0;
  #tail: WindowNumber = 0;
  #head: WindowNumber | undefined;

  constructor(capacityWindows: number, capacityBytes: Bytes) {
    this.#capacityWindows = capacityWindows;
    this.#capacityBytes = capacityBytes;
  }

  /** The newest window held in part or whole. */
  get head(): WindowNumber | undefined {
    return this.#head;
  }

  /** Nothing below this number is held or taken any more. */
  get tail(): WindowNumber {
    return this.#tail;
  }

  get(number: WindowNumber): BufferedWindow | undefined {
    return this.#windows.get(number);
  }

  /** Opens a window for its pieces. Undefined when it lies below the tail; the known one when it is open already. */
  open(manifest: Manifest, originMs: Milliseconds): BufferedWindow | undefined {
    if (manifest.number < this.#tail) return undefined;
    const known = this.#windows.get(manifest.number);
    if (known) return known;
    const window = new BufferedWindow(manifest, originMs);
    this.#windows.set(manifest.number, window);
    this.#sizeBytes += manifest.sizeBytes;
    if (manifest.number < (this.#head ?? 0)) this.#sort();
    this.#head = Math.max(this.#head ?? 0, manifest.number);
    this.#slide();
    return this.#windows.get(manifest.number);
  }

  /** Drops a window wherever it lies: its signer has lost its authority. It may be opened again with another manifest. */
  remove(number: WindowNumber): void {
    const window = this.#windows.get(number);
    if (!window) return;
    this.#windows.delete(number);
    this.#sizeBytes -= window.manifest.sizeBytes;
    this.#head = [...this.#windows.keys()].at(-1);
  }

  get count(): number {
    return this.#windows.size;
  }

  /** Windows in ascending order. */
  windows(): IterableIterator<BufferedWindow> {
    return this.#windows.values();
  }

  /** Drops from the tail until both bounds hold. Windows are counted, not numbers: those in a gap do not exist. */
  #slide(): void {
    for (const window of this.#windows.values()) {
      if (this.#windows.size <= this.#capacityWindows && this.#sizeBytes <= this.#capacityBytes) return;
      this.#windows.delete(window.number);
      this.#sizeBytes -= window.manifest.sizeBytes;
      this.#tail = window.number + 1;
    }
  }

  #sort(): void {
    this.#windows = new Map([...this.#windows].sort(([a], [b]) => a - b));
  }
}
