import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TokenBucket } from '../../../../src/kernel/token-bucket.js';
import { addNeighbour, availability, hold, makeContext, makeWindow, OWNER } from '../../../support/exchange-fixture.js';

test('effects are given out once, in order', () => {
  const context = makeContext();
  context.schedule('tick', 5);
  context.cancel('tick');
  context.connect(3);
  assert.equal(
    context.takeEffects().map(({ kind }) => kind),
    ['schedule', 'cancel', 'connect'],
  );
  assert.equal(context.takeEffects(), []);
});

test('only media is charged to the uplink', () => {
  const uplink = new TokenBucket(1_000, 100);
  const context = makeContext({ uplink });
  const x = addNeighbour(context, 'x');
  context.send(x, { kind: 'info', bytes: new Uint8Array(5_000) });
  assert.is(uplink.delayMs(0), 0);
  context.send(x, { kind: 'piece', window: 1, piece: 0, payload: new Uint8Array(500) });
  assert.ok(uplink.delayMs(0) > 0);
});

test('the first accusation stands, and goes before a dismissal', () => {
  const context = makeContext();
  const x = addNeighbour(context, 'x');
  context.dismiss(x, 'zero');
  context.accuse(x, 'one');
  context.accuse(x, 'two');
  context.dismiss(x, 'three');
  assert.equal(context.takeAccused(), [[x, { kind: 'misbehaved', detail: 'one' }]]);
  assert.equal(context.takeAccused(), []);
});

test('a window is announced when any neighbour speaks of it, between two others and not at them', () => {
  const context = makeContext();
  addNeighbour(context, 'x').map.update(true, 0, [availability(makeWindow(5))]);
  assert.equal([context.isAnnounced(4, 6), context.isAnnounced(5, 9), context.isAnnounced(1, 5)], [true, false, false]);
});

test('who has a signer is a publisher', () => {
  assert.equal([makeContext().isPublisher, makeContext({ signer: OWNER }).isPublisher], [false, true]);
});

test('how far any map has ever reached is known without a look at them, and nothing is taken for certain before the first', () => {
  const context = makeContext();
  assert.equal([context.newestTold, context.highestTail], [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
  const neighbour = addNeighbour(context, 'x');
  const told = (tail: number, ...numbers: readonly number[]): void =>
    context.takeMap(neighbour, { kind: 'map', full: true, tail, windows: numbers.map((number) => availability(makeWindow(number))) });
  told(3, 4, 9);
  assert.equal([context.newestTold, context.highestTail, neighbour.map.head], [9, 3, 9]);
  told(2, 4);
  assert.equal([context.newestTold, context.highestTail, neighbour.map.head], [9, 3, 4]);
  hold(context, makeWindow(12));
  context.buffer.remove(12);
  assert.is(context.newestTold, 12);
});

test.run();
