/**
 * Takes blocks in: each must have been asked for, or taken back lately; each is handed to the store at once; a piece that is whole is checked.
 */
import type { Bytes } from '../../kernel/units.js';
import { BLOCK_BYTES } from '../block.js';
import type { Row } from '../task-list.js';
import type { Neighbour } from './neighbour.js';
import type { Requester } from './requester.js';
import type { TransferContext } from './transfer-context.js';

export class Receiver {
  readonly #context: TransferContext;
  readonly #requester: Requester;

  constructor(context: TransferContext, requester: Requester) {
    this.#context = context;
    this.#requester = requester;
  }

  onBlock(neighbour: Neighbour, piece: number, offsetBytes: Bytes, bytes: Uint8Array): void {
    const block = this.#blockAt(piece, offsetBytes, bytes.length);
    if (block < 0) return this.#refuse(neighbour, bytes.length);
    const { tasks, nowMs, line } = this.#context;
    line.received(bytes.length, nowMs);
    const task = tasks.find(neighbour.column, piece, block);
    if (task === undefined) {
      if (!neighbour.calledOff.take(piece, block)) return this.#refuse(neighbour, bytes.length);
      neighbour.pace.lastBlockMs = nowMs;
      if (neighbour.snubbed) neighbour.revived();
    } else {
      neighbour.pace.answered(bytes.length, task.askedMs, task.predictedMs, task.wasIdle, nowMs);
    }
    const row = task?.row ?? this.#rowOfLate(neighbour, piece, block);
    if (row !== undefined) this.#take(neighbour, row, block, bytes);
    else this.#context.counts.duplicateBytes += bytes.length;
    if (task !== undefined) {
      tasks.settle(task);
      this.#context.line.settled();
    }
    if (row !== undefined) this.#finish(row, block);
    if (neighbour.fetching !== undefined && neighbour.column.count === 0) neighbour.fetching = undefined;
    this.#requester.fill(neighbour);
  }

  /** The block lies in the store. */
  onStored(piece: number, offsetBytes: Bytes): void {
    const before = this.#context.unstoredBytes;
    this.#context.unstoredBytes = Math.max(0, before - Math.min(BLOCK_BYTES, this.#context.pieceBytes(piece) - offsetBytes));
    const { unstoredBytesMax } = this.#context.parameters;
    if (before >= unstoredBytesMax / 2 && this.#context.unstoredBytes < unstoredBytesMax / 2) this.#context.planDue = true;
  }

  /** The number of a block that lies there and has this length; −1 when there is none. */
  #blockAt(piece: number, offsetBytes: Bytes, lengthBytes: Bytes): number {
    if (piece >= this.#context.shape.pieceCount || offsetBytes % BLOCK_BYTES !== 0) return -1;
    const sizeBytes = Math.min(BLOCK_BYTES, this.#context.pieceBytes(piece) - offsetBytes);
    return lengthBytes === sizeBytes ? offsetBytes / BLOCK_BYTES : -1;
  }

  #refuse(neighbour: Neighbour, sizeBytes: Bytes): void {
    this.#context.counts.unaskedBytes += sizeBytes;
    // A few may be answers to requests that were taken back long ago; who was never asked has none to give.
    if (!neighbour.hasBeenAsked || !neighbour.manners.bears('unasked-piece', this.#context.nowMs))
      this.#context.accuse(neighbour, 'sends blocks nobody asked for');
  }

  /** Where a block belongs whose request was taken back; undefined when it is of no use any more. */
  #rowOfLate(neighbour: Neighbour, piece: number, block: number): Row<Neighbour> | undefined {
    const { wanted } = this.#context;
    if (!wanted.missing.has(piece)) return undefined;
    const row = this.#context.openRow(piece);
    const isUseful = row.phase === 'fetching' && !row.has(block) && row.chosen?.has(neighbour) !== false;
    return isUseful ? row : undefined;
  }

  #take(neighbour: Neighbour, row: Row<Neighbour>, block: number, bytes: Uint8Array): void {
    const { counts } = this.#context;
    row.take(block, neighbour.number);
    neighbour.delivered(bytes.length);
    counts.downBytes += bytes.length;
    if (neighbour.isSeeder) counts.fromSeedersBytes += bytes.length;
    this.#context.unstoredBytes += bytes.length;
    this.#context.emit({ kind: 'store-block', piece: row.piece, offsetBytes: block * BLOCK_BYTES, bytes });
  }

  #finish(row: Row<Neighbour>, block: number): void {
    this.#requester.releaseCopies(row, block);
    if (row.isWhole && row.phase === 'fetching') {
      row.phase = 'checking';
      this.#context.emit({ kind: 'check-piece', piece: row.piece });
    }
    if (row.openCount === 0 || row.hereCount === 1) this.#context.wanted.refresh(row.piece);
  }
}
