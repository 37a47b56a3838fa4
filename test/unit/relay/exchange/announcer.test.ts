import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Announcer } from '../../../../src/relay/exchange/announcer.js';
import type { LiveMessage } from '../../../../src/relay/exchange/live-message.js';
import { type FeedStatus, NO_FEED, substreamOf } from '../../../../src/relay/exchange/substreams.js';
import { WindowShares } from '../../../../src/relay/exchange/window-shares.js';
import { addNeighbour, availability, hold, makeContext, makeWindow, PARAMETERS, sent, sentOf } from '../../../support/exchange-fixture.js';

function setUp() {
  const context = makeContext({}, 1_000);
  const shares = new WindowShares(PARAMETERS.revealMs);
  const announcer = new Announcer(context, shares, () => NO_FEED);
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

test('a piece that a neighbour has already is no news to it, once it knows which content of the window is here', () => {
  const { context, announcer } = setUp();
  addNeighbour(context, 'x').map.update(true, 0, [availability(makeWindow(4, 4), [0, 1])]);
  const window = hold(context, makeWindow(4, 4), [0]);
  const noteLater = (piece: number): string[] => {
    if (piece > 0) window.store(piece, new Uint8Array(1));
    context.nowMs += PARAMETERS.haveBatchMs;
    announcer.note(window, piece);
    return sent(context.takeEffects()).map(({ message }) => message.kind);
  };
  assert.equal([0, 1, 2].map(noteLater), [['map'], [], ['have']]);
});

test('a whole map without a window takes back what was told of it', () => {
  const { context, announcer } = setUp();
  addNeighbour(context, 'x');
  const made = makeWindow(4);
  const kinds = (act: () => void): string[] => {
    context.nowMs += PARAMETERS.haveBatchMs;
    act();
    return sent(context.takeEffects()).map(({ message }) => message.kind);
  };
  assert.equal(
    kinds(() => announcer.note(hold(context, made, [0]))),
    ['map'],
  );
  context.buffer.remove(4);
  kinds(() => announcer.sendMaps());
  assert.equal(
    kinds(() => announcer.note(hold(context, made, [0]))),
    ['map'],
  );
  kinds(() => announcer.sendMaps());
  assert.equal(
    kinds(() => announcer.note(hold(context, made, [1]))),
    ['have'],
    'one in part has its details in every whole map',
  );
});

test('whoever knows the details of a window is told the rest in short, but not of another content, nor many pieces, nor by a publisher', () => {
  const { context, announcer } = setUp();
  addNeighbour(context, 'x');
  const made = makeWindow(4, 7);
  const told = (pieces: readonly number[], of = made): LiveMessage[] => {
    const window = hold(context, of, pieces);
    context.nowMs += PARAMETERS.haveBatchMs;
    announcer.note(window);
    return sent(context.takeEffects()).map(({ message }) => message);
  };
  const news = { kind: 'map', full: false } as const;
  assert.equal(told([0]), [{ ...news, windows: [availability(made, [0])] }]);
  assert.equal(told([2]), [{ kind: 'have', window: 4, pieces: [0, 2] }]);
  assert.equal(told([1, 3]), [{ kind: 'have', window: 4, pieces: [0, 1, 2, 3] }]);
  assert.equal(told([4]), [{ ...news, windows: [availability(made, [0, 1, 2, 3, 4])] }]);
  assert.equal(told([5, 6]), [{ kind: 'have', window: 4, pieces: [] }]);
  context.buffer.remove(4);
  const other = makeWindow(4, 5);
  assert.equal(told([0], other), [{ ...news, windows: [availability(other, [0])] }]);
  context.neighbours.get('x')?.forgetBelow(5);
  assert.equal(told([1], other), [{ ...news, windows: [availability(other, [0, 1])] }]);
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
  shares.open(window, { able: ['x', 'y'], contested: false, holders: () => [] }, context.nowMs);
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

test('a neighbour hears of a piece that is fed to it only when it should have it, but at once where it feeds us, or is a publisher', () => {
  const { context, announcer } = setUp();
  const made = makeWindow(4);
  const [substream, other] = [1, 2].map((piece) => 1 << substreamOf(4, piece)) as [number, number];
  const feed = (fed: number): FeedStatus => ({ ...NO_FEED, fed });
  for (const [id, fed] of [
    ['fed', substream],
    ['fed another', other],
    ['feeds us', substream],
    ['publisher', substream],
  ] as const)
    addNeighbour(context, id, id === 'publisher').feed = feed(fed);
  const feeder = context.neighbours.get('feeds us');
  if (feeder) feeder.feeds = substream;
  announcer.note(hold(context, made, [1]), 1);
  const effects = context.takeEffects();
  assert.equal(
    sent(effects).map(({ to }) => to),
    ['fed another', 'feeds us', 'publisher'],
  );
  assert.ok(effects.some((effect) => effect.kind === 'schedule' && effect.timer === 'news' && effect.delayMs === 400));
  context.nowMs += 399;
  announcer.sendNews();
  assert.equal(sent(context.takeEffects()), []);
  context.nowMs += 1;
  announcer.sendNews();
  assert.equal(
    sent(context.takeEffects()).map(({ to }) => to),
    ['fed'],
  );
});

test('whoever has got it meanwhile hears nothing, and other news do not wait with what is fed', () => {
  const { context, announcer, maps } = setUp();
  const made = makeWindow(4);
  const x = addNeighbour(context, 'x');
  x.feed = { ...NO_FEED, fed: 1 << substreamOf(4, 1) };
  const window = hold(context, made, [1]);
  announcer.note(window, 1);
  x.map.update(false, 0, [availability(made)]);
  context.nowMs += 400;
  announcer.sendNews();
  assert.equal(maps(), []);
  x.map.noteMissing(4);
  announcer.note(window, 1);
  window.store(0, made.pieces[0] as Uint8Array);
  announcer.note(window, 0);
  assert.equal(maps()[0]?.windows, [availability(made, [0, 1])]);
});

test('its part in feeding a peer tells in whole maps, and only if it has one', () => {
  const { context, shares } = setUp();
  const status: FeedStatus = { ...NO_FEED, offered: 3 };
  const announcer = new Announcer(context, shares, ({ id }) => (id === 'x' ? status : NO_FEED));
  for (const id of ['x', 'y']) addNeighbour(context, id);
  announcer.note(hold(context, makeWindow(4)));
  announcer.sendMaps();
  assert.equal(
    sentOf(context.takeEffects(), 'map').map(({ to, full, feed }) => [to, full, feed]),
    [
      ['x', false, undefined],
      ['y', false, undefined],
      ['x', true, status],
      ['y', true, undefined],
    ],
  );
});

test.run();
