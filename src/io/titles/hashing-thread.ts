/**
 * The thread that hashes: reads spans of files itself and answers with their SHA-1, or with what stood in the way.
 *
 * Runs only as a worker of `hash-workers.ts`, which is the only one to speak to it. Follows no link at a file's own name, and reads nothing
 * but ordinary files. Memory: one buffer, whatever the spans.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

/** A run of bytes of a file; of zeros where `path` is null. */
export interface FileSpan {
  readonly path: string | null;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** Why there is no hash. */
export interface HashFailure {
  /** `thread`: the thread has ended, which says nothing of the file. */
  readonly why: 'missing' | 'too-short' | 'unreadable' | 'cancelled' | 'thread';
  readonly path: string;
  /** The system's word for it; empty where it has none. */
  readonly detail: string;
}

export interface HashJob {
  readonly id: number;
  readonly spans: readonly FileSpan[];
}

export interface HashAnswer {
  readonly id: number;
  /** 20 bytes, or why there are none. */
  readonly outcome: Uint8Array | HashFailure;
}

/** Large enough that the system call costs nothing, small enough to stay in the processor's cache. */
const BUFFER_BYTES = 262_144;
/** Without O_NONBLOCK a pipe in a file's place would hold the thread for ever. */
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
const buffer = new Uint8Array(BUFFER_BYTES);
const zeros = new Uint8Array(BUFFER_BYTES);

/** The SHA-1 of the spans one after another. */
export function hashSpans(spans: readonly FileSpan[]): Uint8Array | HashFailure {
  const hash = createHash('sha1');
  for (const span of spans) {
    const failure = span.path === null ? addZeros(hash, span.lengthBytes) : addFile(hash, span.path, span);
    if (failure) return failure;
  }
  return new Uint8Array(hash.digest());
}

function addZeros(hash: Hash, lengthBytes: number): undefined {
  for (let left = lengthBytes; left > 0; left -= BUFFER_BYTES) hash.update(zeros.subarray(0, Math.min(left, BUFFER_BYTES)));
}

function addFile(hash: Hash, path: string, span: FileSpan): HashFailure | undefined {
  let file: number;
  try {
    file = openSync(path, FLAGS);
  } catch (error) {
    const detail = String((error as NodeJS.ErrnoException).code);
    return { why: detail === 'ENOENT' ? 'missing' : 'unreadable', path, detail };
  }
  try {
    if (!fstatSync(file).isFile()) return { why: 'unreadable', path, detail: 'not an ordinary file' };
    return addBytes(hash, file, span) ? undefined : { why: 'too-short', path, detail: '' };
  } catch (error) {
    return { why: 'unreadable', path, detail: String((error as NodeJS.ErrnoException).code) };
  } finally {
    closeSync(file);
  }
}

/** @returns whether all of the span was there. */
function addBytes(hash: Hash, file: number, { offsetBytes, lengthBytes }: FileSpan): boolean {
  for (let done = 0; done < lengthBytes; ) {
    const count = readSync(file, buffer, 0, Math.min(BUFFER_BYTES, lengthBytes - done), offsetBytes + done);
    if (count === 0) return false;
    hash.update(buffer.subarray(0, count));
    done += count;
  }
  return true;
}

parentPort?.on('message', ({ id, spans }: HashJob) => {
  const answer: HashAnswer = { id, outcome: hashSpans(spans) };
  parentPort?.postMessage(answer);
});
