import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Neighbour } from '../../../../src/relay/exchange/neighbour.js';
import { ALL_SUBSTREAMS, DEPTH_UNKNOWN, NO_SUBSTREAMS, SUBSTREAMS } from '../../../../src/relay/exchange/substreams.js';
import { hold, makeWindow, OWNER, PARAMETERS, STRANGER } from '../../../support/exchange-fixture.js';
import { FedViewer } from '../../../support/fed-viewer.js';

/** The first substream, and a window size with which every window has a piece of each. */
const FIRST = 1;
const PLENTY_MS = 2_000;
/** Before it knows better, a viewer waits so long for what is to be fed. */
const PATIENCE_MS = 450;
const ROUND_TRIP_MS = 40;
const depths = (depth: number): number[] => new Array<number>(SUBSTREAMS).fill(depth);
/** Of that window, the piece that is of the first substream. */
const pieceOf = (number: number): number => (SUBSTREAMS - (number % SUBSTREAMS)) % SUBSTREAMS;

/** A viewer that one neighbour has fed everything, or what it offers, for a while; the answer to its word has had its time. */
function setUpFed(offered = ALL_SUBSTREAMS) {
  const viewer = new FedViewer();
  const feeder = viewer.offer('feeder', { roundTripMs: ROUND_TRIP_MS, offered });
  viewer.pass(100);
  viewer.told();
  viewer.pass(100);
  return { viewer, feeder, ...viewer };
}

/** A window is heard of, and opened, and nothing comes of the first substream for as long as anybody waits. */
function missOne({ context, subscriptions, next }: FedViewer, ahead = 0): void {
  const number = next + ahead;
  subscriptions.noteHeard(number);
  const pieces = Array.from({ length: SUBSTREAMS }, (_, piece) => piece).filter((piece) => piece !== pieceOf(number));
  hold(context, makeWindow(number, SUBSTREAMS), pieces);
}

test('whoever is nearest to a publisher is asked for everything, in one word, and of those that are as near the one with the shortest way', () => {
  const viewer = new FedViewer();
  viewer.offer('far', { depth: 3, roundTripMs: 5 });
  viewer.offer('near', { depth: 1, roundTripMs: 90 });
  viewer.offer('nearest', { depth: 1, roundTripMs: 30 });
  viewer.offer('like it', { depth: 1, roundTripMs: 30 });
  viewer.subscriptions.check();
  assert.equal(viewer.told(), [['nearest', ALL_SUBSTREAMS]]);
  assert.equal([viewer.subscriptions.fed, viewer.subscriptions.rooted], [ALL_SUBSTREAMS, ALL_SUBSTREAMS]);
  assert.equal(viewer.subscriptions.depths, depths(2));
});

for (const [title, spoil] of [
  ['does not read what it is sent', (feeder) => (feeder.blockedSinceMs = 0)],
  ['is shunned', (feeder, nowMs) => (feeder.shunnedUntilMs = nowMs + 1)],
  ['has been silent', (feeder, nowMs) => (feeder.lastHeardMs = nowMs - PARAMETERS.mapPeriodMs - 1_001)],
  ['has sent a bad piece', (feeder) => (feeder.badPieces = 1)],
  ['is fed the same by us', (feeder) => (feeder.subscribed = ALL_SUBSTREAMS)],
  ['offers nothing', (feeder) => (feeder.feed = { ...feeder.feed, offered: NO_SUBSTREAMS })],
  ['does not know how far it is from a publisher', (feeder) => (feeder.feed = { ...feeder.feed, depths: depths(DEPTH_UNKNOWN) })],
] as readonly [string, (feeder: Neighbour, nowMs: number) => unknown][])
  test(`nobody is asked to feed that ${title}`, () => {
    const viewer = new FedViewer();
    const feeder = viewer.offer('x');
    spoil(feeder, viewer.context.nowMs);
    viewer.subscriptions.check();
    assert.equal(viewer.told(), []);
    viewer.offer('y', { depth: 9 });
    viewer.subscriptions.check();
    assert.equal(viewer.told(), [['y', ALL_SUBSTREAMS]], 'farther away, and better all the same');
  });

test('whoever we feed some of it may feed us the rest', () => {
  const viewer = new FedViewer();
  viewer.offer('x').subscribed = 0b100100;
  viewer.subscriptions.check();
  assert.equal(viewer.told(), [['x', 0b011011]]);
});

test('somebody on trial feeds one substream, and the others once it has sent something good', () => {
  const viewer = new FedViewer();
  const feeder = viewer.offer('x', { onTrial: true });
  viewer.pass(500);
  assert.equal(viewer.told(), [['x', FIRST]]);
  feeder.succeeded();
  viewer.pass(100);
  assert.equal(viewer.told(), [['x', ALL_SUBSTREAMS]]);
});

test('nobody is asked before the first window has been played, nor with next to nothing in hand, nor where everything is pulled', () => {
  for (const [viewer, isAsked] of [
    [new FedViewer({}, 0), false],
    [new FedViewer({ parameters: { ...PARAMETERS, pushRatio: 0 } }), false],
    [new FedViewer(), true],
  ] as const) {
    viewer.offer('x');
    viewer.subscriptions.check();
    assert.is(viewer.told().length > 0, isAsked);
  }
  const viewer = new FedViewer();
  viewer.context.nowMs = viewer.playout.deadlineMs(viewer.next, 0) - 499;
  viewer.offer('x');
  viewer.subscriptions.check();
  assert.equal(viewer.told(), []);
});

test('what is to be fed is awaited, but not for longer than patience lasts, nor with little slack, nor what nobody feeds', () => {
  const { viewer, subscriptions, feeder } = setUpFed(FIRST);
  const { next, context } = viewer;
  const awaits = (slackMs = PLENTY_MS, showing: readonly Neighbour[] = [feeder], piece = pieceOf(next)): boolean =>
    subscriptions.awaits(next, piece, slackMs, showing);
  assert.not(awaits(), 'nobody has spoken of the window yet');
  subscriptions.noteHeard(next);
  assert.equal([awaits(), awaits(500), awaits(499), awaits(PLENTY_MS, [feeder], pieceOf(next) + 1)], [true, true, false, false]);
  context.nowMs += PATIENCE_MS - 1;
  subscriptions.noteHeard(next);
  assert.ok(awaits());
  context.nowMs += 1;
  assert.not(awaits(), 'that it was heard of again is no news');
});

test('what a publisher shows that does not feed it is not awaited: it may have dealt it to us alone', () => {
  const { viewer, subscriptions, feeder } = setUpFed();
  const { next } = viewer;
  const publisher = viewer.offer('publisher', { publisher: true, depth: 0 });
  subscriptions.noteHeard(next);
  assert.ok(subscriptions.awaits(next, 0, PLENTY_MS, [feeder]));
  assert.not(subscriptions.awaits(next, 0, PLENTY_MS, [feeder, publisher]));
  feeder.publisher = true;
  assert.ok(subscriptions.awaits(next, 0, PLENTY_MS, [feeder]), 'its own feeder it may be');
});

test('windows that were spoken of before the feeder can have known of us are not awaited', () => {
  const viewer = new FedViewer();
  const feeder = viewer.offer('feeder', { roundTripMs: ROUND_TRIP_MS });
  viewer.subscriptions.check();
  const { context, subscriptions, next } = viewer;
  context.nowMs += ROUND_TRIP_MS - 1;
  subscriptions.noteHeard(next);
  context.nowMs += 1;
  subscriptions.noteHeard(next + 1);
  assert.equal(
    [next, next + 1].map((number) => subscriptions.awaits(number, 0, PLENTY_MS, [feeder])),
    [false, true],
  );
});

test('a feeder that is quick is waited for less, and never less than a fifth of a second', () => {
  const { viewer, subscriptions, feeder } = setUpFed(FIRST);
  const { context } = viewer;
  const patienceMs = (number: number): number => {
    subscriptions.noteHeard(number);
    const fromMs = context.nowMs;
    while (subscriptions.awaits(number, pieceOf(number), PLENTY_MS, [feeder])) context.nowMs += 1;
    return context.nowMs - fromMs;
  };
  assert.is(patienceMs(viewer.next), PATIENCE_MS);
  let shortest = PATIENCE_MS;
  for (let time = 0; time < 30; time++) {
    viewer.pass(100);
    subscriptions.noteHeard(viewer.next);
    context.nowMs += 20;
    subscriptions.noteFed(feeder, viewer.next, pieceOf(viewer.next));
    shortest = patienceMs(viewer.next + 1);
    viewer.play();
    viewer.play();
  }
  assert.is(shortest, 200);
});

test('two windows in a row of which its piece did not come end a feeder, and one does not', () => {
  const { viewer, subscriptions, feeder } = setUpFed(FIRST);
  missOne(viewer);
  viewer.pass(PATIENCE_MS + 50);
  assert.is(subscriptions.fed, FIRST);
  missOne(viewer, 1);
  viewer.pass(PATIENCE_MS + 50);
  assert.is(subscriptions.fed, NO_SUBSTREAMS);
  assert.equal(viewer.told(), [['feeder', NO_SUBSTREAMS]]);
  assert.ok(feeder.shunnedUntilMs > viewer.context.nowMs);
});

test('a piece that came in between makes up for one that did not', () => {
  const { viewer, subscriptions, feeder } = setUpFed(FIRST);
  for (const ahead of [0, 1, 2]) {
    missOne(viewer, ahead);
    viewer.pass(PATIENCE_MS + 50);
    subscriptions.noteFed(feeder, viewer.next + 3, pieceOf(viewer.next + 3));
  }
  assert.is(subscriptions.fed, FIRST);
});

test('a piece that comes when it has been missed already makes up for nothing', () => {
  const { viewer, subscriptions, feeder } = setUpFed(FIRST);
  for (const ahead of [0, 1]) {
    const number = viewer.next + ahead;
    assert.is(subscriptions.fed, FIRST);
    missOne(viewer, ahead);
    viewer.pass(PATIENCE_MS + 50);
    subscriptions.noteFed(feeder, number, pieceOf(number));
  }
  assert.is(subscriptions.fed, NO_SUBSTREAMS);
});

test('a window that has become whole, or of which other pieces are missing, is held against nobody', () => {
  const { viewer, subscriptions } = setUpFed(FIRST);
  for (const ahead of [0, 1, 2, 3]) {
    const number = viewer.next + ahead;
    subscriptions.noteHeard(number);
    hold(viewer.context, makeWindow(number, SUBSTREAMS), ahead % 2 === 0 ? undefined : [pieceOf(number)]);
  }
  viewer.pass(1_000);
  assert.is(subscriptions.fed, FIRST);
});

test('one that has said nothing at all since the first word of a window is left at the first piece that does not come', () => {
  const { viewer, subscriptions, feeder } = setUpFed(FIRST);
  viewer.silent.add(feeder);
  viewer.pass(100);
  missOne(viewer);
  viewer.pass(PATIENCE_MS + 50);
  assert.is(subscriptions.fed, NO_SUBSTREAMS);
});

test('whoever failed is left alone for eight seconds, twice as long the next time, and at most for about four minutes', () => {
  for (const [failedBefore, restMs] of [
    [0, 8_000],
    [1, 16_000],
    [4, 128_000],
    [5, 256_000],
    [20, 256_000],
  ] as const) {
    const { viewer, subscriptions, feeder } = setUpFed(FIRST);
    feeder.failedFeeds = failedBefore;
    viewer.silent.add(feeder);
    viewer.pass(100);
    const number = viewer.next;
    missOne(viewer);
    viewer.pass(PATIENCE_MS + 50);
    assert.equal([subscriptions.fed, feeder.failedFeeds], [NO_SUBSTREAMS, failedBefore + 1]);
    assert.is(feeder.shunnedUntilMs - viewer.context.nowMs, restMs);
    // What was missed is pulled, or nothing more could be played.
    hold(viewer.context, makeWindow(number, SUBSTREAMS));
    viewer.silent.delete(feeder);
    viewer.pass(restMs - 1);
    assert.is(subscriptions.fed, NO_SUBSTREAMS);
    viewer.pass(100);
    assert.is(subscriptions.fed, FIRST, 'its time is over');
  }
});

test('what failed before is forgotten of whoever fed us for half a minute before it failed', () => {
  for (const [fedMs, failed] of [
    [20_000, 4],
    [31_000, 1],
  ] as const) {
    const { viewer, subscriptions, feeder } = setUpFed(FIRST);
    feeder.failedFeeds = 3;
    viewer.pass(fedMs);
    viewer.silent.add(feeder);
    viewer.pass(100);
    missOne(viewer, 3);
    viewer.pass(PATIENCE_MS + 50);
    assert.equal([subscriptions.fed, feeder.failedFeeds], [NO_SUBSTREAMS, failed]);
  }
});

test('a feeder that is not fed all the way from a publisher any more is left after two seconds, and may come back at once', () => {
  const { viewer, subscriptions, feeder } = setUpFed(FIRST);
  feeder.feed = { ...feeder.feed, offered: NO_SUBSTREAMS, depths: depths(DEPTH_UNKNOWN) };
  viewer.pass(2_000);
  assert.is(subscriptions.fed, FIRST);
  viewer.pass(200);
  assert.equal([subscriptions.fed, feeder.feeds, feeder.shunnedUntilMs], [NO_SUBSTREAMS, NO_SUBSTREAMS, 0]);
  feeder.feed = { ...feeder.feed, offered: FIRST, depths: depths(1) };
  viewer.pass(600);
  assert.is(subscriptions.fed, FIRST);
});

test('whoever will not is left alone for two seconds, however often', () => {
  const { viewer, subscriptions, feeder } = setUpFed(FIRST);
  for (let time = 0; time < 3; time++) {
    subscriptions.onFeeding(feeder, NO_SUBSTREAMS, depths(1));
    assert.equal([subscriptions.fed, feeder.shunnedUntilMs - viewer.context.nowMs], [NO_SUBSTREAMS, 2_000]);
    viewer.context.nowMs = feeder.shunnedUntilMs - 1;
    viewer.pass(1);
    assert.is(subscriptions.fed, FIRST);
  }
});

test('whoever feeds less than is wanted is shunned, and whoever says that it feeds more is told what is wanted', () => {
  const { viewer, subscriptions, feeder } = setUpFed();
  viewer.told();
  subscriptions.onFeeding(feeder, 0b000111, depths(2));
  assert.equal([subscriptions.fed, feeder.feeds, viewer.told()], [0b000111, 0b000111, []]);
  assert.ok(feeder.shunnedUntilMs > viewer.context.nowMs);
  subscriptions.onFeeding(feeder, 0b001111, depths(2));
  assert.equal([subscriptions.fed, viewer.told()], [0b000111, [['feeder', 0b000111]]]);
  assert.equal(subscriptions.depths.slice(0, 4), [3, 3, 3, DEPTH_UNKNOWN]);
});

test('what a feeder still had in its queue when it said that it feeds no more is taken for fed', () => {
  const { viewer, feeder, subscriptions } = setUpFed();
  feeder.feed = { ...feeder.feed, offered: NO_SUBSTREAMS };
  subscriptions.onFeeding(feeder, NO_SUBSTREAMS, depths(1));
  assert.is(subscriptions.fed, NO_SUBSTREAMS);
  assert.ok(subscriptions.isFedBy(feeder, viewer.next, 0));
  viewer.pass(3_000);
  assert.not(subscriptions.isFedBy(feeder, viewer.next, 0));
});

test('who says that it feeds us unbidden does not, and what it sends is not taken for fed', () => {
  const viewer = new FedViewer();
  const stranger = viewer.offer('x');
  viewer.subscriptions.onFeeding(stranger, ALL_SUBSTREAMS, depths(0));
  assert.equal([viewer.subscriptions.fed, viewer.told()], [NO_SUBSTREAMS, [['x', NO_SUBSTREAMS]]]);
  assert.not(viewer.subscriptions.isFedBy(stranger, viewer.next, 0));
});

test('who has lost its feeder takes at once only somebody nearer to a publisher than it was, and others when they have heard of the loss', () => {
  const { viewer, subscriptions, feeder } = setUpFed();
  viewer.offer('below', { depth: 2 });
  viewer.context.neighbours.delete(feeder.id);
  subscriptions.dropPeer(feeder);
  assert.equal([subscriptions.fed, subscriptions.rooted], [NO_SUBSTREAMS, NO_SUBSTREAMS]);
  viewer.pass(500);
  assert.equal(viewer.told(), [], 'it may have it from us');
  viewer.pass(1);
  assert.equal(viewer.told(), [['below', ALL_SUBSTREAMS]]);

  const other = setUpFed();
  other.viewer.offer('above', { depth: 1 });
  other.context.neighbours.delete(other.feeder.id);
  other.subscriptions.dropPeer(other.feeder);
  other.viewer.pass(1);
  assert.equal(other.viewer.told(), [['above', ALL_SUBSTREAMS]]);
});

test('after a while somebody nearer is taken instead, one substream at a time, and nobody who is only as near', () => {
  const viewer = new FedViewer();
  const feeder = viewer.offer('feeder', { depth: 3 });
  viewer.pass(100);
  viewer.told();
  viewer.offer('as near', { depth: 3, roundTripMs: 1 });
  viewer.pass(6_000);
  assert.equal(viewer.told(), []);
  const nearer = viewer.offer('nearer', { depth: 2 });
  viewer.pass(400);
  assert.equal(
    viewer.told().map(([to]) => to),
    ['feeder', 'nearer'],
  );
  viewer.pass(3_000);
  assert.equal([feeder.feeds, nearer.feeds], [NO_SUBSTREAMS, ALL_SUBSTREAMS]);
  const number = viewer.next;
  assert.ok(viewer.subscriptions.isFedBy(feeder, number, 0), 'it may be on its way');
  viewer.silent.add(nearer);
  viewer.pass(3_000);
  assert.not(viewer.subscriptions.isFedBy(feeder, number, 0));
});

test('a feeder is kept for three seconds, even if somebody nearer comes: who changes has some pieces twice', () => {
  const viewer = new FedViewer();
  viewer.offer('feeder', { depth: 3 });
  viewer.pass(100);
  viewer.told();
  viewer.offer('nearer', { depth: 1 });
  viewer.pass(3_000);
  assert.equal(viewer.told(), []);
  viewer.pass(500);
  assert.is(viewer.told().length, 2);
});

test('numbers far ahead, or of what has been played, are not remembered', () => {
  const { viewer, subscriptions, feeder } = setUpFed();
  const { highest } = viewer.context.buffer;
  const isRemembered = (number: number): boolean => {
    subscriptions.noteHeard(number);
    return subscriptions.awaits(number, 0, PLENTY_MS, [feeder]);
  };
  assert.equal([highest + 1, highest + 8, highest + 9, 0xffff_ffff].map(isRemembered), [true, true, false, false]);
  assert.equal([viewer.playout.playedOut, 0].map(isRemembered), [false, false]);
  assert.equal(
    [highest + 8, highest + 9].map((number) => subscriptions.takes(number)),
    [true, false],
  );
  subscriptions.noteFed(feeder, highest + 9, 0);
  assert.not(subscriptions.awaits(highest + 9, 0, PLENTY_MS, [feeder]));
});

test('where publishers contradict each other everybody is left, and nobody is asked to feed', () => {
  const { viewer, subscriptions, feeder } = setUpFed();
  viewer.told();
  viewer.lineage.settle([OWNER.publicKey, STRANGER.publicKey], viewer.next);
  viewer.pass(100);
  assert.equal([subscriptions.fed, viewer.told()], [NO_SUBSTREAMS, [['feeder', NO_SUBSTREAMS]]]);
  assert.is(feeder.failedFeeds, 0, 'it has done nothing wrong');
  viewer.pass(1_000);
  assert.equal(viewer.told(), []);
});

test.run();
