import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Downloads } from '../../../../src/relay/exchange/downloads.js';
import { Lineage } from '../../../../src/relay/exchange/lineage.js';
import { listNeeds } from '../../../../src/relay/exchange/needs.js';
import { EARLY_PIECES_MAX, PendingWindows } from '../../../../src/relay/exchange/pending-windows.js';
import { Playout } from '../../../../src/relay/exchange/playout.js';
import { addNeighbour, availability, hold, makeContext, makeWindow, PARAMETERS } from '../../../support/exchange-fixture.js';

function setUp() {
  const context = makeContext();
  const playout = new Playout(PARAMETERS, context.buffer, () => false);
  const view = { context, playout, downloads: new Downloads(), pending: new PendingWindows(), lineage: new Lineage(context) };
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

test.run();
