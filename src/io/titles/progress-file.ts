/**
 * The file of a `ProgressRecord`: read once, then changed in place, right after what it says has become true.
 *
 * Writes go to the page cache at once (a third of a microsecond for a line), so that a process killed at any moment has recorded every block
 * whose write it had finished. They are not flushed to the disk: after a power cut the record may lag behind, which costs blocks, or be ahead of
 * the data, which the mark of the system's start tells.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { Malformed } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import type { InfoHash, Milliseconds } from '../../kernel/units.js';
import { makeFolder } from '../files/atomic-file.js';
import { diskError } from './disk-error.js';
import { ProgressRecord, type RecordShape } from './progress-record.js';

/** What was found when the record was opened. */
export type RecordState = 'known' | 'new' | 'damaged';

const FILE_MODE = 0o600;
const BOOT_ID = '/proc/sys/kernel/random/boot_id';
const FLAGS = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);

export class ProgressFile {
  readonly path: string;
  readonly record: ProgressRecord;
  readonly state: RecordState;
  /** Whether the system has started anew since the record was written: what had not been flushed may be lost. */
  readonly isAfterRestart: boolean;
  /** When the record was last changed before it was opened, milliseconds since 1970. */
  readonly changedMs: Milliseconds;
  readonly #file: number;
  #touchedMs: Milliseconds = 0;
  #isClosed = false;

  private constructor(path: string, file: number, shape: RecordShape, log: Log) {
    this.path = path;
    this.#file = file;
    this.changedMs = fstatSync(file).mtimeMs;
    const bytes = readFileSync(file);
    const decoded = ProgressRecord.decode(bytes, shape);
    this.state = !(decoded instanceof Malformed) ? 'known' : bytes.length === 0 ? 'new' : 'damaged';
    if (this.state === 'damaged') log.warn('the record of a title is damaged: what is on the disk is checked anew', { path });
    this.record = decoded instanceof Malformed ? ProgressRecord.create(shape) : decoded;
    const boot = bootMark();
    this.isAfterRestart = this.state === 'known' && Buffer.compare(this.record.boot, boot) !== 0;
    this.record.boot = boot;
  }

  /**
   * Opens the record of a title, or makes it. Nothing is written before `flush`.
   *
   * @throws ShoalError when the file cannot be opened or read.
   */
  static open(folder: string, shape: RecordShape, log: Log): ProgressFile {
    const path = pathOf(folder, shape.infoHash);
    makeFolder(folder);
    try {
      return new ProgressFile(path, openSync(path, FLAGS, FILE_MODE), shape, log);
    } catch (error) {
      throw diskError(error, path);
    }
  }

  /** Hands all changes to the system. @throws ShoalError (disk full and the like). */
  flush(): void {
    if (this.#isClosed) return;
    try {
      for (const { bytes, offsetBytes } of this.record.takeChanges()) writeFully(this.#file, bytes, offsetBytes);
    } catch (error) {
      this.record.touchAll();
      throw diskError(error, this.path);
    }
  }

  /** Renews the time of the last change unless that was just done, so that data written from now on are not newer than the record. */
  touch(nowMs: Milliseconds): void {
    if (nowMs - this.#touchedMs < 5) return;
    this.#touchedMs = nowMs;
    this.record.touch();
    this.flush();
  }

  close(): void {
    if (this.#isClosed) return;
    this.flush();
    this.#isClosed = true;
    closeSync(this.#file);
  }

  /** Closes and deletes it. */
  delete(): void {
    if (!this.#isClosed) closeSync(this.#file);
    this.#isClosed = true;
    rmSync(this.path, { force: true });
  }
}

function pathOf(folder: string, infoHash: InfoHash): string {
  return join(folder, `${infoHash}.progress`);
}

function writeFully(file: number, bytes: Uint8Array, offsetBytes: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done, offsetBytes + done);
}

/** 8 bytes that differ between two starts of the system. Without a system's own mark, the minute of its start. */
function bootMark(): Uint8Array {
  return new Uint8Array(createHash('sha1').update(bootName()).digest().subarray(0, 8));
}

function bootName(): string {
  try {
    return readFileSync(BOOT_ID, 'utf8');
  } catch {
    return String(Math.round((Date.now() / 1000 - uptime()) / 60));
  }
}
