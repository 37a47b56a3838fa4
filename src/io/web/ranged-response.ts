/**
 * Answers GET and HEAD for one file of any length, in whole or in parts, from something that delivers its bytes in their own time.
 *
 * It promises: HEAD, 304, 412 and 416 open nothing; the head of an answer leaves at once, whenever its first byte comes; a part is opened only when the part before it has been sent; at most
 * `CHUNK_BYTES` are asked for at a time, and none while the player's socket does not take what it was given, so a player that stands
 * still costs that much and no timer; a player that goes away closes the reading in the same turn of the event loop; when the bytes fail to
 * come the socket is destroyed, so that a short body is never taken for the whole (RFC 9110, sections 13 to 15).
 */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Log } from '../../kernel/ports.js';
import type { Bytes } from '../../kernel/units.js';
import { type ByteRange, formatContentRange, formatUnsatisfied, resolveRange } from '../../vod/byte-range.js';
import { type ConditionalFields, judgeConditions, rangeApplies, type Validators } from '../../vod/conditional-request.js';
import { formatHttpDate } from '../../vod/http-date.js';
import type { WebRequest } from './http-server.js';

/** One run through a part of a file. */
export interface ByteReading {
  /** At least one byte and at most `maxBytes`; null at the end. */
  next(maxBytes: Bytes): Promise<Uint8Array | null>;
  close(): void;
}

export interface RangedResource extends Validators {
  readonly lengthBytes: Bytes;
  readonly contentType: string;
  /** Fields of every answer, whatever its status. */
  readonly headers: Readonly<Record<string, string>>;
  readonly log: Log;
  open(fromByte: Bytes, toByte: Bytes): ByteReading;
  /** Awaited before bytes are sent: an upload limit. Without it they go as fast as they are taken. */
  pace?(bytes: Bytes): Promise<void>;
}

/** Large enough that a fast player costs few calls, and far below what may wait for one player. */
const CHUNK_BYTES: Bytes = 128 * 1024;

/** A piece of the body: bytes to write as they are, or a part of the file. */
type BodyPart = Uint8Array | ByteRange;

/** Sends the answer. Resolves when it is out, or the player is gone. */
export async function answerRanged(request: WebRequest, response: ServerResponse, resource: RangedResource): Promise<void> {
  const { lengthBytes, contentType } = resource;
  const verdict = judgeConditions(conditionsOf(request), resource);
  for (const [name, value] of Object.entries(resource.headers)) response.setHeader(name, value);
  response.setHeader('Accept-Ranges', 'bytes');
  response.setHeader('ETag', resource.entityTag);
  if (resource.modifiedS !== undefined) response.setHeader('Last-Modified', formatHttpDate(resource.modifiedS));
  if (verdict === 'not-modified') return void response.writeHead(304).end();
  if (verdict === 'precondition-failed') return sayInWords(request, response, 412, 'The file is another one than this request speaks of.');
  const ranges = rangesOf(request, resource);
  if (ranges === 'unsatisfiable') {
    response.setHeader('Content-Range', formatUnsatisfied(lengthBytes));
    return sayInWords(request, response, 416, `No such part: the file has ${lengthBytes} bytes.`);
  }
  const { status, headers, body } = ranges === 'whole' ? wholeAnswer(resource) : partialAnswer(ranges, contentType, lengthBytes);
  response.writeHead(status, headers);
  if (request.method === 'HEAD') return void response.end();
  // Players hang up on the place they have left when this one has answered: until then both would be waited for.
  response.flushHeaders();
  await sendBody(response, body, resource);
}

/** A sentence for a person, and for HEAD its length alone. */
export function sayInWords(request: WebRequest, response: ServerResponse, status: number, sentence: string): void {
  const body = Buffer.from(`${sentence}\n`);
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': body.length, 'Cache-Control': 'no-store' });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Aborted when the player goes away before its answer is out, in the same turn of the event loop. */
export function goneSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  if (response.destroyed) controller.abort();
  response.once('close', () => controller.abort());
  return controller.signal;
}

function conditionsOf({ headers }: WebRequest): ConditionalFields {
  return {
    ifMatch: headers['if-match'],
    ifNoneMatch: headers['if-none-match'],
    ifModifiedSince: headers['if-modified-since'],
    ifUnmodifiedSince: headers['if-unmodified-since'],
  };
}

function rangesOf({ headers }: WebRequest, resource: RangedResource): ReturnType<typeof resolveRange> {
  const ifRange = headers['if-range'];
  if (!rangeApplies(Array.isArray(ifRange) ? ifRange[0] : ifRange, resource)) return 'whole';
  return resolveRange(headers.range, resource.lengthBytes);
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body: readonly BodyPart[];
}

function wholeAnswer({ contentType, lengthBytes }: RangedResource): Answer {
  const body = lengthBytes === 0 ? [] : [{ fromByte: 0, toByte: lengthBytes }];
  return { status: 200, headers: { 'Content-Type': contentType, 'Content-Length': lengthBytes }, body };
}

function partialAnswer(ranges: readonly ByteRange[], contentType: string, lengthBytes: Bytes): Answer {
  const [first] = ranges;
  if (ranges.length > 1 || first === undefined) return multipartAnswer(ranges, contentType, lengthBytes);
  const headers = {
    'Content-Type': contentType,
    'Content-Range': formatContentRange(first, lengthBytes),
    'Content-Length': first.toByte - first.fromByte,
  };
  return { status: 206, headers, body: ranges };
}

/** RFC 9110, section 14.6. The boundary is random, so that no file holds it. */
function multipartAnswer(ranges: readonly ByteRange[], contentType: string, lengthBytes: Bytes): Answer {
  const boundary = randomBytes(15).toString('hex');
  const body: BodyPart[] = ranges.flatMap((range) => {
    const fields = `Content-Type: ${contentType}\r\nContent-Range: ${formatContentRange(range, lengthBytes)}`;
    return [Buffer.from(`\r\n--${boundary}\r\n${fields}\r\n\r\n`), range];
  });
  body.push(Buffer.from(`\r\n--${boundary}--\r\n`));
  const length = body.reduce((sum, part) => sum + ('fromByte' in part ? part.toByte - part.fromByte : part.length), 0);
  return { status: 206, headers: { 'Content-Type': `multipart/byteranges; boundary=${boundary}`, 'Content-Length': length }, body };
}

async function sendBody(response: ServerResponse, body: readonly BodyPart[], resource: RangedResource): Promise<void> {
  const outlet = new Outlet(response);
  try {
    for (const part of body) {
      if (outlet.isGone) return;
      await ('fromByte' in part ? sendRange(outlet, part, resource) : outlet.write(part));
    }
    response.end();
  } catch (error) {
    resource.log.debug('a file could not be served to its end', { reason: error instanceof Error ? error.message : String(error) });
    response.destroy();
  }
}

async function sendRange(outlet: Outlet, { fromByte, toByte }: ByteRange, resource: RangedResource): Promise<void> {
  const reading = resource.open(fromByte, toByte);
  outlet.onGone(() => reading.close());
  try {
    for (let leftBytes = toByte - fromByte; leftBytes > 0 && !outlet.isGone; ) {
      const bytes = await outlet.unlessGone(reading.next(Math.min(leftBytes, CHUNK_BYTES)));
      if (bytes === 'gone') return;
      if (bytes === null || bytes.length === 0 || bytes.length > leftBytes)
        throw new Error('the file ended early, or its part was too long');
      leftBytes -= bytes.length;
      await resource.pace?.(bytes.length);
      await outlet.write(bytes);
    }
  } finally {
    outlet.onGone(undefined);
    reading.close();
  }
}

/** The player's end: takes bytes one chunk at a time, and tells at once when it is gone. */
class Outlet {
  readonly #response: ServerResponse;
  #isGone: boolean;
  #task: (() => void) | undefined;
  #wake: (() => void) | undefined;

  constructor(response: ServerResponse) {
    this.#response = response;
    this.#isGone = response.destroyed || response.socket?.destroyed === true;
    response.on('drain', () => this.#wake?.());
    response.once('close', () => {
      this.#isGone = true;
      this.#task?.();
      this.#wake?.();
    });
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** Called when the player goes away; one task at a time. */
  onGone(task: (() => void) | undefined): void {
    this.#task = task;
    if (this.#isGone) task?.();
  }

  /** A reading that was closed may never settle. (Not `Promise.race`: that would keep every chunk's promise until the player goes.) */
  unlessGone<Value>(value: Promise<Value>): Promise<Value | 'gone'> {
    return new Promise((resolve, reject) => {
      this.#wake = () => {
        if (this.#isGone) resolve('gone');
      };
      value.then(resolve, reject);
    });
  }

  /** Resolves when the socket wants more, or is gone. */
  write(bytes: Uint8Array): Promise<void> | void {
    if (this.#isGone || this.#response.write(bytes)) return;
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
