/**
 * Tells each neighbour truthfully whether it holds anything wanted and missing here (BEP 3), from a count that every change keeps.
 *
 * Also lets go of neighbours with whom nothing can be exchanged in either direction: two that both want nothing.
 */
import type { Neighbour } from './neighbour.js';
import type { TransferContext } from './transfer-context.js';

export class Interest {
  readonly #context: TransferContext;
  #isPaused = true;

  constructor(context: TransferContext) {
    this.#context = context;
    context.wanted.onMissing = (piece, isMissing) => this.#onMissing(piece, isMissing ? 1 : -1);
  }

  /** Changes very much at once, then counts afresh. */
  recountAfter(change: () => void): void {
    this.#isPaused = true;
    change();
    this.#isPaused = false;
    for (const neighbour of this.#context.neighbours.values()) this.recount(neighbour);
  }

  /** What a neighbour holds has been told as a whole. */
  recount(neighbour: Neighbour): void {
    const { missing } = this.#context.wanted;
    neighbour.usefulCount = neighbour.holds === null ? missing.count : neighbour.holds.countCommon(missing);
    this.tell(neighbour);
  }

  /** The neighbour got or lost a piece. */
  onHeld(neighbour: Neighbour, piece: number, change: 1 | -1): void {
    if (!this.#context.wanted.missing.has(piece)) return;
    neighbour.usefulCount += change;
    this.tell(neighbour);
  }

  tell(neighbour: Neighbour): void {
    const isInterested = neighbour.usefulCount > 0;
    if (neighbour.isWebSeed || !this.#context.hasStarted) return;
    if (isInterested !== neighbour.amInterested) {
      neighbour.amInterested = isInterested;
      this.#context.send(neighbour, { kind: isInterested ? 'interested' : 'not-interested' });
    }
    this.#leaveIfUseless(neighbour);
  }

  #leaveIfUseless(neighbour: Neighbour): void {
    if (!neighbour.hasSpoken || !this.#context.isContent) return;
    if (neighbour.isSeeder || neighbour.uploadOnly)
      this.#context.dismiss(neighbour, { kind: 'idle', detail: 'neither side wants anything' });
  }

  #onMissing(piece: number, change: 1 | -1): void {
    if (this.#isPaused) return;
    for (const neighbour of this.#context.neighbours.values()) {
      if (!neighbour.has(piece)) continue;
      neighbour.usefulCount += change;
      this.tell(neighbour);
    }
  }
}
