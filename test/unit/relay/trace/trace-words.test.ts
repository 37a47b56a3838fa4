import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Bitfield } from '../../../../src/kernel/bitfield.js';
import { hexOf, wordsOf, wordsOfMessage } from '../../../../src/relay/trace/trace-words.js';

test('every field is in the words, byte strings by length and beginning, what is left out is not', () => {
  const value = { a: [1, null, true], b: Uint8Array.from({ length: 9 }, (_, index) => index), c: undefined, d: 'x y', e: Number.NaN };
  assert.is(wordsOf(value), '{a: [1, null, true], b: <9 bytes 0001020304050607>, d: "x y", e: NaN}');
  assert.is(
    wordsOf(value.b, () => ' !'),
    '<9 bytes 0001020304050607 !>',
  );
});

test('a message begins with its kind, and a bitfield shows its bits', () => {
  const held = new Bitfield(3, Uint8Array.of(0xa0));
  const windows = [{ number: 7, pieceCount: 3, key: false, held }];
  assert.is(
    wordsOfMessage({ kind: 'map', full: true, tail: 4, windows }),
    'map {full: true, tail: 4, windows: [{number: 7, pieceCount: 3, key: false, held: <2 of 3: a0>}]}',
  );
});

test('hex digits are two for each byte', () => {
  assert.is(hexOf(Uint8Array.of(0, 10, 255)), '000aff');
});

test.run();
