import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Rng } from '../../../src/kernel/rng.js';

const draw = (rng: Rng, count: number): number[] => Array.from({ length: count }, () => rng.uint32());

test('the same seed gives the same numbers for ever: these', () => {
  assert.equal(draw(new Rng(1), 4), draw(new Rng(1), 4));
  assert.equal(draw(new Rng(42), 3), [1959603763, 2423114712, 2466933512]);
});

test('another seed gives other numbers', () => {
  assert.not.equal(draw(new Rng(1), 4), draw(new Rng(2), 4));
});

test('fractions lie in [0, 1) and are spread evenly', () => {
  const rng = new Rng(7);
  const counts = new Array<number>(10).fill(0);
  for (let index = 0; index < 10_000; index++) {
    const at = Math.floor(rng.float() * 10);
    counts[at] = (counts[at] ?? 0) + 1;
  }
  assert.ok(
    counts.every((count) => count > 850 && count < 1_150),
    String(counts),
  );
});

test('a number below nothing is zero', () => {
  const rng = new Rng(3);
  assert.equal([rng.below(0), rng.below(-5), rng.below(1)], [0, 0, 0]);
  for (let index = 0; index < 100; index++) assert.ok(rng.below(7) < 7);
});

test('a fork goes its own way, and what it draws does not disturb its parent', () => {
  const parent = new Rng(5);
  const child = parent.fork();
  const lone = new Rng(5);
  lone.fork();
  draw(child, 10);
  assert.equal(draw(parent, 3), draw(lone, 3));
});

test.run();
