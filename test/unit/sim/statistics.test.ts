/** Figures from many numbers. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { estimate, jain, quantile, ratio } from '../../../src/sim/statistics.js';

test('a mean has the interval of Student, and one value has none', () => {
  const { mean, plusMinus, count } = estimate([10, 12, 14]);
  assert.is(mean, 12);
  assert.is(count, 3);
  // 4.303 · 2 / √3.
  assert.ok(Math.abs((plusMinus ?? 0) - 4.968_68) < 1e-3, String(plusMinus));
  assert.is(estimate([5]).plusMinus, null);
});

test('quantiles lie between the values', () => {
  assert.is(quantile([4, 1, 3, 2], 0.5), 2.5);
  assert.is(quantile([1, 2], 1), 2);
  assert.ok(Number.isNaN(quantile([], 0.5)));
});

test('Jain is 1 for equal shares and 1/n when one has everything', () => {
  assert.is(jain([3, 3, 3]), 1);
  assert.is(jain([9, 0, 0, 0]), 0.25);
  assert.ok(Number.isNaN(ratio(1, 0)));
});

test.run();
