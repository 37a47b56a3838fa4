/** Who waits for which piece of a title. */
import type { PieceIndex } from '../../kernel/units.js';

export class PieceWaiters {
  readonly #waiting = new Map<PieceIndex, Set<() => void>>();

  /** Resolves when the piece has come, when all are woken, or when `signal` ends the wait. */
  wait(piece: PieceIndex, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.get(piece)?.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const waiting = this.#waiting.get(piece) ?? new Set();
      this.#waiting.set(piece, waiting.add(wake));
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  wake(piece: PieceIndex): void {
    const waiting = this.#waiting.get(piece);
    this.#waiting.delete(piece);
    for (const wake of waiting ?? []) wake();
  }

  wakeAll(): void {
    for (const piece of [...this.#waiting.keys()]) this.wake(piece);
  }
}
