/** Laws of the title store: whatever is written, killed, changed and opened again, it says what a naive model of the disk says. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { HashWorkers } from '../../src/io/titles/hash-workers.js';
import type { StoreLayout } from '../../src/io/titles/progress-record.js';
import { TitleStore } from '../../src/io/titles/title-store.js';
import { Bitfield } from '../../src/kernel/bitfield.js';
import { BLOCK_BYTES } from '../../src/vod/block.js';
import { MemoryLog } from '../support/memory-log.js';
import { blocksOf, makeTitle, type SentBlock } from '../support/stored-title.js';

const FIXTURE = makeTitle({
  pieceLengthBytes: 40_000,
  files: [
    ['a', 50_001],
    ['none', 0],
    ['b/c', 90_000],
    ['.pad/0', 19_999],
    ['b/d', 60_123],
  ],
});
const { title, bytes: right } = FIXTURE;
const BLOCKS: readonly SentBlock[] = Array.from({ length: title.pieceCount }, (_, piece) => blocksOf(FIXTURE, piece)).flat();
const ON_DISK = title.files.filter(({ isPad, lengthBytes }) => !isPad && lengthBytes > 0);
const workers = new HashWorkers();
test.after(() => workers.close());

type Step =
  | { readonly kind: 'write'; readonly block: number; readonly isGood: boolean }
  | { readonly kind: 'finish'; readonly piece: number }
  | { readonly kind: 'check'; readonly piece: number }
  | { readonly kind: 'remove'; readonly piece: number }
  | { readonly kind: 'reopen' }
  | { readonly kind: 'recheck' }
  | { readonly kind: 'kill'; readonly blocks: readonly number[] }
  | { readonly kind: 'flip' | 'truncate' | 'delete'; readonly file: number; readonly at: number };

/** What is on the disk and what is known of it, in the plainest way. */
class Model {
  readonly disk = new Uint8Array(title.totalBytes);
  readonly written = new Set<string>();
  readonly verified = new Set<number>();
  /** Pieces of which bytes may lie there that nobody knows of: given up, or written in the moment of a kill. */
  readonly removed = new Set<number>();

  readonly #layout: StoreLayout;

  constructor(layout: StoreLayout) {
    this.#layout = layout;
    this.markPads();
  }

  isWhole(piece: number): boolean {
    return blocksOf(FIXTURE, piece).every((block) => this.written.has(nameOf(block)));
  }

  isRight(piece: number): boolean {
    const bytes = this.disk.subarray(piece * title.pieceLengthBytes, (piece + 1) * title.pieceLengthBytes);
    return createHash('sha1')
      .update(bytes)
      .digest()
      .equals(title.pieceHashes.subarray(piece * 20, piece * 20 + 20));
  }

  write(block: SentBlock, bytes: Uint8Array): void {
    if (this.written.has(nameOf(block)) || this.verified.has(block.piece)) return;
    this.disk.set(bytes, startOf(block));
    for (const { isPad, offsetBytes, lengthBytes } of this.#layout === 'files' ? title.files : [])
      if (isPad) this.disk.fill(0, offsetBytes, offsetBytes + lengthBytes);
    this.written.add(nameOf(block));
  }

  forget(piece: number): void {
    this.verified.delete(piece);
    for (const block of blocksOf(FIXTURE, piece)) this.written.delete(nameOf(block));
  }

  /** Blocks that reach into these bytes are gone. */
  lose(fromByte: number, toByte: number): void {
    for (const block of BLOCKS) {
      const start = startOf(block);
      if (fromByte >= toByte || start >= toByte || start + block.bytes.length <= fromByte) continue;
      this.written.delete(nameOf(block));
      this.verified.delete(block.piece);
    }
  }

  conclude(piece: number): void {
    if (!this.isRight(piece)) return this.forget(piece);
    this.verified.add(piece);
    for (const block of blocksOf(FIXTURE, piece)) this.written.add(nameOf(block));
  }

  /** Only files as they are leave pads out. */
  markPads(): void {
    if (this.#layout === 'pieces') return;
    for (const block of BLOCKS) {
      const end = startOf(block) + block.bytes.length;
      const isInPad = title.files.some(
        ({ isPad, offsetBytes, lengthBytes }) => isPad && offsetBytes <= startOf(block) && end <= offsetBytes + lengthBytes,
      );
      if (isInPad) this.written.add(nameOf(block));
    }
  }
}

function nameOf({ piece, offsetBytes }: SentBlock): string {
  return `${piece} ${offsetBytes / BLOCK_BYTES}`;
}

function startOf({ piece, offsetBytes }: SentBlock): number {
  return piece * title.pieceLengthBytes + offsetBytes;
}

function corrupted(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte) => byte ^ 0x55);
}

/** One run of a program: the store, the model, and where the store is now. */
class Run {
  readonly #root: string;
  readonly #layout: StoreLayout;
  readonly #model: Model;
  #generation = 0;
  #store: TitleStore | undefined;

  constructor(root: string, layout: StoreLayout) {
    this.#root = root;
    this.#layout = layout;
    this.#model = new Model(layout);
  }

  get #dir(): string {
    return join(this.#root, String(this.#generation));
  }

  get #opened(): TitleStore {
    assert.ok(this.#store);
    return this.#store;
  }

  async open(): Promise<void> {
    const { log } = { log: new MemoryLog() };
    const places = { folder: join(this.#dir, 't'), recordFolder: join(this.#dir, 'r') };
    this.#store = await TitleStore.open({ metainfo: title, ...places, log, layout: this.#layout, hashWorkers: workers });
    await this.#store.settle();
  }

  async close(): Promise<void> {
    await this.#store?.close();
    this.#store = undefined;
  }

  async take(step: Step): Promise<void> {
    if (step.kind === 'write') await this.#write(step.block, step.isGood);
    else if (step.kind === 'finish') await this.#finish(step.piece);
    else if (step.kind === 'check') await this.#check(step.piece % title.pieceCount);
    else if (step.kind === 'remove') await this.#remove(step.piece % title.pieceCount);
    else if (step.kind === 'reopen') await this.#reopen();
    else if (step.kind === 'recheck') await this.#recheck();
    else if (step.kind === 'kill') await this.#kill(step.blocks);
    else if (this.#layout === 'files') await this.#change(step.kind, step.file, step.at);
    this.#compare(step);
  }

  async #write(index: number, isGood: boolean): Promise<void> {
    const block = BLOCKS[index % BLOCKS.length] as SentBlock;
    const bytes = isGood ? block.bytes : corrupted(block.bytes);
    await this.#opened.writeBlock(block.piece, block.offsetBytes, bytes);
    this.#model.write(block, bytes);
  }

  async #finish(piece: number): Promise<void> {
    for (const block of blocksOf(FIXTURE, piece % title.pieceCount))
      await this.#write(
        BLOCKS.findIndex((b) => nameOf(b) === nameOf(block)),
        true,
      );
    await this.#check(piece % title.pieceCount);
  }

  async #check(piece: number): Promise<void> {
    if (!this.#model.isWhole(piece)) {
      const error = await this.#opened.checkPiece(piece).catch((reason) => reason);
      assert.is(error.code, 'TITLE_DATA_MISSING');
      return;
    }
    assert.is(await this.#opened.checkPiece(piece), this.#model.isRight(piece));
    this.#model.conclude(piece);
  }

  async #remove(piece: number): Promise<void> {
    await this.#opened.removePiece(piece);
    this.#model.forget(piece);
    this.#model.removed.add(piece);
  }

  async #reopen(): Promise<void> {
    await this.close();
    await this.open();
    this.#settleModel(() => false);
  }

  async #recheck(): Promise<void> {
    await this.#opened.recheck();
    for (let piece = 0; piece < title.pieceCount; piece++) this.#concludeRemoved(piece);
    this.#model.markPads();
  }

  /** Takes the disk as it is while writes are under way, the record first, as no later moment could have left it worse. */
  async #kill(indices: readonly number[]): Promise<void> {
    const blocks = indices.map((index) => BLOCKS[index % BLOCKS.length] as SentBlock);
    const old = this.#opened;
    const writes = blocks.map(({ piece, offsetBytes, bytes }) => old.writeBlock(piece, offsetBytes, bytes));
    const from = this.#dir;
    this.#generation++;
    mkdirSync(this.#dir);
    for (const part of ['r', 't']) {
      if (existsSync(join(from, part))) spawnSync('cp', ['-a', join(from, part), join(this.#dir, part)]);
    }
    await this.open();
    await Promise.all(writes);
    await old.close();
    const known = this.#opened.blocks;
    for (const block of blocks) {
      this.#model.removed.add(block.piece);
      const held = new Bitfield(8, known.get(block.piece));
      if (this.#opened.hasPiece(block.piece) || held.has(block.offsetBytes / BLOCK_BYTES)) this.#model.write(block, block.bytes);
    }
    this.#settleModel(() => false);
  }

  /** Another program changes a file while the title is closed. */
  async #change(kind: 'flip' | 'truncate' | 'delete', index: number, place: number): Promise<void> {
    const file = ON_DISK[index % ON_DISK.length];
    if (!file) return;
    const path = join(this.#dir, 't', title.name, ...file.path);
    // A file that is not made yet, or was cut and has not grown again, is left alone.
    if (!existsSync(path) || statSync(path).size < file.lengthBytes) return;
    await this.close();
    const at = place % file.lengthBytes;
    const { offsetBytes, lengthBytes } = file;
    if (kind === 'flip') {
      flip(path, at);
      this.#model.disk[offsetBytes + at] = (this.#model.disk[offsetBytes + at] ?? 0) ^ 1;
    } else {
      if (kind === 'truncate') truncateSync(path, at);
      else rmSync(path);
      this.#model.disk.fill(0, offsetBytes + (kind === 'truncate' ? at : 0), offsetBytes + lengthBytes);
    }
    await this.open();
    const lostFrom = offsetBytes + (kind === 'flip' ? lengthBytes : kind === 'truncate' ? at : 0);
    this.#model.lose(lostFrom, offsetBytes + lengthBytes);
    for (let piece = 0; piece < title.pieceCount; piece++) {
      if (touches(piece, lostFrom, offsetBytes + lengthBytes) && touches(piece, offsetBytes, lostFrom)) this.#model.forget(piece);
    }
    this.#settleModel(
      (piece) => touches(piece, offsetBytes, offsetBytes + lengthBytes) && !touches(piece, lostFrom, offsetBytes + lengthBytes),
    );
  }

  /** What every opening does: pads are there, whole pieces are checked, and so are doubtful ones. */
  #settleModel(isDoubtful: (piece: number) => boolean): void {
    const unchecked = Array.from({ length: title.pieceCount }, (_, piece) => piece).filter(
      (piece) => isDoubtful(piece) || (!this.#model.verified.has(piece) && this.#model.isWhole(piece)),
    );
    for (const piece of unchecked) this.#concludeRemoved(piece);
    this.#model.markPads();
  }

  /** A piece that was given up may be found again by a check, if its bytes are still there. */
  #concludeRemoved(piece: number): void {
    this.#model.conclude(piece);
    if (!this.#model.removed.has(piece) || this.#model.verified.has(piece) === this.#opened.hasPiece(piece)) return;
    if (this.#opened.hasPiece(piece)) {
      this.#model.disk.set(
        right.subarray(piece * title.pieceLengthBytes, (piece + 1) * title.pieceLengthBytes),
        piece * title.pieceLengthBytes,
      );
      this.#model.conclude(piece);
    } else this.#model.forget(piece);
  }

  #compare(step: Step): void {
    const have = new Bitfield(title.pieceCount, this.#opened.have);
    const { blocks } = this.#opened;
    assert.is(this.#opened.doubtfulPieces, 0);
    for (let piece = 0; piece < title.pieceCount; piece++) {
      assert.is(have.has(piece), this.#model.verified.has(piece), `piece ${piece} after ${JSON.stringify(step)}`);
      const held = new Bitfield(8, blocks.get(piece));
      for (const block of have.has(piece) ? [] : blocksOf(FIXTURE, piece)) {
        const isHeld = held.has(block.offsetBytes / BLOCK_BYTES);
        assert.is(isHeld, this.#model.written.has(nameOf(block)), `block ${nameOf(block)} after ${JSON.stringify(step)}`);
      }
    }
  }

  /** Everything that is said to be verified is read, and equal. */
  async readAll(): Promise<void> {
    for (const piece of this.#model.verified) {
      const start = piece * title.pieceLengthBytes;
      const read = await this.#opened.readVerified(start, start + title.pieceLengthBytes);
      assert.ok(Buffer.from(read).equals(right.subarray(start, start + title.pieceLengthBytes)));
    }
  }
}

function touches(piece: number, fromByte: number, toByte: number): boolean {
  return fromByte < toByte && piece * title.pieceLengthBytes < toByte && fromByte < (piece + 1) * title.pieceLengthBytes;
}

let flipCount = 60;

function flip(path: string, at: number): void {
  const file = openSync(path, 'r+');
  const byte = new Uint8Array(1);
  readSync(file, byte, 0, 1, at);
  writeSync(
    file,
    byte.map((value) => value ^ 1),
    0,
    1,
    at,
  );
  closeSync(file);
  // Later than anything the store has noted, as a change by a person is.
  flipCount++;
  const laterS = Date.now() / 1000 + flipCount;
  utimesSync(path, laterS, laterS);
}

const block = fc.nat({ max: BLOCKS.length - 1 });
const piece = fc.nat({ max: title.pieceCount - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), block, isGood: fc.boolean() }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('finish' as const), piece }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('check' as const, 'remove' as const), piece }) as fc.Arbitrary<Step> },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('reopen' as const, 'recheck' as const) }) as fc.Arbitrary<Step> },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('kill' as const), blocks: fc.uniqueArray(block, { maxLength: 6 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('flip' as const, 'truncate' as const, 'delete' as const),
      file: fc.nat({ max: 9 }),
      at: fc.nat({ max: 99_999 }),
    }),
  },
);

test('a store that is written, killed, changed from outside and opened again knows what a naive model knows', async () => {
  const outcome = await fc.check(
    fc.asyncProperty(fc.constantFrom<StoreLayout>('files', 'pieces'), fc.array(step, { maxLength: 20 }), async (layout, steps) => {
      const root = mkdtempSync(join(tmpdir(), 'shoal-law-'));
      const run = new Run(root, layout);
      try {
        await run.open();
        for (const one of steps) await run.take(one);
        await run.readAll();
      } finally {
        await run.close();
        rmSync(root, { recursive: true });
      }
    }),
    { numRuns: 80 },
  );
  if (outcome.failed) throw new Error(`${outcome.errorInstance}\nseed ${outcome.seed}\n${JSON.stringify(outcome.counterexample)}`);
});

test.run();
