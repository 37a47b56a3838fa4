/** What the store of a title promises, on real files. */
import {
  appendFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { open as openHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ExtentCache } from '../../src/io/titles/extent-cache.js';
import { HashWorkers } from '../../src/io/titles/hash-workers.js';
import { OpenFiles } from '../../src/io/titles/open-files.js';
import { TitleStore, type TitleStoreOptions } from '../../src/io/titles/title-store.js';
import { Bitfield } from '../../src/kernel/bitfield.js';
import { type ErrorCode, ShoalError } from '../../src/kernel/errors.js';
import { MemoryLog } from '../support/memory-log.js';
import { blocksOf, makeTitle, type TitleFixture } from '../support/stored-title.js';

const test = suite<{ dir: string; log: MemoryLog }>('title store');
const workers = new HashWorkers();

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'shoal-titles-'));
  context.log = new MemoryLog();
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));
test.after(() => workers.close());

const FILES: readonly (readonly [string, number])[] = [
  ['a.bin', 100_000],
  ['empty', 0],
  ['sub/b.bin', 150_001],
  ['.pad/1', 12_143],
  ['sub/deep/c.bin', 200_000],
];
const FIXTURE = makeTitle({ files: FILES });
const SINGLE = makeTitle({ name: 'film.mp4', files: [['', 300_000]], seed: 2 });

function open(dir: string, { title }: TitleFixture, log: MemoryLog, more: Partial<TitleStoreOptions> = {}): Promise<TitleStore> {
  return TitleStore.open({
    metainfo: title,
    folder: join(dir, 'titles'),
    recordFolder: join(dir, 'records'),
    log,
    hashWorkers: workers,
    ...more,
  });
}

async function writePiece(store: TitleStore, fixture: TitleFixture, piece: number): Promise<boolean> {
  await Promise.all(blocksOf(fixture, piece).map(({ offsetBytes, bytes }) => store.writeBlock(piece, offsetBytes, bytes)));
  return store.checkPiece(piece);
}

async function writeAll(store: TitleStore, fixture: TitleFixture): Promise<void> {
  for (let piece = 0; piece < fixture.title.pieceCount; piece++) assert.ok(await writePiece(store, fixture, piece));
}

/** Indices in a bitfield. */
function indices(bytes: Uint8Array, length: number): number[] {
  const field = new Bitfield(length, bytes);
  return Array.from({ length }, (_, index) => index).filter((index) => field.has(index));
}

function held(store: TitleStore, { title }: TitleFixture): number[] {
  return indices(store.have, title.pieceCount);
}

async function rejection(task: Promise<unknown>): Promise<ShoalError> {
  try {
    await task;
  } catch (error) {
    assert.instance(error, ShoalError);
    return error as ShoalError;
  }
  throw new Error('nothing was refused');
}

async function assertRefused(task: Promise<unknown>, code: ErrorCode, ...words: string[]): Promise<void> {
  const error = await rejection(task);
  assert.is(error.code, code, error.message);
  for (const word of words) assert.ok(error.message.includes(word), `"${error.message}" lacks "${word}"`);
}

function file(dir: string, ...names: string[]): string {
  return join(dir, 'titles', ...names);
}

/** Puts the whole title on the disk as another program would. */
function putFiles(dir: string, { title, bytes }: TitleFixture): void {
  for (const { path, offsetBytes, lengthBytes, isPad } of title.files) {
    if (isPad) continue;
    const target = title.isSingleFile ? file(dir, title.name) : file(dir, title.name, ...path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, bytes.subarray(offsetBytes, offsetBytes + lengthBytes));
  }
}

test('files lie on the disk as they are, empty ones too, pad files not at all', async ({ dir, log }) => {
  const store = await open(dir, FIXTURE, log);
  assert.ok(!existsSync(file(dir, 'title')));
  await writeAll(store, FIXTURE);
  await store.close();
  for (const { path, offsetBytes, lengthBytes, isPad } of FIXTURE.title.files) {
    if (isPad) assert.ok(!existsSync(file(dir, 'title', '.pad')));
    else assert.ok(readFileSync(file(dir, 'title', ...path)).equals(FIXTURE.bytes.subarray(offsetBytes, offsetBytes + lengthBytes)));
  }
  assert.equal(log.complaints, []);
});

test('a title of one file is one file, sparse, at its full length from the first block on', async ({ dir, log }) => {
  const fixture = makeTitle({ name: 'film.mp4', pieceLengthBytes: 262_144, files: [['', 4_000_000]] });
  const store = await open(dir, fixture, log);
  const [block] = blocksOf(fixture, 9);
  await store.writeBlock(9, 0, block?.bytes ?? new Uint8Array(0));
  const { size, blocks } = statSync(file(dir, 'film.mp4'));
  assert.is(size, 4_000_000);
  assert.ok(blocks * 512 < 100_000);
  assert.ok(store.diskBytes() < 100_000);
  await store.close();
});

test('blocks may come in any order, twice, and several in one', async ({ dir, log }) => {
  const store = await open(dir, FIXTURE, log);
  const blocks = blocksOf(FIXTURE, 2);
  for (const { offsetBytes, bytes } of [...blocks.slice(2).reverse(), ...blocks.slice(2)]) void store.writeBlock(2, offsetBytes, bytes);
  await store.writeBlock(2, 0, Buffer.concat(blocks.slice(0, 2).map(({ bytes }) => bytes)));
  assert.ok(await store.checkPiece(2));
  assert.ok(await store.checkPiece(2));
  assert.equal(held(store, FIXTURE), [2]);
  await store.close();
});

test('what was stored is known after another start, blocks of unfinished pieces too', async ({ dir, log }) => {
  let store = await open(dir, FIXTURE, log);
  await writePiece(store, FIXTURE, 0);
  const blocks = blocksOf(FIXTURE, 1);
  for (const at of [0, 2]) await store.writeBlock(1, blocks[at]?.offsetBytes ?? 0, blocks[at]?.bytes ?? new Uint8Array(0));
  await store.close();
  store = await open(dir, FIXTURE, log);
  assert.is(store.doubtfulPieces, 0);
  assert.equal(held(store, FIXTURE), [0]);
  assert.equal(store.blocks.get(1), Uint8Array.of(0b1010_0000));
  for (const at of [1, 3]) await store.writeBlock(1, blocks[at]?.offsetBytes ?? 0, blocks[at]?.bytes ?? new Uint8Array(0));
  assert.ok(await store.checkPiece(1));
  await store.close();
});

test('of a wrong piece single blocks can be stored anew, while all others stand', async ({ dir, log }) => {
  const store = await open(dir, FIXTURE, log);
  const blocks = blocksOf(FIXTURE, 1);
  for (const [index, { piece, offsetBytes, bytes }] of blocks.entries())
    await store.writeBlock(piece, offsetBytes, index === 2 ? new Uint8Array(bytes.length) : bytes);
  assert.not.ok(await store.checkPiece(1, { keepsWrong: true }));
  const before = await store.digestBlocks(1);
  await store.dropBlocks(1, [2]);
  const right = blocks[2];
  if (right) await store.writeBlock(right.piece, right.offsetBytes, right.bytes);
  assert.ok(await store.checkPiece(1, { keepsWrong: true }));
  const after = await store.digestBlocks(1);
  assert.equal(
    after.flatMap((digest, block) => (digest === before[block] ? [] : [block])),
    [2],
  );
  await store.close();
});

test('a corrupt piece is forgotten with all its blocks, and may be fetched again', async ({ dir, log }) => {
  const store = await open(dir, FIXTURE, log);
  const blocks = blocksOf(FIXTURE, 1);
  const bad = new Uint8Array(blocks[2]?.bytes ?? []);
  bad[7] = (bad[7] ?? 0) ^ 1;
  await Promise.all(blocks.map(({ offsetBytes, bytes }, index) => store.writeBlock(1, offsetBytes, index === 2 ? bad : bytes)));
  assert.not.ok(await store.checkPiece(1));
  assert.is(store.blocks.get(1), undefined);
  assert.ok(await writePiece(store, FIXTURE, 1));
  await store.close();
});

test('a verified piece is never written over', async ({ dir, log }) => {
  const store = await open(dir, FIXTURE, log);
  await writePiece(store, FIXTURE, 0);
  await store.writeBlock(0, 0, new Uint8Array(16_384));
  assert.equal(Buffer.from(await store.readBlock(0, 0, 16_384)), Buffer.from(FIXTURE.bytes.subarray(0, 16_384)));
  await store.close();
});

test('a check before all blocks are stored blames nobody', async ({ dir, log }) => {
  const store = await open(dir, FIXTURE, log);
  await store.writeBlock(0, 0, blocksOf(FIXTURE, 0)[0]?.bytes ?? new Uint8Array(0));
  await assertRefused(store.checkPiece(0), 'TITLE_DATA_MISSING', 'piece 0');
  assert.equal(store.blocks.get(0), Uint8Array.of(0b1000_0000));
  await store.close();
});

test('verified bytes are read across files, pads as zeros, and no further than they are verified', async ({ dir, log }) => {
  const store = await open(dir, FIXTURE, log);
  assert.is((await store.readVerified(0, 10)).length, 0);
  for (const piece of [0, 1, 2, 3, 5]) await writePiece(store, FIXTURE, piece);
  const read = await store.readVerified(50_000, 400_000);
  assert.ok(Buffer.from(read).equals(FIXTURE.bytes.subarray(50_000, 4 * 65_536)));
  assert.is(store.verifiedUntil(5 * 65_536, 1e9), 6 * 65_536);
  await assertRefused(store.readBlock(4, 0, 16_384), 'TITLE_DATA_MISSING');
  await store.close();
});

test('blocks for peers come out of few large reads, and the memory for them is bounded', async ({ dir, log }) => {
  const fixture = makeTitle({ pieceLengthBytes: 1_048_576, files: [['a', 5_000_000]] });
  const extents = new ExtentCache(1_048_576);
  const store = await open(dir, fixture, log, { extents });
  await writeAll(store, fixture);
  for (let piece = 0; piece < fixture.title.pieceCount; piece++) {
    for (const { offsetBytes, bytes } of blocksOf(fixture, piece)) {
      assert.ok(Buffer.from(await store.readBlock(piece, offsetBytes, bytes.length)).equals(bytes));
      assert.ok(extents.heldBytes <= 1_048_576);
    }
  }
  const across = await store.readBlock(1, 262_144 - 100, 200);
  assert.ok(Buffer.from(across).equals(fixture.bytes.subarray(1_048_576 + 262_044, 1_048_576 + 262_244)));
  await store.close();
});

test('pieces of more than 1 MiB that came in disorder are hashed by a worker, and by blocks when they came in order', async ({
  dir,
  log,
}) => {
  const fixture = makeTitle({ pieceLengthBytes: 8_388_608, files: [['', 10_000_000]], name: 'big' });
  const store = await open(dir, fixture, log);
  for (const { offsetBytes, bytes } of blocksOf(fixture, 0).reverse()) {
    if (store.isFull) await store.drained();
    void store.writeBlock(0, offsetBytes, bytes);
  }
  assert.ok(await store.checkPiece(0));
  assert.ok(workers.threadCount > 0);
  assert.ok(await writePiece(store, fixture, 1));
  await store.close();
});

test('a file that was changed, truncated or deleted is found at the start, and only its pieces are checked', async ({ dir, log }) => {
  const store = await open(dir, FIXTURE, log);
  await writeAll(store, FIXTURE);
  await store.close();
  const changed = await openHandle(file(dir, 'title', 'sub', 'b.bin'), 'r+');
  await changed.write(Buffer.from('x'), 0, 1, 60_000);
  await changed.close();
  truncateSync(file(dir, 'title', 'sub', 'deep', 'c.bin'), 10_000);
  const again = await open(dir, FIXTURE, log);
  // b.bin has bytes 100 000 to 250 001: pieces 1 to 3. c.bin begins at 262 144, piece 4: what is left of it is in doubt, the rest is gone.
  assert.equal(held(again, FIXTURE), [0]);
  assert.is(again.doubtfulPieces, 3);
  const progress: number[] = [];
  await again.settle({ onProgress: (doneBytes, totalBytes) => progress.push(doneBytes / totalBytes) });
  assert.equal(held(again, FIXTURE), [0, 1, 3]);
  assert.is(progress.at(-1), 1);
  assert.is(progress.length, 3);
  for (const piece of [2, 4, 5, 6, 7]) if (piece < FIXTURE.title.pieceCount) assert.ok(await writePiece(again, FIXTURE, piece));
  assert.is(statSync(file(dir, 'title', 'sub', 'deep', 'c.bin')).size, 200_000);
  await again.close();
  rmSync(file(dir, 'title', 'a.bin'));
  const third = await open(dir, FIXTURE, log);
  assert.is(third.doubtfulPieces, 0);
  assert.equal(
    held(third, FIXTURE),
    [2, 3, 4, 5, 6, 7].filter((piece) => piece < FIXTURE.title.pieceCount),
  );
  await third.close();
});

test('a file that is deleted, or put in another place, while the title is open is noticed, and can be written anew', async ({
  dir,
  log,
}) => {
  const lost: number[] = [];
  const store = await open(dir, FIXTURE, log, { onLost: (pieces) => lost.push(...pieces) });
  await writeAll(store, FIXTURE);
  assert.ok(await store.lookAgain());
  const path = file(dir, FIXTURE.title.name, 'sub', 'b.bin');
  const copy = readFileSync(path);
  rmSync(path);
  assert.not.ok(await store.lookAgain());
  const [first, last] = [Math.floor(100_000 / FIXTURE.title.pieceLengthBytes), Math.floor(250_000 / FIXTURE.title.pieceLengthBytes)];
  assert.equal(
    lost,
    Array.from({ length: last - first + 1 }, (_, index) => first + index),
  );
  for (const piece of lost) assert.not.ok(store.hasPiece(piece));
  for (const piece of lost) assert.ok(await writePiece(store, FIXTURE, piece));
  assert.ok(readFileSync(path).equals(copy));
  assert.ok(await store.lookAgain());
  renameSync(path, `${path}.old`);
  writeFileSync(path, copy);
  assert.not.ok(await store.lookAgain(), 'another file lies in its place');
  await store.close();
});

test('a check that is interrupted leaves the doubt, also for the next start', async ({ dir, log }) => {
  const store = await open(dir, FIXTURE, log);
  await writeAll(store, FIXTURE);
  await store.close();
  utimesSync(file(dir, 'title', 'a.bin'), 1, 1);
  for (let count = 0; count < 2; count++) {
    const doubting = await open(dir, FIXTURE, log);
    assert.is(doubting.doubtfulPieces, 2);
    await doubting.settle({ signal: AbortSignal.abort() });
    assert.is(doubting.doubtfulPieces, 2);
    await doubting.close();
  }
  const settled = await open(dir, FIXTURE, log);
  await settled.settle();
  assert.is(held(settled, FIXTURE).length, FIXTURE.title.pieceCount);
  await settled.close();
  const trusting = await open(dir, FIXTURE, log);
  assert.is(trusting.doubtfulPieces, 0);
  await trusting.close();
});

test('a file that shrinks while the title is open is noticed by the reader, and the piece is given up', async ({ dir, log }) => {
  const lost: number[] = [];
  const store = await open(dir, SINGLE, log, { onLost: (pieces) => lost.push(...pieces) });
  await writeAll(store, SINGLE);
  truncateSync(file(dir, 'film.mp4'), 70_000);
  await assertRefused(store.readBlock(1, 16_384, 16_384), 'TITLE_DATA_MISSING', 'film.mp4');
  await assertRefused(store.readVerified(200_000, 210_000), 'TITLE_DATA_MISSING');
  assert.equal(lost, [1, 3]);
  assert.ok(await writePiece(store, SINGLE, 1));
  assert.equal(Buffer.from(await store.readBlock(1, 0, 4)), Buffer.from(SINGLE.bytes.subarray(65_536, 65_540)));
  await store.close();
});

test('files of the title that were there before are taken in after a check', async ({ dir, log }) => {
  putFiles(dir, FIXTURE);
  const store = await open(dir, FIXTURE, log);
  assert.equal(held(store, FIXTURE), []);
  await store.settle();
  assert.is(held(store, FIXTURE).length, FIXTURE.title.pieceCount);
  await store.remove({ withData: true });
  assert.equal(readdirSync(file(dir, 'title')).sort(), ['a.bin', 'empty', 'sub']);
});

test('a title made of files here is taken as complete', async ({ dir, log }) => {
  putFiles(dir, SINGLE);
  let store = await open(dir, SINGLE, log, { isComplete: true });
  assert.is(store.doubtfulPieces, 0);
  assert.is(held(store, SINGLE).length, SINGLE.title.pieceCount);
  await store.close();
  store = await open(dir, SINGLE, log);
  assert.is(store.doubtfulPieces, 0);
  await store.remove({ withData: true });
  assert.ok(existsSync(file(dir, 'film.mp4')));
});

test('another file of the same name is neither taken in nor written over', async ({ dir, log }) => {
  mkdirSync(file(dir), { recursive: true });
  writeFileSync(file(dir, 'film.mp4'), 'my only copy of something else');
  const store = await open(dir, SINGLE, log);
  await assertRefused(store.settle(), 'TITLE_COLLISION', 'film.mp4', 'choose another folder');
  await store.close();
  writeFileSync(file(dir, 'film.mp4'), Buffer.alloc(300_001, 1));
  await assertRefused(open(dir, SINGLE, log), 'TITLE_COLLISION', '300001 bytes');
  rmSync(file(dir, 'film.mp4'));
  mkdirSync(file(dir, 'film.mp4'));
  await assertRefused(open(dir, SINGLE, log), 'TITLE_COLLISION', 'not an ordinary file');
});

test('two titles of one name cannot be open in one folder, nor one title twice', async ({ dir, log }) => {
  const other = makeTitle({ name: 'film.mp4', files: [['', 300_000]], seed: 3 });
  const store = await open(dir, SINGLE, log);
  await assertRefused(open(dir, other, log), 'TITLE_COLLISION', 'another open title');
  await assertRefused(open(dir, SINGLE, log), 'TITLE_COLLISION', 'open already');
  await store.close();
  await (await open(dir, SINGLE, log)).close();
});

test('no link is followed, neither at a file nor on the way to it', async ({ dir, log }) => {
  const outside = join(dir, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'c.bin'), 'precious');
  mkdirSync(file(dir, 'title', 'sub'), { recursive: true });
  symlinkSync(outside, file(dir, 'title', 'sub', 'deep'));
  const store = await open(dir, FIXTURE, log);
  await store.settle().catch(() => undefined);
  await assertRefused(store.writeBlock(5, 0, blocksOf(FIXTURE, 5)[0]?.bytes ?? new Uint8Array(0)), 'TITLE_COLLISION', 'follows no links');
  await store.remove({ withData: true });
  rmSync(file(dir, 'title', 'sub', 'deep'));
  mkdirSync(file(dir, 'title', 'sub', 'deep'), { recursive: true });
  symlinkSync(join(outside, 'c.bin'), file(dir, 'title', 'sub', 'deep', 'c.bin'));
  await assertRefused(open(dir, FIXTURE, log), 'TITLE_COLLISION', 'c.bin');
  assert.is(readFileSync(join(outside, 'c.bin'), 'utf8'), 'precious');
});

test('a link that is put in place while the title is open is not followed either', async ({ dir, log }) => {
  const store = await open(dir, FIXTURE, log, { openFiles: new OpenFiles(1) });
  await writePiece(store, FIXTURE, 0);
  await writePiece(store, FIXTURE, 2);
  const outside = join(dir, 'outside');
  mkdirSync(join(outside, 'deep'), { recursive: true });
  rmSync(file(dir, 'title', 'sub'), { recursive: true });
  symlinkSync(outside, file(dir, 'title', 'sub'));
  await assertRefused(store.writeBlock(5, 0, blocksOf(FIXTURE, 5)[0]?.bytes ?? new Uint8Array(0)), 'TITLE_COLLISION');
  assert.equal(readdirSync(join(outside, 'deep')), []);
  await store.close();
});

test('a damaged record, a foreign one and none lead to a check, and to nothing worse', async ({ dir, log }) => {
  let store = await open(dir, SINGLE, log);
  await writePiece(store, SINGLE, 0);
  await writePiece(store, SINGLE, 2);
  await store.close();
  const record = join(dir, 'records', `${SINGLE.title.infoHash}.progress`);
  const whole = readFileSync(record);
  const foreign = Buffer.from(whole);
  foreign[10] = (foreign[10] ?? 0) ^ 1;
  for (const bytes of [whole.subarray(0, 70), Buffer.alloc(whole.length), foreign, Buffer.concat([whole, whole])]) {
    writeFileSync(record, bytes);
    store = await open(dir, SINGLE, log);
    assert.equal(held(store, SINGLE), []);
    await store.settle();
    assert.equal(held(store, SINGLE), [0, 2]);
    assert.equal([...store.blocks.keys()], []);
    await store.close();
  }
  assert.ok(log.complaints.some((line) => line.includes('damaged')));
  for (let at = 64; at < whole.length; at += 7) {
    const bytes = Buffer.from(whole);
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    writeFileSync(record, bytes);
    store = await open(dir, SINGLE, log);
    await store.settle();
    assert.equal(held(store, SINGLE), [0, 2]);
    await store.close();
  }
});

test('a title that was removed leaves nothing that it made, and everything else', async ({ dir, log }) => {
  mkdirSync(file(dir, 'title', 'sub'), { recursive: true });
  writeFileSync(file(dir, 'title', 'sub', 'mine.txt'), 'mine');
  const store = await open(dir, FIXTURE, log);
  await writeAll(store, FIXTURE);
  await store.remove({ withData: true });
  assert.equal(readdirSync(file(dir, 'title')), ['sub']);
  assert.equal(readdirSync(file(dir, 'title', 'sub')), ['mine.txt']);
  assert.equal(readdirSync(join(dir, 'records')), []);
  const second = await open(dir, SINGLE, log);
  await writeAll(second, SINGLE);
  await second.remove({ withData: false });
  assert.is(statSync(file(dir, 'film.mp4')).size, 300_000);
  await assertRefused(second.writeBlock(0, 0, new Uint8Array(16_384)), 'TITLE_STORE_CLOSED');
  const third = await open(dir, SINGLE, log);
  assert.is(held(third, SINGLE).length, SINGLE.title.pieceCount, 'added again, it is there');
  await third.remove({ withData: true });
  assert.not(existsSync(file(dir, 'film.mp4')), 'and still its own');
  assert.equal(readdirSync(join(dir, 'records')), []);
});

test('pieces that are only cached give their room back at once, and are gone after another start', async ({ dir, log }) => {
  const store = await open(dir, FIXTURE, log, { layout: 'pieces' });
  await writeAll(store, FIXTURE);
  const before = store.diskBytes();
  assert.ok(before >= FIXTURE.title.totalBytes);
  assert.ok((await store.removePiece(3)) >= 65_536);
  assert.ok(store.diskBytes() <= before - 65_536);
  await assertRefused(store.readBlock(3, 0, 16_384), 'TITLE_DATA_MISSING');
  await store.close();
  const again = await open(dir, FIXTURE, log, { layout: 'pieces' });
  assert.equal(
    held(again, FIXTURE),
    Array.from({ length: FIXTURE.title.pieceCount }, (_, piece) => piece).filter((piece) => piece !== 3),
  );
  assert.ok(await writePiece(again, FIXTURE, 3));
  assert.ok(Buffer.from(await again.readVerified(0, 1e9)).equals(FIXTURE.bytes));
  await again.remove({ withData: true });
  assert.equal(readdirSync(join(dir, 'titles')), []);
});

test('pieces at the end of a file that Shoal made give their room back, others only their bits', async ({ dir, log }) => {
  const store = await open(dir, SINGLE, log);
  await writeAll(store, SINGLE);
  assert.is(await store.removePiece(3), 0);
  assert.ok((await store.removePiece(4)) > 65_536);
  assert.is(statSync(file(dir, 'film.mp4')).size, 300_000);
  assert.equal(held(store, SINGLE), [0, 1, 2]);
  assert.ok(await writePiece(store, SINGLE, 4));
  await store.close();
  const again = await open(dir, SINGLE, log);
  assert.equal(held(again, SINGLE), [0, 1, 2, 4]);
  assert.ok(readFileSync(file(dir, 'film.mp4')).subarray(0, 196_608).equals(SINGLE.bytes.subarray(0, 196_608)));
  await again.close();
});

test('a check of everything finds what was changed without a trace, and tells whom it was promised to', async ({ dir, log }) => {
  const lost: number[] = [];
  const store = await open(dir, SINGLE, log, { onLost: (pieces) => lost.push(...pieces) });
  await writeAll(store, SINGLE);
  const path = file(dir, 'film.mp4');
  const bytes = readFileSync(path);
  bytes[140_000] = (bytes[140_000] ?? 0) ^ 1;
  const { atime, mtime } = statSync(path);
  writeFileSync(path, bytes);
  utimesSync(path, atime, mtime);
  await store.recheck();
  assert.equal(lost, [2]);
  assert.equal(held(store, SINGLE), [0, 1, 3, 4]);
  await store.close();
});

test('threads that die cost a check its speed, and no piece', async ({ dir, log }) => {
  const died = { why: 'thread', path: '', detail: 'out of memory' } as const;
  const hashWorkers = { depth: 2, hashSpans: () => Promise.resolve(died) } as unknown as HashWorkers;
  const lost: number[] = [];
  const store = await open(dir, FIXTURE, log, { hashWorkers, onLost: (pieces) => lost.push(...pieces) });
  await writeAll(store, FIXTURE);
  await store.recheck();
  assert.ok(new Bitfield(FIXTURE.title.pieceCount, store.have).full);
  assert.equal([store.doubtfulPieces, lost], [0, []]);
  await store.close();
});

test('a check of everything finds nothing of what is given up meanwhile', async ({ dir, log }) => {
  const store = await open(dir, SINGLE, log, { layout: 'pieces' });
  assert.ok(await writePiece(store, SINGLE, 0));
  assert.ok(await writePiece(store, SINGLE, 1));
  const checked = store.recheck();
  await store.removePiece(1);
  await checked;
  assert.equal(held(store, SINGLE), [0]);
  await store.close();
});

test('the disk gets to set the pace: too many bytes in wait are refused, and all is well when there are fewer', async ({ dir, log }) => {
  const fixture = makeTitle({ pieceLengthBytes: 1_048_576, files: [['', 1_048_576]], name: 'film' });
  const store = await open(dir, fixture, log, { fullBytes: 65_536 });
  const writes = Promise.allSettled(blocksOf(fixture, 0).map(({ offsetBytes, bytes }) => store.writeBlock(0, offsetBytes, bytes)));
  assert.ok(store.isFull);
  assert.ok(store.pendingBytes <= 4 * 65_536);
  await store.drained();
  assert.not.ok(store.isFull);
  const refused = (await writes).filter(({ status }) => status === 'rejected');
  assert.is(refused.length, 48);
  for (const { reason } of refused as PromiseRejectedResult[]) assert.is(reason.code, 'TITLE_STORE_BUSY');
  for (const { offsetBytes, bytes } of blocksOf(fixture, 0)) await store.writeBlock(0, offsetBytes, bytes);
  assert.ok(await store.checkPiece(0));
  await store.close();
});

test('a hundred files need few open at once', async ({ dir, log }) => {
  const fixture = makeTitle({ files: Array.from({ length: 100 }, (_, index) => [`d${index % 7}/f${index}`, 3000 + index] as const) });
  const openFiles = new OpenFiles(8);
  const store = await open(dir, fixture, log, { openFiles });
  await writeAll(store, fixture);
  assert.ok(openFiles.count <= 8);
  assert.ok(Buffer.from(await store.readVerified(0, 1e9)).equals(fixture.bytes));
  assert.ok(openFiles.count <= 8);
  await store.close();
  assert.is(openFiles.count, 0);
  const again = await open(dir, fixture, log);
  assert.is(again.doubtfulPieces, 0);
  await again.close();
});

test('a file that grew after it was whole is found, and checked', async ({ dir, log }) => {
  let store = await open(dir, SINGLE, log);
  await writeAll(store, SINGLE);
  await store.close();
  appendFileSync(file(dir, 'film.mp4'), 'and more');
  store = await open(dir, SINGLE, log);
  assert.is(store.doubtfulPieces, SINGLE.title.pieceCount);
  await store.settle();
  assert.is(held(store, SINGLE).length, SINGLE.title.pieceCount);
  await store.close();
});

test('a pipe in the place of a file holds nobody up', async ({ dir, log }) => {
  const { spawnSync } = await import('node:child_process');
  mkdirSync(file(dir), { recursive: true });
  assert.is(spawnSync('mkfifo', [file(dir, 'film.mp4')]).status, 0);
  await assertRefused(open(dir, SINGLE, log), 'TITLE_COLLISION', 'not an ordinary file');
  rmSync(file(dir, 'film.mp4'));
  const store = await open(dir, SINGLE, log);
  assert.is(spawnSync('mkfifo', [file(dir, 'film.mp4')]).status, 0);
  await assertRefused(store.writeBlock(0, 0, new Uint8Array(16_384)), 'TITLE_COLLISION');
  await store.close();
});

test('files that others link to are read where they are', async ({ dir, log }) => {
  putFiles(dir, SINGLE);
  linkSync(file(dir, 'film.mp4'), join(dir, 'elsewhere'));
  const store = await open(dir, SINGLE, log);
  await store.settle();
  assert.is(held(store, SINGLE).length, SINGLE.title.pieceCount);
  await store.remove({ withData: true });
  assert.is(lstatSync(join(dir, 'elsewhere')).nlink, 2);
});

test.run();
