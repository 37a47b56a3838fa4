import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Lineage } from '../../../../src/relay/exchange/lineage.js';
import type { LiveEffect } from '../../../../src/relay/exchange/live-protocol.js';
import { PendingWindows } from '../../../../src/relay/exchange/pending-windows.js';
import { Playout } from '../../../../src/relay/exchange/playout.js';
import { Requester } from '../../../../src/relay/exchange/requester.js';
import { Subscriptions } from '../../../../src/relay/exchange/subscriptions.js';
import {
  addNeighbour,
  availability,
  hold,
  makeContext,
  makeWindow,
  PARAMETERS,
  PIECE_BYTES,
  sentOf,
} from '../../../support/exchange-fixture.js';

function setUp(parameters = PARAMETERS) {
  const context = makeContext({ parameters }, 1_000);
  const pending = new PendingWindows();
  const playout = new Playout(parameters, context.buffer, () => false);
  playout.moveTo(4);
  const lineage = new Lineage(context);
  const requester = new Requester({ context, playout, pending, lineage, subscriptions: new Subscriptions(context, playout, lineage) });
  const holder = (id: string, pieces?: readonly number[], publisher = false) => {
    const neighbour = addNeighbour(context, id, publisher);
    neighbour.succeeded();
    neighbour.map.update(true, 0, [availability(makeWindow(4), pieces)]);
    return neighbour;
  };
  return { context, pending, requester, holder };
}

const timers = (effects: readonly LiveEffect[]): string[] =>
  effects.flatMap((effect) => (effect.kind === 'schedule' ? [effect.timer] : []));
const cancelled = (effects: readonly LiveEffect[]): string[] =>
  effects.flatMap((effect) => (effect.kind === 'cancel' ? [effect.timer] : []));

test('what is missing is asked of whoever has it, in one request a window, with the manifest the first time', () => {
  const { context, requester, holder } = setUp();
  holder('x');
  requester.plan();
  const effects = context.takeEffects();
  assert.equal(
    sentOf(effects, 'request').map(({ to, pieces, wantManifest }) => [to, pieces, wantManifest]),
    [['x', [0, 1, 2], true]],
  );
  assert.equal(timers(effects), ['request:4:0', 'request:4:1', 'request:4:2']);
  requester.plan();
  assert.equal(context.takeEffects(), []);
  assert.ok(requester.awaits(4));
});

test('of somebody who has shown nothing good yet, no more than two pieces are out or wait for their manifest while others have them', () => {
  const { context, requester, pending, holder } = setUp();
  const askedOf = (id: string): number =>
    sentOf(context.takeEffects(), 'request').flatMap(({ to, pieces }) => (to === id ? pieces : [])).length;
  const newcomer = addNeighbour(context, 'x');
  newcomer.map.update(true, 0, [availability(makeWindow(4))]);
  const [payload] = makeWindow(4).pieces as [Uint8Array];
  pending.noteManifestAsked(4, 'x', context.nowMs);
  for (const piece of [0, 1]) pending.keep(4, piece, { from: 'x', payload });
  const known = holder('y');
  known.wait.timedOut();
  requester.plan();
  assert.is(askedOf('y'), 1, 'nobody knows yet whether what the newcomer sent is any good');
});

test('an answer settles the books and calls off whoever else was asked', () => {
  const { context, requester, holder } = setUp();
  const [x, y] = [holder('x', [0]), holder('y', [])];
  requester.plan();
  y.map.noteHeld(4, 0, 3, availability(makeWindow(4)).version ?? 0);
  requester.onTimeout(4, 0);
  context.takeEffects();
  context.nowMs += 50;
  assert.equal(requester.onAnswer(y, 4, 0, PIECE_BYTES), { awaited: true, asked: true });
  const effects = context.takeEffects();
  assert.equal(
    sentOf(effects, 'cancel').map(({ to }) => to),
    ['x'],
  );
  assert.equal(cancelled(effects), ['request:4:0']);
  assert.equal([x.outstanding, y.outstanding, x.wait.queuedBytes, y.wait.queuedBytes], [0, 0, 0, 0]);
  assert.equal(requester.onAnswer(x, 4, 0, PIECE_BYTES), { awaited: false, asked: false });
});

test('with a hedge of all the one-shot timeout asks every other holder', () => {
  const { context, requester, holder } = setUp({ ...PARAMETERS, hedge: Number.POSITIVE_INFINITY });
  holder('x', [0]);
  requester.plan();
  context.takeEffects();
  for (const id of ['a', 'b', 'c', 'd', 'e']) holder(id, [0]);
  requester.onTimeout(4, 0);
  assert.is(sentOf(context.takeEffects(), 'request').length, 5);
});

test('the one-shot timeout asks the best two others, once; after a second wait the piece is free again', () => {
  const { context, requester, holder } = setUp();
  holder('x', [0]);
  requester.plan();
  context.takeEffects();
  for (const id of ['a', 'b', 'c']) holder(id, [0]);
  requester.onTimeout(4, 0);
  const first = context.takeEffects();
  assert.is(sentOf(first, 'request').length, PARAMETERS.hedge);
  assert.equal(timers(first), ['request:4:0']);
  assert.is(requester.firstTimeouts, 1);
  requester.onTimeout(4, 0);
  const second = context.takeEffects();
  assert.is(sentOf(second, 'cancel').length, 1 + PARAMETERS.hedge);
  assert.ok(context.planDue);
  assert.not(requester.awaits(4));
  assert.is(requester.firstTimeouts, 1);
});

test('whoever is on trial, and owes as much as it may, is not asked when somebody is late, while there are others', () => {
  const { context, requester, holder } = setUp();
  const x = holder('x', [0]);
  requester.plan();
  for (const id of ['y', 'z']) holder(id, [0]);
  const trial = context.neighbours.get('y');
  if (trial) trial.badPieces = 2;
  context.takeEffects();
  context.nowMs += 3_000;
  requester.onTimeout(4, 0);
  assert.equal(
    sentOf(context.takeEffects(), 'request').map(({ to }) => to),
    ['z'],
  );
  assert.is(x.outstanding, 1);
});

test('without another holder the request stays out, and the first one to announce the piece is asked', () => {
  const { context, requester, holder } = setUp();
  holder('x', [0]);
  requester.plan();
  requester.onTimeout(4, 0);
  context.takeEffects();
  requester.onNews(holder('late', [0]), 4);
  assert.equal(
    sentOf(context.takeEffects(), 'request').map(({ to }) => to),
    ['late'],
  );
  requester.onNews(holder('later', [0]), 4);
  assert.equal(sentOf(context.takeEffects(), 'request'), []);
});

test('a piece moves from a publisher that is late to a viewer that has it', () => {
  const { context, requester, holder } = setUp();
  holder('publisher', [0], true);
  requester.plan();
  context.takeEffects();
  const viewer = holder('viewer', [0]);
  requester.onNews(viewer, 4);
  assert.equal(context.takeEffects(), [], 'not while the publisher is in time');
  context.nowMs += 1_000;
  requester.onNews(viewer, 4);
  const effects = context.takeEffects();
  assert.equal(
    [sentOf(effects, 'cancel').map(({ to }) => to), sentOf(effects, 'request').map(({ to }) => to)],
    [['publisher'], ['viewer']],
  );
});

test('a piece moves at once from somebody who often fails', () => {
  const { context, requester, holder } = setUp();
  const x = holder('x', [0]);
  requester.plan();
  x.wait.timedOut();
  context.takeEffects();
  requester.onNews(holder('y', [0]), 4);
  assert.equal(
    sentOf(context.takeEffects(), 'request').map(({ to }) => to),
    ['y'],
  );
});

test('whoever gets a piece that has moved is waited for only as long as a third could still send it in time, if there is one', () => {
  for (const isThird of [true, false]) {
    const { context, requester, holder } = setUp({ ...PARAMETERS, startLagMs: 0 });
    const x = holder('x', [0]);
    requester.plan();
    x.wait.timedOut();
    if (isThird) holder('z', [0]);
    context.takeEffects();
    const y = holder('y', [0]);
    const estimateMs = y.wait.waitMs(PIECE_BYTES, PARAMETERS.tickMs);
    assert.ok(estimateMs > 2 * PARAMETERS.waitMinMs);
    requester.onNews(y, 4);
    const [timer] = context.takeEffects().filter(({ kind }) => kind === 'schedule');
    assert.equal(timer, { kind: 'schedule', timer: 'request:4:0', delayMs: isThird ? 2 * PARAMETERS.waitMinMs : estimateMs });
  }
});

test('when somebody is late, those who have said nothing for a while are asked last', () => {
  const { context, requester, holder } = setUp({ ...PARAMETERS, hedge: 1 });
  holder('x', [0]);
  requester.plan();
  const [quiet, heard] = [holder('quiet', [0]), holder('heard', [0])];
  heard.wait.timedOut();
  context.nowMs += 1_300;
  heard.lastHeardMs = context.nowMs;
  context.takeEffects();
  requester.onTimeout(4, 0);
  assert.ok(quiet.wait.predictMs(PIECE_BYTES) < heard.wait.predictMs(PIECE_BYTES));
  assert.equal(
    sentOf(context.takeEffects(), 'request').map(({ to }) => to),
    ['heard'],
  );
});

test('a refusal frees the piece; what was announced and is not held counts as a broken promise', () => {
  const { context, requester, holder } = setUp();
  const [x, y] = [holder('x', [0]), holder('y', [1])];
  requester.plan();
  requester.onRefusal(x, { kind: 'refuse', why: 'not-held', window: 4, etaMs: 0, pieces: [0, 77] });
  requester.onRefusal(y, { kind: 'refuse', why: 'busy', window: 4, etaMs: 400, pieces: [1] });
  assert.equal([x.brokenPromises, x.map.holds(4, 0), x.busyUntilMs], [1, false, 0]);
  assert.equal([y.brokenPromises, y.map.holds(4, 1), y.busyUntilMs], [0, true, 1_200]);
  assert.not(requester.awaits(4));
  assert.ok(context.planDue);
});

test('what may have gone since a neighbour last said how far its buffer reaches is an eighth of a broken promise', () => {
  // Two windows in two periods of whole maps.
  const parameters = { ...PARAMETERS, mapPeriodMs: PARAMETERS.windowMs };
  for (const [tail, count] of [
    [0, 1],
    [2, 1],
    [3, 1 / 8],
  ] as const) {
    const { requester, holder } = setUp(parameters);
    const x = holder('x', [0]);
    x.map.update(false, tail, []);
    requester.plan();
    requester.onRefusal(x, { kind: 'refuse', why: 'not-held', window: 4, etaMs: 0, pieces: [0] });
    assert.equal([x.brokenPromises, x.map.holds(4, 0)], [count, false], `tail ${tail}`);
  }
});

test('of what was never asked for a refusal is not remembered: it costs its sender nothing', () => {
  const { requester, holder } = setUp();
  const x = holder('x', [0]);
  requester.plan();
  requester.onRefusal(x, { kind: 'refuse', why: 'not-held', window: 4_000_000, etaMs: 0, pieces: [0] });
  requester.onRefusal(x, { kind: 'refuse', why: 'not-held', window: 5, etaMs: 0, pieces: [] });
  requester.onRefusal(x, { kind: 'refuse', why: 'not-held', window: 4, etaMs: 0, pieces: [0] });
  assert.equal(
    [4_000_000, 5, 4].map((window) => x.lacks(window)),
    [false, false, true],
  );
});

test('who refuses a piece that it has never claimed is still taken at its word for the others', () => {
  const { requester, holder } = setUp();
  const x = holder('x', [0, 1]);
  requester.plan();
  requester.onRefusal(x, { kind: 'refuse', why: 'not-held', window: 4, etaMs: 0, pieces: [2] });
  assert.equal([x.map.holds(4, 0), x.map.holds(4, 1), x.brokenPromises], [true, true, 0]);
  requester.onRefusal(x, { kind: 'refuse', why: 'not-held', window: 4, etaMs: 0, pieces: [1] });
  assert.equal([x.map.holds(4, 0), x.brokenPromises], [false, 1]);
});

test('who breaks its promises again and again is accused', () => {
  const { context, requester, holder } = setUp();
  const x = holder('x');
  for (let round = 0; round < 40 && context.takeAccused().length === 0; round++) {
    x.map.update(true, 0, [availability(makeWindow(4))]);
    requester.plan();
    requester.onRefusal(x, { kind: 'refuse', why: 'not-held', window: 4, etaMs: 0, pieces: [0, 1, 2] });
  }
  assert.ok(x.brokenPromises > 64 && x.brokenPromises < 70);
});

test('what a neighbour was asked for under another content than it names now is called off, and counts as a broken promise', () => {
  const { context, requester, holder } = setUp();
  const [x, y] = [holder('x', [0]), holder('y', [1])];
  requester.plan();
  context.takeEffects();
  const other = availability(makeWindow(4, 3, { bytes: new Uint8Array(290).fill(9) }));
  for (const neighbour of [x, y]) {
    if (neighbour === x) neighbour.map.update(false, 0, [other]);
    requester.onNews(neighbour, 4);
    requester.onNews(neighbour, 4);
  }
  assert.equal(
    sentOf(context.takeEffects(), 'cancel').map(({ to, pieces }) => [to, pieces]),
    [['x', [0]]],
  );
  assert.equal([x.brokenPromises, y.brokenPromises], [1, 0]);
  assert.equal([x.takeCalledOff(4, 0), y.takeCalledOff(4, 1)], ['other-content', undefined]);
  assert.equal([requester.hasAsked(x, 4, 0), requester.hasAsked(y, 4, 1)], [false, true]);
});

test('who names another content each time it is asked is accused in the end', () => {
  const { context, requester, holder } = setUp();
  const x = holder('x');
  const lines = [makeWindow(4), makeWindow(4, 3, { bytes: new Uint8Array(290).fill(9) })];
  for (let round = 0; round < 40 && context.takeAccused().length === 0; round++) {
    x.map.update(true, 0, [availability(lines[round % 2] as (typeof lines)[0])]);
    requester.plan();
    x.map.update(false, 0, [availability(lines[(round + 1) % 2] as (typeof lines)[0])]);
    requester.onNews(x, 4);
  }
  assert.ok(x.brokenPromises > 64 && x.brokenPromises < 70, `${x.brokenPromises}`);
});

test('what a neighbour that left was asked for is free again, unless somebody else was asked too', () => {
  const { context, requester, holder } = setUp();
  const x = holder('x', [0, 1]);
  requester.plan();
  holder('y', [1]);
  requester.onTimeout(4, 1);
  context.takeEffects();
  context.neighbours.delete('x');
  requester.dropPeer(x);
  assert.equal(cancelled(context.takeEffects()), ['request:4:0']);
  assert.ok(requester.awaits(4));
});

test('a manifest that does not come is asked of somebody else, and then of everybody anew', () => {
  const { context, requester, holder } = setUp();
  holder('x');
  holder('y');
  requester.plan();
  const asked: string[] = [];
  for (let round = 0; round < 4; round++) {
    asked.push(...sentOf(context.takeEffects(), 'request').flatMap(({ to, wantManifest }) => (wantManifest ? [to] : [])));
    context.nowMs += 301;
    requester.askForManifests();
  }
  assert.is(asked.length, 4);
  assert.equal(new Set(asked.slice(0, 2)).size, 2);
  assert.equal(new Set(asked.slice(2)).size, 2);
});

test('what the playhead has left behind is called off', () => {
  const { context, requester, holder } = setUp();
  holder('x');
  requester.plan();
  context.takeEffects();
  requester.abandonBelow(5);
  assert.is(sentOf(context.takeEffects(), 'cancel').length, 3);
  assert.not(requester.awaits(4));
});

test('after a sleep every request has its whole time again', () => {
  const { context, requester, holder } = setUp();
  holder('x', [0]);
  requester.plan();
  context.takeEffects();
  requester.onWake();
  assert.equal(timers(context.takeEffects()), ['request:4:0']);
});

test('what is here is not asked for', () => {
  const { context, requester, holder } = setUp();
  holder('x');
  hold(context, makeWindow(4), [0, 2]);
  requester.plan();
  const [request] = sentOf(context.takeEffects(), 'request');
  assert.equal([request?.pieces, request?.wantManifest], [[1], false]);
});

test('what is abandoned is called off at everybody, or at one, and is asked for anew', () => {
  const { context, requester, holder } = setUp();
  const [x, y] = [holder('x', [0, 1]), holder('y', [2])];
  requester.plan();
  context.takeEffects();
  requester.abandonAt(x, 4);
  const effects = context.takeEffects();
  assert.equal(
    sentOf(effects, 'cancel').map(({ to, pieces }) => [to, pieces]),
    [
      ['x', [0]],
      ['x', [1]],
    ],
  );
  assert.equal([cancelled(effects).length, x.outstanding, y.outstanding, requester.awaits(4)], [2, 0, 1, true]);
  requester.abandon(4);
  assert.equal([y.outstanding, requester.awaits(4), context.planDue], [0, false, true]);
});

test.run();
