import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Bitfield } from '../../../../src/kernel/bitfield.js';
import { BufferMap } from '../../../../src/relay/exchange/buffer-map.js';
import { chooseFromOne, chooseStart, firstInPart, newestWindow } from '../../../../src/relay/exchange/start-choice.js';
import { PARAMETERS } from '../../../support/exchange-fixture.js';

const FAR = 0xffff_ffff;

/** A neighbour that holds these windows whole; every fourth has a key frame. */
function holding(from: number, to: number, key: (number: number) => boolean = (number) => number % 4 === 0): BufferMap {
  const map = new BufferMap();
  const windows = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  map.update(
    true,
    0,
    windows.map((number) => ({ number, pieceCount: 3, key: key(number), held: null })),
  );
  return map;
}

const choose = (maps: readonly BufferMap[], witnesses: number, above = -1): number | undefined =>
  chooseStart(maps, { above, witnesses, parameters: PARAMETERS });

test('the newest window is one that two have heard of; one alone is believed', () => {
  assert.is(newestWindow([], undefined), undefined);
  assert.is(newestWindow([holding(1, 9)], undefined), 9);
  assert.is(newestWindow([holding(1, 9), holding(1, 7)], undefined), 7);
  assert.is(newestWindow([holding(FAR, FAR), holding(1, 9), holding(1, 7)], undefined), 9);
});

test('a window that the owner has signed counts whoever has heard of it', () => {
  assert.is(newestWindow([holding(1, 7), holding(1, 5)], 20), 20);
  assert.is(newestWindow([], 20), 20);
});

test('the start is the newest key frame that lies a second behind', () => {
  // The lag is two windows of 500 ms.
  assert.is(choose([holding(1, 17), holding(1, 17)], 2), 12);
  assert.is(choose([holding(1, 18), holding(1, 18)], 2), 16);
});

test('without a key frame that far back, the oldest one is better than none', () => {
  assert.is(choose([holding(16, 17), holding(16, 17)], 2), 16);
  assert.is(choose([holding(17, 18), holding(17, 18)], 2), undefined);
});

test('windows named by too few are not chosen', () => {
  assert.is(choose([holding(1, 9), holding(20, 40)], 2), undefined);
  assert.is(choose([holding(1, 9), holding(5, 9), holding(20, 40)], 2), 8);
});

test('a key flag needs as many witnesses as its window', () => {
  assert.is(choose([holding(1, 9, () => true), holding(1, 9)], 2), 4);
});

test('a claim to the far future leads nobody there, with one witness or with two', () => {
  assert.is(choose([holding(FAR, FAR, () => true), holding(1, 18)], 1), 16);
  assert.is(choose([holding(FAR, FAR, () => true), holding(1, 18), holding(1, 18)], 2), 16);
});

test('nothing at or below the last window is chosen', () => {
  assert.is(choose([holding(1, 18), holding(1, 18)], 2, 16), undefined);
});

test('a stream that has just begun is started at the oldest key frame of which there is anything', () => {
  const map = new BufferMap();
  const held = new Bitfield(3, Uint8Array.of(0x80));
  map.update(true, 0, [
    { number: 8, pieceCount: 3, key: true, held },
    { number: 4, pieceCount: 3, key: true, held },
    { number: 2, pieceCount: 3, key: false, held },
  ]);
  assert.is(choose([map], 1), undefined);
  assert.is(firstInPart([map], -1), 4);
  assert.is(firstInPart([map], 4), 8);
  assert.is(firstInPart([], -1), undefined);
});

test('when two agree on nothing, whoever is the least ahead is believed first', () => {
  const behind = holding(1, 2);
  assert.is(chooseFromOne([holding(FAR, FAR, () => true), behind, behind, holding(1, 18)], -1, PARAMETERS), 16);
  assert.is(chooseFromOne([holding(FAR, FAR, () => true), behind], -1, PARAMETERS), FAR);
  assert.is(chooseFromOne([behind], -1, PARAMETERS), undefined);
});

test.run();
