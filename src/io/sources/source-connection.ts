/**
 * Pulls one source over TCP or TLS: carries out what `ingest/source-life` asks for.
 *
 * It promises: reading is paused when a source sends more than eight times its declared bit rate over 10 s, or more than any FLV source needs; a
 * server cannot redirect this machine to an address of a private network, or to itself, that the operator did not name; over TLS nothing is sent
 * before the certificate has been checked; `stop` closes everything at once. Source: protocols sheet 6.2, rows 3 and 18.
 */
import type { LookupOptions } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { connect, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import type { SourceTimer } from '../../ingest/source-client.js';
import { SourceLife, type SourceLifeEffect, type SourceLifeEvent, type SourceLifeInput } from '../../ingest/source-life.js';
import type { SourceContainer } from '../../ingest/source-url.js';
import { addressScope, normaliseHost } from '../../kernel/peer-address.js';
import type { Log } from '../../kernel/ports.js';
import type { Rng } from '../../kernel/rng.js';
import { TokenBucket } from '../../kernel/token-bucket.js';
import type { BytesPerSecond, Milliseconds } from '../../kernel/units.js';

export interface SourceConnectionOptions {
  /** `mms://`, `mmst://`, `mmsh://`, `rtmp://`, `rtmps://`, `http://` or `https://`. */
  readonly url: string;
  /** What the source gives. Default: what its address says. */
  readonly container?: SourceContainer;
  readonly rng: Rng;
  readonly log: Log;
  /** Everything the source says, in order; called from the socket's events. */
  readonly onEvent: (event: SourceLifeEvent) => void;
  /** Whether a file on demand is accepted. Default `refuse`: it is no live source. */
  readonly onDemand?: 'refuse' | 'accept';
}

const CONNECT_MS: Milliseconds = 10_000;
/** Bits to bytes and the factor of eight cancel out: as many bytes per second as the header declares bits. */
const RATE_FACTOR = 8 / 8;
const RATE_MIN: BytesPerSecond = 256 * 1024;
/** Before the header, and when it declares nothing: 32 Mbit/s. */
const RATE_DEFAULT: BytesPerSecond = 4 * 1024 * 1024;
/** FLV declares nothing: 67 Mbit/s, which no swarm of viewers could pass on. */
const RATE_FLV: BytesPerSecond = 8 * 1024 * 1024;
const AVERAGE_SECONDS = 10;
/** A server may say nothing for minutes while its publisher is away; this finds out when it has gone without a word. */
const KEEP_ALIVE_MS: Milliseconds = 15_000;

export class SourceConnection {
  readonly #options: SourceConnectionOptions;
  readonly #life: SourceLife;
  readonly #timers = new Map<SourceTimer, NodeJS.Timeout>();
  #socket: Socket | undefined;
  #readLimit: TokenBucket;
  #resumeTimer: NodeJS.Timeout | undefined;
  /** Addresses of the configured host, once looked up: a redirect may go there again. */
  readonly #ownAddresses = new Set<string>();
  #stopped = false;
  #receivedBytes = 0;
  #pauses = 0;

  private constructor(options: SourceConnectionOptions) {
    this.#options = options;
    this.#life = new SourceLife(options);
    this.#readLimit = this.#life.container === 'flv' ? new TokenBucket(RATE_FLV, RATE_FLV * AVERAGE_SECONDS) : readLimitOf(0);
  }

  /**
   * Begins to pull, and goes on until `stop` or until the source is refused.
   *
   * @throws ShoalError `ADDRESS_UNUSABLE` when the URL is none that a source can have.
   */
  static open(options: SourceConnectionOptions): SourceConnection {
    const source = new SourceConnection(options);
    source.#handle({ kind: 'start' });
    return source;
  }

  /** Bytes read from the network since the start. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Times that reading was paused because the source sent too fast. */
  get pauses(): number {
    return this.#pauses;
  }

  /** The caller will not have this source (DRM, for instance); it is never tried again. */
  refuse(detail: string): void {
    this.#handle({ kind: 'refuse', detail });
  }

  /** Closes everything; no event comes afterwards. */
  stop(): void {
    if (this.#stopped) return;
    this.#handle({ kind: 'stop' });
    this.#stopped = true;
    this.#dropSocket();
  }

  #handle(input: SourceLifeInput): void {
    if (this.#stopped) return;
    for (const effect of this.#life.handle(input, performance.now())) this.#carryOut(effect);
  }

  #carryOut(effect: SourceLifeEffect): void {
    switch (effect.kind) {
      case 'connect':
        return this.#connect(effect);
      case 'send':
        this.#socket?.write(effect.bytes);
        return;
      case 'close':
        return this.#dropSocket();
      case 'schedule':
        return this.#schedule(effect.timer, effect.delayMs);
      case 'cancel':
        clearTimeout(this.#timers.get(effect.timer));
        this.#timers.delete(effect.timer);
        return;
      case 'emit':
        return this.#emit(effect.event);
    }
  }

  #emit(event: SourceLifeEvent): void {
    if (this.#stopped) return;
    if (event.kind === 'header') this.#readLimit = readLimitOf(event.media.maxBitrate);
    if (event.kind === 'oddity') this.#options.log.warn('the source is odd', { what: event.detail });
    this.#options.onEvent(event);
  }

  #connect({ host, port, redirected, secure }: Extract<SourceLifeEffect, { kind: 'connect' }>): void {
    this.#dropSocket();
    const lookup: LookupFunction = (name, options, done) => void this.#resolve(name, options, redirected, done);
    const options = { host, port, lookup, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS, timeout: CONNECT_MS };
    // An address is no server name; the certificate must name it all the same.
    const socket = secure ? connectSecurely({ ...options, servername: isIP(host) === 0 ? host : '' }) : connect(options);
    this.#socket = socket;
    const isCurrent = (): boolean => this.#socket === socket;
    const closed = (detail: string): void => {
      if (!isCurrent()) return;
      this.#dropSocket();
      this.#handle({ kind: 'closed', detail });
    };
    // Name lookup does not happen for addresses, so those are judged here.
    const refusal = this.#judge(host, redirected);
    socket.once('timeout', () => closed('the server cannot be reached in time'));
    socket.on('error', (error: NodeJS.ErrnoException) => closed(connectionFault(error)));
    socket.once('close', () => closed('the server closed the connection'));
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      socket.setTimeout(0);
      if (isCurrent()) this.#handle({ kind: 'opened', localHost: socket.localAddress ?? '127.0.0.1', localPort: socket.localPort ?? 0 });
    });
    socket.on('data', (bytes) => {
      if (isCurrent()) this.#receive(socket, bytes);
    });
    if (refusal !== undefined) socket.destroy(new Error(refusal));
  }

  async #resolve(name: string, options: LookupOptions, redirected: boolean, done: Parameters<LookupFunction>[2]): Promise<void> {
    try {
      const found = await lookup(name, { hints: options.hints ?? 0, all: true });
      const usable = found.filter(({ address }) => this.#judge(address, redirected) === undefined);
      const [first] = usable;
      if (first === undefined) return done(new Error(`the server redirects to ${name}, an address of a private network`), '');
      if (options.all) done(null, usable);
      else done(null, first.address, first.family);
    } catch (error) {
      done(error as NodeJS.ErrnoException, '');
    }
  }

  /** Why an address must not be used, if so. What the operator named is remembered and always allowed. */
  #judge(address: string, redirected: boolean): string | undefined {
    if (!redirected) this.#ownAddresses.add(address);
    const scope = addressScope(normaliseHost(address) ?? address);
    if (this.#ownAddresses.has(address) || scope === 'public' || scope === 'name') return undefined;
    return `the server redirects to ${address}, an address of a private network`;
  }

  #receive(socket: Socket, bytes: Uint8Array): void {
    const nowMs = performance.now();
    this.#receivedBytes += bytes.length;
    this.#readLimit.take(bytes.length, nowMs);
    this.#handle({ kind: 'bytes', bytes });
    const delayMs = this.#readLimit.delayMs(nowMs);
    if (delayMs === 0 || this.#socket !== socket) return;
    this.#pauses += 1;
    socket.pause();
    this.#resumeTimer = setTimeout(() => socket.resume(), delayMs);
  }

  #schedule(timer: SourceTimer, delayMs: Milliseconds): void {
    clearTimeout(this.#timers.get(timer));
    this.#timers.set(
      timer,
      setTimeout(() => this.#handle({ kind: 'timer', timer }), delayMs),
    );
  }

  #dropSocket(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    clearTimeout(this.#resumeTimer);
    socket?.destroy();
  }
}

function readLimitOf(bitsPerSecond: number): TokenBucket {
  const bytesPerSecond = bitsPerSecond > 0 ? Math.max(RATE_MIN, bitsPerSecond * RATE_FACTOR) : RATE_DEFAULT;
  return new TokenBucket(bytesPerSecond, bytesPerSecond * AVERAGE_SECONDS);
}

function connectionFault(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'nothing listens at the address';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the host name is unknown';
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'the server cannot be reached';
    case 'ECONNRESET':
      return 'the server broke the connection';
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return "the server's certificate is for another name";
    case 'CERT_HAS_EXPIRED':
      return "the server's certificate has expired";
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return "the server's certificate was made by nobody this machine trusts";
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'EPROTO':
      return 'the server does not speak TLS there';
    default:
      return error.message;
  }
}
