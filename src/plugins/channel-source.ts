/**
 * Where a station's channel gets its media from, and what it makes of it. Implemented by `PushedSource` (RTMP),
 * `PulledFlvSource` (RTMP, HTTP-FLV) and `PulledSource` (MMS).
 */
import type { AsfNumbering } from '../ingest/asf-cutter.js';
import type { CutWindow } from '../ingest/window-cutter.js';
import type { WindowNumber } from '../kernel/units.js';
import type { Container } from './channel-output.js';

export interface ChannelSink {
  /** Windows to sign, in order. */
  publish(windows: readonly CutWindow[]): void;
  /** What travels beside the windows: script metadata of FLV, the canonical header of ASF. */
  describe(metadata: Uint8Array): void;
  /** The numbers before this one have been used, also by earlier runs. */
  readonly firstNumber: WindowNumber;
  /** What an earlier run gave to `remember`: other publishers of the source still use it. */
  readonly numbering: AsfNumbering | undefined;
  /** Numbers up to this one have certainly been used by then. */
  readonly numberingAbove: WindowNumber;
  /** How the source's own numbers become window numbers from now on; kept over restarts. */
  remember(numbering: AsfNumbering): void;
}

export interface ChannelSource {
  readonly container: Container;
  /** Begins to deliver; called once. */
  start(sink: ChannelSink): void;
  stop(): void;
}
