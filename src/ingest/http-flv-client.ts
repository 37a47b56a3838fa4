/**
 * Client of one HTTP-FLV source: one GET, whose answer is FLV for as long as the server sends any.
 *
 * Every publisher sends the same request. Times are the server's own. HTTP-FLV has no word for "my publisher has left": a server that sends no media
 * counts as frozen, and is asked again. Source: protocols sheet 5 and 6.5.
 */
import { Malformed } from '../kernel/errors.js';
import type { Bytes, Milliseconds } from '../kernel/units.js';
import { FlvParser, type FlvTag, SCRIPT } from '../media/flv.js';
import { type HttpResponseHead, HttpResponseReader } from './http-response.js';
import {
  MEDIA_SILENCE_MS,
  type SourceClient,
  type SourceClientOptions,
  type SourceEffect,
  type SourceInput,
  type SourceTimer,
  STEP_MS,
} from './source-client.js';
import { SourceReport } from './source-report.js';
import {
  basicCredentials,
  formatSourceUrl,
  HTTP_PORT,
  HTTPS_PORT,
  hostAndPort,
  isSecure,
  resolveSourceUrl,
  type SourceUrl,
} from './source-url.js';

const USER_AGENT = 'Shoal';
const REDIRECT_STATUSES: readonly number[] = [301, 302, 303, 307, 308];
/** `FLV`. */
const SIGNATURE: readonly number[] = [0x46, 0x4c, 0x56];

export class HttpFlvClient implements SourceClient {
  readonly #url: SourceUrl;
  readonly #redirected: boolean;
  readonly #report = new SourceReport();
  readonly #parser = new FlvParser();
  readonly #http = new HttpResponseReader({
    onHead: (head) => this.#takeHead(head),
    onBody: (bytes) => {
      if (!this.#report.isOver) this.#takeBody(bytes);
    },
    onEnd: () => {
      if (!this.#report.isOver) this.#closed('the server ended its answer');
    },
  });
  #isAnswered = false;
  #bodyBytes: Bytes = 0;
  #progressedMs: Milliseconds = 0;
  #nowMs: Milliseconds = 0;

  constructor(url: SourceUrl, options: SourceClientOptions = {}) {
    this.#url = url;
    this.#redirected = options.redirected ?? false;
  }

  handle(input: SourceInput, nowMs: Milliseconds): readonly SourceEffect[] {
    this.#nowMs = nowMs;
    if (!this.#report.isOver) this.#take(input);
    return this.#report.drain();
  }

  #take(input: SourceInput): void {
    switch (input.kind) {
      case 'start':
        return this.#start();
      case 'opened':
        return this.#report.send(new TextEncoder().encode(this.#request()));
      case 'bytes':
        return this.#receive(input.bytes);
      case 'closed':
        return this.#closed(input.detail);
      case 'timer':
        return this.#elapsed(input.timer);
    }
  }

  #start(): void {
    const secure = isSecure(this.#url.scheme);
    this.#report.connect(this.#url.host, this.#url.port ?? (secure ? HTTPS_PORT : HTTP_PORT), this.#redirected, secure);
    this.#report.schedule('step', STEP_MS);
  }

  #receive(bytes: Uint8Array): void {
    const fault = this.#http.push(bytes);
    if (fault !== undefined && !this.#report.isOver) this.#report.fail(`not an answer to a request for FLV: ${fault.reason}`);
  }

  #takeHead({ status, headers }: HttpResponseHead): void {
    if (REDIRECT_STATUSES.includes(status)) return this.#redirect(headers.get('location') ?? '');
    if (status === 401) return this.#report.fail(this.#unauthorised(headers.get('www-authenticate') ?? ''), false);
    if (status === 404) return this.#report.fail('the server has nothing at this path (status 404)');
    if (status !== 200) return this.#report.fail(`the server answered with status ${status}`);
    const encoding = headers.get('content-encoding') ?? 'identity';
    if (encoding.toLowerCase() !== 'identity') return this.#report.fail('the server encodes its answer although nobody asked for it');
    if (isFile(headers)) this.#report.onDemand('the server offers a file on demand, not a broadcast');
    this.#isAnswered = true;
    this.#report.cancel('step');
    this.#report.emit({ kind: 'accepted' });
    this.#progressedMs = this.#nowMs;
    this.#report.schedule('progress', MEDIA_SILENCE_MS);
  }

  /** Name and password go on only within the server that they are for. */
  #redirect(location: string): void {
    const url = resolveSourceUrl(location, this.#url);
    if (url instanceof Malformed) return this.#report.fail('the server redirects to an address that is no source');
    const text = formatSourceUrl(url);
    const isSameServer = url.scheme === this.#url.scheme && hostAndPort(url) === hostAndPort(this.#url);
    const credentials = url.credentials ?? (isSameServer ? this.#url.credentials : undefined);
    this.#report.redirect(credentials === undefined ? text : text.replace('://', `://${encodeURIComponent(credentials)}@`));
  }

  #unauthorised(challenge: string): string {
    if (this.#url.credentials === undefined) return 'the server wants a name and a password: give them in the URL as name:password@host';
    if (!/\bbasic\b/i.test(challenge)) return 'the server wants a kind of authentication that is not supported; only Basic is';
    return 'the server refuses the name and password of the URL';
  }

  #takeBody(bytes: Uint8Array): void {
    const isFlv = bytes.subarray(0, 3).every((byte, index) => this.#bodyBytes + index > 2 || byte === SIGNATURE[this.#bodyBytes + index]);
    if (!isFlv) return this.#report.fail('the server answered with something that is not FLV');
    this.#bodyBytes += bytes.length;
    const tags = this.#parser.push(bytes);
    if (tags instanceof Malformed) return this.#report.fail(`not FLV: ${tags.reason}`);
    for (const tag of tags) this.#takeTag(tag);
  }

  #takeTag(tag: FlvTag): void {
    // A tag without a byte marks silence, and means nothing to anybody.
    if (tag.body.length === 0) return;
    if (tag.type !== SCRIPT) this.#progressedMs = this.#nowMs;
    this.#report.emit({ kind: 'tag', tag });
  }

  #closed(detail: string): void {
    if (!this.#isAnswered) return this.#report.fail(`${detail} before it answered`);
    this.#report.fail(this.#bodyBytes === 0 ? `${detail} before any FLV came` : detail);
  }

  #elapsed(timer: SourceTimer): void {
    if (timer === 'step') return this.#report.fail('the server does not answer');
    if (timer !== 'progress') return;
    const silentMs = this.#nowMs - this.#progressedMs;
    if (silentMs < MEDIA_SILENCE_MS) return this.#report.schedule('progress', MEDIA_SILENCE_MS - silentMs);
    this.#report.fail(`no media came for ${MEDIA_SILENCE_MS / 1000} s`);
  }

  #request(): string {
    const { path, credentials } = this.#url;
    const authorisation = credentials === undefined ? [] : [`Authorization: Basic ${basicCredentials(credentials)}`];
    const lines = [
      `GET ${path} HTTP/1.1`,
      `Host: ${hostAndPort(this.#url)}`,
      'Accept: */*',
      'Accept-Encoding: identity',
      `User-Agent: ${USER_AGENT}`,
      ...authorisation,
      'Connection: close',
    ];
    return `${lines.join('\r\n')}\r\n\r\n`;
  }
}

/** A live answer has neither a length nor parts that could be asked for. */
function isFile(headers: ReadonlyMap<string, string>): boolean {
  return headers.has('content-length') && /\bbytes\b/i.test(headers.get('accept-ranges') ?? '');
}
