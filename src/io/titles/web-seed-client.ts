/**
 * One web seed of one title: a plain HTTP server that has the files, asked by ranges (BEP 19).
 *
 * `fetch` streams: it holds what one connection has buffered (64 KiB), and reads on as fast as its bytes are taken. A range may span pieces and
 * files; each file costs one request, over connections that are kept. Pad files cost none. A failure makes the seed wait, longer each time, and
 * is told once in the log; a file that it does not have is not asked for again for ten minutes. That the bytes are right is for the caller to check: `condemn` ends a seed that sent wrong ones.
 *
 * What a torrent names is foreign: its seeds reach public addresses only. What the user named may also be on this machine or network, unless its
 * URL has a query. No redirect leads from a public address to a private one.
 *
 * Source: BEP 19; libtorrent's `ssrf_mitigation`.
 */
import type { IncomingMessage } from 'node:http';
import { invariant, ShoalError } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import type { Bytes, Milliseconds, PieceIndex } from '../../kernel/units.js';
import { type FileSpan, type PieceRun, piecesOfFile, spansOf } from '../../vod/file-layout.js';
import type { Metainfo, TitleFile } from '../../vod/metainfo.js';
import { firstPlace, judgeResponse, redirectedPlace, type WebSeedPlace, type WebSeedRequest, webSeedUrl } from '../../vod/web-seed.js';
import { GuardedHttp, type GuardedResponse } from './guarded-http.js';

/** Who named the seed: the user (in a torrent or link given by hand), or others (the catalogue, a folder, peers). */
export type WebSeedTrust = 'user' | 'foreign';

export interface WebSeedOptions {
  /** http or https, as `cleanWebSeed` leaves it. */
  readonly url: string;
  readonly metainfo: Pick<Metainfo, 'originalName' | 'isSingleFile' | 'files' | 'pieceLengthBytes' | 'totalBytes'>;
  readonly log: Log;
  readonly trust: WebSeedTrust;
  readonly limits?: Partial<WebSeedLimits>;
}

/** Times of one seed. */
export interface WebSeedLimits {
  /** From a request to its answer's head. Default 15 s. */
  readonly headMs: Milliseconds;
  /** Between bytes. Default 15 s. */
  readonly silenceMs: Milliseconds;
  /** A server slower than this over a whole range is given up; 60 s are free. Default 2048 B/s. */
  readonly bytesPerSecondMin: number;
  /** The pause after the first failure; doubled by each that follows. Default 1 s. */
  readonly pauseMinMs: Milliseconds;
  /** Default 10 min. */
  readonly pauseMaxMs: Milliseconds;
}

const DEFAULT_LIMITS: WebSeedLimits = {
  headMs: 15_000,
  silenceMs: 15_000,
  bytesPerSecondMin: 2048,
  pauseMinMs: 1000,
  pauseMaxMs: 600_000,
};
const REDIRECTS_MAX_COUNT = 5;
const FREE_MS: Milliseconds = 60_000;
/** Files whose redirected place is remembered. */
const PLACES_MAX_COUNT = 256;
const ZEROS = new Uint8Array(16_384);

export class WebSeedClient {
  readonly url: string;
  readonly #options: WebSeedOptions;
  readonly #limits: WebSeedLimits;
  readonly #http = new GuardedHttp();
  /** Where files were last found, by their indices. */
  readonly #places = new Map<number, WebSeedPlace>();
  /** When a file that the seed lacks may be asked for again, by its index. */
  readonly #lacking = new Map<number, Milliseconds>();
  /** Of what is being fetched. Not one signal for all: `AbortSignal.any` would keep something of every fetch for as long as the seed lives. */
  readonly #running = new Set<AbortController>();
  #isClosed = false;
  #failuresInRow = 0;
  #dueMs: Milliseconds = 0;
  #condemned: string | undefined;
  #receivedBytes: Bytes = 0;

  constructor(options: WebSeedOptions) {
    this.url = options.url;
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
  }

  /** Bytes of bodies, those skipped included. */
  get receivedBytes(): Bytes {
    return this.#receivedBytes;
  }

  /** How long until the seed may be asked again: 0 for now, Infinity for never. */
  get waitMs(): Milliseconds {
    if (this.#condemned !== undefined || this.#isClosed) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#dueMs - performance.now());
  }

  /** Pieces that the seed is known not to have all of. */
  get lackedPieces(): readonly PieceRun[] {
    const { metainfo } = this.#options;
    const nowMs = performance.now();
    return metainfo.files.flatMap((file) => ((this.#lacking.get(file.index) ?? 0) > nowMs ? (piecesOfFile(metainfo, file) ?? []) : []));
  }

  /**
   * The bytes of the title from `offsetBytes` of a piece on, in order and exactly `lengthBytes` of them, which may go on into the pieces that
   * follow. Leaving the loop or aborting closes the connection at once.
   *
   * @throws ShoalError `WEB_SEED_FAILED`, with `retryMs` (Infinity for never) in its data; the signal's reason after an abort.
   */
  async *fetch(piece: PieceIndex, offsetBytes: Bytes, lengthBytes: Bytes, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    const { metainfo } = this.#options;
    const fromByte = piece * metainfo.pieceLengthBytes + offsetBytes;
    invariant(
      fromByte >= 0 && lengthBytes > 0 && fromByte + lengthBytes <= metainfo.totalBytes,
      'A web seed is asked for bytes of its title.',
    );
    if (this.waitMs > 0) throw this.#failure(this.#condemned ?? (this.#isClosed ? 'it was closed' : 'it is waited for after a failure'));
    const spans = spansOf(metainfo, fromByte, lengthBytes);
    const lacking = this.#lackingFile(spans);
    if (lacking !== undefined) throw this.#failure(`it does not have "${lacking.path.join('/')}"`);
    const ending = new AbortController();
    const abort = (): void => ending.abort(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    this.#running.add(ending);
    try {
      for (const span of spans) yield* span.file.isPad ? zeros(span.lengthBytes) : this.#fetchSpan(span, ending.signal);
      this.#failuresInRow = 0;
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#fail(error);
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#running.delete(ending);
    }
  }

  /** Never asks this seed again: what it sent was wrong. */
  condemn(reason: string): void {
    if (this.#condemned !== undefined) return;
    this.#condemned = reason;
    this.#options.log.warn('web seed is not asked any more', { reason });
    this.#end();
  }

  /** Closes every connection; what is being fetched fails. */
  close(): void {
    this.#isClosed = true;
    this.#end();
  }

  #end(): void {
    for (const ending of this.#running) ending.abort(new Error('the seed was closed'));
    this.#http.close();
  }

  async *#fetchSpan(span: FileSpan, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    const pace = new Pace(this.#limits, span.lengthBytes);
    for (let doneBytes = 0; doneBytes < span.lengthBytes; ) {
      const request: WebSeedRequest = {
        fromByte: span.offsetBytes + doneBytes,
        lengthBytes: span.lengthBytes - doneBytes,
        fileBytes: span.file.lengthBytes,
      };
      const { message, skipBytes, lengthBytes } = await this.#open(span.file, request, signal);
      yield* this.#read(message, skipBytes, lengthBytes, pace, signal);
      doneBytes += lengthBytes;
    }
  }

  /** Asks for the range, through redirects, until a server answers with bytes. */
  async #open(
    file: TitleFile,
    request: WebSeedRequest,
    signal: AbortSignal,
  ): Promise<{ message: IncomingMessage; skipBytes: Bytes; lengthBytes: Bytes }> {
    let place = this.#places.get(file.index) ?? this.#firstPlace(file);
    for (let redirects = 0; redirects <= REDIRECTS_MAX_COUNT; redirects++) {
      const response = await this.#ask(place, request, signal);
      const { message } = response;
      const verdict = judgeResponse({ status: message.statusCode ?? 0, headers: message.headers }, request, Date.now() / 1000);
      if (verdict.kind === 'take') {
        if (redirects > 0 && this.#places.size < PLACES_MAX_COUNT) this.#places.set(file.index, place);
        return { message, skipBytes: verdict.skipBytes, lengthBytes: verdict.lengthBytes };
      }
      message.destroy();
      this.#places.delete(file.index);
      if (verdict.kind === 'refuse') throw new Refusal(verdict.reason, verdict.retryMs, verdict.isOfFile ? file.index : undefined);
      const next = redirectedPlace(place, verdict.location, response.isPrivate);
      if (typeof next === 'string') throw new Refusal(next, this.#limits.pauseMinMs);
      place = next;
    }
    throw new Refusal(`it redirects more than ${REDIRECTS_MAX_COUNT} times`, this.#limits.pauseMaxMs);
  }

  #firstPlace(file: TitleFile): WebSeedPlace {
    const text = webSeedUrl(this.url, this.#options.metainfo, file);
    if (text === undefined)
      throw new Refusal(`it can't have "${file.path.join('/')}", whose name no URL can hold`, this.#limits.pauseMaxMs);
    return firstPlace(text, this.#options.trust === 'user');
  }

  #ask(place: WebSeedPlace, { fromByte, lengthBytes }: WebSeedRequest, signal: AbortSignal): Promise<GuardedResponse> {
    return this.#http.get({
      url: new URL(place.url),
      mayReachPrivate: place.mayReachPrivate,
      headers: { Range: `bytes=${fromByte}-${fromByte + lengthBytes - 1}`, 'Accept-Encoding': 'identity', 'User-Agent': 'Shoal' },
      headWithinMs: this.#limits.headMs,
      signal,
    });
  }

  async *#read(
    message: IncomingMessage,
    skipBytes: Bytes,
    lengthBytes: Bytes,
    pace: Pace,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, void> {
    const abort = (): void => void message.destroy(new Error('aborted'));
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    // The iterator rejects too; without a listener a late error of the socket would be nobody's.
    message.on('error', () => undefined);
    let leftBytes = lengthBytes;
    let toSkipBytes = skipBytes;
    try {
      const chunks = message[Symbol.asyncIterator]();
      while (leftBytes > 0) {
        const { value, done } = await pace.next(chunks, message);
        if (done === true) throw new Refusal(`its answer ends ${leftBytes + toSkipBytes} bytes early`, this.#limits.pauseMinMs);
        this.#receivedBytes += value.length;
        const usable = value.subarray(Math.min(toSkipBytes, value.length));
        toSkipBytes -= value.length - usable.length;
        const taken = usable.subarray(0, leftBytes);
        leftBytes -= taken.length;
        if (taken.length > 0) yield taken;
      }
      // The end of an answer of known length is there with its last byte; only once it is read is the connection kept.
      if (Number(message.headers['content-length']) === skipBytes + lengthBytes) await pace.next(chunks, message).catch(() => undefined);
    } finally {
      signal.removeEventListener('abort', abort);
      if (!message.complete) message.destroy();
    }
  }

  #lackingFile(spans: readonly FileSpan[]): TitleFile | undefined {
    const nowMs = performance.now();
    return spans.find(({ file }) => (this.#lacking.get(file.index) ?? 0) > nowMs && !file.isPad)?.file;
  }

  #fail(error: unknown): ShoalError {
    if (error instanceof ShoalError) return error;
    const reason = error instanceof Error ? error.message : String(error);
    const isOfFile = error instanceof Refusal && error.file !== undefined;
    if (isOfFile) this.#lacking.set(error.file as number, performance.now() + error.retryMs);
    const doubledMs = this.#limits.pauseMinMs * 2 ** Math.min(20, this.#failuresInRow);
    const pauseMs = Math.max(error instanceof Refusal && !isOfFile ? error.retryMs : 0, Math.min(doubledMs, this.#limits.pauseMaxMs));
    this.#dueMs = performance.now() + pauseMs;
    this.#failuresInRow++;
    this.#places.clear();
    if (this.#failuresInRow === 1 && !this.#isClosed && this.#condemned === undefined)
      this.#options.log.warn('web seed failed', { reason, pauseMs });
    return this.#failure(reason, error);
  }

  #failure(reason: string, cause?: unknown): ShoalError {
    const { protocol, host, pathname } = new URL(this.url);
    return new ShoalError(
      'WEB_SEED_FAILED',
      // The query may hold a secret.
      `The web seed ${protocol}//${host}${pathname} gives nothing: ${reason}.`,
      { retryMs: this.waitMs },
      { cause },
    );
  }
}

/** An answer that is no failure of the network. */
class Refusal extends Error {
  readonly retryMs: Milliseconds;
  /** Index of the file that alone is concerned. */
  readonly file: number | undefined;

  constructor(reason: string, retryMs: Milliseconds, file?: number) {
    super(reason);
    this.retryMs = retryMs;
    this.file = file;
  }
}

/** Counts only the time that the server takes, not the time that its bytes wait to be taken. */
class Pace {
  readonly #silenceMs: Milliseconds;
  #leftMs: Milliseconds;

  constructor(limits: WebSeedLimits, lengthBytes: Bytes) {
    this.#silenceMs = limits.silenceMs;
    this.#leftMs = FREE_MS + (lengthBytes / limits.bytesPerSecondMin) * 1000;
  }

  async next(chunks: AsyncIterator<Uint8Array>, message: IncomingMessage): Promise<IteratorResult<Uint8Array, undefined>> {
    const sinceMs = performance.now();
    const timeoutMs = Math.min(this.#silenceMs, this.#leftMs);
    const timer = setTimeout(
      () => message.destroy(new Error(`it sends nothing for ${Math.round(timeoutMs)} ms, or too slowly`)),
      timeoutMs,
    );
    try {
      return await chunks.next();
    } finally {
      clearTimeout(timer);
      this.#leftMs -= performance.now() - sinceMs;
    }
  }
}

function* zeros(lengthBytes: Bytes): Generator<Uint8Array, void, void> {
  for (let leftBytes = lengthBytes; leftBytes > 0; leftBytes -= ZEROS.length) yield ZEROS.subarray(0, Math.min(leftBytes, ZEROS.length));
}
