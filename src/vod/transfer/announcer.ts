/**
 * Tells neighbours what is here: everything once at the beginning, then each new piece, in batches, to those that lack it.
 *
 * Who holds everything, or wants nothing more, is not told of new pieces (BEP 21), unless it is of our own kind. Pieces that leave the disk are announced to those that
 * understand it (BEP 54).
 */
import { AWAITED_MAX, type PeerMessage } from '../peer-message.js';
import type { Neighbour } from './neighbour.js';
import type { TransferContext } from './transfer-context.js';

const NONE: readonly number[] = [];

export class Announcer {
  readonly #context: TransferContext;
  readonly #news = new Set<number>();
  #isUploadOnly = false;
  #isWatching = false;
  #awaited: readonly number[] = NONE;

  constructor(context: TransferContext) {
    this.#context = context;
  }

  /** The first message to a neighbour: exactly one of the three where the fast extension asks for it (BEP 6). */
  greet(neighbour: Neighbour): void {
    if (neighbour.isWebSeed) return;
    const { own } = this.#context.wanted;
    const { fast, kin } = neighbour.introduction;
    if (fast && own.isFull) this.#context.send(neighbour, { kind: 'have-all' });
    else if (fast && own.count === 0) this.#context.send(neighbour, { kind: 'have-none' });
    else if (own.count > 0) this.#context.send(neighbour, { kind: 'bitfield', bytes: own.toBitfield() });
    if (this.#isUploadOnly && neighbour.introduction.mapsUploadOnly) this.#context.send(neighbour, { kind: 'upload-only', on: true });
    if (kin) this.#context.send(neighbour, this.#watching);
  }

  get #watching(): PeerMessage {
    return { kind: 'watching', on: this.#isWatching, ...(this.#awaited.length > 0 ? { awaited: this.#awaited } : {}) };
  }

  /** What readers lack of the nearer half of their zones. */
  #awaitedPieces(): readonly number[] {
    const { needs, wanted } = this.#context;
    let pieces: number[] | undefined;
    for (const { firstPiece, urgentPiece } of needs.all) {
      const last = (firstPiece + urgentPiece) >> 1;
      for (let piece = wanted.missing.next(null, firstPiece, last); piece >= 0; piece = wanted.missing.next(null, piece + 1, last)) {
        pieces ??= [];
        if (pieces.length >= AWAITED_MAX) return pieces;
        pieces.push(piece);
      }
    }
    return pieces ?? NONE;
  }

  gained(piece: number): void {
    if (this.#news.size === 0) this.#context.schedule('news', this.#context.parameters.newsMs);
    this.#news.add(piece);
  }

  /** Also of a piece whose news has not gone out: whoever came meanwhile was told of it with all the rest. */
  lost(piece: number): void {
    this.#news.delete(piece);
    for (const neighbour of this.#context.neighbours.values()) {
      if (neighbour.introduction.mapsDontHave) this.#context.send(neighbour, { kind: 'dont-have', piece });
    }
  }

  /** The timer `news`. */
  sendNews(): void {
    const news = [...this.#news];
    this.#news.clear();
    for (const neighbour of this.#context.neighbours.values()) {
      // A seeder of our own kind sends first what nobody else could send, so it has to know who holds what.
      const { kin } = neighbour.introduction;
      if (!kin && (neighbour.isSeeder || neighbour.uploadOnly)) continue;
      for (const piece of news) if (kin || !neighbour.has(piece)) this.#context.send(neighbour, { kind: 'have', piece });
    }
  }

  /** After each step: what we are has changed, or not. */
  update(): void {
    const { isComplete, isContent, needs, neighbours } = this.#context;
    const isWatching = !needs.isEmpty;
    const awaited = isWatching && !isComplete ? this.#awaitedPieces() : NONE;
    if (isWatching !== this.#isWatching || !isSame(awaited, this.#awaited)) {
      this.#isWatching = isWatching;
      this.#awaited = awaited;
      for (const neighbour of neighbours.values()) if (neighbour.introduction.kin) this.#context.send(neighbour, this.#watching);
    }
    if (isContent === this.#isUploadOnly) return;
    this.#isUploadOnly = isContent;
    for (const neighbour of neighbours.values()) {
      if (neighbour.introduction.mapsUploadOnly) this.#context.send(neighbour, { kind: 'upload-only', on: isContent });
    }
  }
}

function isSame(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((piece, at) => piece === other[at]);
}
