import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Heap } from '../../../src/kernel/heap.js';

test('items leave in order, whatever order they came in', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (values) => {
      const heap = new Heap<number>((a, b) => a - b);
      for (const value of values) heap.push(value);
      assert.is(heap.size, values.length);
      const out = values.map(() => heap.pop());
      assert.equal(
        out,
        [...values].sort((a, b) => a - b),
      );
      assert.is(heap.pop(), undefined);
      assert.is(heap.peek(), undefined);
    }),
  );
});

test('items come and go in any mixture as from a sorted list', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat({ max: 9 }))), (steps) => {
      const heap = new Heap<{ rank: number; sequence: number }>((a, b) => a.rank - b.rank || a.sequence - b.sequence);
      const model: { rank: number; sequence: number }[] = [];
      for (const [sequence, rank] of steps.entries()) {
        if (rank === null) assert.is(heap.pop(), model.shift());
        else {
          const item = { rank, sequence };
          heap.push(item);
          model.push(item);
          model.sort((a, b) => a.rank - b.rank || a.sequence - b.sequence);
        }
        assert.is(heap.peek(), model[0]);
      }
    }),
  );
});

test.run();
