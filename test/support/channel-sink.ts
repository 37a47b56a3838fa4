/** A channel that keeps what its source gives it, with nobody else in the swarm. */
import type { CutWindow } from '../../src/ingest/window-cutter.js';
import type { ChannelSink } from '../../src/plugins/channel-source.js';

export function collectingSink(windows: CutWindow[], overrides: Partial<ChannelSink> = {}): ChannelSink {
  return {
    firstNumber: 0,
    numbering: undefined,
    timeline: undefined,
    numberingAbove: 0,
    publisherKey: new Uint8Array(32),
    publish: (cut) => windows.push(...cut),
    describe: () => undefined,
    remember: () => undefined,
    rememberTimeline: () => undefined,
    outlook: () => ({ upMs: 60_000, neighbours: 0, publishers: 0, onAir: 0, before: 0, head: null, quietMs: Number.POSITIVE_INFINITY }),
    survey: () => undefined,
    report: () => undefined,
    conflict: () => undefined,
    ...overrides,
  };
}
