/**
 * A file that a recording is written to while it goes on, without anybody waiting for the disk.
 *
 * Bounded twice: in all, and by what waits for a disk that does not keep up. It is for its owner alone, because it tells what somebody watched.
 */
import { createWriteStream, openSync, type WriteStream } from 'node:fs';
import { ShoalError } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import type { Bytes } from '../../kernel/units.js';

/** What may wait for the disk: minutes of a channel. */
const WAITING_BYTES_MAX: Bytes = 32 * 1024 * 1024;

export class TraceFile {
  readonly #stream: WriteStream;
  readonly #path: string;
  readonly #bytesMax: Bytes;
  readonly #log: Log;
  readonly #closed: Promise<void>;
  #takenBytes: Bytes = 0;
  #failure: string | undefined;

  /** @throws ShoalError `TRACE_UNWRITABLE`: an existing file is not overwritten. */
  constructor(path: string, bytesMax: Bytes, log: Log) {
    this.#path = path;
    this.#bytesMax = bytesMax;
    this.#log = log;
    this.#stream = createWriteStream(path, { fd: open(path) });
    this.#closed = new Promise((resolve) => this.#stream.once('close', resolve));
    this.#stream.on('error', (error) => {
      this.#failure ??= `it could not be written: ${error.message}`;
    });
  }

  /** Takes the bytes, or says why it takes no more. */
  write(bytes: Uint8Array): string | undefined {
    if (this.#failure !== undefined) return this.#failure;
    if (this.#takenBytes + bytes.length > this.#bytesMax) return `it has ${this.#bytesMax} bytes, the most it may have`;
    if (this.#stream.writableLength > WAITING_BYTES_MAX) return 'the disk did not keep up';
    this.#takenBytes += bytes.length;
    this.#stream.write(bytes);
    return undefined;
  }

  /** The last bytes; a few, which the bound does not count. */
  end(bytes: Uint8Array, why: string): void {
    if (this.#stream.writableEnded) return;
    this.#stream.end(bytes);
    this.#log.info(`the recording of the live exchange has ended: ${this.#failure ?? why}`, {
      path: this.#path,
      sizeBytes: this.#takenBytes,
    });
  }

  /** When the disk has it all. */
  close(): Promise<void> {
    if (!this.#stream.writableEnded) this.#stream.end();
    return this.#closed;
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'wx', 0o600);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'EEXIST' ? 'there is such a file already; name another, or remove it' : String(code);
    throw new ShoalError('TRACE_UNWRITABLE', `${path}: no recording can be written there: ${why}`, { path }, { cause });
  }
}
