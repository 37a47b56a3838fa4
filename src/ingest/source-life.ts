/**
 * The life of one pulled source: connecting, live, lost, backing off, again; until it is stopped, or refused for good.
 *
 * `mms://` tries MMST first and then MMSH, and afterwards begins with the one that worked; `http://` is HTTP-FLV, or MMSH, or an ASX file that
 * leads to another address, as the container says. At most three hops, then back to the configured address. After a good run the first try comes
 * within a second, because other stations of the source may be all that viewers have until then; from there on it is 1 to 30 s, doubled at each
 * failure. All with jitter, so that many stations do not come back as one. Whether the source went on after a loss is for the reader of its packets
 * or tags to see.
 */
import { Malformed, ShoalError } from '../kernel/errors.js';
import type { Rng } from '../kernel/rng.js';
import type { Milliseconds } from '../kernel/units.js';
import { HttpFlvClient } from './http-flv-client.js';
import { MmshClient } from './mmsh-client.js';
import { MmstClient } from './mmst-client.js';
import { rtmpAddressOf } from './rtmp-address.js';
import { RtmpClient } from './rtmp-client.js';
import type { SourceClient, SourceClientOptions, SourceEffect, SourceEvent, SourceInput } from './source-client.js';
import { canBe, containerOf, parseSourceUrl, type SourceContainer, type SourceUrl } from './source-url.js';

export type SourceState = 'connecting' | 'live' | 'lost' | 'refused';
export type SourceProtocol = 'mmst' | 'mmsh' | 'rtmp' | 'http-flv';

export type SourceLifeEvent =
  /** `lost`: tried again after `retryMs`. `refused`: never tried again; a person must change something. */
  | { readonly kind: 'state'; readonly state: SourceState; readonly detail: string; readonly retryMs?: Milliseconds }
  | Exclude<SourceEvent, { kind: 'accepted' | 'end' | 'redirect' | 'failed' }>;

export type SourceLifeInput =
  | SourceInput
  /** The reader refuses the source for good (DRM, for instance). */
  | { readonly kind: 'refuse'; readonly detail: string }
  | { readonly kind: 'stop' };

export type SourceLifeEffect = SourceEffect<SourceLifeEvent>;

export interface SourceLifeOptions {
  readonly url: string;
  /** What the source gives. Default: what its address says. */
  readonly container?: SourceContainer;
  readonly rng: Rng;
  /** A file on demand is not live: it comes faster than time and ends. Default `refuse`. */
  readonly onDemand?: 'refuse' | 'accept';
}

const BACK_OFF_MIN_MS: Milliseconds = 1_000;
const BACK_OFF_MAX_MS: Milliseconds = 30_000;
/** The first try after a good run comes after this, plus up to `QUICK_SPREAD_MS`. */
const QUICK_MS: Milliseconds = 300;
const QUICK_SPREAD_MS: Milliseconds = 700;
/**
 * A server that kept us this long, with media or without, was good: the next try is quick. Not longer than the silence after which a source counts
 * as lost, so that one whose publisher is away is asked every ten seconds or so rather than ever more seldom.
 */
const GOOD_RUN_MS: Milliseconds = 10_000;
const HOPS_MAX = 3;

const PROTOCOL_NAMES: Readonly<Record<SourceProtocol, string>> = { mmst: 'MMST', mmsh: 'MMSH', rtmp: 'RTMP', 'http-flv': 'HTTP-FLV' };
const CLIENTS: Readonly<Record<SourceProtocol, new (url: SourceUrl, options: SourceClientOptions) => SourceClient>> = {
  mmst: MmstClient,
  mmsh: MmshClient,
  rtmp: RtmpClient,
  'http-flv': HttpFlvClient,
};

export class SourceLife {
  readonly #origin: SourceUrl;
  readonly #container: SourceContainer;
  readonly #rng: Rng;
  readonly #acceptsOnDemand: boolean;
  #url: SourceUrl;
  #client: SourceClient | undefined;
  /** Protocols not yet tried in this round; the first is the one under way. */
  #protocols: SourceProtocol[] = [];
  #worked: SourceProtocol | undefined;
  #roundMayRetry = false;
  #hopCount = 0;
  #failureCount = 0;
  /** Since when the server has let us play, on the current connection. */
  #acceptedSinceMs: Milliseconds | undefined;
  #isLive = false;
  #isOver = false;
  #nowMs: Milliseconds = 0;
  #effects: SourceLifeEffect[] = [];

  /** @throws ShoalError `ADDRESS_UNUSABLE` when the URL is none that a source can have. */
  constructor(options: SourceLifeOptions) {
    const url = parseSource(options.url, options.container);
    if (url instanceof Malformed) throw new ShoalError('ADDRESS_UNUSABLE', url.reason, {});
    this.#origin = url;
    this.#container = options.container ?? containerOf(url);
    this.#url = url;
    this.#rng = options.rng;
    this.#acceptsOnDemand = options.onDemand === 'accept';
  }

  get container(): SourceContainer {
    return this.#container;
  }

  handle(input: SourceLifeInput, nowMs: Milliseconds): readonly SourceLifeEffect[] {
    this.#nowMs = nowMs;
    if (!this.#isOver) this.#take(input);
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #take(input: SourceLifeInput): void {
    switch (input.kind) {
      case 'start':
        return this.#startRound(this.#origin);
      case 'stop':
        this.#dropClient();
        this.#isOver = true;
        return;
      case 'refuse':
        return this.#refuse(input.detail);
      case 'timer':
        if (input.timer === 'retry') return this.#startRound(this.#origin);
        return this.#tell(input);
      default:
        return this.#tell(input);
    }
  }

  /** From the configured address, or from where it redirected to. */
  #startRound(url: SourceUrl): void {
    if (url === this.#origin) this.#hopCount = 0;
    this.#url = url;
    this.#roundMayRetry = false;
    this.#protocols = this.#protocolsOf(url);
    this.#startClient();
  }

  #protocolsOf({ scheme }: SourceUrl): SourceProtocol[] {
    if (this.#container === 'flv') return [scheme === 'rtmp' || scheme === 'rtmps' ? 'rtmp' : 'http-flv'];
    if (scheme !== 'mms') return [scheme === 'mmst' ? 'mmst' : 'mmsh'];
    return this.#worked === 'mmsh' ? ['mmsh', 'mmst'] : ['mmst', 'mmsh'];
  }

  #startClient(): void {
    const [protocol] = this.#protocols;
    if (protocol === undefined) return;
    this.#acceptedSinceMs = undefined;
    this.#isLive = false;
    this.#client = new CLIENTS[protocol](this.#url, { redirected: this.#hopCount > 0 });
    this.#say('connecting', `asking for the stream by ${PROTOCOL_NAMES[protocol]}`);
    this.#tell({ kind: 'start' });
  }

  #tell(input: SourceInput): void {
    const client = this.#client;
    if (client === undefined) return;
    for (const effect of client.handle(input, this.#nowMs)) {
      if (this.#client !== client) return;
      if (effect.kind === 'emit') this.#takeEvent(effect.event);
      else this.#effects.push(effect);
    }
  }

  #takeEvent(event: SourceEvent): void {
    switch (event.kind) {
      case 'accepted':
        this.#acceptedSinceMs = this.#nowMs;
        return;
      case 'header':
      case 'tag':
        this.#becomeLive();
        return this.#emit(event);
      case 'on-demand':
        if (!this.#acceptsOnDemand) return this.#refuse(`${event.detail}; only live sources can be published`);
        return this.#emit(event);
      case 'redirect':
        return this.#follow(event.url);
      case 'end':
        return this.#lose(event.detail, true);
      case 'failed':
        return this.#lose(event.detail, event.retry);
      default:
        return this.#emit(event);
    }
  }

  #becomeLive(): void {
    const [protocol] = this.#protocols;
    if (this.#isLive || protocol === undefined) return;
    this.#isLive = true;
    this.#acceptedSinceMs ??= this.#nowMs;
    this.#worked = protocol;
    this.#say('live', `live by ${PROTOCOL_NAMES[protocol]}`);
  }

  #follow(text: string): void {
    const url = parseSource(text, this.#container);
    this.#hopCount += 1;
    this.#client = undefined;
    if (url instanceof Malformed) return this.#lose('the server redirects to an address that is no source', true);
    if (this.#hopCount > HOPS_MAX) return this.#lose(`the server redirects more than ${HOPS_MAX} times`, true);
    this.#startRound(url);
  }

  /** The client is over; its connection and its timers are gone. */
  #lose(detail: string, retry: boolean): void {
    const wasLive = this.#isLive;
    const wasGood = this.#acceptedSinceMs !== undefined && this.#nowMs - this.#acceptedSinceMs >= GOOD_RUN_MS;
    this.#client = undefined;
    this.#roundMayRetry ||= retry;
    this.#protocols = wasLive ? [] : this.#protocols.slice(1);
    if (this.#protocols.length > 0) return this.#startClient();
    if (!this.#roundMayRetry) return this.#refuse(detail);
    if (wasGood) this.#failureCount = 0;
    this.#backOff(detail, wasGood ? QUICK_MS + this.#rng.float() * QUICK_SPREAD_MS : this.#doubledMs());
  }

  /** Longer at each failure. */
  #doubledMs(): Milliseconds {
    const doubledMs = BACK_OFF_MIN_MS * 2 ** Math.min(this.#failureCount, 10);
    this.#failureCount += 1;
    const jitteredMs = Math.min(BACK_OFF_MAX_MS, doubledMs) * (0.5 + this.#rng.float());
    return Math.min(BACK_OFF_MAX_MS, Math.max(BACK_OFF_MIN_MS, jitteredMs));
  }

  #backOff(detail: string, delayMs: Milliseconds): void {
    const retryMs = Math.round(delayMs);
    this.#emit({ kind: 'state', state: 'lost', detail, retryMs });
    this.#effects.push({ kind: 'schedule', timer: 'retry', delayMs: retryMs });
  }

  #refuse(detail: string): void {
    this.#dropClient();
    this.#isOver = true;
    this.#say('refused', detail);
  }

  #dropClient(): void {
    this.#client = undefined;
    this.#effects.push({ kind: 'close' });
    for (const timer of ['step', 'progress', 'header', 'retry'] as const) this.#effects.push({ kind: 'cancel', timer });
  }

  #say(state: SourceState, detail: string): void {
    this.#emit({ kind: 'state', state, detail });
  }

  #emit(event: SourceLifeEvent): void {
    this.#effects.push({ kind: 'emit', event });
  }
}

/** The address, if a source (of that container) can have it. */
export function parseSource(text: string, container?: SourceContainer): SourceUrl | Malformed {
  const url = parseSourceUrl(text);
  if (url instanceof Malformed) return url;
  if (container !== undefined && !canBe(url.scheme, container)) return new Malformed(`A ${url.scheme} source cannot be ${container}.`);
  const address = url.scheme === 'rtmp' || url.scheme === 'rtmps' ? rtmpAddressOf(url) : undefined;
  return address instanceof Malformed ? address : url;
}
