import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AsfCutter } from '../../../src/ingest/asf-cutter.js';
import { mendAsf } from '../../../src/media/asf-mending.js';
import { type AsfRecord, decodeAsfWindow, EPOCH_ID_BYTES, RECORD_HEAD_BYTES } from '../../../src/media/asf-window.js';
import type { Gap } from '../../../src/media/holed-window.js';
import { packetise, programme, simpleHeader } from '../../support/asf-writer.js';

const PACKET_BYTES = 512;
const hasher = { sha256: (bytes: Uint8Array): Uint8Array => Uint8Array.from(createHash('sha256').update(bytes).digest()) };

/** A window with a key frame in its midst, as the cutter makes it. */
function aWindow(stripped: boolean) {
  const cutter = new AsfCutter({ windowMs: 1_000, hasher });
  cutter.pushHeader(simpleHeader({ packetBytes: PACKET_BYTES, maxBitrate: 81_920 }));
  const windows = packetise(programme(20), PACKET_BYTES, { firstLocation: 5_000, stripped }).flatMap(
    ({ locationId, payload }) => cutter.pushPacket(locationId, payload).windows,
  );
  const window = windows.find(({ keyMarks }) => keyMarks.some(({ offsetBytes }) => offsetBytes > EPOCH_ID_BYTES));
  assert.ok(window, 'no window has a key frame behind its first packet');
  const { records } = decodeAsfWindow(window.bytes) as { records: readonly AsfRecord[] };
  const starts: number[] = [];
  let at = EPOCH_ID_BYTES;
  for (const { payload } of records) {
    starts.push(at);
    at += RECORD_HEAD_BYTES + payload.length;
  }
  const keyOffsets = window.keyMarks.map(({ offsetBytes }) => offsetBytes);
  const without = (...gaps: Gap[]) => {
    const bytes = Uint8Array.from(window.bytes);
    for (const { offsetBytes, lengthBytes } of gaps) bytes.fill(0, offsetBytes, offsetBytes + lengthBytes);
    return mendAsf({ bytes, gaps, keyOffsets });
  };
  const keys = keyOffsets.map((offset) => starts.indexOf(offset));
  return { records, starts, keys, keyOffsets, without };
}

for (const stripped of [true, false]) {
  const { records, starts, keys, keyOffsets, without } = aWindow(stripped);
  const named = stripped ? 'stripped of their padding' : 'padded';
  const start = (index: number): number => starts[index] ?? 0;
  const ids = (mended: ReturnType<typeof without>): readonly number[] => {
    const decoded = decodeAsfWindow(mended?.bytes ?? new Uint8Array(0));
    return 'records' in decoded ? decoded.records.map(({ locationId }) => locationId) : [];
  };
  const idsBut = (...gone: number[]): readonly number[] =>
    records.flatMap(({ locationId }, index) => (gone.includes(index) ? [] : locationId));
  const last = records.length - 1;
  /** Not the first, no key frame in it or before it. */
  const plain = records.findIndex(
    (_, index) => index > 0 && index < last - 2 && index < (keys.at(-1) ?? 0) - 2 && !keys.includes(index) && !keys.includes(index - 1),
  );

  test(`${named}: a gap inside a packet takes that packet, one over the head of the next takes both`, () => {
    const index = plain > 0 ? plain : last - 1;
    assert.equal(ids(without({ offsetBytes: start(index) + 20, lengthBytes: 5 })), idsBut(index));
    const lengthBytes = start(index + 1) + 3 - start(index) - 20;
    assert.equal(ids(without({ offsetBytes: start(index) + 20, lengthBytes })), idsBut(index, index + 1));
  });

  test(`${named}: key frames are named where they stand afterwards`, () => {
    const mended = without({ offsetBytes: start(last) + 10, lengthBytes: 20 });
    assert.equal(mended?.keyOffsets, keyOffsets);
    assert.equal(ids(mended), idsBut(last));
  });

  test(`${named}: without its epoch, its first packet or a whole key frame a window is not mended`, () => {
    assert.is(without({ offsetBytes: 0, lengthBytes: 3 }), undefined);
    assert.is(without({ offsetBytes: start(0) + 30, lengthBytes: 3 }), undefined);
    assert.is(without({ offsetBytes: (keyOffsets.at(-1) ?? 0) + 30, lengthBytes: 3 }), undefined);
  });
}

test.run();
