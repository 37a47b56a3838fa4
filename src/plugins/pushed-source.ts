/**
 * A source that somebody pushes to the station over RTMP: taps the media host and cuts what comes into windows.
 */

import { WindowCutter } from '../ingest/window-cutter.js';
import type { MediaHost } from '../io/rtmp/media-host.js';
import type { Log } from '../kernel/ports.js';
import type { Bytes, Milliseconds } from '../kernel/units.js';
import { classifyTag, type FlvTag, SCRIPT, VIDEO, withoutSetDataFrame } from '../media/flv.js';
import type { ChannelOutput } from './channel-output.js';
import type { ChannelSink, ChannelSource } from './channel-source.js';

export interface PushedSourceOptions {
  readonly host: MediaHost;
  readonly streamPath: string;
  readonly windowMs: Milliseconds;
  readonly output: ChannelOutput;
  readonly log: Log;
}

/** Script data beyond this is an attack or a picture, not metadata (protocols sheet 6.4, row 25). */
const METADATA_BYTES_MAX: Bytes = 16 * 1024;

export class PushedSource implements ChannelSource {
  readonly container = 'flv';
  readonly #options: PushedSourceOptions;
  #sink: ChannelSink | undefined;
  #cutter: WindowCutter | undefined;
  #untap: (() => void) | undefined;
  /** The publisher has said that its stream ends: what is open may be published as it is. */
  #ended = false;

  constructor(options: PushedSourceOptions) {
    this.#options = options;
  }

  start(sink: ChannelSink): void {
    const { host, streamPath, windowMs } = this.#options;
    this.#sink = sink;
    this.#cutter = new WindowCutter({ windowMs, firstNumber: sink.firstNumber });
    this.#untap = host.tap(streamPath, {
      onTag: (tag) => this.#onTag(tag),
      onPublisherStart: () => this.#onPublisherStart(),
      onPublisherEnd: (reason, clean) => this.#onPublisherEnd(reason, clean),
    });
  }

  stop(): void {
    this.#untap?.();
  }

  #onPublisherStart(): void {
    this.#options.log.info('a publisher is on the air');
    this.#ended = false;
    this.#cutter?.begin({ joined: 'start' });
    this.#options.output.discontinuity();
  }

  /** What is open when a publisher vanishes is not published: another publisher of the source may have the whole of it. */
  #onPublisherEnd(reason: string, clean: boolean): void {
    this.#options.log.info('the publisher has left', { reason });
    if (this.#ended || clean) this.#sink?.publish(this.#cutter?.flush() ?? []);
    this.#cutter?.begin({ joined: 'start' });
  }

  #onTag(tag: FlvTag): void {
    if (tag.type === SCRIPT) this.#describe(tag);
    if (tag.type === VIDEO && classifyTag(tag).kind === 'end') this.#ended = true;
    this.#options.output.pushTag(tag);
    this.#sink?.publish(this.#cutter?.push(tag) ?? []);
  }

  #describe(tag: FlvTag): void {
    const metadata = withoutSetDataFrame(tag.body).slice();
    if (metadata.length <= METADATA_BYTES_MAX) this.#sink?.describe(metadata);
    else this.#options.log.warn(`script metadata of ${metadata.length} bytes is left out, at most ${METADATA_BYTES_MAX} are passed on`);
  }
}
