/** Whose request is served next: what somebody waits for, what nobody else could send, whole pieces, and nobody far ahead of the others. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PIECE_LENGTH_BYTES_MAX } from '../../../src/vod/metainfo.js';
import { UPLOADS_PER_PEER_MAX, UploadQueue, type UploadView } from '../../../src/vod/upload-queue.js';

const BLOCK = 16_384;

interface Rules {
  readonly scarce?: readonly number[];
  readonly awaited?: readonly string[];
  readonly busy?: readonly string[];
}

function viewOf({ scarce = [], awaited = [], busy = [] }: Rules = {}): UploadView {
  return {
    isReady: (peer) => !busy.includes(peer),
    weight: () => 1,
    watches: () => true,
    isScarce: (piece) => scarce.includes(piece),
    waits: ({ peer, piece }) => awaited.includes(`${peer}${piece}`),
  };
}

function ask(queue: UploadQueue, peer: string, piece: number, blocks: number, group = peer): void {
  for (let block = 0; block < blocks; block++) queue.add({ peer, piece, offsetBytes: block * BLOCK, lengthBytes: BLOCK }, group);
}

function served(queue: UploadQueue, view: UploadView, count: number): readonly string[] {
  return Array.from({ length: count }, () => queue.take(view)).map((upload) => (upload ? `${upload.peer}${upload.piece}` : '-'));
}

test('a piece that has been begun is sent whole before another neighbour gets its turn', () => {
  const queue = new UploadQueue();
  for (const peer of ['a', 'b', 'c', 'd', 'e']) ask(queue, peer, peer.charCodeAt(0), 4);
  const order = served(queue, viewOf(), 8);
  assert.is(new Set(order).size, 2, order.join(' '));
});

test('what somebody waits for comes first, and what nobody else could send before what others hold', () => {
  const queue = new UploadQueue();
  ask(queue, 'a', 1, 1);
  ask(queue, 'b', 2, 1);
  ask(queue, 'c', 3, 1);
  assert.equal(served(queue, viewOf({ scarce: [2], awaited: ['c3'] }), 3), ['c3', 'b2', 'a1']);
});

test('a piece that one neighbour is being sent is sent to the next one only when nothing else is asked for', () => {
  const queue = new UploadQueue();
  const view = viewOf({ scarce: [1, 2] });
  ask(queue, 'a', 1, 1);
  assert.equal(served(queue, view, 1), ['a1']);
  ask(queue, 'b', 1, 1);
  ask(queue, 'c', 2, 1);
  assert.equal(served(queue, view, 2), ['c2', 'b1']);
});

test('whoever says that it waits for everything gets ahead of the others by a bounded amount', () => {
  const queue = new UploadQueue();
  const pieces = Array.from({ length: 400 }, (_, piece) => piece);
  const view = viewOf({ awaited: pieces.map((piece) => `a${piece}`) });
  const counts = new Map<string, number>();
  for (let turn = 0; turn < 6_000; turn++) {
    ask(queue, 'a', turn % 400, 1);
    ask(queue, 'b', 1_000 + (turn % 400), 1);
    const peer = queue.take(view)?.peer ?? '';
    counts.set(peer, (counts.get(peer) ?? 0) + 1);
  }
  const [a = 0, b = 0] = [counts.get('a'), counts.get('b')];
  assert.ok(a - b <= (16 * 1_048_576) / BLOCK + 16, `${a} and ${b}`);
});

test('neighbours of one address group share what one would get', () => {
  const queue = new UploadQueue();
  const counts = { greedy: 0, honest: 0 };
  for (let turn = 0; turn < 4_000; turn++) {
    for (const peer of ['x', 'y', 'z']) ask(queue, peer, turn, 1, 'one /24');
    ask(queue, 'h', 5_000 + turn, 1);
    counts[queue.take(viewOf())?.peer === 'h' ? 'honest' : 'greedy'] += 1;
  }
  assert.ok(Math.abs(counts.greedy - counts.honest) <= 600, JSON.stringify(counts));
});

test('who cannot take a block is passed over, and loses nothing', () => {
  const queue = new UploadQueue();
  ask(queue, 'a', 1, 1);
  ask(queue, 'b', 2, 1);
  assert.equal(served(queue, viewOf({ busy: ['a'] }), 2), ['b2', '-']);
  assert.equal(served(queue, viewOf(), 1), ['a1']);
});

test('requests are counted, cancelled, cleared and bounded', () => {
  const queue = new UploadQueue();
  ask(queue, 'a', 1, 2);
  assert.is(queue.count, 2);
  assert.ok(queue.cancel('a', 1, 0));
  assert.not.ok(queue.cancel('a', 1, 0));
  assert.is(queue.countOf('a'), 1);
  assert.is(queue.clear('a').length, 1);
  for (let piece = 0; piece < UPLOADS_PER_PEER_MAX; piece++) ask(queue, 'a', piece, 1);
  assert.not.ok(queue.add({ peer: 'a', piece: 9_999, offsetBytes: 0, lengthBytes: BLOCK }, 'a'));
  queue.take(viewOf());
  queue.dropPeer('a');
  assert.is(queue.count, 0);
  assert.is(queue.take(viewOf()), undefined);
});

test('of the longest pieces every block is a request of its own', () => {
  const queue = new UploadQueue();
  const half = PIECE_LENGTH_BYTES_MAX / 2;
  queue.add({ peer: 'a', piece: 0, offsetBytes: half, lengthBytes: BLOCK }, 'a');
  assert.not(queue.has('a', 1, 0));
  queue.add({ peer: 'a', piece: 1, offsetBytes: 0, lengthBytes: BLOCK }, 'a');
  assert.is(queue.countOf('a'), 2);
});

test.run();
