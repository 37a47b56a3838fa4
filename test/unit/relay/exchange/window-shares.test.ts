import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BufferedWindow } from '../../../../src/relay/exchange/window-buffer.js';
import { WindowShares } from '../../../../src/relay/exchange/window-shares.js';
import { hold, makeContext, makeWindow } from '../../../support/exchange-fixture.js';

const VIEWERS = ['a', 'b', 'c'];
const nobody = (): number => 0;
const everybody = (): number => VIEWERS.length;

function cut(number: number, pieceCount = 6): BufferedWindow {
  return hold(makeContext(), makeWindow(number, pieceCount));
}

function counts(shares: WindowShares, window: BufferedWindow): number[] {
  return VIEWERS.map((peer) => shares.visibleTo(peer, window).count);
}

/** Deals a window and plays its rounds through, with what neighbours are seen to hold. */
function spread(shares: WindowShares, number: number, holdersOf: (piece: number) => number, copies = 1): void {
  const window = cut(number);
  if (!shares.open(window, VIEWERS)) return;
  window.copies.fill(copies);
  while (shares.next(window, VIEWERS, holdersOf));
}

test('each piece is dealt to one neighbour, in turn', () => {
  const shares = new WindowShares();
  const window = cut(1);
  assert.ok(shares.open(window, VIEWERS));
  assert.equal(counts(shares, window), [2, 2, 2]);
  assert.is(shares.visibleTo('stranger', window).count, 0);
});

test('a window is not held back from one viewer alone', () => {
  const shares = new WindowShares();
  const window = cut(1);
  assert.not(shares.open(window, ['a']));
  assert.ok(shares.visibleTo('a', window).full);
});

test("what has not spread is dealt to others, and after a few rounds it is everybody's", () => {
  const shares = new WindowShares();
  const window = cut(1);
  shares.open(window, VIEWERS);
  assert.ok(shares.next(window, VIEWERS, nobody));
  assert.is(
    counts(shares, window).reduce((sum, count) => sum + count),
    12,
  );
  assert.ok(shares.next(window, VIEWERS, nobody));
  assert.ok(shares.next(window, VIEWERS, nobody));
  assert.not(shares.next(window, VIEWERS, nobody));
  assert.equal(counts(shares, window), [6, 6, 6]);
});

test('what has been sent and has spread is not dealt again', () => {
  const shares = new WindowShares();
  const window = cut(1);
  shares.open(window, VIEWERS);
  window.copies.fill(1);
  shares.next(window, VIEWERS, everybody);
  assert.equal(counts(shares, window), [2, 2, 2]);
});

test('nobody can claim to hold what has never been sent', () => {
  const shares = new WindowShares();
  const window = cut(1);
  shares.open(window, VIEWERS);
  shares.next(window, VIEWERS, everybody);
  assert.is(
    counts(shares, window).reduce((sum, count) => sum + count),
    12,
  );
});

test('who does not pass on what it is dealt is passed over, and tried again now and then', () => {
  const shares = new WindowShares();
  // Pieces dealt to "a" never spread: with six pieces and three viewers, those are every third.
  for (let number = 1; number < 6; number++) {
    const window = cut(number);
    shares.open(window, VIEWERS);
    window.copies.fill(1);
    const dealtToA = shares.visibleTo('a', window);
    const mine = [...Array(6).keys()].filter((piece) => dealtToA.has(piece));
    while (shares.next(window, VIEWERS, (piece) => (mine.includes(piece) ? 1 : 3)));
  }
  const dealt = Array.from({ length: 32 }, (_, index) => {
    const window = cut(100 + index);
    shares.open(window, VIEWERS);
    return shares.visibleTo('a', window).count;
  });
  assert.is(dealt.filter((count) => count > 0).length, 2, String(dealt));
});

test('where nobody can pass anything on, nothing is held back', () => {
  const shares = new WindowShares();
  for (let number = 1; number < 4; number++) spread(shares, number, () => 1);
  assert.not(shares.open(cut(10), VIEWERS));
  const together = new WindowShares();
  for (let number = 1; number < 4; number++) spread(together, number, everybody);
  assert.ok(together.open(cut(10), VIEWERS));
});

test('what has left the buffer, and who has left the swarm, is forgotten', () => {
  const shares = new WindowShares();
  const [first, second] = [cut(1), cut(2)];
  shares.open(first, VIEWERS);
  shares.open(second, VIEWERS);
  shares.forgetBelow(2);
  assert.not(shares.next(first, VIEWERS, nobody));
  shares.dropPeer('a');
  assert.is(shares.visibleTo('a', second).count, 0);
});

test.run();
