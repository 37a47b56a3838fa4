/**
 * A source that somebody pushes to the station over RTMP: taps the media host and cuts what comes into windows.
 */

import type { SurveyedWindow } from '../ingest/alignment.js';
import type { MediaHost } from '../io/rtmp/media-host.js';
import type { Log } from '../kernel/ports.js';
import type { Milliseconds, WindowNumber } from '../kernel/units.js';
import { type FlvTag, SCRIPT } from '../media/flv.js';
import { AlignedSource } from './aligned-source.js';
import type { ChannelOutput } from './channel-output.js';
import type { ChannelSink, ChannelSource } from './channel-source.js';

export interface PushedSourceOptions {
  readonly host: MediaHost;
  readonly streamPath: string;
  readonly windowMs: Milliseconds;
  readonly output: ChannelOutput;
  readonly log: Log;
}

export class PushedSource implements ChannelSource {
  readonly container = 'flv';
  readonly #options: PushedSourceOptions;
  #source: AlignedSource | undefined;
  #untap: (() => void) | undefined;

  constructor(options: PushedSourceOptions) {
    this.#options = options;
  }

  start(sink: ChannelSink): void {
    const { host, streamPath, windowMs, log } = this.#options;
    this.#source = new AlignedSource({ windowMs, sink, log });
    this.#untap = host.tap(streamPath, {
      onTag: (tag) => this.#onTag(tag),
      onPublisherStart: () => this.#onPublisherStart(),
      onPublisherEnd: (reason, clean) => this.#onPublisherEnd(reason, clean),
    });
  }

  surveyed(window: SurveyedWindow): void {
    this.#source?.surveyed(window);
  }

  doubted(number: WindowNumber, published: boolean): void {
    this.#source?.doubted(number, published);
  }

  stop(): void {
    this.#untap?.();
    this.#source?.stop();
  }

  #onPublisherStart(): void {
    this.#options.log.info('a publisher is on the air');
    this.#options.output.discontinuity();
    this.#source?.connected('push');
  }

  /** What is open when a publisher vanishes is not published: another publisher of the source may have the whole of it. */
  #onPublisherEnd(reason: string, clean: boolean): void {
    this.#options.log.info('the publisher has left', { reason });
    this.#source?.disconnected(clean);
  }

  #onTag(tag: FlvTag): void {
    if (tag.type === SCRIPT) this.#source?.describe(tag);
    this.#options.output.pushTag(tag);
    this.#source?.push(tag);
  }
}
