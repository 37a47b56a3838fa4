/**
 * Where a station's channel gets its media from, and what it makes of it. Implemented by `PushedSource` (RTMP) and `PulledSource` (MMS).
 */
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
}

export interface ChannelSource {
  readonly container: Container;
  /** Begins to deliver; called once. */
  start(sink: ChannelSink): void;
  stop(): void;
}
