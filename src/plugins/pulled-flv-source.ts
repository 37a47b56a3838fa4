/**
 * A source that the station pulls over RTMP or HTTP-FLV: its tags are cut into windows as they come, with the source's own times.
 *
 * Another station that pulls the same source must get the same windows, so nothing here depends on when we joined or what we missed. After a loss
 * we do not know what went by, and the cutter starts over. When the server says that its publisher has left, nobody has missed anything: every
 * station sees the same tags before and after, whether it was told or not (over HTTP-FLV it is not), and the cutter alone judges the times.
 */
import type { SourceLifeEvent } from '../ingest/source-life.js';
import { WindowCutter } from '../ingest/window-cutter.js';
import { PublishGate } from '../io/rtmp/publish-gate.js';
import { SourceConnection } from '../io/sources/source-connection.js';
import type { Log } from '../kernel/ports.js';
import type { Rng } from '../kernel/rng.js';
import type { Bytes, Milliseconds } from '../kernel/units.js';
import { type FlvTag, SCRIPT, withoutSetDataFrame } from '../media/flv.js';
import type { ChannelOutput } from './channel-output.js';
import type { ChannelSink, ChannelSource } from './channel-source.js';

export interface PulledFlvSourceOptions {
  readonly url: string;
  readonly windowMs: Milliseconds;
  readonly output: ChannelOutput;
  readonly rng: Rng;
  readonly log: Log;
}

/** As for a pushed source: script data beyond this is no metadata. */
const METADATA_BYTES_MAX: Bytes = 16 * 1024;

export class PulledFlvSource implements ChannelSource {
  readonly container = 'flv';
  readonly #options: PulledFlvSourceOptions;
  #sink: ChannelSink | undefined;
  #cutter: WindowCutter | undefined;
  #source: SourceConnection | undefined;
  /** As for a publisher: what the server sends now may hold anything. */
  #gate = new PublishGate();
  /** Tags have come since the cutter last started over. */
  #isUnderWay = false;
  #wasLive = true;

  constructor(options: PulledFlvSourceOptions) {
    this.#options = options;
  }

  start(sink: ChannelSink): void {
    const { url, windowMs, rng, log } = this.#options;
    this.#sink = sink;
    this.#cutter = new WindowCutter({ windowMs, firstNumber: sink.firstNumber, joined: 'middle' });
    this.#source = SourceConnection.open({ url, container: 'flv', rng, log, onEvent: (event) => this.#onEvent(event) });
  }

  stop(): void {
    this.#source?.stop();
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
    this.#cutter?.discontinuity();
    this.#options.output.discontinuity();
  }

  #onUnpublished(): void {
    this.#options.log.info("the source's publisher has left; waiting for the next");
    this.#options.output.discontinuity();
  }

  #onTag(tag: FlvTag): void {
    if (!this.#gate.admits(tag, performance.now())) return;
    this.#isUnderWay = true;
    if (tag.type === SCRIPT) this.#describe(tag);
    this.#options.output.pushTag(tag);
    this.#sink?.publish(this.#cutter?.push(tag) ?? []);
  }

  #describe(tag: FlvTag): void {
    const metadata = withoutSetDataFrame(tag.body).slice();
    if (metadata.length <= METADATA_BYTES_MAX) this.#sink?.describe(metadata);
    else this.#options.log.warn(`script metadata of ${metadata.length} bytes is left out, at most ${METADATA_BYTES_MAX} are passed on`);
  }
}
