/**
 * What the FLV sources of a station share, pushed and pulled ones: tags go through the aligned cutter, and its effects to the channel.
 *
 * The decisions are the cutter's; here are its clock, its ticks and its log.
 */
import { AlignedCutter } from '../ingest/aligned-cutter.js';
import type { AlignmentEffect, SurveyedWindow } from '../ingest/alignment.js';
import { nodeHasher } from '../io/crypto.js';
import { systemClock } from '../io/system-clock.js';
import type { Log } from '../kernel/ports.js';
import type { Bytes, Milliseconds, WindowNumber } from '../kernel/units.js';
import { type FlvTag, withoutSetDataFrame } from '../media/flv.js';
import type { ChannelSink } from './channel-source.js';

export interface AlignedSourceOptions {
  readonly windowMs: Milliseconds;
  readonly sink: ChannelSink;
  readonly log: Log;
}

const TICK_MS: Milliseconds = 200;
/** Script data beyond this is an attack or a picture, not metadata (protocols sheet 6.4, row 25). */
const METADATA_BYTES_MAX: Bytes = 16 * 1024;

export class AlignedSource {
  readonly #sink: ChannelSink;
  readonly #log: Log;
  readonly #cutter: AlignedCutter;
  #ticker: NodeJS.Timeout | undefined;

  constructor({ windowMs, sink, log }: AlignedSourceOptions) {
    this.#sink = sink;
    this.#log = log;
    this.#cutter = new AlignedCutter({
      windowMs,
      hasher: nodeHasher,
      publisherKey: () => sink.publisherKey,
      firstNumber: sink.firstNumber,
      earlier: sink.timeline && { record: sink.timeline, above: sink.numberingAbove },
    });
  }

  /** A connection to the source stands. */
  connected(connection: 'push' | 'pull'): void {
    this.#carryOut(this.#cutter.connected(connection, systemClock.nowMs()));
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS);
    this.#tick();
  }

  /** `clean`: the source said that it ends. */
  disconnected(clean: boolean): void {
    clearInterval(this.#ticker);
    this.#ticker = undefined;
    this.#carryOut(this.#cutter.disconnected(clean, systemClock.nowMs()));
  }

  push(tag: FlvTag): void {
    this.#carryOut(this.#cutter.push(tag, systemClock.nowMs()));
  }

  /** Script data of the source, for the viewers. */
  describe(tag: FlvTag): void {
    const metadata = withoutSetDataFrame(tag.body).slice();
    if (metadata.length <= METADATA_BYTES_MAX) this.#sink.describe(metadata);
    else this.#log.warn(`script metadata of ${metadata.length} bytes is left out, at most ${METADATA_BYTES_MAX} are passed on`);
  }

  surveyed(window: SurveyedWindow): void {
    this.#carryOut(this.#cutter.surveyed(window, systemClock.nowMs()));
  }

  doubted(number: WindowNumber, published: boolean): void {
    this.#carryOut(this.#cutter.doubted(number, published, systemClock.nowMs()));
  }

  stop(): void {
    clearInterval(this.#ticker);
  }

  #tick(): void {
    this.#carryOut(this.#cutter.tick(this.#sink.outlook(), systemClock.nowMs()));
  }

  #carryOut(effects: readonly AlignmentEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'publish':
          this.#remember();
          this.#sink.publish([effect.window], effect.confirm);
          break;
        case 'survey':
          this.#sink.survey(effect.count);
          break;
        case 'state':
          this.#log.info(`among the publishers of the channel: ${effect.state}`, { because: effect.detail });
          this.#sink.report({ state: effect.state, detail: effect.detail, offsetMs: this.#cutter.offsetMs });
          break;
        case 'conflict':
          this.#sink.conflict(effect.number, effect.publisher);
          break;
      }
    }
  }

  #remember(): void {
    const { record } = this.#cutter;
    if (record) this.#sink.rememberTimeline(record);
  }
}
