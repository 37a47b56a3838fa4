/**
 * Client of one MMSH source: describe, then play on a second connection, all streams selected.
 *
 * Every publisher must send the same requests (user agent, GUID, selection), or a server that filters per client would give them different
 * bytes. Accepts what real servers send: padding stripped, `$M`, the B bit, headers in parts, stream changes. Source: MS-WMSP; protocols
 * sheet 2.1 to 2.5 and 6.2, rows 1 to 18.
 */
import { Malformed } from '../kernel/errors.js';
import type { Milliseconds } from '../kernel/units.js';
import { ByteQueue } from '../media/byte-queue.js';
import { FIRST_PART, LAST_PART, type MmshChunk, MmshChunkReader, type MmshPacketChunk, startsLikeMmsh } from '../media/mmsh-chunk.js';
import { ASX_BYTES_MAX, parseAsx } from './asx.js';
import { HeaderAssembly, isSameHeader, type SourceHeader } from './header-assembly.js';
import { type HttpResponseHead, HttpResponseReader } from './http-response.js';
import {
  PROGRESS_MS,
  type SourceClient,
  type SourceClientOptions,
  type SourceEffect,
  type SourceInput,
  type SourceTimer,
  STEP_MS,
} from './source-client.js';
import { SourceReport } from './source-report.js';
import { basicCredentials, formatSourceUrl, HTTPS_PORT, isSecure, MMSH_PORT, resolveSourceUrl, type SourceUrl } from './source-url.js';

/** Below version 9, so that servers keep `$M`, `$P` and pipelining to themselves. */
const USER_AGENT = 'NSPlayer/7.10.0.3059';
/** The same for all publishers; lower case. */
const CLIENT_GUID = '{c77e7400-738a-11d2-9add-0020af0a3278}';
const REDIRECT_STATUSES: readonly number[] = [301, 302, 303, 307, 308];
const PLAYABLE_STATUSES: readonly number[] = [200, 206];
const AUTHORISATION_TRIES = 2;
/** Reasons of `$E`. */
const END_FOR_GOOD = 0;
const END_MORE_FOLLOWS = 1;
const END_OF_REWIND = 0x000d2f09;

type Phase = 'idle' | 'describe' | 'play' | 'over';
type BodyKind = 'unknown' | 'chunks' | 'text' | 'ignored';

export class MmshClient implements SourceClient {
  readonly #url: SourceUrl;
  readonly #redirected: boolean;
  readonly #report = new SourceReport();
  #phase: Phase = 'idle';
  #http = this.#newHttpReader();
  #chunks = new MmshChunkReader();
  #sniffed = new ByteQueue();
  #bodyKind: BodyKind = 'unknown';
  readonly #assembly = new HeaderAssembly();
  /** The header in force, of the current connection. */
  #header: SourceHeader | undefined;
  #described: SourceHeader | undefined;
  #saysBroadcast = false;
  /** After `$C` and until the new header. */
  #awaitsHeader = false;
  #numberBase: 16 | 10 = 16;
  #authorised = false;
  #authorisationTries = 0;
  #progressedMs: Milliseconds = 0;
  #packetCount = 0;
  #nowMs: Milliseconds = 0;

  constructor(url: SourceUrl, options: SourceClientOptions = {}) {
    this.#url = url;
    this.#redirected = options.redirected ?? false;
  }

  handle(input: SourceInput, nowMs: Milliseconds): readonly SourceEffect[] {
    this.#nowMs = nowMs;
    if (this.#phase !== 'over') this.#take(input);
    if (this.#report.isOver) this.#phase = 'over';
    return this.#report.drain();
  }

  #take(input: SourceInput): void {
    switch (input.kind) {
      case 'start':
        return this.#connect('describe');
      case 'opened':
        return this.#report.send(new TextEncoder().encode(this.#phase === 'describe' ? this.#describeRequest() : this.#playRequest()));
      case 'bytes':
        return this.#receive(input.bytes);
      case 'closed':
        return this.#closed(input.detail);
      case 'timer':
        return this.#elapsed(input.timer);
    }
  }

  #connect(phase: 'describe' | 'play'): void {
    this.#phase = phase;
    this.#http = this.#newHttpReader();
    this.#chunks = new MmshChunkReader();
    this.#sniffed = new ByteQueue();
    this.#bodyKind = 'unknown';
    this.#assembly.clear();
    this.#header = undefined;
    this.#report.cancel('progress');
    this.#report.connect(this.#url.host, this.#port, this.#redirected, isSecure(this.#url.scheme));
    this.#report.schedule('step', STEP_MS);
  }

  get #port(): number {
    return this.#url.port ?? (isSecure(this.#url.scheme) ? HTTPS_PORT : MMSH_PORT);
  }

  #newHttpReader(): HttpResponseReader {
    const reader: HttpResponseReader = new HttpResponseReader({
      onHead: (head) => this.#takeHead(head),
      // An answer that was given up may go on in the same bytes.
      onBody: (bytes) => {
        if (reader === this.#http && !this.#report.isOver) this.#takeBody(bytes);
      },
      onEnd: () => {
        if (reader === this.#http && !this.#report.isOver) this.#closed('the server ended its answer');
      },
    });
    return reader;
  }

  #receive(bytes: Uint8Array): void {
    const fault = this.#http.push(bytes);
    if (fault !== undefined && !this.#report.isOver) this.#report.fail(`not an MMSH answer: ${fault.reason}`);
  }

  #takeHead(head: HttpResponseHead): void {
    const { status, headers } = head;
    if (REDIRECT_STATUSES.includes(status)) return this.#redirect(headers.get('location') ?? '');
    if (status === 401) return this.#authorise(headers.get('www-authenticate') ?? '');
    if (!PLAYABLE_STATUSES.includes(status)) return this.#report.fail(`the server answered with status ${status}`, status !== 403);
    const encoding = headers.get('content-encoding') ?? 'identity';
    if (encoding.toLowerCase() !== 'identity')
      return this.#report.fail(`the server encodes its answer (${encoding.slice(0, 40)}) although nobody asked for it`);
    this.#saysBroadcast = /features="[^"]*\b(?:broadcast|live)\b/i.test(headers.get('pragma') ?? '');
  }

  #redirect(location: string): void {
    const url = resolveSourceUrl(location, this.#url);
    if (url instanceof Malformed) return this.#report.fail(`the server redirects to an address that is no source: ${url.reason}`);
    this.#report.redirect(formatSourceUrl(url));
  }

  /** A challenge is answered once, on a new connection; the second one means that the credentials are wrong. */
  #authorise(challenge: string): void {
    this.#authorisationTries += 1;
    const { credentials } = this.#url;
    if (credentials === undefined)
      return this.#report.fail('the server wants a name and a password: give them in the URL as name:password@host', false);
    if (!/\bbasic\b/i.test(challenge))
      return this.#report.fail('the server wants a kind of authentication that is not supported; only Basic is', false);
    if (this.#authorisationTries >= AUTHORISATION_TRIES)
      return this.#report.fail('the server refuses the name and password of the URL', false);
    this.#authorised = true;
    this.#connect(this.#phase === 'play' ? 'play' : 'describe');
  }

  #takeBody(bytes: Uint8Array): void {
    if (this.#bodyKind === 'chunks') return this.#takeChunks(bytes);
    if (this.#bodyKind === 'ignored') return;
    this.#sniffed.push(bytes);
    const [first, second] = this.#sniffed.peek(2) ?? [];
    if (first === undefined || second === undefined) return;
    this.#bodyKind = startsLikeMmsh(first, second) ? 'chunks' : 'text';
    if (this.#bodyKind === 'chunks') return this.#takeChunks(this.#sniffed.takeAll());
    if (this.#sniffed.lengthBytes > ASX_BYTES_MAX) this.#readText();
  }

  /** The answer is a page or a redirect file. */
  #readText(): void {
    this.#bodyKind = 'ignored';
    const urls = parseAsx(this.#sniffed.takeAll());
    if (urls instanceof Malformed) return this.#report.fail(urls.reason);
    this.#redirect(urls[0] ?? '');
  }

  #takeChunks(bytes: Uint8Array): void {
    const reader = this.#chunks;
    const fault = reader.push(bytes, (chunk) => {
      if (reader === this.#chunks && !this.#report.isOver) this.#takeChunk(chunk);
    });
    if (fault !== undefined && reader === this.#chunks && !this.#report.isOver) this.#report.fail(`not MMSH: ${fault.reason}`);
  }

  #takeChunk(chunk: MmshChunk): void {
    this.#progressedMs = this.#nowMs;
    if ('sizeDiffers' in chunk && chunk.sizeDiffers) this.#report.oddity('chunks whose PacketSize contradicts their length');
    switch (chunk.kind) {
      case 'header':
        return this.#takeHeaderPart(chunk);
      case 'data':
        return this.#takePacket(chunk);
      case 'end':
        return this.#takeEnd(chunk.reasonCode);
      case 'change':
        return this.#takeChange();
      case 'unknown':
        return this.#report.oddity('chunks of an unknown type');
      case 'metadata':
      case 'packet-pair':
        return;
    }
  }

  #takeHeaderPart({ afFlags, payload }: MmshPacketChunk): void {
    const header = this.#assembly.add(payload, (afFlags & FIRST_PART) !== 0, (afFlags & LAST_PART) !== 0);
    if (header instanceof Malformed) return this.#report.fail(header.reason);
    if (header === undefined) return;
    if (this.#phase === 'describe') this.#finishDescribe(header);
    else this.#takeHeader(header);
  }

  #finishDescribe(header: SourceHeader): void {
    this.#described = header;
    if (!header.media.broadcast && !this.#saysBroadcast) this.#report.onDemand('the server offers a file on demand, not a broadcast');
    this.#connect('play');
  }

  #takeHeader(header: SourceHeader): void {
    const earlier = this.#header;
    if (earlier !== undefined && !this.#awaitsHeader && isSameHeader(earlier, header)) return;
    if (earlier !== undefined && !this.#awaitsHeader) this.#report.emit({ kind: 'stream-change' });
    if (earlier === undefined) this.#report.schedule('progress', PROGRESS_MS);
    this.#report.cancel('step');
    this.#report.cancel('header');
    this.#awaitsHeader = false;
    this.#header = header;
    this.#report.emit({ kind: 'header', header: header.bytes, media: header.media });
  }

  #takePacket({ locationId, incarnation, afFlags, payload }: MmshPacketChunk): void {
    if (this.#phase !== 'play' || this.#header === undefined || this.#awaitsHeader) {
      return this.#report.oddity('packets before the header');
    }
    if (payload.length > this.#header.media.packetBytes)
      return this.#report.oddity('packets that are longer than the packet size of the header');
    this.#packetCount += 1;
    this.#report.emit({ kind: 'packet', locationId, payload, afFlags, incarnation });
  }

  #takeEnd(reasonCode: number): void {
    if (reasonCode === END_FOR_GOOD) return this.#report.end('the server ended the stream');
    if (reasonCode === END_MORE_FOLLOWS || reasonCode === END_OF_REWIND) return;
    this.#report.fail(`the server ended the stream with error 0x${reasonCode.toString(16).padStart(8, '0')}`);
  }

  #takeChange(): void {
    if (this.#phase !== 'play' || this.#awaitsHeader) return;
    this.#awaitsHeader = true;
    this.#assembly.clear();
    this.#report.emit({ kind: 'stream-change' });
    this.#report.schedule('header', STEP_MS);
  }

  #closed(detail: string): void {
    if (this.#bodyKind === 'text') return this.#readText();
    this.#report.fail(this.#header === undefined ? `${detail} before the stream's header came` : detail);
  }

  #elapsed(timer: SourceTimer): void {
    if (timer === 'step') return this.#bodyKind === 'text' ? this.#readText() : this.#report.fail('the server does not answer');
    if (timer === 'header') return this.#report.fail('the server announced a new header and did not send it');
    if (timer === 'progress') this.#checkProgress();
  }

  #checkProgress(): void {
    const silentMs = this.#nowMs - this.#progressedMs;
    if (silentMs < PROGRESS_MS) return this.#report.schedule('progress', PROGRESS_MS - silentMs);
    if (this.#packetCount === 0 && this.#numberBase === 16 && this.#hasLargeNumbers()) {
      this.#numberBase = 10;
      return this.#connect('play');
    }
    this.#report.fail(`no packet came for ${PROGRESS_MS / 1000} s`);
  }

  /** Stream numbers of 10 and more read differently in hex, as the specification has it, and in decimal, as some servers do. */
  #hasLargeNumbers(): boolean {
    return this.#described?.media.streams.some(({ number }) => number >= 10) ?? false;
  }

  #describeRequest(): string {
    return this.#request([
      'Pragma: no-cache,rate=1.000000,stream-time=0,stream-offset=0:0,request-context=1,max-duration=0',
      `Pragma: xClientGUID=${CLIENT_GUID}`,
    ]);
  }

  #playRequest(): string {
    const numbers = this.#described?.media.streams.map(({ number }) => number) ?? [];
    return this.#request([
      'Pragma: no-cache,rate=1.000000,request-context=2',
      'Pragma: xPlayStrm=1',
      `Pragma: xClientGUID=${CLIENT_GUID}`,
      `Pragma: stream-switch-count=${numbers.length}`,
      `Pragma: stream-switch-entry=${numbers.map((number) => `ffff:${number.toString(this.#numberBase)}:0 `).join('')}`,
    ]);
  }

  #request(pragmas: readonly string[]): string {
    const { host, path, credentials } = this.#url;
    const name = host.includes(':') ? `[${host}]` : host;
    const authorisation = this.#authorised && credentials !== undefined ? [`Authorization: Basic ${basicCredentials(credentials)}`] : [];
    const lines = [
      `GET ${path} HTTP/1.0`,
      `Host: ${name}:${this.#port}`,
      'Accept: */*',
      `User-Agent: ${USER_AGENT}`,
      ...authorisation,
      ...pragmas,
      'Connection: Close',
    ];
    return `${lines.join('\r\n')}\r\n\r\n`;
  }
}
