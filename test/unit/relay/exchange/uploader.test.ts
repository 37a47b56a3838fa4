import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Bitfield } from '../../../../src/kernel/bitfield.js';
import { TokenBucket } from '../../../../src/kernel/token-bucket.js';
import { CERTIFICATE_BYTES } from '../../../../src/relay/exchange/certificate.js';
import { Uploader } from '../../../../src/relay/exchange/uploader.js';
import type { BufferedWindow } from '../../../../src/relay/exchange/window-buffer.js';
import {
  addNeighbour,
  CHANNEL,
  certify,
  hold,
  makeContext,
  makeWindow,
  OWNER,
  PARAMETERS,
  PIECE_BYTES,
  PUBLISHER,
  sentOf,
  WALL_MS,
} from '../../../support/exchange-fixture.js';

const request = (window: number, pieces: readonly number[], more: { wantManifest?: boolean; patienceMs?: number } = {}) =>
  ({ kind: 'request', window, pieces, wantManifest: more.wantManifest ?? false, patienceMs: more.patienceMs ?? 500 }) as const;

/** A thousand bytes a second and no reserve: ten pieces a second. */
function setUp(uplink = new TokenBucket(1_000, 1)) {
  const context = makeContext({ uplink }, 1_000);
  hold(context, makeWindow(4, 20));
  return { context, uploader: new Uploader(context), x: addNeighbour(context, 'x'), y: addNeighbour(context, 'y') };
}

test('what is asked for is sent, the manifest first, and remembered as held there', () => {
  const { context, uploader, x } = setUp(new TokenBucket(0));
  uploader.onRequest(x, request(4, [2, 0], { wantManifest: true }));
  const effects = context.takeEffects();
  assert.equal(sentOf(effects, 'manifest').length, 1);
  assert.equal(
    sentOf(effects, 'piece').map(({ piece }) => piece),
    [2, 0],
  );
  assert.ok(x.map.holds(4, 2));
  assert.is(x.mediaUpBytes, 2 * PIECE_BYTES);
});

test('a certificate goes to each neighbour once, as long as it is the same', () => {
  const context = makeContext({ uplink: new TokenBucket(0) }, 1_000);
  const [first, second] = [certify(), certify({ untilMs: WALL_MS + 99 })];
  const made = [first, first, second, second].map((certificate, at) => makeWindow(4 + at, 2, {}, PUBLISHER, CHANNEL, certificate));
  for (const window of made) hold(context, window);
  const uploader = new Uploader(context);
  for (const neighbour of ['x', 'y'].map((id) => addNeighbour(context, id)))
    for (const { content } of made) uploader.onRequest(neighbour, request(content.number, [], { wantManifest: true }));
  const sentBytes = sentOf(context.takeEffects(), 'manifest').map(({ to, bytes, short }) => [to, bytes.length, short === true] as const);
  const each = (to: string) =>
    made.map(({ manifest }, at) => [to, manifest.bytes.length - (at % 2 === 1 ? CERTIFICATE_BYTES : 0), at % 2 === 1]);
  assert.equal(sentBytes, [...each('x'), ...each('y')]);
});

test('whoever has been told of another content than what is here by now is refused, and so is what was asked for before it changed', () => {
  const { context, uploader, x, y } = setUp();
  const [before, now] = [makeWindow(5), makeWindow(5, 3, { bytes: new Uint8Array(290).fill(9) })];
  hold(context, before);
  y.detailed.set(5, before.manifest.version);
  // The first pieces use up what may be sent now; the last one waits.
  uploader.onRequest(y, request(4, [0, 1], { patienceMs: 2_000 }));
  uploader.onRequest(y, request(5, [0], { patienceMs: 2_000 }));
  context.takeEffects();
  context.buffer.remove(5);
  hold(context, now);
  x.detailed.set(5, before.manifest.version);
  uploader.onRequest(x, request(5, [1]));
  for (let time = 0; time < 5; time++) {
    context.nowMs += 100;
    uploader.onTimer();
  }
  const effects = context.takeEffects();
  assert.equal(
    sentOf(effects, 'refuse').map(({ to, window, pieces, why }) => [to, window, pieces, why]),
    [
      ['x', 5, [1], 'not-held'],
      ['y', 5, [0], 'not-held'],
    ],
  );
  assert.equal(
    sentOf(effects, 'piece').filter(({ window }) => window === 5),
    [],
  );
  x.detailed.set(5, now.manifest.version);
  uploader.onRequest(x, request(5, [1]));
  context.nowMs += 1_000;
  uploader.onTimer();
  assert.equal(
    sentOf(context.takeEffects(), 'piece').map(({ to, window, piece }) => [to, window, piece]),
    [['x', 5, 1]],
  );
});

test('what is not held is refused, whether the window is known or not', () => {
  const { context, uploader, x } = setUp(new TokenBucket(0));
  x.detailed.set(4, 1).set(5, 2);
  uploader.onRequest(x, request(4, [50]));
  uploader.onRequest(x, request(9, [0, 1], { wantManifest: true }));
  assert.equal([...x.detailed.keys()], [5], 'what was told of the window is taken back by the refusal');
  const refusals = sentOf(context.takeEffects(), 'refuse');
  assert.equal(
    refusals.map(({ window, pieces, why }) => [window, pieces, why]),
    [
      [4, [50], 'not-held'],
      [9, [0, 1], 'not-held'],
    ],
  );
});

test('what cannot leave in the time the asker has is refused at once, with the time it would take', () => {
  const { context, uploader, x } = setUp();
  uploader.onRequest(x, request(4, [0, 1, 2, 3, 4, 5, 6, 7], { patienceMs: 300 }));
  const effects = context.takeEffects();
  assert.is(sentOf(effects, 'piece').length, 1);
  const [busy] = sentOf(effects, 'refuse');
  assert.equal([busy?.why, busy?.pieces], ['busy', [4, 5, 6, 7]]);
  assert.is(busy?.etaMs, 400);
});

test('pieces that all call off long after they left hold the next one back, unless an own limit says what the line carries', () => {
  const isHeldBack = (uplink: TokenBucket): boolean => {
    const { context, uploader, x, y } = setUp(uplink);
    const windows = [{ number: 4, pieceCount: 20, key: false, held: new Bitfield(20) }];
    for (const neighbour of [x, y]) {
      uploader.onRequest(neighbour, request(4, [0, 1]));
      uploader.onMap(neighbour, { kind: 'map', full: true, tail: 0, windows });
    }
    context.nowMs += 1_500;
    for (const neighbour of [x, y]) uploader.onCancel(neighbour, 4, [0, 1]);
    context.takeEffects();
    uploader.onRequest(x, request(4, [2], { patienceMs: 2_000 }));
    return sentOf(context.takeEffects(), 'piece').length === 0;
  };
  assert.ok(isHeldBack(new TokenBucket(0)));
  assert.not.ok(isHeldBack(new TokenBucket(100_000)));
});

test('the rest leaves when the uplink has credit again', () => {
  const { context, uploader, x } = setUp();
  uploader.onRequest(x, request(4, [0, 1]));
  const [timer] = context.takeEffects().filter((effect) => effect.kind === 'schedule');
  assert.ok(timer?.kind === 'schedule' && timer.timer === 'upload' && timer.delayMs > 0);
  context.nowMs += 101;
  uploader.onTimer();
  assert.equal(
    sentOf(context.takeEffects(), 'piece').map(({ piece }) => piece),
    [1],
  );
});

test('first copies go before second ones, and are taken in however many second ones wait', () => {
  const { context, uploader, x, y } = setUp();
  context.buffer.get(4)?.copies.fill(1, 0, 15);
  uploader.onRequest(x, request(4, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], { patienceMs: 1_000 }));
  context.takeEffects();
  uploader.onRequest(y, request(4, [17], { patienceMs: 300 }));
  assert.equal(sentOf(context.takeEffects(), 'refuse'), []);
  context.nowMs += 101;
  uploader.onTimer();
  assert.equal(
    sentOf(context.takeEffects(), 'piece').map(({ to, piece }) => [to, piece]),
    [['y', 17]],
  );
});

/** In which order a viewer sends what waits, as window and asker. Everybody has known each other for a minute, but for those who are beginning. */
function orderOf(
  requests: readonly { from: string; window: number; patienceMs?: number }[],
  { beginning = '', waitMs = 0 } = {},
): string[] {
  const context = makeContext({ uplink: new TokenBucket(1_000, 1) }, 0);
  for (const number of [4, 5, 6]) hold(context, makeWindow(number, 20));
  const uploader = new Uploader(context);
  const first = addNeighbour(context, 'first');
  for (const { from } of requests) if (from !== beginning && !context.neighbours.has(from)) addNeighbour(context, from);
  context.nowMs = 60_000;
  if (beginning) addNeighbour(context, beginning);
  uploader.onRequest(first, request(4, [19], { patienceMs: 4_000 }));
  context.takeEffects();
  for (const [piece, { from, window, patienceMs = 3_000 }] of requests.entries()) {
    const neighbour = context.neighbours.get(from);
    if (neighbour) uploader.onRequest(neighbour, request(window, [piece], { patienceMs }));
  }
  context.nowMs += waitMs;
  for (let time = 0; time < requests.length; time++) {
    context.nowMs += 101;
    uploader.onTimer();
  }
  return sentOf(context.takeEffects(), 'piece').map(({ to, window }) => `${window}${to}`);
}

test('a viewer sends of the newest window first, and last what nobody waits for any more', () => {
  const asked = [
    { from: 'x', window: 4 },
    { from: 'y', window: 6 },
    { from: 'x', window: 5 },
  ];
  assert.equal(orderOf(asked), ['6y', '5x', '4x']);
  const late = [{ from: 'x', window: 6, patienceMs: 400 }, ...asked.slice(0, 2)];
  assert.equal(orderOf(late, { waitMs: 1_000 }), ['6y', '4x', '6x']);
});

test('whoever is only beginning goes first, with the oldest window, so that its picture comes', () => {
  const asked = [
    { from: 'x', window: 6 },
    { from: 'y', window: 5 },
    { from: 'y', window: 4 },
  ];
  assert.equal(orderOf(asked, { beginning: 'y' }), ['4y', '5y', '6x']);
});

test('whoever says that it waits for ever waits no longer than others, and a beginner is none any more when it has had enough', () => {
  const { context, uploader, x, y } = setUp();
  uploader.onRequest(x, request(4, [0, 1], { patienceMs: 65_535 }));
  context.takeEffects();
  context.nowMs += PARAMETERS.waitMaxMs + 1;
  uploader.onRequest(y, request(4, [2], { patienceMs: 400 }));
  assert.is(sentOf(context.takeEffects(), 'piece')[0]?.to, 'y');
  const later = makeContext({ uplink: new TokenBucket(1_000, 1) }, 60_000);
  for (const number of [4, 5]) hold(later, makeWindow(number, 20));
  const [other, fed, fresh] = [new Uploader(later), addNeighbour(later, 'fed'), addNeighbour(later, 'fresh')];
  fed.mediaUpBytes = 16 * PIECE_BYTES;
  other.onRequest(fresh, request(4, [19], { patienceMs: 2_000 }));
  other.onRequest(fed, request(5, [0], { patienceMs: 2_000 }));
  other.onRequest(fresh, request(4, [1], { patienceMs: 2_000 }));
  later.takeEffects();
  later.nowMs += 101;
  other.onTimer();
  assert.is(sentOf(later.takeEffects(), 'piece')[0]?.to, 'fresh');
});

test('a publisher whose upload is used up serves whom it has served least, whatever the others’ deadlines', () => {
  const context = makeContext({ uplink: new TokenBucket(1_000, 1), signer: OWNER }, 1_000);
  hold(context, makeWindow(4, 20)).copies.fill(1);
  const [uploader, x, y] = [new Uploader(context), addNeighbour(context, 'x'), addNeighbour(context, 'y')];
  uploader.onRequest(x, request(4, [0, 1, 2, 3, 4, 5, 6, 7], { patienceMs: 2_000 }));
  uploader.onRequest(y, request(4, [0, 1, 2, 3, 4, 5, 6, 7], { patienceMs: 2_900 }));
  for (let time = 0; time < 12; time++) {
    context.nowMs += 101;
    uploader.onTimer();
  }
  const sent = sentOf(context.takeEffects(), 'piece').map(({ to }) => to);
  const share = sent.filter((to) => to === 'y').length / sent.length;
  assert.ok(share > 0.35 && share < 0.65, sent.join(''));
  assert.ok(context.buffer.get(4)?.wasSentTo(0, 'x'));
});

test('who refuses what it is asked for comes after those who give, until it gives', () => {
  const { context, uploader, x, y } = setUp();
  const order = (): string[] => {
    uploader.onRequest(y, request(4, [9]));
    uploader.onRequest(x, request(4, [1, 2]));
    uploader.onRequest(y, request(4, [10, 11]));
    for (let time = 0; time < 8; time++) {
      context.nowMs += 101;
      uploader.onTimer();
    }
    return sentOf(context.takeEffects(), 'piece').map(({ to }) => to);
  };
  for (const neighbour of [x, y]) neighbour.lastToldMs = context.nowMs;
  for (let time = 0; time < 2; time++) x.noteGiven(false);
  assert.ok(x.givesLittle);
  assert.equal(order(), ['y', 'y', 'y', 'x', 'x']);
  x.noteGiven(true);
  assert.not(x.givesLittle);
});

test('who takes and tells of nothing it holds comes after everybody else, first copies and all', () => {
  const { context, uploader, x, y } = setUp();
  uploader.onRequest(x, request(4, [0]));
  context.nowMs += 5 * PARAMETERS.mapPeriodMs;
  context.takeEffects();
  uploader.onRequest(x, request(4, [1, 2]));
  context.buffer.get(4)?.copies.fill(3, 10, 12);
  uploader.onRequest(y, request(4, [10, 11]));
  for (let time = 0; time < 3; time++) {
    context.nowMs += 101;
    uploader.onTimer();
  }
  const order = () => sentOf(context.takeEffects(), 'piece').map(({ to }) => to);
  assert.equal(order(), ['x', 'y', 'y', 'x'], 'the first went out before anybody else had asked');
  x.lastToldMs = context.nowMs;
  uploader.onRequest(x, request(4, [3, 4]));
  uploader.onRequest(y, request(4, [10, 11]));
  for (let time = 0; time < 5; time++) {
    context.nowMs += 101;
    uploader.onTimer();
  }
  assert.equal(order().slice(0, 2), ['x', 'x']);
});

test('what was cancelled, and what nobody waits for any more, is not sent', () => {
  const { context, uploader, x, y } = setUp();
  uploader.onRequest(x, request(4, [0, 1]));
  uploader.onRequest(y, request(4, [2]));
  uploader.onCancel(x, 4, [1]);
  context.takeEffects();
  context.nowMs += 500 + PARAMETERS.waitMaxMs + 1;
  uploader.onTimer();
  assert.equal(sentOf(context.takeEffects(), 'piece'), []);
});

test('who does not read gets nothing, and its pieces wait until it does', () => {
  const { context, uploader, x } = setUp(new TokenBucket(0));
  x.blockedSinceMs = 1_000;
  uploader.onRequest(x, request(4, [0, 99], { wantManifest: true }));
  assert.equal(context.takeEffects(), []);
  x.blockedSinceMs = undefined;
  uploader.serve();
  assert.is(sentOf(context.takeEffects(), 'piece').length, 1);
});

test('a hundred thousand requests cost a bounded amount of memory and time', () => {
  const { context, uploader, x } = setUp();
  const pieces = Array.from({ length: 512 }, (_, index) => index % 20);
  const startedMs = Date.now();
  for (let count = 0; count < 2_000; count++) uploader.onRequest(x, request(4, pieces, { patienceMs: 60_000 }));
  const refused = sentOf(context.takeEffects(), 'refuse').length;
  assert.ok(refused <= 2 * 2_000);
  assert.ok(Date.now() - startedMs < 5_000, `${Date.now() - startedMs} ms`);
});

test('whichever piece of a window is fed first brings the manifest', () => {
  const { context, uploader, x } = setUp(new TokenBucket(0));
  const window = hold(context, makeWindow(5, 20));
  for (const piece of [1, 2, 0, 0]) uploader.push(x, window, piece);
  const sent = context.takeEffects().flatMap((effect) => (effect.kind === 'send' ? [effect.message] : []));
  assert.equal(
    sent.map((message) => (message.kind === 'piece' ? message.piece : message.kind)),
    ['manifest', 1, 2, 0],
  );
});

test('what is fed goes out unasked, its manifest before the first of it to whoever has nothing of the window', () => {
  const { context, uploader, y } = setUp(new TokenBucket(0));
  const window = context.buffer.get(4) as BufferedWindow;
  y.map.update(false, 0, [{ number: 4, pieceCount: 20, key: true, held: new Bitfield(20) }]);
  uploader.push(y, window, 0);
  assert.equal(sentOf(context.takeEffects(), 'manifest'), [], 'some know it already');
  const z = addNeighbour(context, 'z');
  uploader.push(z, window, 0);
  assert.equal(
    context.takeEffects().map((effect) => (effect.kind === 'send' ? [effect.to, effect.message.kind] : [])),
    [
      ['z', 'manifest'],
      ['z', 'piece'],
    ],
  );
  assert.equal([z.map.holds(4, 0), z.mediaUpBytes, window.copies[0]], [true, PIECE_BYTES, 2]);
});

test('a piece that has come from elsewhere by the time it is its turn is not fed', () => {
  const { context, uploader, x } = setUp();
  const window = context.buffer.get(4) as BufferedWindow;
  for (const piece of [0, 1, 2]) uploader.push(x, window, piece);
  context.takeEffects();
  x.map.noteHeld(4, 1, 20, window.version);
  context.nowMs += 101;
  uploader.onTimer();
  assert.equal(
    sentOf(context.takeEffects(), 'piece').map(({ piece }) => piece),
    [2],
  );
  assert.equal(uploader.takePushes(), { late: 0, sent: 2 });
});

test('what was to be fed and could not leave in half a second stays here, and is counted until somebody asks how it went', () => {
  const { context, uploader, x } = setUp();
  const window = context.buffer.get(4) as BufferedWindow;
  for (const piece of [0, 1, 2]) uploader.push(x, window, piece);
  uploader.onRequest(x, request(4, [9]));
  context.takeEffects();
  context.nowMs += 501;
  for (let time = 0; time < 5; time++) {
    uploader.onTimer();
    context.nowMs += 101;
  }
  assert.equal(
    sentOf(context.takeEffects(), 'piece').map(({ piece }) => piece),
    [9],
    'what was asked for is sent, however late',
  );
  assert.equal(
    [uploader.takePushes(), uploader.takePushes()],
    [
      { late: 2, sent: 1 },
      { late: 0, sent: 0 },
    ],
  );
});

test.run();
