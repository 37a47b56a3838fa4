/**
 * Which pieces are here, which are wanted, and on which of them something can be asked for.
 *
 * A piece is wanted when a selection says so or a reader waits for it. From that, what is here and the task list follow the sets that the
 * picker meets with a neighbour's; `refresh` is the one place that keeps them true, a piece at a time.
 */
import type { Bytes } from '../../kernel/units.js';
import type { TaskList } from '../task-list.js';
import type { PieceRange, TitleShape } from '../title-protocol.js';
import type { Neighbour } from './neighbour.js';
import { PieceSet } from './piece-set.js';
import type { Rarity } from './rarity.js';

/** A container's index and headers lie within so much of a file's ends. */
const EDGE_BYTES: Bytes = 65_536;
/** Titles of very many files are seldom films; the ends of so many files are fetched early. */
const EDGE_FILES_MAX = 256;
const NORMAL_PRIORITY = 2;

export class Wanted {
  /** Verified and here. */
  readonly own: PieceSet;
  /** Wanted and not here. */
  readonly missing: PieceSet;
  /** Missing, with a block that is neither here nor in flight, and free to be asked of anybody. */
  readonly open: PieceSet;
  /** Open, and begun. */
  readonly partial: PieceSet;
  /** Open, and at the head or tail of a file. */
  readonly edges: PieceSet;
  /** Told of each piece that becomes missing or ceases to be. */
  onMissing: (piece: number, isMissing: boolean) => void = () => {};
  /** Grows with every change of what is here. */
  revision = 0;
  readonly #tasks: TaskList<Neighbour>;
  readonly #rarity: Rarity;
  readonly #priorities: Uint8Array;
  /** Readers in whose urgent zone the piece lies. */
  readonly #demands: Uint16Array;
  readonly #isEdge: PieceSet;

  constructor(shape: TitleShape, tasks: TaskList<Neighbour>, rarity: Rarity) {
    const { pieceCount } = shape;
    this.#tasks = tasks;
    this.#rarity = rarity;
    this.own = new PieceSet(pieceCount);
    this.missing = new PieceSet(pieceCount);
    this.open = new PieceSet(pieceCount);
    this.partial = new PieceSet(pieceCount);
    this.edges = new PieceSet(pieceCount);
    this.#priorities = new Uint8Array(pieceCount).fill(NORMAL_PRIORITY);
    this.#demands = new Uint16Array(pieceCount);
    this.#isEdge = edgesOf(shape);
  }

  get pieceCount(): number {
    return this.own.length;
  }

  priority(piece: number): number {
    return this.#priorities[piece] as number;
  }

  isWanted(piece: number): boolean {
    return (this.#priorities[piece] as number) > 0 || (this.#demands[piece] as number) > 0;
  }

  refreshAll(): void {
    for (let piece = 0; piece < this.pieceCount; piece++) this.refresh(piece);
  }

  select(ranges: readonly PieceRange[]): void {
    this.#priorities.fill(0);
    for (const { firstPiece, lastPiece, priority } of ranges) this.#priorities.fill(priority, Math.max(0, firstPiece), lastPiece + 1);
    this.refreshAll();
  }

  /** A reader's urgent zone came to cover the piece, or left it. */
  demand(piece: number, change: 1 | -1): void {
    this.#demands[piece] = (this.#demands[piece] as number) + change;
    this.refresh(piece);
  }

  gained(piece: number): void {
    this.own.add(piece);
    this.revision += 1;
    this.refresh(piece);
  }

  /** It is not here any more. `isUnwanted`: and is not to come back until it is selected again. */
  lost(piece: number, isUnwanted: boolean): void {
    this.own.delete(piece);
    this.revision += 1;
    if (isUnwanted) this.#priorities[piece] = 0;
    this.refresh(piece);
  }

  /** Brings the sets up to date after anything about the piece has changed. */
  refresh(piece: number): void {
    const row = this.#tasks.row(piece);
    const isMissing = !this.own.has(piece) && this.isWanted(piece);
    const isOpen = isMissing && (row === undefined || (row.phase === 'fetching' && row.openCount > 0 && row.chosen === undefined));
    this.open.set(piece, isOpen);
    this.partial.set(piece, isOpen && row !== undefined);
    this.edges.set(piece, isOpen && this.#isEdge.has(piece));
    this.#rarity.list(piece, isOpen && row === undefined ? (this.#priorities[piece] as number) : 0);
    if (this.missing.set(piece, isMissing)) this.onMissing(piece, isMissing);
  }
}

function edgesOf({ pieceCount, pieceLengthBytes, files }: TitleShape): PieceSet {
  const edges = new PieceSet(pieceCount);
  const add = (fromByte: Bytes, toByte: Bytes): void => {
    for (let piece = Math.floor(fromByte / pieceLengthBytes); piece * pieceLengthBytes < toByte && piece < pieceCount; piece++)
      edges.add(piece);
  };
  for (const { offsetBytes, lengthBytes, isPad, tailBytes = EDGE_BYTES } of files.slice(0, EDGE_FILES_MAX)) {
    if (isPad || lengthBytes === 0) continue;
    const endByte = offsetBytes + lengthBytes;
    add(offsetBytes, Math.min(endByte, offsetBytes + EDGE_BYTES));
    add(Math.max(offsetBytes, endByte - tailBytes), endByte);
  }
  return edges;
}
