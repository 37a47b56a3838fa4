/** A disk that refuses: blocks are held, tried again one first, and nothing is forgotten or told twice. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type ErrorCode, ShoalError } from '../../../../src/kernel/errors.js';
import { type Block, BlockWriter } from '../../../../src/plugins/titles/block-writer.js';
import { until } from '../../../support/until.js';

const MEBIBYTE = 1_048_576;

/** A writer over a disk that refuses as long as `refusal` is set, and what it told. */
class Scene {
  refusal: ErrorCode | undefined;
  readonly tried: Block[] = [];
  readonly stored: Block[] = [];
  readonly dropped: Block[] = [];
  readonly troubles: (string | null)[] = [];
  readonly hopeless: string[] = [];
  readonly writer = new BlockWriter({
    write: async (piece, offsetBytes, bytes) => {
      this.tried.push({ piece, offsetBytes, bytes });
      if (this.refusal) throw new ShoalError(this.refusal, this.refusal);
    },
    onStored: (block) => this.stored.push(block),
    onDropped: (block) => this.dropped.push(block),
    onHopeless: (error) => this.hopeless.push(error.code),
    onTrouble: (error) => this.troubles.push(error?.code ?? null),
    retryMs: 10,
  });

  store(piece: number, lengthBytes = 10): Block {
    const block = { piece, offsetBytes: 0, bytes: new Uint8Array(lengthBytes) };
    this.writer.store(block);
    return block;
  }
}

test('blocks that a full disk refused are stored when there is room, each once, and trouble is told once', async () => {
  const scene = new Scene();
  scene.refusal = 'TITLE_DISK_FULL';
  const blocks = [scene.store(1), scene.store(1), scene.store(2)];
  const checked: number[] = [];
  for (const piece of [1, 2, 3]) scene.writer.afterPiece(piece, () => checked.push(piece));
  await until('it has been tried again', () => scene.tried.length > 5);
  assert.equal(checked, [3], 'what is not here yet is not checked');
  assert.equal(scene.troubles, ['TITLE_DISK_FULL']);
  assert.is(scene.writer.heldBytes, 30);
  scene.refusal = undefined;
  await until('all are stored', () => scene.stored.length === 3);
  assert.equal(new Set(scene.stored), new Set(blocks));
  assert.equal(checked.toSorted(), [1, 2, 3]);
  assert.equal(scene.troubles, ['TITLE_DISK_FULL', null]);
  assert.is(scene.writer.heldBytes, 0);
});

test('while the disk is full one block alone tries it', async () => {
  const scene = new Scene();
  scene.refusal = 'TITLE_DISK_FULL';
  for (let piece = 0; piece < 100; piece++) scene.store(piece);
  await until('it has been tried again', () => scene.tried.length >= 103);
  assert.ok(scene.tried.length < 120);
  scene.writer.stop();
});

test('beyond 16 MiB blocks are dropped, and their piece is told', async () => {
  const scene = new Scene();
  scene.refusal = 'TITLE_DISK_FULL';
  for (let piece = 0; piece < 18; piece++) scene.store(piece, MEBIBYTE);
  await until('two are dropped', () => scene.dropped.length === 2);
  assert.is(scene.writer.heldBytes, 16 * MEBIBYTE);
  scene.writer.stop();
});

test('what no waiting mends is told as such, and nothing is held', async () => {
  const scene = new Scene();
  scene.refusal = 'TITLE_DISK_READ_ONLY';
  scene.store(1);
  await until('it is told', () => scene.hopeless.length > 0);
  assert.equal(scene.hopeless, ['TITLE_DISK_READ_ONLY']);
  assert.is(scene.writer.heldBytes, 0);
});

test('after the end nothing is told', async () => {
  const scene = new Scene();
  scene.refusal = 'TITLE_DISK_FULL';
  scene.store(1);
  scene.writer.stop();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(scene.troubles, []);
});

test.run();
