/** A title whose files are plain files of this machine, read as slowly as a test wants, with every reading told. */
import { openSync, readSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { FileReading, PlayableFile, PlayableLibrary, PlayableTitle } from '../../src/plugins/titles/playable.js';

export interface FileTitleOptions {
  readonly infoHash?: string;
  readonly name?: string;
  readonly createdS?: number;
  readonly isPublicSeed?: boolean;
  readonly isComplete?: boolean;
  /** Over all readings; default without limit. */
  readonly bytesPerSecond?: number;
  /** Paths in the title, by the file's place; default the file's own name. */
  readonly paths?: readonly (readonly string[])[];
}

const TICK_MS = 20;

export class FileTitle implements PlayableTitle {
  readonly infoHash: string;
  readonly name: string;
  readonly createdS: number | undefined;
  readonly isPublicSeed: boolean;
  readonly files: readonly PlayableFile[];
  readonly open = new Set<SlowReading>();
  openedCount = 0;
  /** Nothing is read while this holds. */
  isStalled = false;
  /** Nothing beyond is read. */
  pauseAtByte = Number.POSITIVE_INFINITY;
  isRemoved = false;
  readonly bytesPerSecond: number;
  #freeFromMs = 0;

  constructor(paths: readonly string[], options: FileTitleOptions = {}) {
    this.infoHash = options.infoHash ?? '0123456789abcdef0123456789abcdef01234567';
    this.name = options.name ?? 'A title';
    this.createdS = options.createdS;
    this.isPublicSeed = options.isPublicSeed ?? false;
    this.bytesPerSecond = options.bytesPerSecond ?? Number.POSITIVE_INFINITY;
    this.files = paths.map((path, index) => ({
      index,
      path: options.paths?.[index] ?? [basename(path)],
      lengthBytes: statSync(path).size,
      isComplete: () => options.isComplete ?? true,
      open: (fromByte, toByte) => {
        const reading = new SlowReading(this, path, fromByte, toByte);
        this.openedCount += 1;
        this.open.add(reading);
        return reading;
      },
    }));
  }

  /** Milliseconds until that many bytes may be handed over: the link is shared by all readings, first come, first served. */
  delayMs(bytes: number): number {
    const nowMs = performance.now();
    this.#freeFromMs = Math.max(nowMs, this.#freeFromMs) + (bytes / this.bytesPerSecond) * 1000;
    return this.#freeFromMs - nowMs;
  }
}

export class SlowReading implements FileReading {
  readonly #title: FileTitle;
  readonly #descriptor: number;
  readonly #toByte: number;
  #atByte: number;
  /** On `performance`'s clock. */
  closedMs: number | undefined;

  constructor(title: FileTitle, path: string, fromByte: number, toByte: number) {
    this.#title = title;
    this.#descriptor = descriptorOf(path);
    this.#atByte = fromByte;
    this.#toByte = toByte;
  }

  async next(maxBytes: number): Promise<Uint8Array | null> {
    // What a piece would give: never more than 64 KiB at once.
    const bytes = Buffer.alloc(Math.min(maxBytes, this.#toByte - this.#atByte, 64 * 1024));
    if (bytes.length === 0) return null;
    const delayMs = this.#title.delayMs(bytes.length);
    if (delayMs > 1) await pause(delayMs);
    const mustWait = (): boolean => this.#title.isStalled || this.#atByte >= this.#title.pauseAtByte;
    while (mustWait() && this.closedMs === undefined && !this.#title.isRemoved) await pause(TICK_MS);
    if (this.closedMs !== undefined) return null;
    if (this.#title.isRemoved) throw new Error('the title was removed');
    readSync(this.#descriptor, bytes, 0, bytes.length, this.#atByte);
    this.#atByte += bytes.length;
    return bytes;
  }

  close(): void {
    this.closedMs ??= performance.now();
    this.#title.open.delete(this);
  }
}

export function libraryOf(...titles: readonly FileTitle[]): PlayableLibrary {
  return { title: (id) => titles.find(({ infoHash, isRemoved }) => infoHash === id && !isRemoved), list: () => titles };
}

const descriptors = new Map<string, number>();

function descriptorOf(path: string): number {
  const descriptor = descriptors.get(path) ?? openSync(path, 'r');
  descriptors.set(path, descriptor);
  return descriptor;
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
