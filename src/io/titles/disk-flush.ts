/**
 * Brings what was verified to the disk itself now and then, and notes it: only what is noted outlives a power cut unchecked.
 */
import type { Log } from '../../kernel/ports.js';
import type { Milliseconds, PieceIndex } from '../../kernel/units.js';
import type { ProgressFile } from './progress-file.js';
import type { TitleDisk } from './title-disk.js';

/** This much is checked again after a power cut. */
const FLUSH_MS: Milliseconds = 30_000;

export class DiskFlush {
  readonly #disk: TitleDisk;
  readonly #progress: ProgressFile;
  readonly #log: Log;
  /** Not yet brought to the disk itself. */
  readonly #files = new Set<number>();
  readonly #pieces = new Set<PieceIndex>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(disk: TitleDisk, progress: ProgressFile, log: Log) {
    this.#disk = disk;
    this.#progress = progress;
    this.#log = log;
  }

  /** A file is being written. */
  addFile(index: number): void {
    this.#files.add(index);
  }

  /** A piece was found right. */
  addPiece(piece: PieceIndex): void {
    this.#pieces.add(piece);
    this.#timer ??= this.#begin();
  }

  forgetPiece(piece: PieceIndex): void {
    this.#pieces.delete(piece);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** Keeps no process alive. */
  #begin(): NodeJS.Timeout {
    return setTimeout(() => void this.#flush(), FLUSH_MS).unref();
  }

  /** A disk that refuses leaves it for the next time. */
  async #flush(): Promise<void> {
    const { record } = this.#progress;
    const pieces = [...this.#pieces];
    const files = [...this.#files];
    this.#pieces.clear();
    this.#files.clear();
    try {
      for (const index of files) await this.#disk.flush(index);
      if (this.#isStopped) return;
      for (const piece of pieces) if (record.hasPiece(piece)) record.setFlushed(piece, true);
      this.#progress.flush();
    } catch (error) {
      this.#log.warn('a title could not be flushed to the disk', { reason: String(error) });
      if (this.#isStopped) return;
      for (const piece of pieces) this.#pieces.add(piece);
      for (const index of files) this.#files.add(index);
    }
    this.#timer = this.#pieces.size > 0 ? this.#begin() : undefined;
  }
}
