/**
 * What is noted of the files of a title: which of them Shoal made, and how each was when nobody wrote to it, by which it is known again.
 *
 * A file that is being written is noted as such before the first byte goes there: its time means nothing then, unless it is later than the record. In the layout
 * `pieces` nothing is noted: all files are ours, and what is in them is checked.
 */
import type { Milliseconds } from '../../kernel/units.js';
import type { ProgressFile } from './progress-file.js';
import type { TitleDisk } from './title-disk.js';

export interface FileNotesOptions {
  readonly disk: TitleDisk;
  readonly progress: ProgressFile;
  /** Nothing waits for the disk. */
  readonly isQuiet: () => boolean;
  /** Those of these files that are not in their places are to be given up. */
  readonly giveUpGone: (indices: Iterable<number>) => void;
}

/** A file that was not written to for so long is noted with its exact time. */
const REST_MS: Milliseconds = 1000;

export class FileNotes {
  readonly #disk: TitleDisk;
  readonly #progress: ProgressFile;
  readonly #isQuiet: () => boolean;
  readonly #giveUpGone: (indices: Iterable<number>) => void;
  /** Noted as being written. */
  readonly #written = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  constructor({ disk, progress, isQuiet, giveUpGone }: FileNotesOptions) {
    this.#disk = disk;
    this.#progress = progress;
    this.#isQuiet = isQuiet;
    this.#giveUpGone = giveUpGone;
  }

  /** Shoal made it, and may delete it. */
  isMade(index: number): boolean {
    return !this.#hasNotes || (this.#progress.record.file(index)?.isMade ?? false);
  }

  *noted(): Generator<number> {
    if (!this.#hasNotes) return;
    for (let index = 0; index < this.#disk.files.count; index++) if (this.#progress.record.file(index)) yield index;
  }

  beforeWriting(index: number, isNew: boolean): void {
    this.#timer ??= this.#restLater();
    if (this.#hasNotes && (isNew || !this.#written.has(index))) {
      const isMade = isNew || (this.#progress.record.file(index)?.isMade ?? false);
      this.#progress.record.noteFile(index, { isMade, isBeingWritten: true, lengthBytes: 0, changedMs: 0 });
      this.#written.add(index);
      this.#progress.flush();
    }
    this.#progress.touch(Date.now());
  }

  /** Notes a file as it is now, if nobody writes to it. */
  noteFound(index: number): void {
    if (this.#written.has(index)) return;
    const found = this.#disk.look(index);
    const { record } = this.#progress;
    const isMade = record.file(index)?.isMade ?? false;
    if (found) record.noteFile(index, { isMade, isBeingWritten: false, lengthBytes: found.size, changedMs: found.mtimeMs });
    else record.forgetFile(index);
  }

  noteAllFound(): void {
    if (this.#hasNotes) for (let index = 0; index < this.#disk.files.count; index++) this.noteFound(index);
  }

  forget(index: number): void {
    this.#written.delete(index);
    this.#progress.record.forgetFile(index);
  }

  /** Notes the exact state of files that nobody writes to now. */
  rest(): void {
    this.#timer = undefined;
    if (!this.#isQuiet()) {
      this.#timer = this.#restLater();
      return;
    }
    this.#giveUpGone(this.#written);
    for (const index of this.#written) {
      this.#written.delete(index);
      this.noteFound(index);
    }
    this.#progress.flush();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  get #hasNotes(): boolean {
    return this.#progress.record.shape.layout === 'files';
  }

  /** Keeps no process alive. */
  #restLater(): NodeJS.Timeout {
    return setTimeout(() => this.rest(), REST_MS).unref();
  }
}
