/**
 * Windows that are being fetched before their manifest is here: whom the manifest was asked of, and the pieces that came early.
 *
 * Such pieces are not verified: nobody plays or forwards them until the manifest vouches for them. Bounded in pieces per window and in
 * bytes altogether, whatever neighbours claim a window to be.
 */
import type { Bytes, ConnectionId, Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';

/** Pieces of one window asked for before its manifest: 1 MiB at 16 KiB, a whole window of 500 ms at 16 Mbit/s. */
export const EARLY_PIECES_MAX = 64;
/** Bytes kept unverified over all windows. */
export const EARLY_BYTES_MAX: Bytes = 8 * 1024 * 1024;
/** Windows of which something comes unasked before anybody has spoken of them, with all others under way: as many as a buffer holds. */
export const EXPECTED_MAX = 64;

export interface EarlyPiece {
  readonly from: ConnectionId;
  readonly payload: Uint8Array;
}

interface PendingWindow {
  manifestAskedMs: Milliseconds;
  /** Something of it has come unasked: nobody need have spoken of it. */
  isFed: boolean;
  /** Who has been asked for the manifest and not answered. */
  readonly asked: Set<ConnectionId>;
  readonly pieces: Map<PieceIndex, EarlyPiece>;
}

export class PendingWindows {
  readonly #windows = new Map<WindowNumber, PendingWindow>();
  #sizeBytes: Bytes = 0;

  get sizeBytes(): Bytes {
    return this.#sizeBytes;
  }

  get count(): number {
    return this.#windows.size;
  }

  /** No more unverified bytes are taken for now. */
  get full(): boolean {
    return this.#sizeBytes >= EARLY_BYTES_MAX;
  }

  /** Somebody has been asked for the manifest of this window. */
  expects(number: WindowNumber): boolean {
    return this.#windows.has(number);
  }

  has(number: WindowNumber, piece: PieceIndex): boolean {
    return this.#windows.get(number)?.pieces.has(piece) === true;
  }

  hasAny(number: WindowNumber): boolean {
    return (this.#windows.get(number)?.pieces.size ?? 0) > 0;
  }

  /** Pieces of this neighbour that wait for their manifest. */
  countFrom(peer: ConnectionId): number {
    let count = 0;
    for (const { pieces } of this.#windows.values()) for (const { from } of pieces.values()) if (from === peer) count += 1;
    return count;
  }

  /** Whether it is time to ask for the manifest of this window, for the first time or of somebody else. */
  wantsManifest(number: WindowNumber, patienceMs: Milliseconds, nowMs: Milliseconds): boolean {
    const window = this.#windows.get(number);
    return window === undefined || nowMs - window.manifestAskedMs > patienceMs;
  }

  /** Something of this window comes unasked, and its manifest as a rule before it. */
  expect(number: WindowNumber, nowMs: Milliseconds): void {
    const window = this.#windows.get(number);
    if (window) window.isFed = true;
    else if (this.#windows.size < EXPECTED_MAX)
      this.#windows.set(number, { manifestAskedMs: nowMs, isFed: true, asked: new Set(), pieces: new Map() });
  }

  /** Something of it has come unasked. */
  isFed(number: WindowNumber): boolean {
    return this.#windows.get(number)?.isFed === true;
  }

  hasAsked(number: WindowNumber, peer: ConnectionId): boolean {
    return this.#windows.get(number)?.asked.has(peer) === true;
  }

  noteManifestAsked(number: WindowNumber, peer: ConnectionId, nowMs: Milliseconds): void {
    const window = this.#windows.get(number) ?? { manifestAskedMs: nowMs, isFed: false, asked: new Set(), pieces: new Map() };
    window.manifestAskedMs = nowMs;
    window.asked.add(peer);
    this.#windows.set(number, window);
  }

  /** What this neighbour showed as the manifest is worth nothing: others are asked at once, and its early pieces are thrown away. */
  disappoint(number: WindowNumber, peer: ConnectionId): void {
    const window = this.#windows.get(number);
    if (!window) return;
    window.manifestAskedMs = Number.NEGATIVE_INFINITY;
    for (const [piece, { from, payload }] of window.pieces) {
      if (from !== peer) continue;
      window.pieces.delete(piece);
      this.#sizeBytes -= payload.length;
    }
  }

  /** Everybody has been asked in vain: they may be asked again. */
  askAnew(number: WindowNumber): void {
    this.#windows.get(number)?.asked.clear();
  }

  /** @returns false when there is no room for it, or nobody has been asked for its manifest. */
  keep(number: WindowNumber, piece: PieceIndex, early: EarlyPiece): boolean {
    const window = this.#windows.get(number);
    if (!window || this.full || window.pieces.size >= EARLY_PIECES_MAX || window.pieces.has(piece)) return false;
    window.pieces.set(piece, early);
    this.#sizeBytes += early.payload.length;
    return true;
  }

  /** The manifest is here: takes the pieces that waited for it. */
  release(number: WindowNumber): ReadonlyMap<PieceIndex, EarlyPiece> {
    const window = this.#windows.get(number);
    if (!window) return new Map();
    this.#windows.delete(number);
    for (const { payload } of window.pieces.values()) this.#sizeBytes -= payload.length;
    return window.pieces;
  }

  /** This neighbour is not trusted any more: what it sent is thrown away unseen. */
  dropPeer(peer: ConnectionId): void {
    for (const window of this.#windows.values()) {
      for (const [piece, { from, payload }] of window.pieces) {
        if (from !== peer) continue;
        window.pieces.delete(piece);
        this.#sizeBytes -= payload.length;
      }
    }
  }

  /** Forgets a window. Returns who had sent a piece of it that nobody has judged, once for each piece. */
  discard(number: WindowNumber): readonly ConnectionId[] {
    return [...this.release(number).values()].map(({ from }) => from);
  }

  /** Forgets what is not wanted any more. Returns the same as `discard`. */
  keepOnly(isWanted: (number: WindowNumber) => boolean): readonly ConnectionId[] {
    return [...this.#windows.keys()].flatMap((number) => (isWanted(number) ? [] : this.discard(number)));
  }

  numbers(): readonly WindowNumber[] {
    return [...this.#windows.keys()];
  }
}
