import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { AlignmentEffect, SwarmOutlook } from '../../../src/ingest/alignment.js';
import { AsfAligner } from '../../../src/ingest/asf-aligner.js';
import { AsfCutter } from '../../../src/ingest/asf-cutter.js';
import type { CutWindow } from '../../../src/ingest/window-cutter.js';
import { nodeHasher } from '../../../src/io/crypto.js';
import { packetOf, simpleHeader } from '../../support/asf-writer.js';

const PACKET_BYTES = 512;
/** 10 packets a window. */
const HEADER = simpleHeader({ packetBytes: PACKET_BYTES, maxBitrate: 81_920 });
const OTHER_HEADER = simpleHeader({ packetBytes: PACKET_BYTES, maxBitrate: 81_920, fileId: '00000000-0000-0000-0000-000000000001' });
const KEY = new Uint8Array(32).fill(7);
const NOBODY: SwarmOutlook = {
  upMs: 60_000,
  neighbours: 0,
  publishers: 0,
  onAir: 0,
  before: 0,
  head: null,
  quietMs: Number.POSITIVE_INFINITY,
};
const BUSY: SwarmOutlook = { ...NOBODY, neighbours: 3, publishers: 1, onAir: 1, head: 500, quietMs: 100 };

function packet(index: number, mark = 0): Uint8Array {
  const data = Uint8Array.of(index % 25 === 0 ? 1 : 0x90, mark);
  const payload = { stream: 1, key: index % 25 === 0, objectNumber: index, presentationMs: index * 50, data };
  return packetOf([payload], PACKET_BYTES, index * 50, true);
}

/** What another publisher makes of the same packets, with numbers that lie higher by so much. */
function windowOfOthers(
  index: number,
  base: number,
  header = HEADER,
): { number: number; startMs: number; bytes: Uint8Array; publisher: Uint8Array } {
  const cutter = new AsfCutter({ windowMs: 500, hasher: nodeHasher });
  cutter.pushHeader(header);
  const windows: CutWindow[] = [];
  for (let at = index * 10; at < (index + 1) * 10; at++) windows.push(...cutter.pushPacket(at, packet(at)).windows);
  const [window] = windows;
  if (!window) throw new Error('no window');
  return { number: index + base, startMs: window.startMs, bytes: window.bytes, publisher: KEY };
}

function setUp() {
  const cutter = new AsfCutter({ windowMs: 500, hasher: nodeHasher });
  const aligner = new AsfAligner(cutter);
  cutter.pushHeader(HEADER);
  let at = 1_000;
  const told: AlignmentEffect[] = [];
  const note = (effects: readonly AlignmentEffect[]): void => void told.push(...effects);
  note(aligner.connected(0));
  const feed = (count: number, nowMs: number): void => {
    for (const end = at + count; at < end; at++) note(aligner.push(cutter.pushPacket(at, packet(at)), nowMs));
  };
  const published = (): number[] => told.flatMap((effect) => (effect.kind === 'publish' ? [effect.window.number] : []));
  const count = (kind: AlignmentEffect['kind']): number => told.filter((effect) => effect.kind === kind).length;
  return { cutter, aligner, feed, note, published, count };
}

test('with nobody there the windows go out under the numbers of the packets', () => {
  const { aligner, feed, note, published } = setUp();
  feed(20, 100);
  assert.equal(published(), [], 'held until it is known that nobody is there');
  note(aligner.tick(NOBODY, 200));
  feed(10, 300);
  assert.equal(published(), [100, 101, 102]);
  assert.is(aligner.state, 'leading');
});

test('beside others the numbers are theirs, for what was held as well', () => {
  const { aligner, feed, note, published, count } = setUp();
  feed(20, 100);
  note(aligner.tick(BUSY, 200));
  assert.ok(count('survey') > 0);
  assert.equal(published(), []);
  note(aligner.surveyed(windowOfOthers(100, 48), 400));
  feed(10, 500);
  assert.equal(published(), [148, 149, 150]);
  assert.is(aligner.state, 'aligned');
});

test('another stream is not published beside theirs, and both are named', () => {
  const { aligner, feed, note, published, count } = setUp();
  note(aligner.tick(BUSY, 0));
  feed(20, 100);
  note(aligner.surveyed(windowOfOthers(100, 48, OTHER_HEADER), 400));
  note(aligner.tick(BUSY, 9_000));
  assert.is(aligner.state, 'standby');
  assert.equal(published(), []);
  assert.is(count('conflict'), 1);
  note(aligner.tick(BUSY, 9_200));
  assert.is(count('conflict'), 1);
  note(aligner.tick(BUSY, 14_200));
  assert.is(count('conflict'), 2, 'said again for as long as it stands by');
});

test('when the others stop, it goes on above their numbers', () => {
  const { aligner, feed, note, published } = setUp();
  note(aligner.tick({ ...BUSY, onAir: 0 }, 0));
  feed(20, 100);
  note(aligner.surveyed(windowOfOthers(300, 200, OTHER_HEADER), 400));
  note(aligner.tick({ ...BUSY, onAir: 0, quietMs: 2_000 }, 2_000));
  assert.is(aligner.state, 'leading');
  assert.ok((published()[0] ?? 0) > 500, String(published()));
  assert.is(((published()[0] ?? 0) - 100) % 16, 0);
});

test('of two bases the higher one stays', () => {
  for (const [base, expected] of [
    [48, 150],
    [0, 102],
  ] as const) {
    const { aligner, feed, note, published } = setUp();
    note(aligner.tick(NOBODY, 0));
    feed(20, 100);
    note(aligner.doubted(500));
    note(aligner.surveyed(windowOfOthers(101, base), 600));
    feed(10, 700);
    assert.is(published().at(-1), expected);
  }
});

test('a new epoch is looked at anew, a lost source is waited for', () => {
  const { cutter, aligner, feed, note } = setUp();
  note(aligner.tick(NOBODY, 0));
  feed(10, 100);
  const cut = cutter.pushHeader(OTHER_HEADER);
  if (!('windows' in cut)) throw new Error('the header is unusable');
  note(aligner.push(cut, 200));
  assert.is(aligner.state, 'looking');
  note(aligner.disconnected(300));
  assert.is(aligner.state, 'waiting');
});

test.run();
