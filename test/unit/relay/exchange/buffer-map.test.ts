import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Bitfield } from '../../../../src/kernel/bitfield.js';
import { BufferMap } from '../../../../src/relay/exchange/buffer-map.js';
import { MAP_WINDOWS_MAX, type WindowAvailability } from '../../../../src/relay/exchange/live-message.js';

const whole = (number: number, pieceCount = 0, key = false): WindowAvailability => ({ number, pieceCount, key, held: null });
const part = (number: number, pieceCount: number, ...pieces: readonly number[]): WindowAvailability => {
  const held = new Bitfield(pieceCount);
  for (const piece of pieces) held.add(piece);
  return { number, pieceCount, key: false, held };
};

test('news add to what was said before', () => {
  const map = new BufferMap();
  map.update(true, 0, [part(5, 4, 0)]);
  map.update(false, 0, [part(5, 4, 3), whole(6)]);
  assert.equal(
    [0, 1, 2, 3].map((piece) => map.holds(5, piece)),
    [true, false, false, true],
  );
  assert.equal([map.holdsAll(5), map.holdsAll(6), map.head], [false, true, 6]);
});

test('where no tail is said, the one said before holds', () => {
  const map = new BufferMap();
  map.update(true, 5, [whole(4), whole(5)]);
  map.update(false, undefined, [whole(6)]);
  assert.equal([map.tail, map.numbers()], [5, [5, 6]]);
});

test('a short word is a map of a window whose details are known, and nothing where they are not', () => {
  const map = new BufferMap();
  map.update(true, 0, [part(5, 4, 0), whole(6, 4), whole(7), { ...part(8, 4, 0), key: true, version: 9 }]);
  assert.equal(map.spellOut(5, [1, 3, 4]), part(5, 4, 1, 3));
  assert.equal(map.spellOut(5, []), whole(5, 4));
  assert.equal(map.spellOut(8, []), { ...whole(8, 4, true), version: 9 });
  assert.equal(
    [6, 7, 9].map((number) => map.spellOut(number, [1])),
    [undefined, undefined, undefined],
  );
});

test('a whole window has as many pieces as it is said to have, and any if nothing is said', () => {
  const map = new BufferMap();
  map.update(true, 0, [whole(5, 3), whole(6)]);
  assert.equal([map.holds(5, 2), map.holds(5, 3), map.holds(6, 3)], [true, false, true]);
});

test('a whole map replaces what was said before, but keeps counts and key flags', () => {
  const map = new BufferMap();
  map.update(true, 0, [whole(5, 4, true), whole(6, 4)]);
  map.update(true, 0, [whole(5)]);
  assert.equal(map.get(5), { number: 5, pieceCount: 4, key: true, held: null });
  assert.is(map.get(6), undefined);
});

test('what was held whole is not held in part because of later news', () => {
  const map = new BufferMap();
  map.update(true, 0, [whole(5, 4)]);
  map.update(false, 0, [part(5, 4, 1)]);
  assert.ok(map.holdsAll(5));
});

test('what lies below the tail is gone', () => {
  const map = new BufferMap();
  map.update(true, 0, [whole(5), whole(6)]);
  map.update(false, 6, []);
  assert.equal([map.get(5), map.tail, map.head], [undefined, 6, 6]);
  map.forgetBelow(7);
  assert.equal([...map.numbers()], []);
});

test('a map never holds more windows than a message may name', () => {
  const map = new BufferMap();
  for (let round = 0; round < 5; round++) {
    map.update(
      false,
      0,
      Array.from({ length: 1_000 }, (_, index) => whole(round * 1_000 + index)),
    );
  }
  assert.is([...map.numbers()].length, MAP_WINDOWS_MAX);
});

test('what was sent there is held there, whatever it announces', () => {
  const map = new BufferMap();
  map.noteHeld(5, 1, 3, 9);
  assert.equal([map.holds(5, 1), map.holds(5, 0)], [true, false]);
  map.update(false, 0, [whole(6)]);
  map.noteHeld(6, 1, 3, 9);
  assert.ok(map.holdsAll(6));
});

test('what was refused there is not held there', () => {
  const map = new BufferMap();
  map.update(true, 0, [whole(5)]);
  map.noteMissing(5);
  assert.not(map.holds(5, 0));
});

test('numbers are found from anywhere on, and a claim only of the content that is meant', () => {
  const map = new BufferMap();
  map.update(true, 0, [whole(5), { ...whole(8, 4), version: 3 }]);
  assert.equal([map.firstFrom(0), map.firstFrom(6), map.firstFrom(9), map.numbersFrom(6)], [5, 8, undefined, [8]]);
  assert.equal(
    [map.claim(8, 3)?.pieceCount, map.claim(8, undefined)?.pieceCount, map.claim(8, 4), map.claim(6, 3)],
    [4, 4, undefined, undefined],
  );
});

test.run();
