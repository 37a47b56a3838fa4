/** A recording as a viewer plays it that misses a piece of one window in three: cut, holed and mended by the parts that are shipped. */

import { AsfCutter } from '../../src/ingest/asf-cutter.js';
import { type CutWindow, WindowCutter } from '../../src/ingest/window-cutter.js';
import { nodeHasher } from '../../src/io/crypto.js';
import { Rng } from '../../src/kernel/rng.js';
import { mendAsf } from '../../src/media/asf-mending.js';
import { type AsfRecord, decodeAsfWindow } from '../../src/media/asf-window.js';
import type { FlvTag } from '../../src/media/flv.js';
import { mendFlv } from '../../src/media/flv-mending.js';
import type { WindowMender } from '../../src/media/holed-window.js';
import { ChannelOutput, type DeliveredWindow } from '../../src/plugins/channel-output.js';
import { MemoryLog } from './memory-log.js';

const WINDOW_MS = 500;
const PIECE_BYTES = 2_048;
const EVERY = 3;

export interface HoledStream<Unit> {
  readonly units: readonly Unit[];
  readonly windows: number;
  /** How many of them were mended; others that were hit could not be, and are whole here. */
  readonly mended: number;
}

export function holeFlv(tags: readonly FlvTag[], seed: number): HoledStream<FlvTag> {
  const cutter = new WindowCutter({ windowMs: WINDOW_MS });
  const windows = tags.flatMap((tag) => cutter.push(tag));
  const holed = windows.map(holing(mendFlv, new Rng(seed)));
  const units: FlvTag[] = [];
  const output = new ChannelOutput({
    name: 'holed',
    historyMs: 0,
    convert: false,
    inputs: () => ({ flv: '', mmsh: '' }),
    demand: () => ({ flv: 0, asf: 0 }),
    log: new MemoryLog(),
  });
  output.flv.subscribe({ onTag: ({ tag }) => units.push(tag) });
  for (const window of holed) output.pushWindow(window);
  return { units, windows: windows.length, mended: holed.filter(({ isMended }) => isMended).length };
}

export function holeAsf(header: Uint8Array, packets: readonly AsfRecord[], seed: number): HoledStream<AsfRecord> {
  const cutter = new AsfCutter({ windowMs: WINDOW_MS, hasher: nodeHasher });
  cutter.pushHeader(header);
  const windows = packets.flatMap(({ locationId, payload }) => cutter.pushPacket(locationId, payload).windows);
  const holed = windows.map(holing(mendAsf, new Rng(seed)));
  const units = holed.flatMap(({ bytes }) => (decodeAsfWindow(bytes) as { records: readonly AsfRecord[] }).records);
  return { units, windows: windows.length, mended: holed.filter(({ isMended }) => isMended).length };
}

function holing(mend: WindowMender, rng: Rng): (window: CutWindow, index: number) => DeliveredWindow & { readonly isMended: boolean } {
  return (window, index) => {
    const { bytes, keyMarks } = window;
    const offsetBytes = rng.below(Math.ceil(bytes.length / PIECE_BYTES)) * PIECE_BYTES;
    const lengthBytes = Math.min(PIECE_BYTES, bytes.length - offsetBytes);
    if (index % EVERY !== 0) return { ...window, isMended: false };
    const holed = Uint8Array.from(bytes).fill(0, offsetBytes, offsetBytes + lengthBytes);
    const keyOffsets = keyMarks.map((mark) => mark.offsetBytes);
    const mended = mend({ bytes: holed, gaps: [{ offsetBytes, lengthBytes }], keyOffsets });
    return mended ? { ...window, ...mended, isMended: true } : { ...window, isMended: false };
  };
}
