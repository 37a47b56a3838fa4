import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { LiveMessage } from '../../../../src/relay/exchange/live-message.js';
import { Neighbour } from '../../../../src/relay/exchange/neighbour.js';

/** How many such messages it takes at once until it is too much. */
function patienceFor(message: LiveMessage): number {
  const neighbour = new Neighbour('x', 0);
  let count = 0;
  while (count < 1_000_000 && neighbour.affords(message, 0)) count += 1;
  return count;
}

const request = (pieces: number): LiveMessage => ({
  kind: 'request',
  window: 1,
  pieces: new Array(pieces).fill(0),
  wantManifest: false,
  patienceMs: 0,
});

test('a flood is too much in the end, and the sooner the more work each message is', () => {
  assert.ok(patienceFor(request(1)) <= 10_000);
  assert.ok(patienceFor(request(500)) < 50);
  assert.ok(patienceFor({ kind: 'info', bytes: new Uint8Array() }) <= 1_000);
  assert.ok(patienceFor({ kind: 'hello', version: 3, publisher: false, rank: 0 }) <= 20_000);
});

test('an honest pace is never too much: a hundred pieces and twenty maps a second', () => {
  const neighbour = new Neighbour('x', 0);
  const map: LiveMessage = {
    kind: 'map',
    full: true,
    tail: 0,
    windows: new Array(60).fill({ number: 1, pieceCount: 0, key: false, held: null }),
  };
  for (let second = 1; second < 600; second++) {
    for (let count = 0; count < 100; count++) assert.ok(neighbour.affords(request(1), second * 1_000));
    for (let count = 0; count < 20; count++) assert.ok(neighbour.affords(map, second * 1_000));
  }
});

/** How long it rests each time when it fails `count` times in a row from `nowMs` on. */
function restsOf(neighbour: Neighbour, count: number, fromMs = 0): number[] {
  const rests: number[] = [];
  let nowMs = fromMs;
  for (let time = 0; time < count; time++) {
    neighbour.rest(100, nowMs);
    rests.push(neighbour.busyUntilMs - nowMs);
    neighbour.rest(100, nowMs);
    nowMs = neighbour.busyUntilMs;
  }
  return rests;
}

test('who fails is left alone, up to eight times longer each time, until it succeeds', () => {
  const neighbour = new Neighbour('x', 0);
  neighbour.succeeded();
  assert.equal(restsOf(neighbour, 5), [100, 200, 400, 800, 800]);
  neighbour.succeeded();
  assert.equal(restsOf(neighbour, 1, 10_000), [100]);
});

test('who has never sent anything good rests up to sixty-four times as long', () => {
  assert.equal(restsOf(new Neighbour('x', 0), 8), [100, 200, 400, 800, 1600, 3200, 6400, 6400]);
});

test('a newcomer is asked for few pieces, a proven neighbour for many, one that leaves requests unanswered for one', () => {
  const neighbour = new Neighbour('x', 0);
  assert.is(neighbour.allowance, 8);
  neighbour.succeeded();
  assert.is(neighbour.allowance, 64);
  neighbour.leftUnanswered(100, 5);
  assert.equal([neighbour.allowance, neighbour.unansweredSinceMs, neighbour.busyUntilMs], [64, 5, 0]);
  neighbour.leftUnanswered(100, 9);
  assert.equal([neighbour.allowance, neighbour.unansweredSinceMs, neighbour.busyUntilMs], [1, 5, 109]);
  neighbour.succeeded();
  assert.equal([neighbour.allowance, neighbour.unanswered], [64, 0]);
});

test('of one on trial it is safe to ask for as much as it takes to ban it', () => {
  const neighbour = new Neighbour('x', 0);
  neighbour.outstanding = 1;
  assert.ok(neighbour.isSafe);
  neighbour.unverified = 1;
  assert.ok(!neighbour.isSafe && neighbour.hasRoom);
  neighbour.succeeded();
  assert.ok(neighbour.isSafe && !neighbour.onTrial);
  neighbour.badPieces = 1;
  neighbour.unverified = 0;
  assert.ok(neighbour.onTrial && !neighbour.isSafe, 'whatever good it has sent before');
});

test('what nobody could judge counts as bad from the first bad piece on, and not before', () => {
  const neighbour = new Neighbour('x', 0);
  for (let count = 0; count < 5; count++) neighbour.noteUnjudged();
  assert.ok(neighbour.isSafe && neighbour.bearsAnother);
  neighbour.badPieces = 1;
  assert.ok(!neighbour.isSafe && !neighbour.bearsAnother);
  const other = new Neighbour('y', 0);
  other.badPieces = 1;
  assert.ok(other.isSafe);
});

test('success restores credit', () => {
  const neighbour = new Neighbour('x', 0);
  neighbour.credible = false;
  neighbour.succeeded();
  assert.ok(neighbour.credible);
});

test('what is gone here is of no interest there', () => {
  const neighbour = new Neighbour('x', 0);
  neighbour.map.update(true, 0, [{ number: 3, pieceCount: 1, key: false, held: null }]);
  neighbour.news.add(3).add(9);
  neighbour.forgetBelow(5);
  assert.is(neighbour.map.get(3), undefined);
  assert.equal([...neighbour.news], [9]);
});

test('what it had read before it answered is what it had been told when it was asked first', () => {
  const x = new Neighbour('x', 0);
  assert.is(x.noteManifestCame(4), 0, 'nobody had asked');
  x.noteManifestAsked(4);
  x.toldSerial = 7;
  x.noteManifestAsked(4);
  assert.equal([x.noteManifestCame(4), x.readSerial], [0, 0], 'the answer to the first question');
  x.noteManifestAsked(4);
  assert.equal([x.noteManifestCame(4), x.readSerial], [7, 7]);
});

test('questions are remembered within bounds, and not below the tail', () => {
  const x = new Neighbour('x', 0);
  x.toldSerial = 7;
  for (let number = 0; number < 300; number++) x.noteManifestAsked(number);
  assert.equal([x.noteManifestCame(0), x.noteManifestCame(299)], [0, 7]);
  x.forgetBelow(250);
  assert.equal([x.noteManifestCame(249), x.noteManifestCame(250)], [0, 7]);
});

test('an answer to a request that was called off is not unasked, once', () => {
  const neighbour = new Neighbour('x', 0);
  neighbour.noteCalledOff(4, 1, 'other-content');
  assert.equal(
    [neighbour.takeCalledOff(4, 0), neighbour.takeCalledOff(4, 1), neighbour.takeCalledOff(4, 1)],
    [undefined, 'other-content', undefined],
  );
  neighbour.noteCalledOff(5, 1, 'settled');
  neighbour.forgetBelow(6);
  assert.is(neighbour.takeCalledOff(5, 1), undefined);
});

test('what a neighbour was sent counts half after each half-life, and nothing after a day', () => {
  const neighbour = new Neighbour('x', 0);
  assert.is(neighbour.servedOfLate(1e12), 0);
  neighbour.noteServed(1_000, 10_000);
  assert.equal(
    [10_000, 12_000, 14_000, 18_000].map((nowMs) => neighbour.servedOfLate(nowMs)),
    [1_000, 750, 500, 250],
  );
  assert.is(neighbour.servedOfLate(10_000 + 86_400_000), 0);
});

test.run();
