import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { LiveStep } from '../../../src/sim/live-world.js';
import { PieceWatch } from '../../../src/sim/piece-watch.js';
import type { SimPeer } from '../../../src/sim/sim-peer.js';

const PIECE_BYTES = 4;
const CUT = Uint8Array.of(1, 2, 3, 4, 5, 6);
const VIEWER = {
  links: [
    { id: '1a', peerId: 'publisher' },
    { id: '2a', peerId: 'friend' },
    { id: '3a', peerId: 'liar' },
  ],
} as unknown as SimPeer;

function setUp() {
  const watch = new PieceWatch({
    pieceBytes: PIECE_BYTES,
    windowMs: 500,
    bufferMs: 500,
    cutOf: (number) => ({ content: { bytes: CUT }, atMs: number * 500 }),
    slowMs: 50,
    isWrongdoer: (name) => name === 'liar',
    publisher: 'publisher',
  });
  const step = (nowMs: number, input: unknown, effects: readonly unknown[] = []): void =>
    watch.onStep({ peer: VIEWER, input, effects, nowMs } as LiveStep);
  const piece = (nowMs: number, from: string, window: number, index: number, payload = CUT.subarray(index * 4, index * 4 + 4)): void =>
    step(nowMs, { kind: 'message', from, message: { kind: 'piece', window, piece: index, payload } });
  const play = (nowMs: number, number: number): void =>
    step(nowMs, { kind: 'timer', timer: 'tick' }, [{ kind: 'emit', event: { kind: 'window', manifest: { number, pieceHashes: [1, 2] } } }]);
  return { receipts: watch.of(VIEWER), piece, play };
}

test('pieces that come after their window was due, or never, are late; a copy does not make one late that was there', () => {
  const { receipts, piece, play } = setUp();
  for (const window of [1, 2, 3]) piece(0, '2a', window, 0);
  piece(0, '2a', 1, 1);
  play(0, 1);
  piece(600, '2a', 2, 1);
  piece(600, '2a', 2, 0);
  play(600, 2);
  play(1_100, 3);
  assert.equal(receipts.latePieces, [0, 1, 1]);
  assert.equal(receipts.slowPieces, [0, 0, 1]);
});

test('the first piece from a viewer is told from those of a publisher', () => {
  const { receipts, piece } = setUp();
  piece(10, '1a', 1, 0);
  assert.is(receipts.firstFromViewerMs, undefined);
  piece(20, '2a', 1, 1);
  piece(30, '2a', 2, 0);
  assert.is(receipts.firstFromViewerMs, 20);
});

test('wrong pieces are counted by sender, and do not count as having come', () => {
  const { receipts, piece, play } = setUp();
  piece(0, '2a', 1, 0);
  piece(0, '2a', 1, 1);
  play(0, 1);
  piece(10, '3a', 2, 0);
  piece(20, '3a', 2, 1, Uint8Array.of(9, 9));
  piece(30, '3a', 2, 1, Uint8Array.of(5));
  play(400, 2);
  assert.equal([...receipts.wrongFrom], [['liar', 2]]);
  assert.equal(receipts.latePieces, [0, 1]);
});

test.run();
