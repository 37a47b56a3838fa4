/**
 * Reads one HTTP/1.x answer out of a byte stream: the head within bounds, then the body as it comes.
 *
 * Chunked bodies are unwrapped. A Content-Length is not obeyed, because MMSH servers write what they like there: the body ends with the
 * connection. Interim answers (1xx) are skipped. Source: RFC 9112; protocols sheet 6.2, rows 1 to 5.
 */
import { Malformed } from '../kernel/errors.js';
import type { Bytes } from '../kernel/units.js';
import { ByteQueue } from '../media/byte-queue.js';

export interface HttpResponseHead {
  readonly status: number;
  /** Values by lower-case name; several lines of one name are joined with commas. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface HttpResponseReceiver {
  onHead(head: HttpResponseHead): void;
  /** Good until it returns. */
  onBody(bytes: Uint8Array): void;
  /** A chunked body has come to its end; other bodies end with the connection. */
  onEnd(): void;
}

const HEAD_BYTES_MAX: Bytes = 16 * 1024;
const HEAD_LINES_MAX = 64;
const INTERIM_COUNT_MAX = 4;
/** A chunk's size line, extensions included, and a line of the trailer. */
const CHUNK_LINE_BYTES_MAX: Bytes = 256;
const TRAILER_LINES_MAX = 16;
const CHUNK_BYTES_MAX: Bytes = 0x7fff_ffff;
const LINE_FEED = 10;

type State = 'head' | 'body' | 'chunk-size' | 'chunk-data' | 'chunk-end' | 'trailer' | 'ended';

export class HttpResponseReader {
  readonly #receiver: HttpResponseReceiver;
  readonly #queue = new ByteQueue();
  #state: State = 'head';
  #lines: string[] = [];
  #headBytes: Bytes = 0;
  #interimCount = 0;
  #trailerCount = 0;
  #chunkLeftBytes: Bytes = 0;
  #fault: Malformed | undefined;

  constructor(receiver: HttpResponseReceiver) {
    this.#receiver = receiver;
  }

  /** After the first fault it stays silent and gives the same fault again. */
  push(bytes: Uint8Array): Malformed | undefined {
    if (this.#fault !== undefined) return this.#fault;
    if (this.#state === 'ended') return undefined;
    this.#queue.push(bytes);
    for (let step = this.#step(); step !== false; step = this.#step()) {
      if (step instanceof Malformed) {
        this.#fault = step;
        this.#queue.takeAll();
        return step;
      }
    }
    return undefined;
  }

  /** True when something was done and more may be possible. */
  #step(): boolean | Malformed {
    switch (this.#state) {
      case 'head':
        return this.#readHeadLine();
      case 'body':
        return this.#readBody(this.#queue.lengthBytes);
      case 'chunk-size':
        return this.#readChunkSize();
      case 'chunk-data':
        return this.#readChunkData();
      case 'chunk-end':
        return this.#readChunkEnd();
      case 'trailer':
        return this.#readTrailer();
      case 'ended':
        this.#queue.takeAll();
        return false;
    }
  }

  #readHeadLine(): boolean | Malformed {
    const line = this.#readLine(HEAD_BYTES_MAX - this.#headBytes, 'the head of the answer');
    if (line === undefined || line instanceof Malformed) return line ?? false;
    if (line !== '') {
      this.#lines.push(line);
      return this.#lines.length <= HEAD_LINES_MAX || new Malformed(`the head of the answer has more than ${HEAD_LINES_MAX} lines`);
    }
    return this.#finishHead();
  }

  #finishHead(): boolean | Malformed {
    const head = parseHead(this.#lines);
    this.#lines = [];
    this.#headBytes = 0;
    if (head instanceof Malformed) return head;
    if (head.status >= 100 && head.status < 200) {
      this.#interimCount += 1;
      return this.#interimCount <= INTERIM_COUNT_MAX || new Malformed(`more than ${INTERIM_COUNT_MAX} interim answers`);
    }
    this.#state = /\bchunked\b/i.test(head.headers.get('transfer-encoding') ?? '') ? 'chunk-size' : 'body';
    this.#receiver.onHead(head);
    return true;
  }

  #readBody(count: Bytes): boolean {
    const bytes = count === 0 ? undefined : this.#queue.take(count);
    if (bytes === undefined) return false;
    this.#receiver.onBody(bytes);
    return true;
  }

  #readChunkSize(): boolean | Malformed {
    const line = this.#readLine(CHUNK_LINE_BYTES_MAX, 'a chunk size');
    if (line === undefined || line instanceof Malformed) return line ?? false;
    const [, digits] = /^\s*([0-9a-f]{1,16})\s*(?:;.*)?$/i.exec(line) ?? [];
    const sizeBytes = digits === undefined ? Number.NaN : Number.parseInt(digits, 16);
    if (!(sizeBytes <= CHUNK_BYTES_MAX)) return new Malformed('a chunk size is no number, or larger than any chunk');
    this.#chunkLeftBytes = sizeBytes;
    this.#state = sizeBytes === 0 ? 'trailer' : 'chunk-data';
    return true;
  }

  #readChunkData(): boolean {
    const count = Math.min(this.#chunkLeftBytes, this.#queue.lengthBytes);
    this.#chunkLeftBytes -= count;
    if (this.#chunkLeftBytes === 0) this.#state = 'chunk-end';
    return this.#readBody(count);
  }

  #readChunkEnd(): boolean | Malformed {
    const line = this.#readLine(CHUNK_LINE_BYTES_MAX, 'the end of a chunk');
    if (line === undefined || line instanceof Malformed) return line ?? false;
    this.#state = 'chunk-size';
    return line === '' || new Malformed('a chunk is longer than its size');
  }

  #readTrailer(): boolean | Malformed {
    const line = this.#readLine(CHUNK_LINE_BYTES_MAX, 'the trailer');
    if (line === undefined || line instanceof Malformed) return line ?? false;
    this.#trailerCount += 1;
    if (this.#trailerCount > TRAILER_LINES_MAX) return new Malformed(`the trailer has more than ${TRAILER_LINES_MAX} lines`);
    if (line !== '') return true;
    this.#state = 'ended';
    this.#receiver.onEnd();
    return true;
  }

  /** The next line without its end; undefined while it is not all there. */
  #readLine(bytesMax: Bytes, what: string): string | Malformed | undefined {
    const waiting = this.#queue.peek(Math.min(this.#queue.lengthBytes, bytesMax)) ?? new Uint8Array(0);
    const endIndex = waiting.indexOf(LINE_FEED);
    if (endIndex < 0) return waiting.length < bytesMax ? undefined : new Malformed(`${what} is too long`);
    const line = textOf(waiting.subarray(0, endIndex));
    this.#queue.skip(endIndex + 1);
    if (this.#state === 'head') this.#headBytes += endIndex + 1;
    return line;
  }
}

function parseHead([statusLine = '', ...lines]: readonly string[]): HttpResponseHead | Malformed {
  const [, digits] = /^(?:HTTP\/\d\.\d|ICY) (\d{3})(?: |$)/.exec(statusLine) ?? [];
  if (digits === undefined) return new Malformed('the answer is no HTTP');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colonIndex = line.indexOf(':');
    if (colonIndex <= 0) continue;
    const name = line.slice(0, colonIndex).trim().toLowerCase();
    const value = line.slice(colonIndex + 1).trim();
    const earlier = headers.get(name);
    headers.set(name, earlier === undefined ? value : `${earlier}, ${value}`);
  }
  return { status: Number(digits), headers };
}

/** Bytes as characters, one for one, without the carriage return. */
function textOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text.endsWith('\r') ? text.slice(0, -1) : text;
}
