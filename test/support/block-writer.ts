/**
 * A process that stores the blocks of a title in random order and tells of each that is stored, until it is killed.
 *
 * `node block-writer.js FOLDER SEED LAYOUT`. Lines on standard output: `stored PIECE OFFSET`, `right PIECE`, `done`.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StoreLayout } from '../../src/io/titles/progress-record.js';
import { TitleStore } from '../../src/io/titles/title-store.js';
import { Bitfield } from '../../src/kernel/bitfield.js';
import { Rng } from '../../src/kernel/rng.js';
import { BLOCK_BYTES } from '../../src/vod/block.js';
import { MemoryLog } from './memory-log.js';
import { blocksOf, makeTitle, type TitleFixture } from './stored-title.js';

/** Large enough that no run of the test ends before it is killed: 25 MB in 1536 blocks, files that begin within blocks. */
export const KILLED_TITLE: TitleFixture = makeTitle({
  name: 'killed',
  pieceLengthBytes: 262_144,
  files: [
    ['a', 9_000_001],
    ['b/c', 16_000_000],
    ['b/d', 12_345],
  ],
});

export function openKilledTitle(folder: string, layout: StoreLayout): Promise<TitleStore> {
  const log = new MemoryLog();
  return TitleStore.open({ metainfo: KILLED_TITLE.title, folder: join(folder, 't'), recordFolder: join(folder, 'r'), log, layout });
}

/** Stores what is missing, a few blocks at a time from a few pieces at a time. Returns how many blocks that took. */
export async function storeMissing(store: TitleStore, rng: Rng, tell: (line: string) => void): Promise<number> {
  const { pieceCount } = KILLED_TITLE.title;
  const have = new Bitfield(pieceCount, store.have);
  const { blocks: partial } = store;
  const missing = Array.from({ length: pieceCount }, (_, piece) => piece).filter((piece) => !have.has(piece));
  let storedCount = 0;
  const storePiece = async (piece: number): Promise<void> => {
    const held = new Bitfield(16, partial.get(piece));
    const blocks = blocksOf(KILLED_TITLE, piece).filter(({ offsetBytes }) => !held.has(offsetBytes / BLOCK_BYTES));
    for (const order = [...blocks]; order.length > 0; ) {
      const some = Array.from({ length: 1 + rng.below(3) }, () => order.splice(rng.below(order.length), 1)).flat();
      const stored = some.map(async ({ offsetBytes, bytes }) => {
        await store.writeBlock(piece, offsetBytes, bytes);
        storedCount++;
        tell(`stored ${piece} ${offsetBytes}`);
      });
      await Promise.all(stored);
    }
    if (await store.checkPiece(piece)) tell(`right ${piece}`);
    else throw new Error(`piece ${piece} was not right`);
  };
  const lane = async (): Promise<void> => {
    while (missing.length > 0) await storePiece(missing.splice(rng.below(missing.length), 1)[0] ?? 0);
  };
  await Promise.all([lane(), lane(), lane()]);
  return storedCount;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , folder = '', seed = '1', layout = 'files'] = process.argv;
  const store = await openKilledTitle(folder, layout as StoreLayout);
  await store.settle();
  await storeMissing(store, new Rng(Number(seed)), (line) => writeSync(1, `${line}\n`));
  writeSync(1, 'done\n');
}
