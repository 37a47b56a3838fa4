/**
 * A disk that is full, read-only, or full where the records are: said in words, nothing lost, and on it goes when there is room.
 *
 * Mounts a small tmpfs, which takes root. Without that right the test fails and says so: nothing else shows a real full disk.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { TitleStore } from '../../src/io/titles/title-store.js';
import { Bitfield } from '../../src/kernel/bitfield.js';
import type { ShoalError } from '../../src/kernel/errors.js';
import { MemoryLog } from '../support/memory-log.js';
import { blocksOf, makeTitle, type TitleFixture } from '../support/stored-title.js';

const test = suite<{ dir: string; small: string }>('title store on a small disk');
const FIXTURE = makeTitle({ name: 'film', pieceLengthBytes: 131_072, files: [['', 1_500_000]] });

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'shoal-full-'));
  context.small = join(context.dir, 'small');
  mkdirSync(context.small);
  mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', context.small);
});
test.after.each(({ dir, small }) => {
  spawnSync('umount', [small]);
  rmSync(dir, { recursive: true });
});

function mount(...words: string[]): void {
  const { status, stderr, error } = spawnSync('mount', words, { encoding: 'utf8' });
  if (status === 0) return;
  throw new Error(`This test mounts a small tmpfs to fill it, and may not: ${error?.message ?? stderr.trim()}. Run it as root.`);
}

function open(folder: string, recordFolder: string): Promise<TitleStore> {
  return TitleStore.open({ metainfo: FIXTURE.title, folder, recordFolder, log: new MemoryLog() });
}

/** Stores a piece; the errors of its blocks come back. */
async function storePiece(store: TitleStore, fixture: TitleFixture, piece: number): Promise<ShoalError[]> {
  const writes = blocksOf(fixture, piece).map(({ offsetBytes, bytes }) => store.writeBlock(piece, offsetBytes, bytes));
  const outcomes = await Promise.allSettled(writes);
  return outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as ShoalError] : []));
}

async function fill(store: TitleStore): Promise<{ readonly right: number[]; readonly errors: ShoalError[] }> {
  const right: number[] = [];
  const errors: ShoalError[] = [];
  for (let piece = 0; piece < FIXTURE.title.pieceCount; piece++) {
    const refused = await storePiece(store, FIXTURE, piece);
    errors.push(...refused);
    if (refused.length === 0 && (await store.checkPiece(piece))) right.push(piece);
  }
  return { right, errors };
}

function held(store: TitleStore): number[] {
  const field = new Bitfield(FIXTURE.title.pieceCount, store.have);
  return Array.from({ length: FIXTURE.title.pieceCount }, (_, piece) => piece).filter((piece) => field.has(piece));
}

test('a full disk is named with its file and the way out; what was stored stays, and the rest comes when there is room', async ({
  dir,
  small,
}) => {
  const ballast = join(small, 'ballast');
  writeFileSync(ballast, Buffer.alloc(200_000));
  const store = await open(small, join(dir, 'records'));
  const { right, errors } = await fill(store);
  assert.ok(right.length >= 4 && right.length < FIXTURE.title.pieceCount, String(right));
  assert.ok(errors.length > 0);
  for (const { code, message } of errors) {
    assert.is(code, 'TITLE_DISK_FULL');
    assert.ok(message.includes(join(small, 'film')) && message.includes('Make room'), message);
  }
  assert.equal(held(store), right);
  rmSync(ballast);
  mount('-o', 'remount,size=4m', small);
  const again = await fill(store);
  assert.equal(again.errors, []);
  assert.is(held(store).length, FIXTURE.title.pieceCount);
  assert.ok(Buffer.from(await store.readVerified(0, 1_000_000)).equals(FIXTURE.bytes.subarray(0, 1_000_000)));
  await store.close();
});

test('after a start on a full disk, what is there is served', async ({ dir, small }) => {
  let store = await open(small, join(dir, 'records'));
  const { right } = await fill(store);
  await store.close();
  assert.ok(statfsSync(small).bfree < 32);
  store = await open(small, join(dir, 'records'));
  assert.is(store.doubtfulPieces, 0);
  assert.equal(held(store), right);
  const [piece = 0] = right;
  assert.ok(Buffer.from(await store.readBlock(piece, 0, 16_384)).equals(blocksOf(FIXTURE, piece)[0]?.bytes ?? new Uint8Array(0)));
  await store.close();
});

test('a full disk where the records are stops nothing that is recorded already in place', async ({ dir, small }) => {
  const store = await open(join(dir, 'titles'), join(small, 'records'));
  assert.equal(await storePiece(store, FIXTURE, 0), []);
  const ballast = join(small, 'ballast');
  try {
    writeFileSync(ballast, Buffer.alloc(2_000_000));
  } catch {
    assert.ok(statfsSync(small).bfree < 2);
  }
  const { errors, right } = await fill(store);
  assert.equal(errors, []);
  assert.is(right.length, FIXTURE.title.pieceCount);
  await store.close();
});

test('a disk that became read-only refuses writes with words, and what is there is served, also after a start', async ({ dir, small }) => {
  let store = await open(small, join(dir, 'records'));
  assert.equal(await storePiece(store, FIXTURE, 0), []);
  assert.ok(await store.checkPiece(0));
  await store.close();
  mount('-o', 'remount,ro', small);
  store = await open(small, join(dir, 'records'));
  assert.equal(held(store), [0]);
  const [error] = await storePiece(store, FIXTURE, 1);
  assert.is(error?.code, 'TITLE_DISK_READ_ONLY', error?.message);
  assert.ok(error?.message.includes(join(small, 'film')));
  assert.ok(Buffer.from(await store.readBlock(0, 0, 16_384)).equals(FIXTURE.bytes.subarray(0, 16_384)));
  mount('-o', 'remount,rw', small);
  assert.equal(await storePiece(store, FIXTURE, 1), []);
  assert.ok(await store.checkPiece(1));
  await store.close();
});

test.run();
