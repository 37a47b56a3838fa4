/** A row of windows equals a naive map that is sorted each time it is looked at, whatever is done to it. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WindowRow } from '../../src/relay/exchange/window-row.js';
import { assertLaw } from '../support/law.js';

/** Mostly neighbours, now and then far off: a publisher that restarts jumps, and a liar names the highest number there is. */
const number = fc.oneof({ weight: 8, arbitrary: fc.nat({ max: 30 }) }, { weight: 1, arbitrary: fc.constantFrom(400, 401, 0xffff_ffff) });
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('set' as const), number }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('delete' as const, 'drop-below' as const, 'drop-first' as const), number }) },
);

test('a row of windows equals a naive map', () => {
  assertLaw(
    fc.property(fc.array(step, { maxLength: 60 }), fc.array(number, { maxLength: 10 }), (steps, looked) => {
      const row = new WindowRow<number>();
      let naive = new Map<number, number>();
      for (const [at, { kind, number }] of steps.entries()) {
        if (kind === 'set') {
          row.set(number, at);
          naive.set(number, at);
        } else if (kind === 'delete') {
          row.delete(number);
          naive.delete(number);
        } else if (kind === 'drop-below') {
          row.dropBelow(number);
          naive = new Map([...naive].filter(([known]) => known >= number));
        } else {
          const count = number % 4;
          row.dropFirst(count);
          naive = new Map([...naive].sort(([a], [b]) => a - b).slice(count));
        }
      }
      const sorted = [...naive].sort(([a], [b]) => a - b);
      assert.equal(
        row.numbers,
        sorted.map(([known]) => known),
      );
      assert.equal(
        row.items,
        sorted.map(([, item]) => item),
      );
      assert.is(row.last, sorted.at(-1)?.[0]);
      assert.is(row.size, sorted.length);
      for (const asked of looked) {
        assert.is(row.get(asked), naive.get(asked));
        assert.is(row.indexFrom(asked), sorted.filter(([known]) => known < asked).length);
      }
    }),
    { numRuns: 500 },
  );
});

test.run();
