/**
 * Where a station's channel gets its media from, and what it makes of it. Implemented by `PushedSource` (RTMP),
 * `PulledFlvSource` (RTMP, HTTP-FLV) and `PulledSource` (MMS).
 */
import type { TimelineRecord } from '../ingest/aligned-cutter.js';
import type { AlignmentState, SurveyedWindow, SwarmOutlook } from '../ingest/alignment.js';
import type { AsfNumbering } from '../ingest/asf-cutter.js';
import type { CutWindow } from '../ingest/window-cutter.js';
import type { Milliseconds, WindowNumber } from '../kernel/units.js';
import type { Container } from './channel-output.js';

/** Where the source stands among the publishers of its channel, for the page and the log. */
export interface Alignment {
  readonly state: AlignmentState;
  /** In words. */
  readonly detail: string;
  /** How far the source's times are moved to be those of the channel. */
  readonly offsetMs: Milliseconds;
}

export interface ChannelSink {
  /** Windows to sign, in order. `confirm`: only once others show the same, or nobody shows anything. */
  publish(windows: readonly CutWindow[], confirm?: boolean): void;
  /** What travels beside the windows: script metadata of FLV, the canonical header of ASF. */
  describe(metadata: Uint8Array): void;
  /** The numbers before this one have been used, also by earlier runs. */
  readonly firstNumber: WindowNumber;
  /** What an earlier run gave to `remember`: other publishers of the source still use it. */
  readonly numbering: AsfNumbering | undefined;
  /** What an earlier run gave to `rememberTimeline`. */
  readonly timeline: TimelineRecord | undefined;
  /** Numbers up to this one have certainly been used by then. */
  readonly numberingAbove: WindowNumber;
  /** Whose signature the windows get. */
  readonly publisherKey: Uint8Array;
  /** How the source's own numbers become window numbers from now on; kept over restarts. */
  remember(numbering: AsfNumbering): void;
  /** The same for a source without numbers of its own. */
  rememberTimeline(record: TimelineRecord): void;
  /** What the other publishers of the channel do. */
  outlook(): SwarmOutlook;
  /** Fetches some of the newest windows of others; they come to `ChannelSource.surveyed`. */
  survey(count: number): void;
  report(alignment: Alignment): void;
  /** Another publisher shows other content: to be told to people. */
  conflict(number: WindowNumber, publisher: Uint8Array): void;
}

export interface ChannelSource {
  readonly container: Container;
  /** Begins to deliver; called once. */
  start(sink: ChannelSink): void;
  /** A window of another publisher that was asked for. */
  surveyed(window: SurveyedWindow): void;
  /** Somebody shows other content under our numbers, or has other numbers. `published` false: for a window that was to be confirmed. */
  doubted(number: WindowNumber, published: boolean): void;
  stop(): void;
}
