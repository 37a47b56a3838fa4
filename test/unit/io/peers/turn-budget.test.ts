/** One budget of frames, many that want them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TurnBudget } from '../../../../src/io/peers/turn-budget.js';

test('one connection gets its part, all get theirs, and whoever comes too late a little', () => {
  const ends: (() => void)[] = [];
  const budget = new TurnBudget((task) => ends.push(task));
  assert.equal(
    Array.from({ length: 6 }, () => budget.take(10_000)),
    [512, 512, 512, 512, 16, 16],
  );
  assert.is(ends.length, 1);
  ends[0]?.();
  assert.equal([budget.take(10_000), budget.take(100)], [512, 100]);
  assert.is(ends.length, 2);
});

test('what is no more than a chunk of blocks holds costs nothing', () => {
  const budget = new TurnBudget(() => {
    throw new Error('asked for the end of the turn');
  });
  for (let i = 0; i < 10_000; i++) assert.is(budget.take(5), 5);
});

test.run();
