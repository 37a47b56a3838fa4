import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TokenBucket } from '../../../../src/kernel/token-bucket.js';
import { Uploader } from '../../../../src/relay/exchange/uploader.js';
import { addNeighbour, hold, makeContext, makeWindow, PARAMETERS, PIECE_BYTES, sentOf } from '../../../support/exchange-fixture.js';

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

test('what is not held is refused, whether the window is known or not', () => {
  const { context, uploader, x } = setUp(new TokenBucket(0));
  uploader.onRequest(x, request(4, [50]));
  uploader.onRequest(x, request(9, [0, 1], { wantManifest: true }));
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

test.run();
