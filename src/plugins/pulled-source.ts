/**
 * A source that the station pulls over MMS: its packets pass untouched into windows, in the source's own numbering.
 *
 * The local endpoints are fed from the windows, as a viewer's are, so that both serve the same.
 */

import { type AsfCut, AsfCutter } from '../ingest/asf-cutter.js';
import type { SourceLifeEvent } from '../ingest/source-life.js';
import { nodeHasher } from '../io/crypto.js';
import { SourceConnection } from '../io/sources/source-connection.js';
import { Malformed } from '../kernel/errors.js';
import type { Log } from '../kernel/ports.js';
import type { Rng } from '../kernel/rng.js';
import type { Milliseconds } from '../kernel/units.js';
import type { AsfHeader } from '../media/asf-header.js';
import type { ChannelOutput } from './channel-output.js';
import type { ChannelSink, ChannelSource } from './channel-source.js';

export interface PulledSourceOptions {
  readonly url: string;
  readonly windowMs: Milliseconds;
  readonly output: ChannelOutput;
  readonly rng: Rng;
  readonly log: Log;
}

export class PulledSource implements ChannelSource {
  readonly container = 'asf';
  readonly #options: PulledSourceOptions;
  #sink: ChannelSink | undefined;
  #cutter: AsfCutter | undefined;
  #source: SourceConnection | undefined;

  constructor(options: PulledSourceOptions) {
    this.#options = options;
  }

  start(sink: ChannelSink): void {
    const { url, windowMs, rng, log } = this.#options;
    this.#sink = sink;
    const { firstNumber, numbering, numberingAbove } = sink;
    const goingOn = numbering ? { numbering, numberingAbove } : {};
    this.#cutter = new AsfCutter({ windowMs, hasher: nodeHasher, firstNumber, ...goingOn });
    this.#source = SourceConnection.open({ url, container: 'asf', rng, log, onEvent: (event) => this.#onEvent(event) });
  }

  stop(): void {
    this.#source?.stop();
  }

  #onEvent(event: SourceLifeEvent): void {
    switch (event.kind) {
      case 'packet':
        return this.#take(this.#cutter?.pushPacket(event.locationId, event.payload));
      case 'header':
        return this.#onHeader(event.header, event.media);
      case 'state':
        return this.#onState(event);
      case 'on-demand':
        return this.#options.log.warn(`the source is odd: ${event.detail}`);
      case 'stream-change':
        return this.#options.log.info('the source changes its stream');
    }
  }

  #onState({ state, detail, retryMs }: Extract<SourceLifeEvent, { kind: 'state' }>): void {
    const { log } = this.#options;
    if (state === 'refused') log.error(`the source cannot be used, and is not tried again: ${detail}`);
    else if (state === 'lost') log.warn(`the source is lost: ${detail}`, { retryMs });
    else log.info(`the source is ${state}`, { detail });
  }

  #onHeader(bytes: Uint8Array, media: AsfHeader): void {
    if (media.encrypted) return this.#source?.refuse('it is protected by DRM, so nobody could play it');
    const cut = this.#cutter?.pushHeader(bytes);
    if (cut instanceof Malformed) return this.#options.log.warn(`the source's header is unusable: ${cut.reason}`);
    this.#take(cut);
  }

  #take(cut: AsfCut | undefined): void {
    if (!cut) return;
    if (cut.epoch) {
      this.#sink?.describe(cut.epoch.canonicalHeader);
      void this.#options.output.setAsfHeader(cut.epoch.canonicalHeader);
    }
    if (cut.windows.length === 0) return;
    const numbering = this.#cutter?.numbering;
    if (numbering) this.#sink?.remember(numbering);
    for (const window of cut.windows) this.#options.output.pushWindow(window);
    this.#sink?.publish(cut.windows);
  }
}
