/**
 * Brings blocks to the store, and holds those that the disk refuses until it takes them: a disk that was full for an hour costs no byte fetched twice.
 *
 * What is held is bounded; the session asks for nothing more long before, since it counts what has not been stored. A block beyond the bound is dropped.
 * A refusal that no waiting mends (a read-only disk) ends the title instead.
 */
import { type ErrorCode, ShoalError } from '../../kernel/errors.js';
import type { Bytes, Milliseconds, PieceIndex } from '../../kernel/units.js';

export interface Block {
  readonly piece: PieceIndex;
  readonly offsetBytes: Bytes;
  readonly bytes: Uint8Array;
}

export interface BlockWriterOptions {
  /** Rejects when the disk refuses. */
  readonly write: (piece: PieceIndex, offsetBytes: Bytes, bytes: Uint8Array) => Promise<void>;
  /** It is with the system; nobody looks at its bytes any more. */
  readonly onStored: (block: Block) => void;
  /** It was refused, and there is no room to hold it. */
  readonly onDropped: (block: Block, error: unknown) => void;
  /** No waiting helps. */
  readonly onHopeless: (error: ShoalError) => void;
  /** What the disk says against it, told when that changes; null when all is well again. */
  readonly onTrouble: (error: ShoalError | null) => void;
  readonly retryMs?: Milliseconds;
}

/** After a write that failed the disk is left alone for so long. */
const RETRY_MS: Milliseconds = 5_000;
/** Twice what one neighbour may have on its way. */
const HELD_BYTES_MAX: Bytes = 16_777_216;
const HOPELESS: readonly ErrorCode[] = ['TITLE_DISK_READ_ONLY', 'TITLE_COLLISION'];

export class BlockWriter {
  readonly #options: BlockWriterOptions;
  readonly #held = new Set<Block>();
  readonly #writing = new Set<Block>();
  /** Blocks on their way. */
  readonly #countOfPiece = new Map<PieceIndex, number>();
  /** Told when no block of the piece is on its way. */
  readonly #waiting = new Map<PieceIndex, () => void>();
  #heldBytes: Bytes = 0;
  #trouble: string | null = null;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: BlockWriterOptions) {
    this.#options = options;
  }

  get heldBytes(): Bytes {
    return this.#heldBytes;
  }

  store(block: Block): void {
    this.#countOfPiece.set(block.piece, (this.#countOfPiece.get(block.piece) ?? 0) + 1);
    this.#write(block);
  }

  /** Calls `task` once no block of the piece is on its way; a later one for the same piece takes its place. */
  afterPiece(piece: PieceIndex, task: () => void): void {
    if (this.#countOfPiece.has(piece)) this.#waiting.set(piece, task);
    else task();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#held.clear();
    this.#waiting.clear();
  }

  #write(block: Block): void {
    const { piece, offsetBytes, bytes } = block;
    this.#writing.add(block);
    this.#options.write(piece, offsetBytes, bytes).then(
      () => this.#onStored(block),
      (error: unknown) => this.#onRefused(block, error),
    );
  }

  #onStored(block: Block): void {
    if (this.#isStopped) return;
    this.#writing.delete(block);
    const wasHeld = this.#held.delete(block);
    if (wasHeld) this.#heldBytes -= block.bytes.length;
    this.#options.onStored(block);
    this.#countOff(block.piece);
    if (this.#held.size === 0) return this.#tell(null);
    if (wasHeld) for (const other of this.#held) if (!this.#writing.has(other)) this.#write(other);
  }

  #onRefused(block: Block, error: unknown): void {
    if (this.#isStopped) return;
    this.#writing.delete(block);
    if (error instanceof ShoalError && HOPELESS.includes(error.code)) return this.#options.onHopeless(error);
    if (error instanceof ShoalError) this.#tell(error);
    if (!this.#hold(block)) {
      this.#options.onDropped(block, error);
      return this.#countOff(block.piece);
    }
    this.#timer ??= setTimeout(() => this.#retry(), this.#options.retryMs ?? RETRY_MS).unref();
  }

  /** One block tries whether the disk takes anything; the others follow it. */
  #retry(): void {
    this.#timer = undefined;
    for (const block of this.#held) if (!this.#writing.has(block)) return this.#write(block);
  }

  #hold(block: Block): boolean {
    if (this.#held.has(block)) return true;
    if (this.#heldBytes + block.bytes.length > HELD_BYTES_MAX) return false;
    this.#held.add(block);
    this.#heldBytes += block.bytes.length;
    return true;
  }

  #countOff(piece: PieceIndex): void {
    const count = (this.#countOfPiece.get(piece) ?? 1) - 1;
    if (count > 0) return void this.#countOfPiece.set(piece, count);
    this.#countOfPiece.delete(piece);
    const task = this.#waiting.get(piece);
    this.#waiting.delete(piece);
    task?.();
  }

  #tell(error: ShoalError | null): void {
    const reason = error?.message ?? null;
    if (reason === this.#trouble) return;
    this.#trouble = reason;
    this.#options.onTrouble(error);
  }
}
