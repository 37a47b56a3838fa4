import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Bitfield } from '../../../../src/kernel/bitfield.js';
import { WindowBuffer } from '../../../../src/relay/exchange/window-buffer.js';
import { makeWindow, PIECE_BYTES } from '../../../support/exchange-fixture.js';

const numbers = (buffer: WindowBuffer): number[] => [...buffer.windows()].map(({ number }) => number);

function filled(capacityWindows: number, capacityBytes: number, opened: readonly number[]): WindowBuffer {
  const buffer = new WindowBuffer(capacityWindows, capacityBytes);
  for (const number of opened) buffer.open(makeWindow(number).manifest, 0);
  return buffer;
}

test('windows stand in order, however they came', () => {
  const buffer = filled(10, 1_000_000, [5, 3, 4, 9]);
  assert.equal(numbers(buffer), [3, 4, 5, 9]);
  assert.equal([buffer.head, buffer.tail, buffer.count], [9, 0, 4]);
});

test('beyond its number of windows the buffer slides, and what left never comes back', () => {
  const buffer = filled(3, 1_000_000, [1, 2, 3, 4]);
  assert.equal([numbers(buffer), buffer.tail], [[2, 3, 4], 2]);
  assert.is(buffer.open(makeWindow(1).manifest, 0), undefined);
});

test('numbers that do not exist take no room', () => {
  const buffer = filled(3, 1_000_000, [1, 2, 500]);
  assert.equal(numbers(buffer), [1, 2, 500]);
});

test('beyond its bytes the buffer slides too, counting a window whole as soon as it is open', () => {
  // Each is 290 bytes.
  assert.equal(numbers(filled(10, 600, [1, 2, 3])), [2, 3]);
  const none = filled(10, 100, [1]);
  assert.equal([numbers(none), none.tail], [[], 2]);
});

test('an open window is the same one when it is opened again', () => {
  const buffer = filled(3, 1_000_000, [1]);
  assert.is(buffer.open(makeWindow(1).manifest, 99), buffer.get(1));
  assert.is(buffer.get(1)?.originMs, 0);
});

test('a window is complete when each piece is here, and joins them in order', () => {
  const { manifest, pieces, content } = makeWindow(4);
  const window = new WindowBuffer(3, 1_000_000).open(manifest, 0);
  assert.ok(window);
  assert.ok(window.store(2, pieces[2] as Uint8Array));
  assert.not(window.store(2, pieces[1] as Uint8Array));
  assert.not(window.store(3, pieces[1] as Uint8Array));
  window.store(0, pieces[0] as Uint8Array);
  assert.not(window.complete);
  window.store(1, pieces[1] as Uint8Array);
  assert.ok(window.complete);
  assert.equal(window.join(PIECE_BYTES), content.bytes);
  assert.ok(window.key);
  assert.is(window.piece(2), pieces[2]);
});

test('a window knows what it lacks, and stands zeros in for it', () => {
  const { manifest, pieces } = makeWindow(4, 6);
  const window = new WindowBuffer(3, 1_000_000).open(manifest, 0);
  for (const piece of [0, 3]) window?.store(piece, pieces[piece] as Uint8Array);
  assert.is(window?.missingCount, 4);
  assert.equal(window?.gaps(PIECE_BYTES), [
    { offsetBytes: 100, lengthBytes: 200 },
    { offsetBytes: 400, lengthBytes: 190 },
  ]);
  const bytes = window?.join(PIECE_BYTES) ?? new Uint8Array(0);
  assert.equal([bytes.length, bytes.subarray(100, 300).some(Boolean), bytes.subarray(300, 400)], [590, false, pieces[3]]);
});

test('a removed window frees its room, is not the head any more, and may come again', () => {
  const buffer = new WindowBuffer(10, 1_000_000);
  for (const number of [4, 5, 6]) buffer.open(makeWindow(number).manifest, 0);
  buffer.remove(6);
  buffer.remove(4);
  buffer.remove(99);
  assert.equal([[...buffer.windows()].map(({ number }) => number), buffer.head, buffer.tail], [[5], 5, 0]);
  assert.ok(buffer.open(makeWindow(4).manifest, 0));
  for (const number of [4, 5]) buffer.remove(number);
  assert.equal([buffer.count, buffer.head], [0, undefined]);
});

test('windows before and after a number are found across gaps', () => {
  const buffer = filled(10, 1_000_000, [3, 4, 8, 9]);
  const newestBelow = (number: number): number | undefined => buffer.newestBelow(number, (window) => window.number !== 4)?.number;
  assert.equal([buffer.after(4)?.number, buffer.after(5)?.number, buffer.after(9)?.number], [8, 8, undefined]);
  assert.equal(
    buffer.following(3, 2).map(({ number }) => number),
    [4, 8],
  );
  assert.equal([newestBelow(9), newestBelow(8), newestBelow(3)], [8, 3, undefined]);
});

test('what neighbours claim of a window is gathered once, and added to as they claim more', () => {
  const { manifest, pieces } = makeWindow(4, 3);
  const window = new WindowBuffer(3, 1_000_000).open(manifest, 0);
  assert.ok(window);
  const claimOf = (...indexes: readonly number[]): Bitfield => {
    const claim = new Bitfield(3);
    for (const index of indexes) claim.add(index);
    return claim;
  };
  const offered = (...claims: readonly (Bitfield | null)[]): number[] =>
    [0, 1, 2].filter((piece) => window.offered(() => claims).has(piece));
  window.noteOffer(claimOf(0));
  assert.equal(offered(claimOf(1)), [1]);
  window.noteOffer(claimOf(2));
  assert.equal(offered(), [1, 2]);
  window.noteOffer(null);
  assert.equal(offered(), [0, 1, 2]);
  for (const [index, piece] of pieces.entries()) window.store(index, piece);
  assert.equal(offered(claimOf(0)), [0]);
});

test.run();
