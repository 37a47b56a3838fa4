/**
 * Announces one swarm to its trackers and hands over the peers they name.
 *
 * One `AnnounceClient` per tracker writes and reads the announces; when to announce is decided here, since the package bittorrent-tracker
 * obeys any interval: 1 s, or one so long that its timer overflows and fires at once, for ever. HTTP requests go through `tracker-http.ts`. UDP
 * requests are the package's (IPv4 only), cut off by our own time limit.
 *
 * A tracker that fails is asked again with growing pauses and costs one line of log, and one more when it answers again. `started` is
 * repeated until it is answered once, `completed` and `stopped` are sent once. Nothing a tracker sends throws, and after `stop` nothing keeps the
 * process alive.
 */

import { isIP, isIPv4 } from 'node:net';
import type { Log } from '../../kernel/ports.js';
import type { Bytes, InfoHash, Milliseconds } from '../../kernel/units.js';
import { ownAddresses } from '../own-address.js';
import { AnnounceClient, type AnnounceOptions, type AnnounceWire, type HttpRequest } from './announce-client.js';
import { announceByHttp, PEERS_PER_RESPONSE_MAX_COUNT, printable } from './tracker-http.js';

export interface PeerAddress {
  /** An IP address, without brackets. */
  readonly host: string;
  readonly port: number;
}

export interface TrackerClientOptions {
  readonly infoHash: InfoHash;
  /** 20 bytes in hex. */
  readonly peerId: string;
  /** Where we listen for peers, 1 to 65535. */
  readonly port: number;
  /** http, https and udp URLs; others are left out with a warning. */
  readonly trackers: readonly string[];
  readonly log: Log;
  /** Whether we hold the source (`left` is 0 then). Default false. */
  readonly seeding?: boolean;
  /** Called for every usable address of a response, known or not. Never our own. */
  onPeer(address: PeerAddress, tracker: string): void;
  /** Whether more neighbours are wanted now; while true, trackers are asked more often. Default: never. */
  wanted?(): boolean;
  /** `leftBytes` only of a torrent whose length is known; without it `left` is as `seeding` says. */
  announceStats?(): { readonly uploadedBytes: Bytes; readonly downloadedBytes: Bytes; readonly leftBytes?: Bytes | undefined };
  /** How an announce to a tracker has ended; for those who choose among trackers. */
  onOutcome?(tracker: string, isAnswered: boolean): void;
  /** The tracker's interval is held within these. Default 10 s and 2 h. */
  readonly intervalMinMs?: Milliseconds;
  readonly intervalMaxMs?: Milliseconds;
  /** First and longest pause after a failure. Default 1 s and 60 s. */
  readonly retryMinMs?: Milliseconds;
  readonly retryMaxMs?: Milliseconds;
  /** Shortest pause between announces, whoever asks. Default 5 s. */
  readonly pauseMinMs?: Milliseconds;
  /** How long an HTTP announce may take. Default 10 s; UDP has 3 s at most, since a lost datagram is better sent again. */
  readonly timeoutMs?: Milliseconds;
}

export interface TrackerStatus {
  /** Without its query, which may hold a secret. */
  readonly url: string;
  /** How the last announce ended; `waiting` before the first has. */
  readonly state: 'ok' | 'failing' | 'waiting';
  /** Undefined unless failing. */
  readonly lastError: string | undefined;
  /** Usable addresses in the last response. */
  readonly peers: number;
}

type Timing = Required<
  Pick<TrackerClientOptions, 'intervalMinMs' | 'intervalMaxMs' | 'retryMinMs' | 'retryMaxMs' | 'pauseMinMs' | 'timeoutMs'>
>;

const DEFAULT_TIMING: Timing = {
  intervalMinMs: 10_000,
  intervalMaxMs: 7_200_000,
  retryMinMs: 1000,
  retryMaxMs: 60_000,
  pauseMinMs: 5000,
  timeoutMs: 10_000,
};
const UDP_TIMEOUT_MS: Milliseconds = 3000;
/** With `stop` bounded by a second, this leaves time for closing. */
const STOP_TIMEOUT_MS: Milliseconds = 800;
/** When a tracker names no interval; the usual one of trackers. */
const INTERVAL_DEFAULT_MS: Milliseconds = 1_800_000;
/** `left` while it is unknown: a live channel has no end, a magnet link no length yet, and 0 would say that we hold it all. */
const LEFT_OF_VIEWER_BYTES = 16_384;
const NUMWANT = 50;
const USER_AGENT = 'Shoal';

export class TrackerClient {
  readonly #sessions: TrackerSession[];
  #isStarted = false;
  #stopping: Promise<void> | undefined;

  constructor(options: TrackerClientOptions) {
    const usable = [...new Set(options.trackers)].filter(isUsable);
    const leftOut = options.trackers.filter((url) => !isUsable(url)).map(shownUrl);
    if (leftOut.length > 0) options.log.warn(`Tracker ${leftOut.join(', ')} is left out; expected an http, https or udp address.`);
    this.#sessions = usable.map((url) => new TrackerSession(url, options));
  }

  /** Announces to every tracker, and goes on until `stop`. */
  start(): void {
    if (this.#isStarted || this.#stopping !== undefined) return;
    this.#isStarted = true;
    for (const session of this.#sessions) session.start();
  }

  /** Asks every tracker as soon as its pause allows; a tracker that fails keeps its own pause. */
  announceNow(): void {
    for (const session of this.#sessions) session.announceNow();
  }

  /** All has been downloaded: tells every tracker that knew us before, once. */
  complete(): void {
    for (const session of this.#sessions) session.complete();
  }

  /** Sends `stopped` to the trackers that know us; settles within a second, whatever they do. */
  stop(): Promise<void> {
    this.#stopping ??= Promise.all(this.#sessions.map((session) => session.stop())).then(() => undefined);
    return this.#stopping;
  }

  status(): TrackerStatus[] {
    return this.#sessions.map((session) => session.status());
  }
}

/** What an announce came to: undefined for an answer, else what continues "The tracker …". */
type Outcome = string | undefined;

/** One tracker: its schedule, and the announce under way. */
class TrackerSession {
  readonly #url: string;
  readonly #shownUrl: string;
  readonly #options: TrackerClientOptions;
  readonly #timing: Timing;
  readonly #client: AnnounceClient;
  readonly #wire: AnnounceWire;
  #state: TrackerStatus['state'] = 'waiting';
  #lastError: Outcome;
  #isRunning = false;
  #isKnown = false;
  /** `completed` is to be sent: `due` until it has been answered. */
  #completion: 'no' | 'due' | 'told' = 'no';
  /** Tells a tracker that two addresses are one peer (BEP 7); no secret of ours. */
  readonly #key = Math.floor(Math.random() * 0x1_0000_0000)
    .toString(16)
    .padStart(8, '0');
  #timer: NodeJS.Timeout | undefined;
  #dueMs: Milliseconds = 0;
  #announcedMs = Number.NEGATIVE_INFINITY;
  #failureCount = 0;
  #eagerCount = 0;
  #intervalMs = INTERVAL_DEFAULT_MS;
  #pauseMs: Milliseconds;
  #peerCount = 0;
  #settle: ((outcome: Outcome) => void) | undefined;

  constructor(url: string, options: TrackerClientOptions) {
    this.#url = url;
    this.#shownUrl = shownUrl(url);
    this.#options = options;
    this.#timing = { ...DEFAULT_TIMING, ...definedTiming(options) };
    this.#pauseMs = this.#timing.pauseMinMs;
    const { infoHash, peerId, port } = options;
    const requestHttp: HttpRequest = (...request) => void this.#requestHttp(...request);
    this.#client = new AnnounceClient({ url, infoHash, peerId, port, requestHttp });
    this.#wire = this.#client.wire;
    this.#adopt();
  }

  start(): void {
    this.#isRunning = true;
    void this.#announce();
  }

  announceNow(): void {
    if (!this.#isRunning || this.#settle !== undefined || this.#state === 'failing') return;
    const earliestMs = Math.max(performance.now(), this.#announcedMs + this.#pauseMs);
    if (earliestMs < this.#dueMs) this.#scheduleAt(earliestMs);
  }

  complete(): void {
    if (!this.#isRunning || this.#completion !== 'no') return;
    this.#completion = 'due';
    this.announceNow();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    const mayKnowUs = this.#isKnown || this.#settle !== undefined;
    const wasRunning = this.#isRunning;
    this.#isRunning = false;
    this.#abandon('is not asked any more');
    if (wasRunning && mayKnowUs) await this.#request((options) => this.#client.stop(options), STOP_TIMEOUT_MS);
    await new Promise<void>((resolve) => this.#client.destroy(resolve));
  }

  status(): TrackerStatus {
    return { url: this.#shownUrl, state: this.#state, lastError: this.#lastError, peers: this.#peerCount };
  }

  /** Takes the package's timer away; its events become the outcome of the announce under way. */
  #adopt(): void {
    this.#wire.setInterval = (intervalMs) => {
      if (intervalMs !== undefined && Number.isFinite(intervalMs)) this.#intervalMs = intervalMs;
    };
    this.#client.on('update', (response: { readonly 'min interval'?: unknown }) => this.#onUpdate(response));
    this.#client.on('warning', (error: unknown) => this.#settle?.(outcomeOf(error)));
    this.#client.on('error', (error: unknown) => this.#settle?.(outcomeOf(error)));
    this.#client.on('peer', (address: unknown) => this.#onPeer(String(address)));
  }

  #onUpdate(response: { readonly 'min interval'?: unknown }): void {
    const minimum = response['min interval'];
    const minimumMs = typeof minimum === 'number' ? minimum * 1000 : 0;
    this.#pauseMs = clamp(minimumMs, this.#timing.pauseMinMs, this.#timing.intervalMaxMs);
    this.#peerCount = 0;
    this.#settle?.(undefined);
  }

  #onPeer(text: string): void {
    const address = parsePeerAddress(text);
    const isWelcome = this.#isRunning && this.#peerCount < PEERS_PER_RESPONSE_MAX_COUNT;
    if (!isWelcome || address === undefined || isOwnAddress(address, this.#options.port)) return;
    this.#peerCount++;
    this.#options.onPeer(address, this.#url);
  }

  async #announce(): Promise<void> {
    clearTimeout(this.#timer);
    this.#announcedMs = performance.now();
    const isUdp = this.#url.toLowerCase().startsWith('udp:');
    const timeoutMs = isUdp ? Math.min(UDP_TIMEOUT_MS, this.#timing.timeoutMs) : this.#timing.timeoutMs;
    const event = this.#isKnown ? (this.#completion === 'due' ? 'complete' : 'update') : 'start';
    const outcome = await this.#request((options) => this.#client[event](options), timeoutMs);
    if (!this.#isRunning) return;
    if (event === 'complete' && outcome === undefined) this.#completion = 'told';
    if (outcome === undefined) this.#onAnswered();
    else this.#onFailed(outcome);
    this.#options.onOutcome?.(this.#url, outcome === undefined);
  }

  #onAnswered(): void {
    if (this.#state === 'failing') this.#options.log.info(`Tracker ${this.#shownUrl} answers again.`);
    this.#state = 'ok';
    this.#lastError = undefined;
    this.#isKnown = true;
    this.#failureCount = 0;
    this.#scheduleAt(this.#announcedMs + (this.#completion === 'due' ? this.#pauseMs : this.#nextIntervalMs()));
  }

  #onFailed(reason: string): void {
    const isNews = this.#state !== 'failing';
    this.#state = 'failing';
    this.#lastError = reason;
    if (isNews) this.#options.log.warn(`Tracker ${this.#shownUrl} ${reason}. It is asked again and again; peers already known go on.`);
    const { retryMinMs, retryMaxMs } = this.#timing;
    const backOffMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(this.#failureCount++, 30));
    // Half of the pause is left to chance, so that a tracker that comes back does not meet everybody at once.
    this.#scheduleAt(performance.now() + backOffMs * (0.5 + Math.random() / 2));
  }

  /** The tracker's interval; while neighbours are wanted a short pause, that doubles each time so that a small swarm is not a burden. */
  #nextIntervalMs(): Milliseconds {
    const { intervalMinMs, intervalMaxMs } = this.#timing;
    const intervalMs = clamp(this.#intervalMs, intervalMinMs, intervalMaxMs);
    if (this.#options.wanted?.() !== true) {
      this.#eagerCount = 0;
      return Math.max(intervalMs, this.#pauseMs);
    }
    // Three announces at the shortest pause: most peers of a fresh swarm come within its first seconds.
    const eagerMs = this.#pauseMs * 2 ** clamp(this.#eagerCount++ - 2, 0, 20);
    return Math.max(Math.min(intervalMs, eagerMs), this.#pauseMs);
  }

  #scheduleAt(dueMs: Milliseconds): void {
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => void this.#announce(), Math.max(0, dueMs - performance.now()));
  }

  /** Runs one request to its end: an answer, a failure, or the time limit. Never rejects. */
  #request(send: (options: AnnounceOptions) => void, timeoutMs: Milliseconds): Promise<Outcome> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#abandon('does not answer in time'), timeoutMs);
      this.#settle = (outcome) => {
        this.#settle = undefined;
        clearTimeout(timer);
        resolve(outcome);
      };
      try {
        send(this.#announceOptions());
      } catch (error) {
        this.#abandon(outcomeOf(error) ?? 'cannot be asked');
      }
    });
  }

  /** Ends the request under way, if any: closes its socket, and settles it. */
  #abandon(reason: string): void {
    const settle = this.#settle;
    this.#settle = undefined;
    for (const cleanup of [...this.#wire.cleanupFns]) cleanup();
    // What is cleaned up must not be waited for: the package's `destroy` gives it another second.
    this.#wire.cleanupFns = [];
    settle?.(reason);
  }

  async #requestHttp(...[url, parameters, done]: Parameters<HttpRequest>): Promise<void> {
    const controller = new AbortController();
    const cleanup = (): void => controller.abort();
    this.#wire.cleanupFns.push(cleanup);
    try {
      const response = await announceByHttp(withQuery(url, { ...parameters, key: this.#key }), USER_AGENT, controller.signal);
      if (!controller.signal.aborted) done(null, response);
    } catch (error) {
      if (!controller.signal.aborted) done(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#wire.cleanupFns = this.#wire.cleanupFns.filter((other) => other !== cleanup);
    }
  }

  #leftUnknownBytes(): Bytes {
    return this.#options.seeding === true ? 0 : LEFT_OF_VIEWER_BYTES;
  }

  #announceOptions(): AnnounceOptions {
    const stats = this.#options.announceStats?.();
    return {
      uploaded: wholeBytes(stats?.uploadedBytes),
      downloaded: wholeBytes(stats?.downloadedBytes),
      left: stats?.leftBytes === undefined ? this.#leftUnknownBytes() : wholeBytes(stats.leftBytes),
      numwant: NUMWANT,
    };
  }
}

/** BEP 3: byte strings (one character per byte) are percent-encoded byte by byte, not as UTF-8. */
function withQuery(url: string, parameters: Readonly<Record<string, string | number>>): string {
  const escapeByte = (character: string): string => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  const escapeBytes = (value: string | number): string => String(value).replace(/[^A-Za-z0-9._~-]/g, escapeByte);
  const query = Object.entries(parameters).map(([key, value]) => `${key}=${escapeBytes(value)}`);
  return `${url}${url.includes('?') ? '&' : '?'}${query.join('&')}`;
}

function isUsable(url: string): boolean {
  const asHttp = url.replace(/^udp:/i, 'http:');
  return /^(https?|udp):\/\//i.test(url) && URL.canParse(asHttp) && new URL(asHttp).port !== '0';
}

function shownUrl(url: string): string {
  return printable(url.replace(/[?#].*$/s, '').replace(/\/\/[^/@]*@/, '//'));
}

/** `1.2.3.4:80` or `[::1]:80`; undefined when it is no address a peer could have. */
function parsePeerAddress(text: string): PeerAddress | undefined {
  const [, bracketed, plain, portText] = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d{1,5})$/i.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  const port = Number(portText);
  const isNobody = isIPv4(host) ? /^(0|22[4-9]|23\d|24\d|25\d)\./.test(host) : /^(::|ff.*)$/i.test(host);
  return isIP(host) === 0 || isNobody || !(port >= 1 && port <= 65_535) ? undefined : { host, port };
}

function isOwnAddress({ host, port }: PeerAddress, ownPort: number): boolean {
  return port === ownPort && ownAddresses().has(host);
}

function outcomeOf(error: unknown): Outcome {
  const text = error instanceof Error ? error.message : String(error);
  if (/^(answers|refuses|cannot|does) ?/.test(text)) return printable(text);
  // UDP: the package appends the URL, which may hold a secret, to errors of the socket; the tracker's own words stand alone.
  return `fails: ${printable(text.replace(/ \([a-z]+:.*\)$/s, ''))}`;
}

function definedTiming(options: TrackerClientOptions): Partial<Timing> {
  const keys = Object.keys(DEFAULT_TIMING) as (keyof Timing)[];
  return Object.fromEntries(keys.filter((key) => options[key] !== undefined).map((key) => [key, options[key]]));
}

function wholeBytes(value: Bytes | undefined): Bytes {
  return value !== undefined && Number.isFinite(value) ? Math.max(0, Math.trunc(value)) : 0;
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
