import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WindowRow } from '../../../../src/relay/exchange/window-row.js';

function rowOf(...numbers: readonly number[]): WindowRow<string> {
  const row = new WindowRow<string>();
  for (const number of numbers) row.set(number, `item ${number}`);
  return row;
}

test('items stand by their numbers, however they came, and one number has one item', () => {
  const row = rowOf(5, 3, 9, 4);
  row.set(3, 'again');
  assert.equal(row.numbers, [3, 4, 5, 9]);
  assert.equal(row.items, ['again', 'item 4', 'item 5', 'item 9']);
  assert.equal([row.get(3), row.get(7), row.get(0xffff_ffff), row.size], ['again', undefined, undefined, 4]);
});

test('a place is found before, in, between and after gaps', () => {
  const row = rowOf(10, 11, 12, 500, 501, 0xffff_ffff);
  assert.equal(
    [0, 10, 12, 13, 500, 502, 0xffff_ffff, 0x1_0000_0000].map((number) => row.indexFrom(number)),
    [0, 0, 2, 3, 3, 5, 5, 6],
  );
  assert.is(new WindowRow().indexFrom(3), 0);
});

test('the lowest go by number or by count, and any by name', () => {
  const row = rowOf(1, 2, 3, 7, 8);
  row.dropBelow(3);
  assert.equal(row.numbers, [3, 7, 8]);
  row.dropFirst(1);
  row.dropFirst(-2);
  row.delete(8);
  row.delete(99);
  assert.equal([row.numbers, row.items], [[7], ['item 7']]);
  row.dropBelow(100);
  assert.is(row.size, 0);
});

test.run();
