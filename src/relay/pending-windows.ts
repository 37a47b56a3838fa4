/**
 * Windows that are being fetched before their manifest is here: when the manifest was asked for, and the pieces that came early.
 *
 * Such pieces are not verified: nobody plays or forwards them until the manifest vouches for them.
 */
import type { ConnectionId, Milliseconds, PieceIndex, WindowNumber } from '../kernel/units.js';

export interface EarlyPiece {
  readonly from: ConnectionId;
  readonly payload: Uint8Array;
}

export class PendingWindows {
  readonly #manifestAskedMs = new Map<WindowNumber, Milliseconds>();
  readonly #pieces = new Map<WindowNumber, Map<PieceIndex, EarlyPiece>>();

  manifestAskedMs(number: WindowNumber): Milliseconds | undefined {
    return this.#manifestAskedMs.get(number);
  }

  noteManifestAsked(number: WindowNumber, nowMs: Milliseconds): void {
    this.#manifestAskedMs.set(number, nowMs);
  }

  has(number: WindowNumber, piece: PieceIndex): boolean {
    return this.#pieces.get(number)?.has(piece) === true;
  }

  hasAny(number: WindowNumber): boolean {
    return this.#pieces.has(number);
  }

  keep(number: WindowNumber, piece: PieceIndex, early: EarlyPiece): void {
    const pieces = this.#pieces.get(number) ?? new Map<PieceIndex, EarlyPiece>();
    this.#pieces.set(number, pieces.set(piece, early));
  }

  /** The manifest is here: takes the pieces that waited for it. */
  release(number: WindowNumber): ReadonlyMap<PieceIndex, EarlyPiece> {
    const pieces = this.#pieces.get(number);
    this.#pieces.delete(number);
    this.#manifestAskedMs.delete(number);
    return pieces ?? new Map();
  }

  forgetBelow(number: WindowNumber): void {
    for (const known of this.#manifestAskedMs.keys()) if (known < number) this.#manifestAskedMs.delete(known);
    for (const known of this.#pieces.keys()) if (known < number) this.#pieces.delete(known);
  }
}
