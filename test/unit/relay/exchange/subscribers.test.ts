import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TokenBucket } from '../../../../src/kernel/token-bucket.js';
import type { ExchangeContext } from '../../../../src/relay/exchange/exchange-context.js';
import type { Neighbour } from '../../../../src/relay/exchange/neighbour.js';
import { Subscribers } from '../../../../src/relay/exchange/subscribers.js';
import {
  ALL_SUBSTREAMS,
  DEPTH_UNKNOWN,
  NO_FEED,
  NO_SUBSTREAMS,
  SOURCE_DEPTHS,
  SUBSTREAMS,
  substreamOf,
} from '../../../../src/relay/exchange/substreams.js';
import { Uploader } from '../../../../src/relay/exchange/uploader.js';
import { addNeighbour, availability, hold, makeWindow, OWNER, PARAMETERS, sentOf } from '../../../support/exchange-fixture.js';
import { FedViewer } from '../../../support/fed-viewer.js';

/** 290 bytes in half a second, as the windows of the fixture have. */
const RATE = 580;
const FIRST = 1;
const depths = (depth: number): number[] => new Array<number>(SUBSTREAMS).fill(depth);

function partsOf(viewer: FedViewer, passesOn: (peer: string) => boolean = () => true) {
  const { context, subscriptions } = viewer;
  const uploader = new Uploader(context);
  const subscribers = new Subscribers({ context, uploader, subscriptions, passesOn });
  const feedings = () => sentOf(context.takeEffects(), 'feeding');
  return { viewer, context, subscriptions, uploader, subscribers, feedings };
}

/** A viewer that a publisher feeds everything. */
function setUp(uplink = new TokenBucket(0), parameters = PARAMETERS) {
  const viewer = new FedViewer({ uplink, parameters });
  const source = viewer.offer('source', { publisher: true, depth: 0 });
  viewer.pass(100);
  viewer.told();
  return { ...partsOf(viewer), source };
}

/** A publisher that holds a few windows, among viewers that offer themselves. */
function setUpPublisher(uplink = new TokenBucket(0), ids = ['a', 'b', 'c']) {
  const viewer = new FedViewer({ uplink, signer: OWNER });
  const idle = new Set<string>();
  const parts = partsOf(viewer, (peer) => !idle.has(peer));
  return { ...parts, idle, viewers: ids.map((id) => viewer.offer(id)) };
}

/** The same windows, and an own limit of so many times the bit rate. */
const limited = (ratio: number): TokenBucket => new TokenBucket(ratio * RATE);

test('a viewer that knows of no limit offers what is fed to it all the way from a publisher', () => {
  const { context, subscribers, source } = setUp();
  const x = addNeighbour(context, 'x');
  assert.is(subscribers.offeredTo(x), ALL_SUBSTREAMS);
  source.feed = { ...source.feed, depths: depths(0).map((_, index) => (index === 2 ? DEPTH_UNKNOWN : 0)) };
  assert.is(subscribers.offeredTo(x), ALL_SUBSTREAMS & ~(1 << 2));
});

test('a viewer that knows of no limit offers nothing once a piece was late, for a minute', () => {
  const { context, subscribers, uploader } = setUp();
  const x = addNeighbour(context, 'x');
  const [window] = context.buffer.windows();
  assert.ok(window);
  uploader.push(x, window, 0);
  context.nowMs += 1_000;
  uploader.onCancel(x, window.number, [0]);
  const y = addNeighbour(context, 'y');
  assert.is(subscribers.offeredTo(y), NO_SUBSTREAMS);
  context.nowMs += 60_000;
  assert.is(subscribers.offeredTo(y), ALL_SUBSTREAMS);
});

test('nothing is offered with less upload than so many bit rates, nor before anything is here, nor where everything is pulled', () => {
  const offered = ({ subscribers, context }: { subscribers: Subscribers; context: ExchangeContext }): number =>
    subscribers.offeredTo(addNeighbour(context, 'x'));
  assert.is(offered(setUp(limited(PARAMETERS.pushRatio - 0.01))), NO_SUBSTREAMS);
  assert.is(offered(setUp(limited(PARAMETERS.pushRatio + 0.01))), ALL_SUBSTREAMS);
  assert.is(offered(setUp(new TokenBucket(0), { ...PARAMETERS, pushRatio: 0 })), NO_SUBSTREAMS);
  const early = new FedViewer({}, 0);
  assert.is(offered(partsOf(early)), NO_SUBSTREAMS);
});

for (const [title, spoil] of [
  [
    'tells of nothing that it holds',
    (x, nowMs) => {
      x.noteServed(1, nowMs - 4 * PARAMETERS.mapPeriodMs - 1);
    },
  ],
  [
    'gives little',
    (x) => {
      for (let time = 0; time < 2; time++) x.noteGiven(false);
    },
  ],
  [
    'feeds us the same',
    (x) => {
      x.feeds = ALL_SUBSTREAMS;
    },
  ],
] as readonly [string, (x: Neighbour, nowMs: number) => void][])
  test(`nothing is offered to somebody that ${title}`, () => {
    const { context, subscribers } = setUp();
    const x = addNeighbour(context, 'x');
    assert.is(subscribers.offeredTo(x), ALL_SUBSTREAMS);
    spoil(x, context.nowMs);
    assert.is(subscribers.offeredTo(x), NO_SUBSTREAMS);
  });

test('a viewer tells a publisher that it has upload to spare, whatever feeds it', () => {
  const viewer = new FedViewer();
  const { context, subscribers } = partsOf(viewer);
  assert.is(subscribers.offeredTo(addNeighbour(context, 'x')), NO_SUBSTREAMS);
  assert.is(subscribers.offeredTo(addNeighbour(context, 'publisher', true)), ALL_SUBSTREAMS);
});

test('a substream is fed to eight at most where there is no limit', () => {
  const { context, subscribers } = setUp();
  for (let index = 0; index < 9; index++) subscribers.onSubscribe(addNeighbour(context, `x${index}`), FIRST);
  assert.equal(
    context.neighbours.values().map(({ subscribed }) => subscribed),
    [NO_SUBSTREAMS, ...new Array(8).fill(FIRST), NO_SUBSTREAMS],
    'the source, and those who came',
  );
  assert.is(subscribers.offeredTo(addNeighbour(context, 'late')), ALL_SUBSTREAMS & ~FIRST);
});

test('a slow line feeds a substream to two, a faster one to as many as a piece is on its way to for a quarter of a second', () => {
  for (const [pieceCount, bytesPerSecond, fed] of [
    [1, 390, 2],
    [3, 2_000, 5],
  ] as const) {
    const { context, subscribers, viewer } = setUp(new TokenBucket(bytesPerSecond), { ...PARAMETERS, pushRatio: 2 });
    for (let count = 0; count < 8; count++) hold(context, makeWindow(viewer.next + count, pieceCount));
    for (let index = 0; index < 9; index++) subscribers.onSubscribe(addNeighbour(context, `x${index}`), FIRST);
    assert.is(context.neighbours.values().filter(({ subscribed }) => subscribed === FIRST).length, fed);
  }
});

test('nobody feeds more than four copies in all, however wide the line is', () => {
  const { context, subscribers } = setUp();
  for (let index = 0; index < 6; index++) subscribers.onSubscribe(addNeighbour(context, `x${index}`), ALL_SUBSTREAMS);
  assert.equal(
    context.neighbours.values().map(({ subscribed }) => subscribed),
    [NO_SUBSTREAMS, ...new Array(4).fill(ALL_SUBSTREAMS), NO_SUBSTREAMS, NO_SUBSTREAMS],
  );
});

test('of a limited line a bit rate and a fifth are kept for those who ask', () => {
  const ratio = PARAMETERS.pushRatio + 0.01;
  const { context, subscribers } = setUp(limited(ratio));
  for (let index = 0; index < 3 * SUBSTREAMS; index++)
    subscribers.onSubscribe(addNeighbour(context, `x${index}`), 1 << (index % SUBSTREAMS));
  const fed = context.neighbours.values().filter(({ subscribed }) => subscribed !== NO_SUBSTREAMS).length;
  assert.is(fed, Math.ceil((ratio - 1.2) * SUBSTREAMS));
});

test('who subscribes is told what it gets, and how far that is from a publisher; what it has it keeps, and gives back by a smaller wish', () => {
  const { context, subscribers, source, feedings } = setUp();
  const x = addNeighbour(context, 'x');
  source.feed = { ...source.feed, depths: depths(2).map((depth, index) => (index === 5 ? DEPTH_UNKNOWN : depth)) };
  subscribers.onSubscribe(x, 0b110000);
  assert.equal(feedings(), [{ kind: 'feeding', to: 'x', substreams: 0b010000, depths: [3, 3, 3, 3, 3, DEPTH_UNKNOWN] }]);
  source.feed = { ...source.feed, depths: depths(DEPTH_UNKNOWN) };
  subscribers.onSubscribe(x, 0b010001);
  assert.equal(
    feedings().map(({ substreams }) => substreams),
    [0b010000],
  );
  subscribers.onSubscribe(x, NO_SUBSTREAMS);
  assert.equal([x.subscribed, feedings().map(({ substreams }) => substreams)], [NO_SUBSTREAMS, [NO_SUBSTREAMS]]);
});

test('what is new is sent to those who subscribed to it and lack it, as long as they read and are heard of', () => {
  const { context, subscribers, uploader, viewer } = setUp();
  const made = makeWindow(viewer.next, 6);
  const window = hold(context, made);
  const ids = ['lacks', 'of another', 'holds', 'blocked', 'quiet', 'not to see'];
  const [, other, holder, blocked, quiet] = ids.map((id) => addNeighbour(context, id));
  for (const { id, publisher } of context.neighbours.values()) {
    const neighbour = context.neighbours.get(id);
    if (neighbour && !publisher) neighbour.subscribed = 1 << substreamOf(window.number, 0);
  }
  if (other) other.subscribed = ALL_SUBSTREAMS & ~other.subscribed;
  holder?.map.update(false, 0, [availability(made, [0])]);
  if (blocked) blocked.blockedSinceMs = 0;
  if (quiet) quiet.lastHeardMs = context.nowMs - PARAMETERS.mapPeriodMs - 1_001;
  context.takeEffects();
  subscribers.feed(window, 0, ({ id }) => id !== 'not to see');
  assert.equal(
    sentOf(context.takeEffects(), 'piece').map(({ to, window, piece }) => [to, window, piece]),
    [['lacks', made.content.number, 0]],
  );
  if (blocked) blocked.blockedSinceMs = undefined;
  uploader.serve();
  assert.equal(sentOf(context.takeEffects(), 'piece'), [], 'nothing has been kept for who did not read');
});

test('where more than a quarter of what is to be fed is late, nobody is fed for ten seconds', () => {
  const uplink = limited(5);
  const { context, subscribers, uploader, viewer, feedings } = setUp(uplink);
  const x = addNeighbour(context, 'x');
  subscribers.onSubscribe(x, ALL_SUBSTREAMS);
  const window = hold(context, makeWindow(viewer.next, 8));
  for (const piece of [0, 1, 2]) subscribers.feed(window, piece);
  feedings();
  // Another channel has used up the line.
  uplink.take(1_000_000, context.nowMs);
  subscribers.feed(window, 3);
  context.nowMs += 501;
  uploader.serve();
  subscribers.review();
  assert.equal([x.subscribed, feedings().map(({ to, substreams }) => [to, substreams])], [NO_SUBSTREAMS, [['x', NO_SUBSTREAMS]]]);
  assert.is(subscribers.offeredTo(x), NO_SUBSTREAMS);
  context.nowMs += 9_999;
  subscribers.review();
  assert.is(subscribers.offeredTo(x), NO_SUBSTREAMS);
  context.nowMs += 1;
  x.lastToldMs = context.nowMs;
  assert.is(subscribers.offeredTo(x), ALL_SUBSTREAMS);
});

test('one late piece among many is no matter', () => {
  const uplink = limited(5);
  const { context, subscribers, uploader, viewer } = setUp(uplink);
  const x = addNeighbour(context, 'x');
  subscribers.onSubscribe(x, ALL_SUBSTREAMS);
  const window = hold(context, makeWindow(viewer.next, 8));
  for (const piece of [0, 1, 2, 3]) subscribers.feed(window, piece);
  uplink.take(1_000_000, context.nowMs);
  subscribers.feed(window, 4);
  context.nowMs += 501;
  uploader.serve();
  subscribers.review();
  assert.is(x.subscribed, ALL_SUBSTREAMS);
});

test('a feeder that never ceases to say how far it is from a publisher is passed on in time, and no oftener than a tick has it', () => {
  const { context, subscribers, source, feedings } = setUp();
  subscribers.onSubscribe(addNeighbour(context, 'x'), FIRST);
  subscribers.tellChanges();
  feedings();
  const flap = (times: number): number => {
    for (let time = 0; time < times; time++) {
      source.feed = { ...source.feed, depths: depths(time % 2) };
      subscribers.tellChanges();
    }
    return feedings().length;
  };
  assert.is(flap(4), 3, 'at once, and the first says what was known');
  assert.ok(flap(1_000) < 16);
  context.nowMs += PARAMETERS.tickMs;
  assert.is(flap(1_000), 1);
  source.feed = { ...source.feed, depths: depths(7) };
  subscribers.tellChanges();
  assert.is(feedings().length, 0);
  context.nowMs += PARAMETERS.tickMs;
  subscribers.tellChanges();
  assert.equal(
    feedings().map((said) => said.depths),
    [depths(8)],
    'the last word is passed on all the same',
  );
});

test('whose depth changes tells those who depend on it; who has lost a feeder tells every viewer that reads, for it asks them for news again', () => {
  const { context, subscriptions, subscribers, source } = setUp();
  subscribers.tellChanges();
  const [x] = ['x', 'y', 'blocked'].map((id) => addNeighbour(context, id));
  const blocked = context.neighbours.get('blocked') as Neighbour;
  blocked.blockedSinceMs = 0;
  subscribers.onSubscribe(x as Neighbour, FIRST);
  context.takeEffects();
  subscribers.tellChanges();
  assert.equal(context.takeEffects(), [], 'nothing has changed');
  source.feed = { ...source.feed, depths: depths(4) };
  subscribers.tellChanges();
  const moved = context.takeEffects();
  assert.equal(sentOf(moved, 'feeding'), [{ kind: 'feeding', to: 'x', substreams: FIRST, depths: depths(5) }]);
  assert.equal(sentOf(moved, 'map'), []);
  addNeighbour(context, 'other', true);
  context.neighbours.delete('source');
  subscriptions.dropPeer(source);
  subscribers.tellChanges();
  const lost = context.takeEffects();
  assert.equal(sentOf(lost, 'feeding'), [{ kind: 'feeding', to: 'x', substreams: FIRST, depths: depths(DEPTH_UNKNOWN) }]);
  assert.equal(
    sentOf(lost, 'map').map(({ to, full, feed }) => [to, full, feed]),
    ['x', 'y'].map((to) => [to, false, { ...NO_FEED, depths: depths(DEPTH_UNKNOWN) }]),
  );
});

test('a publisher offers each substream to one viewer at a time, to one after the other', () => {
  const { context, subscribers, viewers } = setUpPublisher();
  const offers = (): number[] => viewers.map((viewer) => subscribers.offeredTo(viewer));
  const seen = viewers.map(() => NO_SUBSTREAMS);
  for (let turn = 0; turn < viewers.length; turn++) {
    for (const [index, offered] of offers().entries()) seen[index] = (seen[index] ?? 0) | offered;
    assert.is(
      offers().reduce((sum, offered) => sum + offered, 0),
      ALL_SUBSTREAMS,
      'each to somebody, none to two',
    );
    context.nowMs += 2 * PARAMETERS.mapPeriodMs;
  }
  assert.equal(seen, [ALL_SUBSTREAMS, ALL_SUBSTREAMS, ALL_SUBSTREAMS]);
});

test('what a publisher feeds somebody it offers to nobody else, and that one is the taker of its pieces', () => {
  const { context, subscribers, viewers, viewer, feedings } = setUpPublisher();
  const [a] = viewers as [Neighbour];
  const offered = subscribers.offeredTo(a);
  subscribers.onSubscribe(a, ALL_SUBSTREAMS);
  assert.is(a.subscribed, offered, 'only its turn');
  assert.equal(feedings(), [{ kind: 'feeding', to: 'a', substreams: offered, depths: SOURCE_DEPTHS }]);
  for (let turn = 0; turn < 3; turn++) {
    context.nowMs += 2 * PARAMETERS.mapPeriodMs;
    for (const other of viewers.slice(1)) assert.is(subscribers.offeredTo(other) & offered, NO_SUBSTREAMS);
  }
  const window = hold(context, makeWindow(viewer.next, 6));
  for (let piece = 0; piece < 6; piece++) {
    const isTaken = (offered & (1 << substreamOf(window.number, piece))) !== 0;
    assert.is(subscribers.takerOf(window, piece), isTaken ? 'a' : undefined);
  }
});

test('a publisher feeds those who would feed others and pass on what they are dealt, and takes back what goes no further', () => {
  const { subscribers, viewers, viewer, idle, feedings } = setUpPublisher(new TokenBucket(0), ['a']);
  const [a] = viewers as [Neighbour];
  assert.is(subscribers.offeredTo(a), ALL_SUBSTREAMS);
  a.feed = NO_FEED;
  assert.is(subscribers.offeredTo(a), NO_SUBSTREAMS, 'it has no upload to spare');
  a.feed = { ...NO_FEED, offered: FIRST };
  idle.add('a');
  assert.is(subscribers.offeredTo(a), NO_SUBSTREAMS, 'it passes little on');
  idle.clear();
  subscribers.onSubscribe(a, ALL_SUBSTREAMS);
  feedings();
  subscribers.revoke('a');
  subscribers.revoke('nobody');
  assert.equal([a.subscribed, feedings().map(({ to, substreams }) => [to, substreams])], [NO_SUBSTREAMS, [['a', NO_SUBSTREAMS]]]);
  addNeighbour(viewer.context, 'fellow', true);
  assert.is(subscribers.offeredTo(a), NO_SUBSTREAMS, 'publishers share a window out among themselves');
});

test('a publisher that meets another one feeds nobody any more', () => {
  const { subscribers, viewers, viewer, feedings } = setUpPublisher(new TokenBucket(0), ['a']);
  const [a] = viewers as [Neighbour];
  subscribers.onSubscribe(a, ALL_SUBSTREAMS);
  feedings();
  subscribers.review();
  assert.equal([a.subscribed, feedings()], [ALL_SUBSTREAMS, []]);
  addNeighbour(viewer.context, 'fellow', true);
  subscribers.review();
  assert.equal([a.subscribed, feedings().map(({ to, substreams }) => [to, substreams])], [NO_SUBSTREAMS, [['a', NO_SUBSTREAMS]]]);
});

test('a publisher feeds everything once with half a bit rate to spare, and nothing with less', () => {
  for (const [ratio, offered] of [
    [1.49, NO_SUBSTREAMS],
    [1.51, ALL_SUBSTREAMS],
  ] as const) {
    const { subscribers, viewers } = setUpPublisher(limited(ratio), ['a']);
    assert.is(subscribers.offeredTo(viewers[0] as Neighbour), offered);
  }
  const { subscribers, context } = setUpPublisher(new TokenBucket(0), ['a']);
  const [a] = context.neighbours.values() as [Neighbour];
  subscribers.onSubscribe(a, ALL_SUBSTREAMS);
  assert.is(a.subscribed, ALL_SUBSTREAMS);
  assert.is(subscribers.offeredTo(addNeighbour(context, 'b')), NO_SUBSTREAMS);
});

test.run();
