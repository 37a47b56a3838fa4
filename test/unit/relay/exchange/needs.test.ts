import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Downloads } from '../../../../src/relay/exchange/downloads.js';
import { Lineage } from '../../../../src/relay/exchange/lineage.js';
import { listNeeds } from '../../../../src/relay/exchange/needs.js';
import { EARLY_PIECES_MAX, PendingWindows } from '../../../../src/relay/exchange/pending-windows.js';
import { Playout } from '../../../../src/relay/exchange/playout.js';
import { Subscriptions } from '../../../../src/relay/exchange/subscriptions.js';
import { addNeighbour, availability, hold, makeContext, makeWindow, PARAMETERS } from '../../../support/exchange-fixture.js';

function setUp() {
  const context = makeContext();
  const playout = new Playout(PARAMETERS, context.buffer, () => false);
  const lineage = new Lineage(context);
  const subscriptions = new Subscriptions(context, playout, lineage);
  const view = { context, playout, downloads: new Downloads(), pending: new PendingWindows(), lineage, subscriptions };
  playout.moveTo(4);
  const names = (): string[] => listNeeds(view).map(({ window, piece }) => `${window}:${piece}`);
  return { ...view, view, names };
}

test('what somebody holds, and is neither here nor on its way, is needed', () => {
  const { context, names, downloads, pending } = setUp();
  addNeighbour(context, 'x').map.update(true, 0, [availability(makeWindow(4)), availability(makeWindow(5), [1])]);
  assert.equal(names(), ['4:0', '4:1', '4:2', '5:1']);
  hold(context, makeWindow(4), [0]);
  downloads.open(4, 1, 300);
  pending.noteManifestAsked(5, 'x', 0);
  pending.keep(5, 1, { from: 'x', payload: new Uint8Array(1) });
  assert.equal(names(), ['4:2']);
});

test('nothing before the playhead is needed, nor what is whole', () => {
  const { context, names } = setUp();
  addNeighbour(context, 'x').map.update(
    true,
    0,
    [3, 4, 5].map((number) => availability(makeWindow(number, 1))),
  );
  hold(context, makeWindow(4, 1));
  assert.equal(names(), ['5:0']);
});

test('numbers that jump are followed, and a window far behind a gap is as urgent as the next', () => {
  const { context, view } = setUp();
  addNeighbour(context, 'x').map.update(
    true,
    0,
    [4, 5_000].map((number) => availability(makeWindow(number, 1))),
  );
  assert.equal(
    listNeeds(view).map(({ window, deadlineClass }) => [window, deadlineClass]),
    [
      [4, 0],
      [5_000, 0],
    ],
  );
});

test('of a window without a manifest no more is needed than may be kept, whatever it is said to be', () => {
  const { context, names } = setUp();
  addNeighbour(context, 'liar').map.update(true, 0, [{ number: 4, pieceCount: 8_000, key: true, held: null }]);
  assert.is(names().length, EARLY_PIECES_MAX);
});

test('a claim of more pieces than a window has is held against nobody else', () => {
  const { context, view } = setUp();
  addNeighbour(context, 'liar').map.update(true, 0, [{ number: 4, pieceCount: 5, key: true, held: null }]);
  addNeighbour(context, 'x').map.update(true, 0, [availability(makeWindow(4))]);
  const holders = listNeeds(view).map((need) => need.holders.map(({ id }) => id));
  assert.equal(holders, [['liar', 'x'], ['liar', 'x'], ['liar', 'x'], ['liar'], ['liar']]);
});

test('no more windows are needed than the buffer holds, the next ones first', () => {
  const { context, view } = setUp();
  const windows = Array.from({ length: 1_000 }, (_, index) => ({ number: 10 + index, pieceCount: 1, key: true, held: null }));
  addNeighbour(context, 'liar').map.update(true, 0, windows);
  addNeighbour(context, 'x').map.update(true, 0, [availability(makeWindow(4, 1))]);
  const numbers = listNeeds(view).map(({ window }) => window);
  assert.equal([numbers[0], numbers.length], [4, PARAMETERS.bufferWindows]);
});

test('each need knows who holds the piece, its size and how much time there is', () => {
  const { context, view, playout } = setUp();
  const [x, y] = [addNeighbour(context, 'x'), addNeighbour(context, 'y')];
  x.map.update(true, 0, [availability(makeWindow(5))]);
  y.map.update(true, 0, [availability(makeWindow(5), [2])]);
  hold(context, makeWindow(4));
  playout.deliver(0);
  hold(context, makeWindow(5), []);
  const last = listNeeds(view).at(-1);
  assert.equal([last?.piece, last?.sizeBytes, last?.slackMs], [2, 90, PARAMETERS.windowMs]);
  assert.equal(
    last?.holders.map(({ id }) => id),
    ['x', 'y'],
  );
});

test('nothing is needed where all that anybody spoke of is here or on its way, and something is as soon as one piece is not', () => {
  const { context, names, downloads } = setUp();
  const neighbour = addNeighbour(context, 'x');
  const windows = [4, 5].map((number) => availability(makeWindow(number)));
  context.takeMap(neighbour, { kind: 'map', full: true, tail: 0, windows });
  hold(context, makeWindow(4));
  hold(context, makeWindow(5), [0]);
  downloads.open(5, 1, 300);
  assert.equal(names(), ['5:2']);
  downloads.open(5, 2, 300);
  assert.equal(names(), []);
  downloads.remove(5, 1);
  assert.equal(names(), ['5:1']);
});

test('a silent viewer on trial that claims everything does not keep the rescue by a publisher away', () => {
  const { context, view } = setUp();
  const liar = addNeighbour(context, 'liar');
  liar.map.update(true, 0, [availability(makeWindow(4))]);
  const publisher = addNeighbour(context, 'publisher', true);
  publisher.onAir = true;
  publisher.map.update(true, 0, [availability(makeWindow(3))]);
  context.nowMs += PARAMETERS.startLagMs;
  view.playout.moveTo(3);
  hold(context, makeWindow(3));
  view.playout.deliver(context.nowMs);
  context.nowMs += 450;
  const holders = () => listNeeds(view).map(({ holders }) => holders.map(({ id }) => id));
  assert.equal(holders(), [['liar'], ['liar'], ['liar']]);
  liar.outstanding = 2;
  assert.equal(holders(), [['publisher'], ['publisher'], ['publisher']]);
});

test('a part of a window that only a publisher shows has been dealt to a viewer that has others to pass it on to', () => {
  const { context, view } = setUp();
  addNeighbour(context, 'publisher', true).map.update(true, 0, [availability(makeWindow(4), [1]), availability(makeWindow(5))]);
  const dealt = () => listNeeds(view).map(({ window, piece, dealt }) => `${window}:${piece}${dealt ? ' dealt' : ''}`);
  assert.equal(dealt(), ['4:1', '5:0', '5:1', '5:2']);
  const viewer = addNeighbour(context, 'viewer');
  assert.equal(dealt(), ['4:1 dealt', '5:0', '5:1', '5:2']);
  viewer.map.update(true, 0, [availability(makeWindow(4), [1])]);
  assert.is(dealt()[0], '4:1');
});

test('a piece that only those hold who may not be asked now is not needed yet', () => {
  const { context, names } = setUp();
  const [resting, free] = ['x', 'y'].map((name) => addNeighbour(context, name));
  for (const number of [4, 5, 6, 7]) hold(context, makeWindow(number), [0]);
  resting?.map.update(
    true,
    0,
    [4, 5, 6, 7].map((number) => availability(makeWindow(number))),
  );
  free?.map.update(true, 0, [availability(makeWindow(6), [0]), availability(makeWindow(7), [0, 2])]);
  resting?.rest(1_000, context.nowMs);
  assert.equal(names(), ['7:2']);
});

test.run();
