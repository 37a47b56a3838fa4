import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Announcer } from '../../../../src/relay/exchange/announcer.js';
import { Lineage } from '../../../../src/relay/exchange/lineage.js';
import { PendingWindows } from '../../../../src/relay/exchange/pending-windows.js';
import { Playout } from '../../../../src/relay/exchange/playout.js';
import { Receiver } from '../../../../src/relay/exchange/receiver.js';
import { Requester } from '../../../../src/relay/exchange/requester.js';
import { signRevocationList } from '../../../../src/relay/exchange/revocation-list.js';
import { Subscribers } from '../../../../src/relay/exchange/subscribers.js';
import { Subscriptions } from '../../../../src/relay/exchange/subscriptions.js';
import { ALL_SUBSTREAMS, NO_FEED, substreamOf } from '../../../../src/relay/exchange/substreams.js';
import { Uploader } from '../../../../src/relay/exchange/uploader.js';
import { WindowShares } from '../../../../src/relay/exchange/window-shares.js';
import {
  addNeighbour,
  availability,
  CERTIFICATE,
  CHANNEL,
  certify,
  DAY_MS,
  makeContext,
  makeWindow,
  OWNER,
  PARAMETERS,
  PIECE_BYTES,
  PUBLISHER,
  STRANGER,
  sentOf,
  WALL_MS,
} from '../../../support/exchange-fixture.js';

const MADE = makeWindow(4);

/** Everything of window 4 has been asked of `x`, its manifest included. */
function setUp() {
  const context = makeContext({}, 1_000);
  const pending = new PendingWindows();
  const playout = new Playout(PARAMETERS, context.buffer, () => false);
  playout.moveTo(4);
  const lineage = new Lineage(context);
  const subscriptions = new Subscriptions(context, playout, lineage);
  const requester = new Requester({ context, playout, pending, lineage, subscriptions });
  const receiver = new Receiver({
    context,
    announcer: new Announcer(context, new WindowShares(PARAMETERS.revealMs), () => NO_FEED),
    requester,
    pending,
    lineage,
    subscriptions,
    subscribers: new Subscribers({ context, uploader: new Uploader(context), subscriptions, passesOn: () => true }),
  });
  const x = addNeighbour(context, 'x');
  x.map.update(true, 0, [availability(MADE)]);
  requester.plan();
  context.takeEffects();
  const give = (piece: number, payload = MADE.pieces[piece] as Uint8Array, from = x): void => receiver.onPiece(from, 4, piece, payload);
  return { context, pending, requester, receiver, x, give };
}

const bad = (): Uint8Array => new Uint8Array(PIECE_BYTES);

test('pieces are kept when their hash matches, copied, announced, and counted by whom they came from', () => {
  const { context, receiver, x, give } = setUp();
  const y = addNeighbour(context, 'y');
  receiver.onManifest(x, MADE.manifest.bytes, 100, 0);
  const payload = (MADE.pieces[1] as Uint8Array).slice();
  give(1, payload);
  payload.fill(0);
  assert.equal(context.buffer.get(4)?.piece(1), MADE.pieces[1]);
  assert.ok(context.deliverDue && context.planDue);
  assert.is(sentOf(context.takeEffects(), 'map').filter(({ to }) => to === 'y').length, 1);
  assert.equal([receiver.fromPeersBytes, receiver.fromPublishersBytes, y.news.size], [PIECE_BYTES, 0, 0]);
});

test('pieces that come before the manifest wait for it, unannounced', () => {
  const { context, pending, receiver, x, give } = setUp();
  give(0);
  assert.is(context.buffer.get(4), undefined);
  assert.ok(pending.has(4, 0));
  assert.equal(
    context.takeEffects().filter(({ kind }) => kind === 'send'),
    [],
  );
  receiver.onManifest(x, MADE.manifest.bytes, 0, 0);
  assert.ok(context.buffer.get(4)?.held.has(0));
  assert.is(pending.count, 0);
});

test('pieces of another content are held against who names ours, and who has named the other by then pays for each', () => {
  for (const isSaid of [true, false]) {
    const { context, receiver, requester, x, give } = setUp();
    receiver.onManifest(addNeighbour(context, 'y'), MADE.manifest.bytes, 0, 0);
    if (isSaid) x.map.update(false, 0, [{ ...availability(MADE), version: MADE.manifest.version + 1 }]);
    for (const piece of [0, 1]) give(piece, bad());
    assert.equal([receiver.badPieces, x.badPieces, context.takeAccused().length], isSaid ? [0, 0, 0] : [2, 2, 1]);
    assert.equal([x.brokenPromises, x.unjudged], isSaid ? [2, 2] : [0, 0]);
    requester.onNews(x, 4);
    assert.is(context.buffer.get(4)?.held.count, 0);
  }
});

test('the age of a window goes back to when it was cut', () => {
  const { context, receiver, x } = setUp();
  receiver.onManifest(x, MADE.manifest.bytes, 700, 0);
  const originMs = context.buffer.get(4)?.originMs ?? 0;
  assert.ok(originMs <= 300 && originMs > 100);
});

test('the second bad piece is an offence, the first is not', () => {
  const { context, receiver, x, give } = setUp();
  receiver.onManifest(x, MADE.manifest.bytes, 0, 0);
  give(0, bad());
  assert.equal(context.takeAccused(), []);
  assert.not(x.map.holds(4, 1));
  give(1, bad());
  assert.is(context.takeAccused()[0]?.[0], x);
  assert.equal([receiver.badPieces, context.buffer.get(4)?.held.count], [2, 0]);
});

for (const [title, payload] of [
  ['too short', (MADE.pieces[0] as Uint8Array).subarray(1)],
  ['too long', new Uint8Array(PIECE_BYTES + 1)],
  ['empty', new Uint8Array()],
] as const) {
  test(`a piece that is ${title} is bad`, () => {
    const { receiver, x, give } = setUp();
    receiver.onManifest(x, MADE.manifest.bytes, 0, 0);
    give(0, payload);
    assert.is(receiver.badPieces, 1);
  });
}

test('a second copy counts as bad when it differs from what is here', () => {
  const { receiver, x, give, context } = setUp();
  const [y, z] = [addNeighbour(context, 'y'), addNeighbour(context, 'z')];
  receiver.onManifest(x, MADE.manifest.bytes, 0, 0);
  give(0);
  give(0, MADE.pieces[0], y);
  give(0, bad(), z);
  assert.equal([y.badPieces, z.badPieces, receiver.badPieces, receiver.duplicateBytes], [0, 1, 1, 2 * PIECE_BYTES]);
});

test('a piece larger than any is not even kept for later', () => {
  const { pending, receiver, give } = setUp();
  give(0, new Uint8Array(PIECE_BYTES + 1));
  assert.equal([receiver.badPieces, pending.sizeBytes], [1, 0]);
});

test('of somebody who sent bad pieces before the manifest, no more than two are looked at', () => {
  const { context, receiver, x, give } = setUp();
  const y = addNeighbour(context, 'y');
  for (const piece of [0, 1, 2]) give(piece, bad());
  receiver.onManifest(y, MADE.manifest.bytes, 0, 0);
  assert.is(receiver.badPieces, 2);
  assert.equal(
    context.takeAccused().map(([neighbour]) => neighbour),
    [x],
  );
});

const SELF_MADE = certify({ key: STRANGER.publicKey }, STRANGER);
const EXPIRED = certify({ untilMs: WALL_MS - DAY_MS / 2 });
const shifted = CHANNEL.replace('c', 'd');
for (const [title, bytes] of [
  ['a stranger signed', makeWindow(4, 3, {}, STRANGER).manifest.bytes],
  ['a stranger signed with a certificate of its own', makeWindow(4, 3, {}, STRANGER, CHANNEL, SELF_MADE).manifest.bytes],
  ["a stranger signed with a publisher's certificate", makeWindow(4, 3, {}, STRANGER, CHANNEL, CERTIFICATE).manifest.bytes],
  ['a publisher signed whose certificate has expired', makeWindow(4, 3, {}, PUBLISHER, CHANNEL, EXPIRED).manifest.bytes],
  ['the owner signed for another channel', makeWindow(4, 3, {}, undefined, shifted).manifest.bytes],
  ['is not signed', MADE.manifest.bytes.slice().fill(0, -64)],
] as const) {
  test(`a manifest that ${title} is refused, its sender is not asked again, and the second one is a ban`, () => {
    const { context, pending, requester, receiver, x } = setUp();
    receiver.onManifest(x, bytes, 0, 0);
    assert.equal([context.takeAccused(), context.buffer.count, x.outstanding], [[], 0, 0]);
    assert.not(x.map.get(4));
    assert.not(requester.awaits(4));
    assert.ok(pending.wantsManifest(4, 300, context.nowMs), 'others are asked at once');
    receiver.onManifest(x, bytes, 0, 0);
    assert.is(context.takeAccused()[0]?.[1].kind, 'misbehaved');
    assert.is(context.buffer.count, 0);
  });
}

test('a manifest that makes no sense is a ban at once', () => {
  const { context, receiver, x } = setUp();
  receiver.onManifest(x, MADE.manifest.bytes.subarray(0, 50), 0, 0);
  assert.is(context.takeAccused().length, 1);
});

for (const [title, certificate] of [
  ['is not valid yet', certify({ fromMs: WALL_MS + 1 })],
  ['expired a moment ago, by our clock', certify({ untilMs: WALL_MS - 1_000 })],
] as const) {
  test(`a certificate that ${title} is refused, and nobody is to blame`, () => {
    const { context, receiver, x } = setUp();
    const { bytes } = makeWindow(4, 3, {}, PUBLISHER, CHANNEL, certificate).manifest;
    for (let count = 0; count < 5; count++) receiver.onManifest(x, bytes, 0, 0);
    assert.equal([context.takeAccused(), context.buffer.count], [[], 0]);
  });
}

test('what a withdrawn publisher signed is refused, and held against whoever had read the list before', () => {
  const { bytes } = makeWindow(4, 3, {}, PUBLISHER, CHANNEL, CERTIFICATE).manifest;
  const list = signRevocationList(9, [{ key: PUBLISHER.publicKey, sinceMs: WALL_MS }], CHANNEL, OWNER);
  const before = setUp();
  before.context.authority.accept(list);
  before.x.toldSerial = 9;
  for (let count = 0; count < 3; count++) before.receiver.onManifest(before.x, bytes, 0, 0);
  assert.equal([before.context.takeAccused(), before.context.buffer.count], [[], 0], 'it had been asked before it was told');
  const after = setUp();
  after.context.authority.accept(list);
  after.x.toldSerial = 9;
  after.receiver.onManifest(after.x, bytes, 0, 0);
  for (let count = 0; count < 2; count++) {
    after.x.noteManifestAsked(4);
    after.receiver.onManifest(after.x, bytes, 0, 0);
  }
  assert.is(after.context.takeAccused().length, 1);
});

test('a delegated publisher is taken like the owner, but not an old window of it, nor a piece of another', () => {
  const { context, receiver, x, give } = setUp();
  const made = (number: number) => makeWindow(number, 3, {}, PUBLISHER, CHANNEL, CERTIFICATE);
  receiver.onManifest(x, made(3).manifest.bytes, 0, 0);
  assert.is(context.buffer.count, 0, 'window 3 was not asked for');
  receiver.onManifest(x, made(4).manifest.bytes, 0, 0);
  assert.equal(context.buffer.get(4)?.manifest.signer, PUBLISHER.publicKey);
  give(0, made(3).pieces[0] as Uint8Array);
  give(1, made(4).pieces[0] as Uint8Array);
  assert.is(context.takeAccused().length, 1);
  assert.is(context.buffer.get(4)?.held.count, 0);
});

test('a manifest that nobody asked for, or of a window that is not wanted any more, is not looked at', () => {
  const { context, receiver, x } = setUp();
  receiver.onManifest(x, makeWindow(9, 3, {}, STRANGER).manifest.bytes, 0, 0);
  receiver.onManifest(x, makeWindow(4, 3, {}, STRANGER).manifest.bytes, 0, 5);
  assert.equal([context.takeAccused(), context.buffer.count], [[], 0]);
});

test('a late answer is good when there is something to check it against, and ignored when there is not', () => {
  const { context, requester, receiver, x, give } = setUp();
  requester.abandonBelow(5);
  give(0);
  assert.not(context.buffer.get(4));
  assert.is(x.unjudged, 1);
  receiver.onManifest(x, MADE.manifest.bytes, 0, 0);
  give(0);
  give(0);
  assert.ok(context.buffer.get(4)?.held.has(0));
  assert.is(receiver.duplicateBytes, PIECE_BYTES);
});

test('a flood of pieces that nobody asked for is an offence', () => {
  const { context, receiver, x } = setUp();
  for (let count = 0; count < 300; count++) receiver.onPiece(x, 77, count, new Uint8Array(10));
  assert.is(context.takeAccused().length, 1);
});

test('what a publisher sent is counted apart', () => {
  const { receiver, x, give } = setUp();
  x.publisher = true;
  receiver.onManifest(x, MADE.manifest.bytes, 0, 0);
  give(0);
  assert.is(receiver.fromPublishersBytes, PIECE_BYTES);
});

const FED = makeWindow(5);

test('what is fed was not asked for and is not held against its sender, with its manifest or before it', () => {
  const { context, pending, receiver, x } = setUp();
  const y = addNeighbour(context, 'y');
  x.feeds = ALL_SUBSTREAMS;
  for (const neighbour of [y, x]) receiver.onPiece(neighbour, 5, 1, FED.pieces[1] as Uint8Array);
  assert.equal([x.unasked, y.unasked, x.unjudged, y.unjudged], [0, 1, 0, 1]);
  assert.ok(pending.has(5, 1));
  receiver.onManifest(y, FED.manifest.bytes, 0, 0);
  const window = context.buffer.get(5);
  assert.ok(window?.held.has(1));
  receiver.onPiece(x, 5, 2, FED.pieces[2] as Uint8Array);
  assert.ok(window?.held.has(2));
  assert.equal([x.unasked, x.onTrial, receiver.fromPeersBytes], [0, false, PIECE_BYTES + (FED.pieces[2]?.length ?? 0)]);
});

test('the manifest of a window is taken unasked from whoever feeds anything, and from nobody else', () => {
  const { context, receiver, x } = setUp();
  receiver.onManifest(x, FED.manifest.bytes, 0, 0);
  // Of the publisher that is followed: the newest window here is its own.
  receiver.onManifest(x, MADE.manifest.bytes, 0, 0);
  assert.is(context.buffer.get(5), undefined);
  x.feeds = 1 << substreamOf(5, 3);
  receiver.onManifest(x, FED.manifest.bytes, 0, 0);
  assert.ok(context.buffer.get(5));
});

test('of somebody on trial two pieces are kept before the manifest, and the rest thrown away unjudged', () => {
  const { context, pending, receiver, x } = setUp();
  receiver.onManifest(x, MADE.manifest.bytes, 0, 0);
  const known = addNeighbour(context, 'known');
  known.succeeded();
  for (const neighbour of [x, known]) neighbour.feeds = ALL_SUBSTREAMS;
  const [five, six] = [5, 6].map((number) => makeWindow(number, 6)) as [typeof FED, typeof FED];
  for (const piece of [0, 1, 2]) receiver.onPiece(x, 5, piece, five.pieces[piece] as Uint8Array);
  for (const piece of [0, 1, 2]) receiver.onPiece(known, 6, piece, six.pieces[piece] as Uint8Array);
  assert.equal([pending.countFrom('x'), x.unjudged, x.badPieces, x.unasked], [2, 1, 0, 0]);
  assert.equal([pending.countFrom('known'), known.unjudged], [3, 0]);
  receiver.onManifest(x, five.manifest.bytes, 0, 0);
  assert.is(context.buffer.get(5)?.held.count, 2);
  receiver.onPiece(x, 5, 2, five.pieces[2] as Uint8Array);
  assert.is(context.buffer.get(5)?.held.count, 3, 'with the manifest here there is something to check it against');
});

test('what is sent as fed of windows far ahead counts as a flood', () => {
  const { context, pending, receiver, x } = setUp();
  x.feeds = ALL_SUBSTREAMS;
  for (let number = 1_000; number < 1_300; number++) receiver.onPiece(x, number, 0, new Uint8Array(10));
  assert.is(pending.sizeBytes, 0);
  assert.is(context.takeAccused().length, 1);
});

test('a piece that is new here goes on to whoever is fed by us', () => {
  const { context, receiver, x, give } = setUp();
  const y = addNeighbour(context, 'y');
  y.subscribed = 1 << substreamOf(4, 1);
  receiver.onManifest(x, MADE.manifest.bytes, 0, 0);
  for (const piece of [0, 1]) give(piece);
  assert.equal(
    sentOf(context.takeEffects(), 'piece').map(({ to, window, piece }) => [to, window, piece]),
    [['y', 4, 1]],
  );
});

test.run();
