/**
 * The open files of all titles: at most so many at once, the least recently used one closed first, none while it is in use.
 *
 * A title may have a hundred thousand files, and a process may often open a thousand at most.
 */
import { closeSync } from 'node:fs';
import { sep } from 'node:path';
import { diskError } from './disk-error.js';

/** A file that stays open until `release`. */
export interface OpenFile {
  readonly file: number;
  release(): void;
}

interface Entry {
  readonly file: number;
  readonly isWritable: boolean;
  userCount: number;
  /** No longer in the table: closed when its last user is gone. */
  isDoomed: boolean;
}

/** What is kept open over all titles; a fraction of the 1024 a process has by default. */
const FILES_MAX_COUNT = 64;
const COUNT_CODES: readonly unknown[] = ['EMFILE', 'ENFILE'];

export class OpenFiles {
  readonly #limit: number;
  readonly #entries = new Map<string, Entry>();

  /** @param limit 1 or more. Files in use count, but are never closed, so that more than the limit may be open for moments. */
  constructor(limit: number = FILES_MAX_COUNT) {
    this.#limit = limit;
  }

  get count(): number {
    return this.#entries.size;
  }

  /** Whether the file is open for what is asked. */
  has(path: string, isWritable: boolean): boolean {
    const entry = this.#entries.get(path);
    return entry !== undefined && (entry.isWritable || !isWritable);
  }

  /** The open file of that path, or what `open` opens; undefined when `open` finds none. @throws what `open` throws, as a ShoalError. */
  acquire(path: string, isWritable: boolean, open: () => number | undefined): OpenFile | undefined {
    const entry = this.has(path, isWritable) ? this.#entries.get(path) : this.#opened(path, isWritable, open);
    if (!entry) return undefined;
    entry.userCount++;
    this.#entries.delete(path);
    this.#entries.set(path, entry);
    this.#closeSurplus();
    return { file: entry.file, release: () => release(entry) };
  }

  /** Closes a file as soon as nobody uses it. */
  forget(path: string): void {
    const entry = this.#entries.get(path);
    if (!entry) return;
    this.#entries.delete(path);
    entry.isDoomed = true;
    if (entry.userCount === 0) closeSync(entry.file);
  }

  /** Closes that file, or all files below that folder, as soon as nobody uses them. */
  forgetBelow(path: string): void {
    for (const known of this.#entries.keys()) if (known === path || known.startsWith(path + sep)) this.forget(known);
  }

  #opened(path: string, isWritable: boolean, open: () => number | undefined): Entry | undefined {
    const file = this.#openWithRoom(path, open);
    if (file === undefined) return undefined;
    this.forget(path);
    const entry: Entry = { file, isWritable, userCount: 0, isDoomed: false };
    this.#entries.set(path, entry);
    return entry;
  }

  /** When the process has no file left, those that nobody uses make room, once. */
  #openWithRoom(path: string, open: () => number | undefined): number | undefined {
    try {
      return open();
    } catch (error) {
      if (!COUNT_CODES.includes((error as NodeJS.ErrnoException).code)) throw diskError(error, path);
    }
    for (const [idlePath, { userCount }] of this.#entries) if (userCount === 0) this.forget(idlePath);
    try {
      return open();
    } catch (error) {
      throw diskError(error, path);
    }
  }

  #closeSurplus(): void {
    for (const [path, { userCount }] of this.#entries) {
      if (this.#entries.size <= this.#limit) return;
      if (userCount === 0) this.forget(path);
    }
  }
}

function release(entry: Entry): void {
  entry.userCount--;
  if (entry.isDoomed && entry.userCount === 0) closeSync(entry.file);
}

/** The open files of the process. */
export const sharedOpenFiles = new OpenFiles();
