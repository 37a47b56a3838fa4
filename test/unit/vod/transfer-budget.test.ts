import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type CachingMode, type TitleHolding, type TitleState, TransferBudget } from '../../../src/vod/transfer-budget.js';

const S = 100_000;

function state(title: string, overrides: Partial<TitleState> = {}): TitleState {
  return {
    title,
    isWatched: false,
    readBytesPerSecond: 0,
    bufferMs: Number.POSITIVE_INFINITY,
    isSeeking: false,
    isFetching: true,
    downBytesPerSecond: 0,
    ...overrides,
  };
}

const watched = (overrides: Partial<TitleState> = {}): TitleState =>
  state('film', { isWatched: true, readBytesPerSecond: S, bufferMs: 60_000, downBytesPerSecond: 3 * S, ...overrides });

function holding(title: string, pieces: number, overrides: Partial<TitleHolding> = {}): TitleHolding {
  return {
    title,
    heldBytes: pieces * 10,
    pieceLengthBytes: 10,
    isWatched: false,
    seeders: 0,
    lastReadMs: 0,
    isKept: false,
    dispensable: (count) => Array.from({ length: Math.min(count, pieces) }, (_, piece) => piece),
    ...overrides,
  };
}

function budget(mode: CachingMode = 'multi-task-with-control', quotaBytes = 0): TransferBudget {
  return new TransferBudget({ mode, marginBytesPerSecond: 0, quotaBytes });
}

/** Reports until all has settled. */
function settled(of: TransferBudget, states: readonly TitleState[]): ReadonlyMap<string, number | null> {
  for (let atMs = 0; atMs < 30_000; atMs += 1_000) of.allot(states, atMs);
  return of.allot(states, 30_000);
}

test('what is watched has no limit; others get half of the line at most, and what the player leaves of it', () => {
  const rich = settled(budget(), [watched({ downBytesPerSecond: 10 * S }), state('other')]);
  assert.equal(
    [...rich],
    [
      ['film', null],
      ['other', 5 * S],
    ],
  );
  const poor = settled(budget(), [watched({ downBytesPerSecond: 1.5 * S }), state('other')]);
  assert.is(poor.get('other'), 20_000);
  assert.is(settled(budget(), [watched({ downBytesPerSecond: 1.2 * S }), state('other')]).get('other'), 0);
});

test('several others share what is left', () => {
  const shares = settled(budget(), [watched({ downBytesPerSecond: 10 * S }), state('a'), state('b')]);
  assert.is(shares.get('a'), 2.5 * S);
});

test('a short buffer or a jump silences the others at once, and they come back by a tenth each second', () => {
  const line = { downBytesPerSecond: 10 * S };
  for (const trouble of [{ bufferMs: 19_000 }, { isSeeking: true }]) {
    const one = budget();
    settled(one, [watched(line), state('other')]);
    assert.is(one.allot([watched({ ...line, ...trouble }), state('other')], 31_000).get('other'), 0);
    assert.is(one.allot([watched(line), state('other')], 32_000).get('other'), 0.5 * S);
    assert.is(one.allot([watched(line), state('other')], 33_000).get('other'), S);
  }
});

test('with nothing watched, or a film that is all here, nobody is limited', () => {
  assert.is(settled(budget(), [state('a'), state('b')]).get('a'), null);
  const whole = watched({ bufferMs: Number.POSITIVE_INFINITY, isFetching: false });
  assert.is(settled(budget(), [whole, state('other')]).get('other'), null);
});

test('single-task fetches nothing beside what is watched, multi-task all at once', () => {
  assert.is(settled(budget('single-task'), [watched(), state('other')]).get('other'), 0);
  assert.is(settled(budget('multi-task'), [watched({ bufferMs: 0 }), state('other')]).get('other'), null);
});

test('over the quota pieces leave: the best seeded titles first, then those longest untouched, watched ones last, kept ones never', () => {
  const one = budget('multi-task-with-control', 100);
  const holdings = [
    holding('kept', 4, { isKept: true, seeders: 9 }),
    holding('watched', 4, { isWatched: true, seeders: 9 }),
    holding('recent', 4, { lastReadMs: 5 }),
    holding('old', 2, { lastReadMs: 1 }),
    holding('seeded', 2, { seeders: 3, lastReadMs: 9 }),
  ];
  const left = (excess: number): string =>
    one
      .evict(holdings, excess)
      .map(({ title, pieces }) => `${title}:${pieces.length}`)
      .join(' ');
  assert.is(left(-60), '');
  assert.is(left(-40), 'seeded:2');
  assert.is(left(-20), 'seeded:2 old:2');
  assert.is(left(0), 'seeded:2 old:2 recent:2');
  assert.is(left(500), 'seeded:2 old:2 recent:4 watched:4');
});

test('what nobody waits for is fetched only into room that is there', () => {
  const one = budget('multi-task-with-control', 100);
  one.evict([holding('film', 4), holding('other', 2)], 20);
  assert.equal([...one.allot([watched(), state('other')], 0).values()], [5, 5]);
  one.evict([holding('film', 8), holding('other', 2)], 20);
  assert.equal([...one.allot([watched(), state('other')], 1_000).values()], [0, 0]);
});

test.run();
