/** The page's map of pieces, as cells and in words. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';

interface PieceMap {
  bytesOf(base64: string): Uint8Array;
  cellsOf(
    bits: Uint8Array,
    pieceCount: number,
    requested: readonly number[],
    cellsMax: number,
  ): readonly { readonly share: number; readonly isOnItsWay: boolean }[];
  describePieces(bits: Uint8Array, pieceCount: number, requested: readonly number[]): string;
  gridOf(widthPixels: number, pieceCount: number): { readonly columns: number; readonly rows: number };
}

const map = (await import(new URL('../../../../web/piece-map.js', import.meta.url).href)) as PieceMap;
/** Pieces 0 to 3 and 8 of 10. */
const BITS = Uint8Array.of(0b11110000, 0b10000000);

test('a bitfield comes as base64', () => {
  assert.equal([...map.bytesOf(Buffer.from(BITS).toString('base64'))], [...BITS]);
  assert.equal([...map.bytesOf('')], []);
});

test('each piece has a cell where there is room, and shares one where there is not', () => {
  const shares = (cellsMax: number): readonly number[] => map.cellsOf(BITS, 10, [], cellsMax).map(({ share }) => share);
  assert.equal(shares(100), [1, 1, 1, 1, 0, 0, 0, 0, 1, 0]);
  assert.equal(shares(5), [1, 1, 0, 0, 0.5]);
  assert.equal(shares(1), [0.5]);
  assert.equal(map.cellsOf(BITS, 0, [3], 10), []);
});

test('a piece on its way marks the cell it belongs to, for any number of pieces and cells', () => {
  for (const [pieceCount, cellsMax] of [
    [10, 3],
    [7, 7],
    [1000, 37],
    [5, 100],
  ] as const) {
    const nothing = new Uint8Array(Math.ceil(pieceCount / 8));
    const count = Math.min(pieceCount, cellsMax);
    for (let piece = 0; piece < pieceCount; piece++) {
      const marked = map.cellsOf(nothing, pieceCount, [piece], cellsMax).findIndex(({ isOnItsWay }) => isOnItsWay);
      const first = Math.floor((marked * pieceCount) / count);
      const end = Math.floor(((marked + 1) * pieceCount) / count);
      assert.ok(first <= piece && piece < end, `piece ${piece} of ${pieceCount} in ${count} cells: ${marked}`);
    }
  }
});

test('pieces that are here already, or nowhere, are not on their way', () => {
  const cells = map.cellsOf(BITS, 10, [0, 10, 99], 10);
  assert.not(cells.some(({ isOnItsWay }) => isOnItsWay));
});

test('the words say how many, and where most is missing', () => {
  assert.is(map.describePieces(BITS, 10, [4]), '5 of 10 pieces are here, 1 on the way. The longest gap goes from 40 % to 80 %.');
  assert.is(map.describePieces(Uint8Array.of(0xff), 8, []), 'All 8 pieces are here.');
  assert.is(map.describePieces(Uint8Array.of(0), 8, []), '0 of 8 pieces are here.');
  assert.is(map.describePieces(new Uint8Array(0), 0, []), 'The pieces are not known yet.');
});

test('the map is never higher than twelve rows', () => {
  assert.equal(map.gridOf(118, 5), { columns: 10, rows: 1 });
  assert.equal(map.gridOf(118, 1_000_000), { columns: 10, rows: 12 });
  assert.equal(map.gridOf(1, 3), { columns: 1, rows: 3 });
});

test.run();
