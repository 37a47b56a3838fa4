import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { median } from '../../../src/kernel/median.js';

test('it is the value in the middle, whatever the order, and the lower one of two', () => {
  assert.is(median([9, 1, 5]), 5);
  assert.is(median([10, 9, 100, 2]), 9);
  assert.is(median([7]), 7);
  assert.is(median([]), undefined);
});

test.run();
