/**
 * The life of one pulled MMS source: connecting, live, lost, backing off, again; until it is stopped, or refused for good.
 *
 * `mms://` tries MMST first and then MMSH, and afterwards begins with the one that worked; `http://` is MMSH, or an ASX file that leads to
 * another address (at most three hops, then back to the configured one). Back-off is 1 to 60 s, doubled at each failure, with jitter so that
 * many stations do not come back as one. Whether numbering went on after a loss is for the reader of header and packet numbers to see.
 */
import { Malformed, ShoalError } from '../kernel/errors.js';
import type { Rng } from '../kernel/rng.js';
import type { Milliseconds } from '../kernel/units.js';
import { MmshClient } from './mmsh-client.js';
import { MmstClient } from './mmst-client.js';
import type { SourceClient, SourceEffect, SourceEvent, SourceInput } from './source-client.js';
import { parseSourceUrl, type SourceUrl } from './source-url.js';

export type SourceState = 'connecting' | 'live' | 'lost' | 'refused';
export type SourceProtocol = 'mmst' | 'mmsh';

export type SourceLifeEvent =
  /** `lost`: tried again after `retryMs`. `refused`: never tried again; a person must change something. */
  | { readonly kind: 'state'; readonly state: SourceState; readonly detail: string; readonly retryMs?: Milliseconds }
  | Exclude<SourceEvent, { kind: 'end' | 'redirect' | 'failed' }>;

export type SourceLifeInput =
  | SourceInput
  /** The reader refuses the source for good (DRM, for instance). */
  | { readonly kind: 'refuse'; readonly detail: string }
  | { readonly kind: 'stop' };

export type SourceLifeEffect = SourceEffect<SourceLifeEvent>;

export interface SourceLifeOptions {
  readonly url: string;
  readonly rng: Rng;
  /** A file on demand is not live: it comes faster than time and ends. Default `refuse`. */
  readonly onDemand?: 'refuse' | 'accept';
}

const BACK_OFF_MIN_MS: Milliseconds = 1_000;
const BACK_OFF_MAX_MS: Milliseconds = 60_000;
/** Live this long, and the next loss starts at the shortest back-off again. */
const GOOD_RUN_MS: Milliseconds = 20_000;
const HOPS_MAX = 3;

export class SourceLife {
  readonly #origin: SourceUrl;
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
  #liveSinceMs: Milliseconds | undefined;
  #isOver = false;
  #nowMs: Milliseconds = 0;
  #effects: SourceLifeEffect[] = [];

  /** @throws ShoalError `ADDRESS_UNUSABLE` when the URL is none that a source can have. */
  constructor(options: SourceLifeOptions) {
    const url = parseSourceUrl(options.url);
    if (url instanceof Malformed) throw new ShoalError('ADDRESS_UNUSABLE', url.reason, {});
    this.#origin = url;
    this.#url = url;
    this.#rng = options.rng;
    this.#acceptsOnDemand = options.onDemand === 'accept';
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
    if (scheme !== 'mms') return [scheme === 'mmst' ? 'mmst' : 'mmsh'];
    return this.#worked === 'mmsh' ? ['mmsh', 'mmst'] : ['mmst', 'mmsh'];
  }

  #startClient(): void {
    const [protocol] = this.#protocols;
    const options = { redirected: this.#hopCount > 0 };
    this.#liveSinceMs = undefined;
    this.#client = protocol === 'mmst' ? new MmstClient(this.#url, options) : new MmshClient(this.#url, options);
    this.#say('connecting', `asking for the stream by ${protocol === 'mmst' ? 'MMST' : 'MMSH'}`);
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
      case 'header':
        return this.#becomeLive(event);
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

  #becomeLive(event: Extract<SourceEvent, { kind: 'header' }>): void {
    if (this.#liveSinceMs === undefined) {
      this.#liveSinceMs = this.#nowMs;
      [this.#worked] = this.#protocols;
      this.#say('live', `live by ${this.#worked === 'mmst' ? 'MMST' : 'MMSH'}`);
    }
    this.#emit(event);
  }

  #follow(text: string): void {
    const url = parseSourceUrl(text);
    this.#hopCount += 1;
    this.#client = undefined;
    if (url instanceof Malformed) return this.#lose(`the server redirects to an address that is no source: ${url.reason}`, true);
    if (this.#hopCount > HOPS_MAX) return this.#lose(`the server redirects more than ${HOPS_MAX} times`, true);
    this.#startRound(url);
  }

  /** The client is over; its connection and its timers are gone. */
  #lose(detail: string, retry: boolean): void {
    const wasLive = this.#liveSinceMs !== undefined;
    if (wasLive && this.#nowMs - (this.#liveSinceMs ?? 0) >= GOOD_RUN_MS) this.#failureCount = 0;
    this.#client = undefined;
    this.#liveSinceMs = undefined;
    this.#roundMayRetry ||= retry;
    this.#protocols = wasLive ? [] : this.#protocols.slice(1);
    if (this.#protocols.length > 0) return this.#startClient();
    if (!this.#roundMayRetry) return this.#refuse(detail);
    this.#backOff(detail);
  }

  #backOff(detail: string): void {
    const doubledMs = BACK_OFF_MIN_MS * 2 ** Math.min(this.#failureCount, 10);
    this.#failureCount += 1;
    const jittered = Math.min(BACK_OFF_MAX_MS, doubledMs) * (0.5 + this.#rng.float());
    const retryMs = Math.round(Math.min(BACK_OFF_MAX_MS, Math.max(BACK_OFF_MIN_MS, jittered)));
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
