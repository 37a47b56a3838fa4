import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Announcer } from '../../../../src/relay/exchange/announcer.js';
import { WindowShares } from '../../../../src/relay/exchange/window-shares.js';
import { addNeighbour, availability, hold, makeContext, makeWindow, PARAMETERS, sentOf } from '../../../support/exchange-fixture.js';

function setUp() {
  const context = makeContext({}, 1_000);
  const shares = new WindowShares();
  const announcer = new Announcer(context, shares);
  const maps = () => sentOf(context.takeEffects(), 'map');
  return { context, shares, announcer, maps };
}

test('news go to whoever lacks the window, at once', () => {
  const { context, announcer, maps } = setUp();
  addNeighbour(context, 'x');
  addNeighbour(context, 'y').map.update(true, 0, [availability(makeWindow(4))]);
  announcer.note(hold(context, makeWindow(4), [1]));
  const [map] = maps();
  assert.equal([map?.to, map?.full], ['x', false]);
  assert.equal(map?.windows, [availability(makeWindow(4), [1])]);
});

test('news that follow soon are gathered, and a timer brings them', () => {
  const { context, announcer, maps } = setUp();
  addNeighbour(context, 'x');
  announcer.note(hold(context, makeWindow(4)));
  maps();
  announcer.note(hold(context, makeWindow(5)));
  announcer.note(hold(context, makeWindow(6)));
  const effects = context.takeEffects();
  assert.equal(sentOf(effects, 'map'), []);
  assert.ok(effects.some((effect) => effect.kind === 'schedule' && effect.timer === 'news' && effect.delayMs === PARAMETERS.haveBatchMs));
  context.nowMs += PARAMETERS.haveBatchMs;
  announcer.sendNews();
  assert.equal(
    maps()[0]?.windows.map(({ number }) => number),
    [5, 6],
  );
});

test('the first whole map has all details, later ones only those of the newest window held whole', () => {
  const { context, announcer, maps } = setUp();
  addNeighbour(context, 'x');
  hold(context, makeWindow(3));
  hold(context, makeWindow(4));
  hold(context, makeWindow(5), [0]);
  announcer.sendMaps();
  announcer.sendMaps();
  const [first, second] = maps();
  assert.equal(first?.windows, [availability(makeWindow(3)), availability(makeWindow(4)), availability(makeWindow(5), [0])]);
  assert.equal(second?.windows.slice(0, 2), [{ number: 3, pieceCount: 0, key: false, held: null }, availability(makeWindow(4))]);
});

test('who does not read what it is sent gets no more, and its news wait', () => {
  const { context, announcer, maps } = setUp();
  const neighbour = addNeighbour(context, 'x');
  neighbour.blockedSinceMs = 0;
  announcer.note(hold(context, makeWindow(4)));
  announcer.sendMaps();
  assert.equal(maps(), []);
  neighbour.blockedSinceMs = undefined;
  announcer.sendNews();
  assert.is(maps()[0]?.windows[0]?.number, 4);
});

test('a window that is dealt out is announced to each only as far as it was dealt', () => {
  const { context, shares, announcer, maps } = setUp();
  for (const id of ['x', 'y', 'z']) addNeighbour(context, id);
  const window = hold(context, makeWindow(4, 2));
  shares.open(window, ['x', 'y']);
  announcer.note(window);
  assert.equal(
    maps().map(({ to, windows }) => [to, windows[0]?.held?.count]),
    [
      ['x', 1],
      ['y', 1],
    ],
  );
});

test('an open window of which nothing is here is not spoken of', () => {
  const { context, announcer, maps } = setUp();
  addNeighbour(context, 'x');
  announcer.note(hold(context, makeWindow(4), []));
  announcer.sendMaps();
  assert.equal(maps()[0]?.windows, []);
});

test.run();
