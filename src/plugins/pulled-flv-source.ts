/**
 * A source that the station pulls over RTMP or HTTP-FLV: its tags go into windows as they come, on the channel's timeline.
 *
 * Another station that pulls the same source must get the same windows, so nothing here depends on when we joined or what we missed. After a loss
 * we do not know what went by, and look for our place again. When the server says that its publisher has left, nobody has missed anything: every
 * station sees the same tags before and after, whether it was told or not (over HTTP-FLV it is not), and the cutter alone judges the times.
 */
import type { SurveyedWindow } from '../ingest/alignment.js';
import type { SourceLifeEvent } from '../ingest/source-life.js';
import { PublishGate } from '../io/rtmp/publish-gate.js';
import { SourceConnection } from '../io/sources/source-connection.js';
import type { Log } from '../kernel/ports.js';
import type { Rng } from '../kernel/rng.js';
import type { Milliseconds, WindowNumber } from '../kernel/units.js';
import { type FlvTag, SCRIPT } from '../media/flv.js';
import { AlignedSource } from './aligned-source.js';
import type { ChannelOutput } from './channel-output.js';
import type { ChannelSink, ChannelSource } from './channel-source.js';

export interface PulledFlvSourceOptions {
  readonly url: string;
  readonly windowMs: Milliseconds;
  readonly output: ChannelOutput;
  readonly rng: Rng;
  readonly log: Log;
}

export class PulledFlvSource implements ChannelSource {
  readonly container = 'flv';
  readonly #options: PulledFlvSourceOptions;
  #aligned: AlignedSource | undefined;
  #source: SourceConnection | undefined;
  /** As for a publisher: what the server sends now may hold anything. */
  #gate = new PublishGate();
  /** Tags have come since the connection was last lost. */
  #isUnderWay = false;
  #wasLive = true;

  constructor(options: PulledFlvSourceOptions) {
    this.#options = options;
  }

  start(sink: ChannelSink): void {
    const { url, windowMs, rng, log } = this.#options;
    this.#aligned = new AlignedSource({ windowMs, sink, log });
    this.#source = SourceConnection.open({ url, container: 'flv', rng, log, onEvent: (event) => this.#onEvent(event) });
  }

  surveyed(window: SurveyedWindow): void {
    this.#aligned?.surveyed(window);
  }

  doubted(number: WindowNumber, published: boolean): void {
    this.#aligned?.doubted(number, published);
  }

  stop(): void {
    this.#source?.stop();
    this.#aligned?.stop();
  }

  #onEvent(event: SourceLifeEvent): void {
    switch (event.kind) {
      case 'tag':
        return this.#onTag(event.tag);
      case 'state':
        return this.#onState(event);
      case 'unpublished':
        return this.#onUnpublished();
    }
  }

  #onState(event: Extract<SourceLifeEvent, { kind: 'state' }>): void {
    const { log } = this.#options;
    if (event.state === 'live') return this.#onConnected(event.detail);
    // Also when a server that was live has sent us elsewhere, which is no loss that is told.
    this.#startOver();
    if (event.state === 'connecting') log.debug('the source is connecting', { detail: event.detail });
    else if (event.state === 'refused') log.error(`the source cannot be used, and is not tried again: ${event.detail}`);
    else this.#onLost(event.detail, event.retryMs);
  }

  #onConnected(detail: string): void {
    this.#options.log.info('the source is live', { detail });
    this.#wasLive = true;
  }

  /** Said aloud once: a source whose encoder is away for the night is asked every ten seconds. */
  #onLost(detail: string, retryMs: Milliseconds | undefined): void {
    const { log } = this.#options;
    if (this.#wasLive) log.warn(`the source is lost: ${detail}`, { retryMs });
    else log.debug(`the source is still lost: ${detail}`, { retryMs });
    this.#wasLive = false;
  }

  /** Nobody knows what goes by until the next tag. */
  #startOver(): void {
    if (!this.#isUnderWay) return;
    this.#isUnderWay = false;
    this.#gate = new PublishGate();
    this.#aligned?.disconnected(false);
    this.#options.output.discontinuity();
  }

  #onUnpublished(): void {
    this.#options.log.info("the source's publisher has left; waiting for the next");
    this.#options.output.discontinuity();
  }

  #onTag(tag: FlvTag): void {
    if (!this.#gate.admits(tag, performance.now())) return;
    if (!this.#isUnderWay) this.#aligned?.connected('pull');
    this.#isUnderWay = true;
    if (tag.type === SCRIPT) this.#aligned?.describe(tag);
    this.#options.output.pushTag(tag);
    this.#aligned?.push(tag);
  }
}
