/**
 * Announces one swarm to its trackers and hands over the peers they name.
 *
 * When to announce is decided here, since a tracker may name any interval: 1 s, or one so long that a timer overflows and fires at once, for ever. What is
 * said and heard is the business of `tracker-http.ts` and `tracker-udp.ts`, cut off by our own time limit.
 *
 * A tracker that fails is asked again with growing pauses and costs one line of log, and one more when it answers again. `started` is
 * repeated until it is answered once, `completed` and `stopped` are sent once. Nothing a tracker sends throws, and after `stop` nothing keeps the
 * process alive.
 */

import { isIP, isIPv4 } from 'node:net';
import type { Log } from '../../kernel/ports.js';
import type { Bytes, InfoHash, Milliseconds } from '../../kernel/units.js';
import { ownAddresses } from '../own-address.js';
import { type Announce, type AnnounceResponse, PEERS_PER_RESPONSE_MAX_COUNT, peersOf, printable } from './announce.js';
import { announceByHttp } from './tracker-http.js';
import { shownUrl, withoutSecrets } from './tracker-secrets.js';
import { announceByUdp } from './tracker-udp.js';

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
  /** Without what may be a secret. */
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
  #state: TrackerStatus['state'] = 'waiting';
  #lastError: Outcome;
  #isRunning = false;
  #isKnown = false;
  /** `completed` is to be sent: `due` until it has been answered. */
  #completion: 'no' | 'due' | 'told' = 'no';
  readonly #key = Math.floor(Math.random() * 0x1_0000_0000);
  #trackerId: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #dueMs: Milliseconds = 0;
  #announcedMs = Number.NEGATIVE_INFINITY;
  #failureCount = 0;
  #eagerCount = 0;
  #intervalMs = INTERVAL_DEFAULT_MS;
  #pauseMs: Milliseconds;
  #peerCount = 0;
  /** The announce under way, while there is one. */
  #underWay: AbortController | undefined;

  constructor(url: string, options: TrackerClientOptions) {
    this.#url = url;
    this.#shownUrl = shownUrl(url);
    this.#options = options;
    this.#timing = { ...DEFAULT_TIMING, ...definedTiming(options) };
    this.#pauseMs = this.#timing.pauseMinMs;
  }

  start(): void {
    this.#isRunning = true;
    void this.#announce();
  }

  announceNow(): void {
    if (!this.#isRunning || this.#underWay !== undefined || this.#state === 'failing') return;
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
    const mayKnowUs = this.#isKnown || this.#underWay !== undefined;
    const wasRunning = this.#isRunning;
    this.#isRunning = false;
    this.#underWay?.abort(new Error('is not asked any more'));
    if (wasRunning && mayKnowUs) await this.#request('stopped', STOP_TIMEOUT_MS);
  }

  status(): TrackerStatus {
    return { url: this.#shownUrl, state: this.#state, lastError: this.#lastError, peers: this.#peerCount };
  }

  #onResponse(response: AnnounceResponse): void {
    const { intervalS, minIntervalS = 0, trackerId } = response;
    this.#trackerId = trackerId ?? this.#trackerId;
    this.#intervalMs = (intervalS ?? (minIntervalS > 0 ? minIntervalS : this.#intervalMs / 1000)) * 1000;
    this.#pauseMs = clamp(minIntervalS * 1000, this.#timing.pauseMinMs, this.#timing.intervalMaxMs);
    this.#peerCount = 0;
    for (const peer of peersOf(response)) this.#onPeer(peer);
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
    const timeoutMs = isUdp(this.#url) ? Math.min(UDP_TIMEOUT_MS, this.#timing.timeoutMs) : this.#timing.timeoutMs;
    const event = this.#isKnown ? (this.#completion === 'due' ? 'completed' : undefined) : 'started';
    const outcome = await this.#request(event, timeoutMs);
    if (!this.#isRunning) return;
    if (event === 'completed' && outcome === undefined) this.#completion = 'told';
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
  async #request(event: Announce['event'], timeoutMs: Milliseconds): Promise<Outcome> {
    const controller = new AbortController();
    this.#underWay = controller;
    const timer = setTimeout(() => controller.abort(new Error('does not answer in time')), timeoutMs);
    const announceBy = isUdp(this.#url) ? announceByUdp : announceByHttp;
    let answer: AnnounceResponse | undefined;
    let outcome: Outcome;
    try {
      const answered = announceBy(this.#url, this.#announceOf(event), controller.signal);
      // What is called off is over at once, whatever it still waits for.
      const response = await Promise.race([answered, whenAborted(controller.signal)]).finally(() => clearTimeout(timer));
      if (controller === this.#underWay) answer = response;
    } catch (error) {
      outcome = withoutSecrets(outcomeOf(controller.signal.aborted ? controller.signal.reason : error), this.#url);
    }
    if (controller === this.#underWay) this.#underWay = undefined;
    if (answer) this.#onResponse(answer);
    return outcome;
  }

  #leftUnknownBytes(): Bytes {
    return this.#options.seeding === true ? 0 : LEFT_OF_VIEWER_BYTES;
  }

  #announceOf(event: Announce['event']): Announce {
    const { infoHash, peerId, port } = this.#options;
    const stats = this.#options.announceStats?.();
    return {
      infoHash: Buffer.from(infoHash, 'hex'),
      peerId: Buffer.from(peerId, 'hex'),
      port,
      uploaded: wholeBytes(stats?.uploadedBytes),
      downloaded: wholeBytes(stats?.downloadedBytes),
      left: stats?.leftBytes === undefined ? this.#leftUnknownBytes() : wholeBytes(stats.leftBytes),
      numwant: NUMWANT,
      event,
      key: this.#key,
      trackerId: this.#trackerId,
    };
  }
}

/** Rejects as soon as it is. */
function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (): void => reject(signal.reason);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

function isUdp(url: string): boolean {
  return /^udp:/i.test(url);
}

function isUsable(url: string): boolean {
  const asHttp = url.replace(/^udp:/i, 'http:');
  return /^(https?|udp):\/\//i.test(url) && URL.canParse(asHttp) && new URL(asHttp).port !== '0';
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

function outcomeOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return /^(answers|refuses|cannot|does|is)\b/.test(text) ? printable(text) : `fails: ${printable(text)}`;
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
