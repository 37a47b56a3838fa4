import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { UPLOADS_PER_PEER_MAX, type Upload, UploadQueue } from '../../../../src/relay/exchange/upload-queue.js';

const upload = (peer: string, piece: number, deadlineMs = 100, window = 1): Upload => ({
  peer,
  window,
  piece,
  version: 1,
  sizeBytes: 10,
  deadlineMs,
});
const byDeadline = ({ deadlineMs }: Upload): number => deadlineMs;
const anybody = (): boolean => true;

test('the lowest rank goes first, among neighbours that are ready', () => {
  const queue = new UploadQueue();
  queue.add(upload('x', 0, 300));
  queue.add(upload('y', 1, 100));
  queue.add(upload('x', 2, 200));
  assert.is(queue.take((peer) => peer !== 'y', byDeadline)?.piece, 2);
  assert.equal([queue.take(anybody, byDeadline)?.piece, queue.take(anybody, byDeadline)?.piece], [1, 0]);
  assert.is(queue.take(anybody, byDeadline), undefined);
});

test('a repeated request replaces the earlier one', () => {
  const queue = new UploadQueue();
  queue.add(upload('x', 0, 300));
  queue.add(upload('x', 0, 100));
  assert.is(queue.queuedBytes, 10);
  assert.is(queue.take(anybody, byDeadline)?.deadlineMs, 100);
  assert.ok(queue.empty);
});

test('one neighbour can have no more than so many requests waiting', () => {
  const queue = new UploadQueue();
  for (let piece = 0; piece < UPLOADS_PER_PEER_MAX; piece++) assert.ok(queue.add(upload('x', piece)));
  assert.not(queue.add(upload('x', UPLOADS_PER_PEER_MAX)));
  assert.ok(queue.add(upload('x', 3)), 'one that waits already may be renewed');
  assert.ok(queue.add(upload('y', 0)));
});

test('what is cancelled, overdue, or was asked by somebody who left is not sent', () => {
  const queue = new UploadQueue();
  for (const [peer, piece, deadlineMs] of [
    ['x', 0, 100],
    ['x', 1, 500],
    ['y', 0, 500],
    ['z', 2, 500],
  ] as const)
    queue.add(upload(peer, piece, deadlineMs));
  queue.dropOverdue(200, 200);
  queue.dropPeer('y');
  queue.cancel('z', 1, 2);
  queue.cancel('z', 1, 2);
  assert.is(queue.queuedBytes, 10);
  assert.is(queue.take(anybody, byDeadline)?.piece, 1);
});

test('an upload knows how much goes before it', () => {
  const queue = new UploadQueue();
  for (const deadlineMs of [100, 200, 300]) queue.add(upload('x', deadlineMs, deadlineMs));
  assert.is(queue.bytesBefore(250, byDeadline), 20);
});

test('the bytes counted are those that wait, whatever happens', () => {
  const step = fc.tuple(fc.constantFrom('add', 'cancel', 'take', 'drop'), fc.constantFrom('x', 'y'), fc.nat({ max: 5 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new UploadQueue();
      const model = new Map<string, Upload>();
      for (const [what, peer, piece] of steps) {
        if (what === 'add') {
          queue.add(upload(peer, piece));
          model.set(`${peer}:${piece}`, upload(peer, piece));
        } else if (what === 'cancel') {
          queue.cancel(peer, 1, piece);
          model.delete(`${peer}:${piece}`);
        } else if (what === 'drop') {
          queue.dropPeer(peer);
          for (const key of [...model.keys()]) if (key.startsWith(peer)) model.delete(key);
        } else {
          const taken = queue.take(anybody, byDeadline);
          if (taken) model.delete(`${taken.peer}:${taken.piece}`);
        }
        assert.is(queue.queuedBytes, model.size * 10);
        assert.is(queue.empty, model.size === 0);
      }
    }),
  );
});

test('what was to be fed is dropped once it is late, and counted; what was asked for waits on', () => {
  const queue = new UploadQueue();
  queue.add({ ...upload('x', 0, 100), isPush: true });
  queue.add({ ...upload('x', 1, 300), isPush: true });
  queue.add(upload('y', 0, 100));
  queue.add(upload('y', 1, 40));
  assert.is(queue.dropOverdue(0, 100), 0, 'it is not late yet');
  assert.is(queue.dropOverdue(50, 200), 1);
  assert.is(queue.dropOverdue(50, 200), 0, 'each is counted once');
  assert.is(queue.queuedBytes, 20);
  assert.equal(
    [queue.take(anybody, byDeadline), queue.take(anybody, byDeadline)].map((left) => [left?.peer, left?.piece]),
    [
      ['y', 0],
      ['x', 1],
    ],
  );
});

test('whoever asks for what was to be fed to it is answered like everybody who asks', () => {
  const queue = new UploadQueue();
  queue.add({ ...upload('x', 0, 100), isPush: true });
  queue.add(upload('x', 0, 100));
  assert.is(queue.dropOverdue(0, 200), 0);
  assert.is(queue.take(anybody, byDeadline)?.isPush, undefined);
});

test.run();
