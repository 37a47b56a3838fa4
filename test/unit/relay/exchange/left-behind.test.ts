import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LeftBehind } from '../../../../src/relay/exchange/left-behind.js';

const OTHERS = ['a', 'b', 'c', 'f'];
const PIECES = 4;

/** As many windows as told go by, which the others have and these lack. Returns how many have been published by then. */
function pass(behind: LeftBehind, lacking: readonly string[], windows: number, from = 0, liars: readonly string[] = []): number {
  for (let before = from; before < from + windows; before++) {
    behind.look({ pieceCount: PIECES, holders: () => OTHERS, viewers: [...OTHERS, ...lacking], liars: new Set(liars), before }, before + 1);
  }
  return from + windows;
}

test('who lacks four windows in a row that most have is shown everything for 64, and no newcomer is', () => {
  const behind = new LeftBehind();
  const newcomerUntil = pass(behind, ['d'], 13);
  assert.not(behind.isServed('d', newcomerUntil));
  const windows = pass(behind, ['d'], 2, newcomerUntil);
  assert.ok(behind.isServed('d', windows));
  assert.ok(behind.isServed('d', windows + 63));
  assert.not(behind.isServed('d', windows + 64));
  assert.not(behind.isServed('a', windows));
});

test('the second time is twice as long, and who has left is a newcomer again', () => {
  const behind = new LeftBehind();
  const first = pass(behind, ['d'], 15);
  const again = pass(behind, ['d'], 4, first + 64);
  assert.ok(behind.isServed('d', again + 127));
  behind.drop('d');
  assert.not(behind.isServed('d', again));
});

test('one is served at a time, never whoever claimed the window before anybody could have it', () => {
  const behind = new LeftBehind();
  const windows = pass(behind, ['liar', 'd', 'e'], 20, 0, ['liar']);
  assert.equal(
    ['liar', 'd', 'e'].map((peer) => behind.isServed(peer, windows)),
    [false, true, false],
  );
});

test('what most lack has not spread, and says nothing of anybody', () => {
  const behind = new LeftBehind();
  for (let before = 0; before < 20; before++) {
    behind.look({ pieceCount: PIECES, holders: () => ['a'], viewers: [...OTHERS, 'd'], liars: new Set(), before }, before + 1);
  }
  assert.not(behind.isServed('d', 20));
});

test.run();
