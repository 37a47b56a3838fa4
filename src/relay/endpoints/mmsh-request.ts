/**
 * Reads the HTTP request of one MMSH player, within bounds and as tolerantly as real players need it.
 *
 * ffmpeg glues two header lines into one, VLC's GUID is none, and mplayer counts streams in hex: so tokens are split at commas, names end at
 * `=`, numbers end at the first other character, and nothing is validated that is not used. Source: protocols sheet 2.1, 2.2 and 6.2,
 * rows 19 to 30.
 */
import { Malformed } from '../../kernel/errors.js';
import type { Bytes } from '../../kernel/units.js';
import { ByteQueue } from '../../media/byte-queue.js';

export interface StreamSwitch {
  /** As written: hex by the specification, decimal by most players. */
  readonly stream: string;
  /** 0 all, 1 key frames only, 2 none. Served is always everything. */
  readonly level: number;
}

export interface MmshRequest {
  readonly method: string;
  /** As written, query included. */
  readonly path: string;
  /** Whether packets are wanted, or only the header. */
  readonly isPlay: boolean;
  readonly contentBytes: Bytes;
  /** Printable, at most 120 characters. */
  readonly userAgent: string;
  /** At most 128. */
  readonly streamSwitches: readonly StreamSwitch[];
}

const HEAD_BYTES_MAX: Bytes = 16 * 1024;
const HEAD_LINES_MAX = 64;
const SWITCH_COUNT_MAX = 128;
const USER_AGENT_CHARACTERS_MAX = 120;
const LINE_FEED = 10;
const REQUEST_LINE = /^([A-Z]{1,16}) (\S+) HTTP\/\d\.\d$/;

export class MmshRequestReader {
  readonly #queue = new ByteQueue();
  #lines: string[] = [];
  #headBytes: Bytes = 0;

  /** The request once its head is complete. Call no more after that; `rest` has what came behind it. */
  push(bytes: Uint8Array): MmshRequest | Malformed | undefined {
    this.#queue.push(bytes);
    for (let line = this.#readLine(); line !== undefined; line = this.#readLine()) {
      if (line instanceof Malformed) return line;
      if (line === '') return parseRequest(this.#lines);
      if (this.#lines.length === 0 && !REQUEST_LINE.test(line)) return new Malformed('the first line is no HTTP request');
      this.#lines.push(line);
      if (this.#lines.length > HEAD_LINES_MAX) return new Malformed(`the request has more than ${HEAD_LINES_MAX} lines`);
    }
    return undefined;
  }

  /** What came behind the head. */
  get restBytes(): Bytes {
    return this.#queue.lengthBytes;
  }

  #readLine(): string | Malformed | undefined {
    const bytesMax = HEAD_BYTES_MAX - this.#headBytes;
    const waiting = this.#queue.peek(Math.min(bytesMax, this.#queue.lengthBytes)) ?? new Uint8Array(0);
    const endIndex = waiting.indexOf(LINE_FEED);
    if (endIndex < 0) return waiting.length < bytesMax ? undefined : new Malformed(`the request is longer than ${HEAD_BYTES_MAX} bytes`);
    let line = '';
    for (const byte of waiting.subarray(0, endIndex)) line += String.fromCharCode(byte);
    this.#queue.skip(endIndex + 1);
    this.#headBytes += endIndex + 1;
    return line.endsWith('\r') ? line.slice(0, -1) : line;
  }
}

function parseRequest([requestLine = '', ...lines]: readonly string[]): MmshRequest | Malformed {
  const [, method = '', path = ''] = REQUEST_LINE.exec(requestLine) ?? [];
  if (method === '') return new Malformed('the first line is no HTTP request');
  const valuesOf = (name: string): string[] =>
    lines.filter((line) => line.toLowerCase().startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim());
  const tokens = valuesOf('pragma')
    .flatMap((value) => value.split(','))
    .map((token) => token.trim());
  return {
    method,
    path,
    isPlay: tokens.some((token) => /^xplaystrm\s*=\s*1/i.test(token)),
    contentBytes: digitsOf(valuesOf('content-length')[0] ?? ''),
    userAgent: (valuesOf('user-agent')[0] ?? '').slice(0, USER_AGENT_CHARACTERS_MAX).replace(/[^\x20-\x7e]/g, '?'),
    streamSwitches: tokens.flatMap(switchesOf).slice(0, SWITCH_COUNT_MAX),
  };
}

/** `stream-switch-entry=ffff:1:0 ffff:2:2 `; entries that make no sense are left out. */
function switchesOf(token: string): StreamSwitch[] {
  const [, list] = /^stream-switch-entry\s*=(.*)$/i.exec(token) ?? [];
  if (list === undefined) return [];
  const entries = list.trim().split(/\s+/, SWITCH_COUNT_MAX);
  return entries.flatMap((entry) => {
    const [, stream, level] = /^[0-9a-f]{1,4}:([0-9a-f]{1,4}):([0-2])$/i.exec(entry) ?? [];
    return stream === undefined ? [] : [{ stream, level: Number(level) }];
  });
}

/** The number that a text begins with; 0 when it begins with none. */
function digitsOf(text: string): number {
  return Number(/^\d{1,15}/.exec(text)?.[0] ?? 0);
}
