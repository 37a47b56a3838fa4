/**
 * A source that the station pulls over MMS: its packets pass untouched into windows, in the source's own numbering.
 *
 * The local endpoints are fed from the windows, as a viewer's are, so that both serve the same.
 */

import type { AlignmentEffect, SurveyedWindow } from '../ingest/alignment.js';
import { AsfAligner } from '../ingest/asf-aligner.js';
import { type AsfCut, AsfCutter } from '../ingest/asf-cutter.js';
import type { SourceLifeEvent } from '../ingest/source-life.js';
import { nodeHasher } from '../io/crypto.js';
import { SourceConnection } from '../io/sources/source-connection.js';
import { systemClock } from '../io/system-clock.js';
import { Malformed } from '../kernel/errors.js';
import type { Log } from '../kernel/ports.js';
import type { Rng } from '../kernel/rng.js';
import type { Milliseconds, WindowNumber } from '../kernel/units.js';
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

const TICK_MS: Milliseconds = 200;

export class PulledSource implements ChannelSource {
  readonly container = 'asf';
  readonly #options: PulledSourceOptions;
  #sink: ChannelSink | undefined;
  #cutter: AsfCutter | undefined;
  #aligner: AsfAligner | undefined;
  #source: SourceConnection | undefined;
  #ticker: NodeJS.Timeout | undefined;

  constructor(options: PulledSourceOptions) {
    this.#options = options;
  }

  start(sink: ChannelSink): void {
    const { url, windowMs, rng, log } = this.#options;
    this.#sink = sink;
    const { firstNumber, numbering, numberingAbove } = sink;
    const goingOn = numbering ? { numbering, numberingAbove } : {};
    this.#cutter = new AsfCutter({ windowMs, hasher: nodeHasher, firstNumber, ...goingOn });
    this.#aligner = new AsfAligner(this.#cutter);
    this.#ticker = setInterval(() => this.#carryOut(this.#aligner?.tick(sink.outlook(), systemClock.nowMs())), TICK_MS);
    this.#source = SourceConnection.open({ url, container: 'asf', rng, log, onEvent: (event) => this.#onEvent(event) });
  }

  surveyed(window: SurveyedWindow): void {
    this.#carryOut(this.#aligner?.surveyed(window, systemClock.nowMs()));
  }

  doubted(_number: WindowNumber, _published: boolean): void {
    this.#carryOut(this.#aligner?.doubted(systemClock.nowMs()));
  }

  stop(): void {
    clearInterval(this.#ticker);
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
    if (state === 'live') this.#carryOut(this.#aligner?.connected(systemClock.nowMs()));
    if (state === 'lost') this.#carryOut(this.#aligner?.disconnected(systemClock.nowMs()));
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
    for (const window of cut.windows) this.#options.output.pushWindow(window);
    this.#carryOut(this.#aligner?.push(cut, systemClock.nowMs()));
  }

  #carryOut(effects: readonly AlignmentEffect[] = []): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'publish': {
          const numbering = this.#cutter?.numbering;
          if (numbering) this.#sink?.remember(numbering);
          this.#sink?.publish([effect.window], effect.confirm);
          break;
        }
        case 'survey':
          this.#sink?.survey(effect.count);
          break;
        case 'state':
          this.#options.log.info(`among the publishers of the channel: ${effect.state}`, { because: effect.detail });
          this.#sink?.report({ state: effect.state, detail: effect.detail, offsetMs: 0 });
          break;
        case 'conflict':
          this.#sink?.conflict(effect.number, effect.publisher);
          break;
      }
    }
  }
}
