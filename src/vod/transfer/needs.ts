/**
 * What the readers of a title wait for: where each stands, how fast it goes on, and so when each piece must be here.
 *
 * The urgent zone of a reader begins with the piece it stands in and reaches as far as it will get within the urgent time, at least one piece
 * further, at most `urgentBytesMax`. Deadlines follow from its speed. Several readers of one title count each for itself; one whose player takes
 * nothing for now comes after all that wait.
 */
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import type { TitleCommand, TitleShape } from '../title-protocol.js';
import type { TransferParameters } from './transfer-parameters.js';

/** What a reader says of itself. */
export type ReaderPlace = Omit<TitleCommand & { readonly kind: 'need' }, 'kind'>;

/** One reader's place. */
export interface Need {
  readonly reader: string;
  readonly fromByte: Bytes;
  readonly toByte: Bytes;
  readonly bytesPerMs: number;
  /** When the byte it stands at must be here. */
  readonly atMs: Milliseconds;
  readonly isIdle: boolean;
  readonly firstPiece: number;
  /** Last piece of the urgent zone. */
  readonly urgentPiece: number;
  /** Last piece that it will ever need. */
  readonly lastPiece: number;
}

/** What a need changed: pieces that came into a zone or left it, and whether somebody jumped. */
export interface NeedChange {
  readonly before: Need | undefined;
  readonly after: Need | undefined;
  readonly jumped: boolean;
}

export class Needs {
  readonly #shape: TitleShape;
  readonly #parameters: TransferParameters;
  readonly #needs: Need[] = [];
  /** Grows with every change. */
  revision = 0;

  constructor(shape: TitleShape, parameters: TransferParameters) {
    this.#shape = shape;
    this.#parameters = parameters;
  }

  /** In the order in which readers came. */
  get all(): readonly Need[] {
    return this.#needs;
  }

  get isEmpty(): boolean {
    return this.#needs.length === 0;
  }

  set(place: ReaderPlace, nowMs: Milliseconds): NeedChange {
    this.revision += 1;
    const { reader } = place;
    const at = this.#needs.findIndex((need) => need.reader === reader);
    const before = this.#needs[at];
    const after = this.#make(place, nowMs);
    if (after === undefined) return this.remove(reader);
    if (before === undefined) this.#needs.push(after);
    else this.#needs[at] = after;
    const follows = before !== undefined && after.firstPiece >= before.firstPiece && after.firstPiece <= before.urgentPiece + 1;
    return { before, after, jumped: !follows };
  }

  remove(reader: string): NeedChange {
    this.revision += 1;
    const at = this.#needs.findIndex((need) => need.reader === reader);
    const before = this.#needs[at];
    if (before !== undefined) this.#needs.splice(at, 1);
    return { before, after: undefined, jumped: false };
  }

  /** Whether a reader waits for the piece soon. */
  isUrgent(piece: number): boolean {
    for (const { firstPiece, urgentPiece } of this.#needs) if (piece >= firstPiece && piece <= urgentPiece) return true;
    return false;
  }

  /** Whether a reader stands in the piece and waits for its bytes. */
  isAwaited(piece: number): boolean {
    for (const { firstPiece, isIdle } of this.#needs) if (piece === firstPiece && !isIdle) return true;
    return false;
  }

  /** When the piece must be here for the reader that needs it first; infinite when none does. */
  deadlineMs(piece: number): Milliseconds {
    let soonestMs = Number.POSITIVE_INFINITY;
    for (const need of this.#needs) {
      if (piece >= need.firstPiece && piece <= need.lastPiece) soonestMs = Math.min(soonestMs, this.deadlineOf(need, piece));
    }
    return soonestMs;
  }

  deadlineOf(need: Need, piece: number): Milliseconds {
    return need.atMs + Math.max(0, piece * this.#shape.pieceLengthBytes - need.fromByte) / need.bytesPerMs;
  }

  /** The first piece of the need that is not due before `atMs`. */
  pieceDue(need: Need, atMs: Milliseconds): number {
    return Math.ceil((need.fromByte + Math.max(0, atMs - need.atMs) * need.bytesPerMs) / this.#shape.pieceLengthBytes);
  }

  /** Pieces from the nearest reader that has it ahead; infinite when all are past it. */
  distance(piece: number): number {
    let nearest = Number.POSITIVE_INFINITY;
    for (const { firstPiece, lastPiece } of this.#needs) {
      if (piece >= firstPiece && piece <= lastPiece) nearest = Math.min(nearest, piece - firstPiece);
    }
    return nearest;
  }

  #make({ reader, fromByte, toByte, bytesPerSecond, isIdle = false }: ReaderPlace, nowMs: Milliseconds): Need | undefined {
    const { pieceLengthBytes, pieceCount, totalBytes } = this.#shape;
    const from = Math.max(0, fromByte);
    const to = Math.min(toByte, totalBytes);
    if (!(from < to)) return undefined;
    const bytesPerMs = (bytesPerSecond > 0 ? bytesPerSecond : this.#parameters.readerBytesPerSecond) / 1000;
    const firstPiece = Math.floor(from / pieceLengthBytes);
    const lastPiece = Math.min(pieceCount - 1, Math.floor((to - 1) / pieceLengthBytes));
    const zoneBytes = Math.min(this.#parameters.urgentMs * bytesPerMs, this.#parameters.urgentBytesMax);
    const urgentPiece = Math.min(lastPiece, Math.max(firstPiece + 1, Math.floor((from + zoneBytes) / pieceLengthBytes)));
    const atMs = isIdle ? nowMs + this.#parameters.idleMs : nowMs;
    return { reader, fromByte: from, toByte: to, bytesPerMs, atMs, isIdle, firstPiece, urgentPiece, lastPiece };
  }
}
