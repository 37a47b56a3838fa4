/**
 * The cross-linked task list: a sparse matrix of pieces (rows) by neighbours (columns) whose cells are the requests in flight.
 *
 * Every task hangs in two lists at once: that of its row, in the order of asking, and that of its column, likewise. So a request is found
 * where neighbours answer in order (at the head of the column), a neighbour that is lost costs as much as it had been asked, a finished piece
 * as much as its row, and nothing ever searches the matrix. A row also knows of each of its blocks whether it is here, how often it
 * is in flight and who sent it. Rows are made when the first block of a piece is asked for, or found on the disk.
 *
 * Source: CoolFish (algorithm sheet, section 9): download tasks in an orthogonal list.
 */
import { invariant } from '../kernel/errors.js';
import type { Bytes, Milliseconds } from '../kernel/units.js';
import { blockBytes, blockCount } from './block.js';

/** Where a block came from when it was on the disk at the start; neighbours are numbered from 1. */
export const FROM_DISK = 0;

/** One request in flight: a cell. Its links are the list's own. */
export class Task<Owner> {
  readonly row: Row<Owner>;
  readonly column: Column<Owner>;
  readonly block: number;
  readonly sizeBytes: Bytes;
  readonly askedMs: Milliseconds;
  /** How long the answer was expected to take. */
  readonly predictedMs: Milliseconds;
  /** Nothing else was on its way from the neighbour then, so the time to the answer is a round trip. */
  readonly wasIdle: boolean;
  /** Asked because a reader waits for it. */
  urgent: boolean;
  rowPrevious: Task<Owner> | undefined;
  rowNext: Task<Owner> | undefined;
  columnPrevious: Task<Owner> | undefined;
  columnNext: Task<Owner> | undefined;

  constructor(row: Row<Owner>, column: Column<Owner>, block: number, asked: Asked) {
    this.row = row;
    this.column = column;
    this.block = block;
    this.sizeBytes = row.blockBytes(block);
    this.askedMs = asked.atMs;
    this.predictedMs = asked.predictedMs;
    this.urgent = asked.urgent;
    this.wasIdle = asked.isIdle;
  }
}

/** The circumstances of a request. */
export interface Asked {
  readonly atMs: Milliseconds;
  readonly predictedMs: Milliseconds;
  readonly urgent: boolean;
  /** Nothing is on its way from the neighbour. */
  readonly isIdle: boolean;
}

/** What is asked of one neighbour. */
export class Column<Owner> {
  readonly owner: Owner;
  first: Task<Owner> | undefined;
  last: Task<Owner> | undefined;
  count = 0;

  constructor(owner: Owner) {
    this.owner = owner;
  }
}

/** `checking`: all blocks are here and the piece is being verified; `examined`: it was bad, and its blocks are being told apart. */
export type RowPhase = 'fetching' | 'checking' | 'examined';

/** A piece that is neither whole nor untouched. */
export class Row<Owner> {
  readonly piece: number;
  readonly sizeBytes: Bytes;
  readonly blockCount: number;
  phase: RowPhase = 'fetching';
  /** Those that alone may be asked for this piece, while it is found out who sent a bad block of it. */
  chosen: ReadonlySet<Owner> | undefined;
  first: Task<Owner> | undefined;
  last: Task<Owner> | undefined;
  /** Blocks that are here. */
  hereCount = 0;
  /** Blocks that are neither here nor in flight. */
  openCount: number;
  readonly #here: Uint8Array;
  readonly #copies: Uint8Array;
  /** Who sent each block that is here, by number. */
  readonly #sources: Int32Array;
  /** No block below this one is open. */
  #cursor = 0;

  constructor(piece: number, sizeBytes: Bytes) {
    this.piece = piece;
    this.sizeBytes = sizeBytes;
    this.blockCount = blockCount(sizeBytes);
    this.openCount = this.blockCount;
    this.#here = new Uint8Array(this.blockCount);
    this.#copies = new Uint8Array(this.blockCount);
    this.#sources = new Int32Array(this.blockCount);
  }

  get isWhole(): boolean {
    return this.hereCount === this.blockCount;
  }

  blockBytes(block: number): Bytes {
    return blockBytes(this.sizeBytes, block);
  }

  has(block: number): boolean {
    return this.#here[block] === 1;
  }

  /** Requests for the block in flight. */
  copies(block: number): number {
    return this.#copies[block] ?? 0;
  }

  /** The lowest open block; −1 when there is none. */
  nextOpen(): number {
    while (this.#cursor < this.blockCount) {
      if (this.#here[this.#cursor] === 0 && this.#copies[this.#cursor] === 0) return this.#cursor;
      this.#cursor += 1;
    }
    return -1;
  }

  /** The block has come, or was on the disk. @param source the sender's number. */
  take(block: number, source: number): void {
    invariant(this.#here[block] === 0, 'a block is taken once');
    this.#here[block] = 1;
    this.#sources[block] = source;
    this.hereCount += 1;
    if (this.#copies[block] === 0) this.openCount -= 1;
  }

  /** Who sent the block that is here. */
  source(block: number): number {
    return this.#sources[block] ?? FROM_DISK;
  }

  /** Everybody who sent a block that is here. */
  sources(): ReadonlySet<number> {
    const sources = new Set<number>();
    for (let block = 0; block < this.blockCount; block++) if (this.#here[block] === 1) sources.add(this.#sources[block] as number);
    return sources;
  }

  /** Blocks that are here and came from this source. */
  blocksFrom(source: number): number[] {
    return this.blocksWhere((other) => other === source);
  }

  /** Blocks that are here and whose source is so. */
  blocksWhere(isSo: (source: number) => boolean): number[] {
    const blocks: number[] = [];
    for (let block = 0; block < this.blockCount; block++)
      if (this.#here[block] === 1 && isSo(this.#sources[block] as number)) blocks.push(block);
    return blocks;
  }

  /** The block is not here any more; requests in flight stay. */
  reopen(block: number): void {
    if (this.#here[block] === 0) return;
    this.#here[block] = 0;
    this.hereCount -= 1;
    if (this.#copies[block] === 0) this.openCount += 1;
    this.#cursor = Math.min(this.#cursor, block);
  }

  /** For the task list alone. */
  count(block: number, change: 1 | -1): void {
    const before = this.#copies[block] as number;
    this.#copies[block] = before + change;
    if (this.#here[block] === 1) return;
    if (before === 0) this.openCount -= 1;
    else if (before + change === 0) {
      this.openCount += 1;
      this.#cursor = Math.min(this.#cursor, block);
    }
  }

  /** Its requests in flight, oldest first. Settling the one just given is allowed. */
  *tasks(): IterableIterator<Task<Owner>> {
    for (let task = this.first; task !== undefined; ) {
      const next: Task<Owner> | undefined = task.rowNext;
      yield task;
      task = next;
    }
  }
}

export class TaskList<Owner> {
  readonly #rows = new Map<number, Row<Owner>>();
  #count = 0;
  #extraCount = 0;

  /** Requests in flight. */
  get count(): number {
    return this.#count;
  }

  /** Requests in flight for blocks that somebody else was asked for already. */
  get extraCount(): number {
    return this.#extraCount;
  }

  get rowCount(): number {
    return this.#rows.size;
  }

  row(piece: number): Row<Owner> | undefined {
    return this.#rows.get(piece);
  }

  rows(): IterableIterator<Row<Owner>> {
    return this.#rows.values();
  }

  /** Begins a piece. */
  open(piece: number, sizeBytes: Bytes): Row<Owner> {
    const row = new Row<Owner>(piece, sizeBytes);
    this.#rows.set(piece, row);
    return row;
  }

  /** Ends a piece, whole or given up. Its requests must have been settled. */
  close(row: Row<Owner>): void {
    invariant(row.first === undefined, 'a row is closed without requests in flight');
    this.#rows.delete(row.piece);
  }

  /** Enters a request. The block is not here, and not in flight to the same neighbour. */
  ask(row: Row<Owner>, block: number, column: Column<Owner>, asked: Asked): Task<Owner> {
    const task = new Task(row, column, block, asked);
    task.rowPrevious = row.last;
    if (row.last) row.last.rowNext = task;
    else row.first = task;
    row.last = task;
    task.columnPrevious = column.last;
    if (column.last) column.last.columnNext = task;
    else column.first = task;
    column.last = task;
    column.count += 1;
    if (row.copies(block) > 0) this.#extraCount += 1;
    row.count(block, 1);
    this.#count += 1;
    return task;
  }

  /** The request for this block that is in flight to this neighbour. */
  find(column: Column<Owner>, piece: number, block: number): Task<Owner> | undefined {
    for (let task = column.first; task; task = task.columnNext) if (task.block === block && task.row.piece === piece) return task;
    return undefined;
  }

  /** Takes a request out: answered, refused, cancelled or lost. */
  settle(task: Task<Owner>): void {
    const { row, column } = task;
    if (task.rowPrevious) task.rowPrevious.rowNext = task.rowNext;
    else row.first = task.rowNext;
    if (task.rowNext) task.rowNext.rowPrevious = task.rowPrevious;
    else row.last = task.rowPrevious;
    if (task.columnPrevious) task.columnPrevious.columnNext = task.columnNext;
    else column.first = task.columnNext;
    if (task.columnNext) task.columnNext.columnPrevious = task.columnPrevious;
    else column.last = task.columnPrevious;
    column.count -= 1;
    row.count(task.block, -1);
    if (row.copies(task.block) > 0) this.#extraCount -= 1;
    this.#count -= 1;
  }
}
