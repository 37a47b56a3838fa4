/**
 * Reads and writes the bytes of a title where they lie: spans of sparse files below one folder, no copies, no preallocation.
 *
 * Files are made with the first byte written to them, at their full length. Pad files are never written and read as zeros (BEP 47). All that
 * the disk refuses comes back as a `ShoalError` that names the file.
 */
import { fdatasync, fstatSync, ftruncateSync, read, type Stats, write, writev } from 'node:fs';
import { promisify } from 'node:util';
import { invariant } from '../../kernel/errors.js';
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import { collision, dataMissing, diskError } from './disk-error.js';
import type { FileSpan } from './hashing-thread.js';
import { InsideFolder } from './inside-folder.js';
import type { OpenFile, OpenFiles } from './open-files.js';
import { type StoredFiles, type StoredSpan, spansOf } from './stored-files.js';

/** Whom the disk tells what it is about to do, before it does it. */
export interface DiskWitness {
  /** The file is written to from now on; `isNew`: it is about to be made. */
  beforeWriting(index: number, isNew: boolean): void;
}

/** What a file is now. */
export interface FileState {
  readonly lengthBytes: Bytes;
  readonly changedMs: Milliseconds;
}

/** POSIX IOV_MAX of Linux and the BSDs. */
const BUFFERS_MAX_COUNT = 1024;
const readFile = promisify(read);
const flushData = promisify(fdatasync);

export class TitleDisk {
  readonly files: StoredFiles;
  readonly #folder: InsideFolder;
  readonly #openFiles: OpenFiles;
  readonly #witness: DiskWitness;
  /** Files opened for writing here and known to have their length. */
  readonly #prepared = new Set<number>();

  constructor(folder: string, files: StoredFiles, openFiles: OpenFiles, witness: DiskWitness) {
    this.files = files;
    this.#folder = new InsideFolder(folder);
    this.#openFiles = openFiles;
    this.#witness = witness;
  }

  /** What everything of the title is, or lies below. */
  get rootPath(): string {
    return this.#folder.pathOf([this.files.rootName]);
  }

  pathOf(index: number): string {
    return this.#folder.pathOf(this.files.at(index).names);
  }

  /** What lies in the file's place; undefined when nothing does. */
  look(index: number): Stats | undefined {
    return this.#folder.look(this.files.at(index).names);
  }

  /** Whether the file in its place is there, and the one that is open. */
  isInPlace(index: number): boolean {
    const found = this.look(index);
    const opened = this.#openFiles.acquire(this.pathOf(index), false, () => undefined);
    if (!opened) return found !== undefined;
    try {
      const { ino, dev } = fstatSync(opened.file);
      return found?.ino === ino && found.dev === dev;
    } finally {
      opened.release();
    }
  }

  /** What is open of the file is not in its place any more: the next one who needs it looks there. */
  letGo(index: number): void {
    this.#openFiles.forget(this.pathOf(index));
    this.#prepared.delete(index);
  }

  /** The bytes `fromByte` to `toByte`. @throws ShoalError `TITLE_DATA_MISSING` when a file is shorter or gone. */
  async read(fromByte: Bytes, toByte: Bytes): Promise<Uint8Array> {
    // Memory of its own, not of Node's pool: readers keep parts of it for long.
    const bytes = Buffer.allocUnsafeSlow(toByte - fromByte);
    await this.readInto(bytes, fromByte);
    return bytes;
  }

  /** Fills `target` with the bytes from `fromByte` on. @throws ShoalError `TITLE_DATA_MISSING` as above. */
  async readInto(target: Uint8Array, fromByte: Bytes): Promise<void> {
    let at = 0;
    for (const span of spansOf(this.files, fromByte, fromByte + target.length)) {
      const part = target.subarray(at, at + span.lengthBytes);
      if (span.file.isPad) part.fill(0);
      else await this.#readSpan(span, part);
      at += span.lengthBytes;
    }
  }

  /** Writes the buffers one after another from `fromByte` on. When it rejects, any part of them may have been written. */
  async write(fromByte: Bytes, buffers: readonly Uint8Array[]): Promise<void> {
    const toByte = buffers.reduce((end, { length }) => end + length, fromByte);
    let rest = buffers;
    for (const span of spansOf(this.files, fromByte, toByte)) {
      const [now, later] = span.lengthBytes === toByte - fromByte ? [rest, []] : split(rest, span.lengthBytes);
      if (!span.file.isPad) await this.#writeSpan(span, now);
      rest = later;
    }
  }

  /** What a worker has to read to hash these bytes. */
  hashSpans(fromByte: Bytes, toByte: Bytes): FileSpan[] {
    return [...spansOf(this.files, fromByte, toByte)].map(({ file, offsetBytes, lengthBytes }) => ({
      path: file.isPad ? null : this.#folder.pathOf(file.names),
      offsetBytes,
      lengthBytes,
    }));
  }

  /** Makes the files that have no bytes. */
  makeEmptyFiles(): void {
    for (let index = 0; index < this.files.count; index++) {
      const { lengthBytes, isPad } = this.files.at(index);
      if (lengthBytes === 0 && !isPad && !this.look(index)) this.#opened(index, true)?.release();
    }
  }

  /** What a file that is written to is now; undefined when it is not there. */
  state(index: number): FileState | undefined {
    const opened = this.#opened(index, false);
    if (!opened) return undefined;
    try {
      const { size, mtimeMs } = fstatSync(opened.file);
      return { lengthBytes: size, changedMs: mtimeMs };
    } finally {
      opened.release();
    }
  }

  /** Has the system bring a file's data to the disk. */
  async flush(index: number): Promise<void> {
    const opened = this.#opened(index, false);
    if (!opened) return;
    try {
      await flushData(opened.file);
    } catch (error) {
      throw diskError(error, this.pathOf(index));
    } finally {
      opened.release();
    }
  }

  /** Gives the room behind `lengthBytes` back, the file's length unchanged. @returns bytes that became free. */
  freeTail(index: number, lengthBytes: Bytes): Bytes {
    if (!this.look(index)) return 0;
    const opened = this.#opened(index, true);
    if (!opened) return 0;
    try {
      this.#witness.beforeWriting(index, false);
      const before = fstatSync(opened.file).blocks;
      ftruncateSync(opened.file, lengthBytes);
      ftruncateSync(opened.file, this.files.at(index).lengthBytes);
      return Math.max(0, before - fstatSync(opened.file).blocks) * 512;
    } catch (error) {
      throw diskError(error, this.pathOf(index));
    } finally {
      opened.release();
    }
  }

  /** Deletes a file. @returns bytes that became free. */
  async delete(index: number): Promise<Bytes> {
    const freedBytes = (this.look(index)?.blocks ?? 0) * 512;
    this.#openFiles.forget(this.pathOf(index));
    this.#prepared.delete(index);
    await this.#folder.delete(this.files.at(index).names);
    return freedBytes;
  }

  /** Deletes the folders of these files that have become empty, the deepest first. */
  async deleteEmptyFolders(indices: Iterable<number>): Promise<void> {
    const folders = new Map<string, readonly string[]>();
    for (const index of indices) {
      const { names } = this.files.at(index);
      for (let depth = names.length - 1; depth > 0; depth--) folders.set(names.slice(0, depth).join('/'), names.slice(0, depth));
    }
    const deepestFirst = [...folders.values()].sort((a, b) => b.length - a.length);
    for (const names of deepestFirst) await this.#folder.deleteEmptyFolder(names);
  }

  /** Closes what is open of the title. */
  close(): void {
    this.#openFiles.forgetBelow(this.rootPath);
    this.#prepared.clear();
  }

  async #readSpan({ index, offsetBytes }: StoredSpan, target: Uint8Array): Promise<void> {
    const opened = this.#opened(index, false);
    if (!opened) throw dataMissing(this.pathOf(index), 'the file is gone');
    try {
      for (let done = 0; done < target.length; ) {
        const { bytesRead } = await readFile(opened.file, target, done, target.length - done, offsetBytes + done);
        if (bytesRead === 0) throw dataMissing(this.pathOf(index), `the file is shorter than ${offsetBytes + target.length} bytes`);
        done += bytesRead;
      }
    } catch (error) {
      throw diskError(error, this.pathOf(index));
    } finally {
      opened.release();
    }
  }

  async #writeSpan({ index, offsetBytes }: StoredSpan, buffers: readonly Uint8Array[]): Promise<void> {
    const opened = this.#opened(index, true);
    invariant(opened, 'A file is made when it is to be written.');
    try {
      this.#witness.beforeWriting(index, false);
      await writeFully(opened.file, buffers, offsetBytes);
    } catch (error) {
      throw diskError(error, this.pathOf(index));
    } finally {
      opened.release();
    }
  }

  #opened(index: number, isForWriting: boolean): OpenFile | undefined {
    const path = this.pathOf(index);
    const { names } = this.files.at(index);
    if (!isForWriting) return this.#openFiles.acquire(path, false, () => this.#folder.open(names, false));
    return this.#openFiles.acquire(path, true, () => this.#openedForWriting(index));
  }

  #openedForWriting(index: number): number {
    const { names, lengthBytes } = this.files.at(index);
    const known = this.#folder.open(names, true);
    if (known === undefined) this.#witness.beforeWriting(index, true);
    const file = known ?? this.#folder.make(names);
    if (!this.#prepared.has(index) || known === undefined) this.#giveLength(index, file, lengthBytes);
    this.#prepared.add(index);
    return file;
  }

  /** Sparse: no room is taken before bytes are written. */
  #giveLength(index: number, file: number, lengthBytes: Bytes): void {
    const { size } = fstatSync(file);
    if (size > lengthBytes) {
      throw collision(this.pathOf(index), `has ${size} bytes, and the title's file only ${lengthBytes}: it is another file`);
    }
    if (size === lengthBytes) return;
    this.#witness.beforeWriting(index, false);
    ftruncateSync(file, lengthBytes);
  }
}

/** Splits a row of buffers after `lengthBytes`, without copying. */
function split(buffers: readonly Uint8Array[], lengthBytes: Bytes): [Uint8Array[], Uint8Array[]] {
  const first: Uint8Array[] = [];
  const rest: Uint8Array[] = [];
  let left = lengthBytes;
  for (const bytes of buffers) {
    if (left > 0) first.push(bytes.subarray(0, left));
    if (left < bytes.length) rest.push(bytes.subarray(Math.max(0, left)));
    left -= bytes.length;
  }
  return [first, rest];
}

/** A disk that is nearly full takes a part; what is left then brings the error. */
async function writeFully(file: number, buffers: readonly Uint8Array[], offsetBytes: Bytes): Promise<void> {
  let rest = buffers;
  let at = offsetBytes;
  while (rest.length > 0) {
    const writtenBytes = await writeSome(file, rest.length > BUFFERS_MAX_COUNT ? rest.slice(0, BUFFERS_MAX_COUNT) : rest, at);
    at += writtenBytes;
    [, rest] = split(rest, writtenBytes);
  }
}

function writeSome(file: number, buffers: readonly Uint8Array[], offsetBytes: Bytes): Promise<Bytes> {
  return new Promise((resolve, reject) => {
    const done = (error: unknown, writtenBytes: number): void => (error ? reject(error) : resolve(writtenBytes));
    const [first] = buffers;
    if (first && buffers.length === 1) write(file, first, 0, first.length, offsetBytes, done);
    else writev(file, buffers, offsetBytes, done);
  });
}
