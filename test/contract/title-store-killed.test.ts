/** A process that stores a title is killed at random moments: what the next one believes to be there is there, and all that was stored is believed. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OpenFiles } from '../../src/io/titles/open-files.js';
import type { StoreLayout } from '../../src/io/titles/progress-record.js';
import { storedFiles } from '../../src/io/titles/stored-files.js';
import { TitleDisk } from '../../src/io/titles/title-disk.js';
import type { TitleStore } from '../../src/io/titles/title-store.js';
import { Bitfield } from '../../src/kernel/bitfield.js';
import { Rng } from '../../src/kernel/rng.js';
import { BLOCK_BYTES } from '../../src/vod/block.js';
import { KILLED_TITLE, openKilledTitle, storeMissing } from '../support/block-writer.js';
import { blocksOf } from '../support/stored-title.js';

const WRITER = fileURLToPath(new URL('../support/block-writer.js', import.meta.url));
const KILLS_COUNT = 20;

/** Runs the writer until it has told of so many things, and kills it. Returns what it told. */
function runKilled(folder: string, seed: number, layout: StoreLayout, linesCount: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [WRITER, folder, String(seed), layout], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (bytes) => {
      text += bytes;
      if (text.split('\n').length > linesCount) child.kill('SIGKILL');
    });
    child.on('error', reject);
    child.on('close', () => resolve(text.split('\n').slice(0, -1)));
  });
}

/** Blocks that the store believes to be there, as `piece offset`; each compared with what is on the disk. */
async function believed(store: TitleStore, folder: string, layout: StoreLayout): Promise<Set<string>> {
  const { title } = KILLED_TITLE;
  const disk = new TitleDisk(join(folder, 't'), storedFiles(title, layout), new OpenFiles(), { beforeWriting: () => undefined });
  const have = new Bitfield(title.pieceCount, store.have);
  const { blocks } = store;
  const names = new Set<string>();
  for (let piece = 0; piece < title.pieceCount; piece++) {
    const held = new Bitfield(16, blocks.get(piece));
    for (const { offsetBytes, bytes } of blocksOf(KILLED_TITLE, piece)) {
      if (!have.has(piece) && !held.has(offsetBytes / BLOCK_BYTES)) continue;
      const at = piece * title.pieceLengthBytes + offsetBytes;
      assert.ok(Buffer.from(await disk.read(at, at + bytes.length)).equals(bytes), `block ${piece} ${offsetBytes} is wrong`);
      names.add(`${piece} ${offsetBytes}`);
    }
  }
  disk.close();
  return names;
}

for (const layout of ['files', 'pieces'] as const) {
  test(`after ${KILLS_COUNT} kills at random moments every block that was stored is there, and right (layout ${layout})`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'shoal-killed-'));
    const rng = new Rng(7);
    const told = new Set<string>();
    let storedCount = 0;
    try {
      for (let kill = 0; kill < KILLS_COUNT; kill++) {
        const lines = await runKilled(folder, kill, layout, rng.below(110));
        assert.not.equal(lines.at(-1), 'done');
        for (const line of lines) if (line.startsWith('stored ')) told.add(line.slice(7));
        const store = await openKilledTitle(folder, layout);
        await store.settle();
        const known = await believed(store, folder, layout);
        for (const name of told) assert.ok(known.has(name), `block ${name} was stored and is not known after kill ${kill}`);
        for (const line of lines) if (line.startsWith('right ')) assert.ok(store.hasPiece(Number(line.slice(6))));
        storedCount = known.size;
        await store.close();
      }
      const store = await openKilledTitle(folder, layout);
      const lateCount = await storeMissing(store, rng, () => undefined);
      assert.is(storedCount + lateCount, Math.ceil(KILLED_TITLE.title.totalBytes / BLOCK_BYTES));
      for (let at = 0; at < KILLED_TITLE.title.totalBytes; ) {
        const bytes = await store.readVerified(at, KILLED_TITLE.title.totalBytes);
        assert.ok(Buffer.from(bytes).equals(KILLED_TITLE.bytes.subarray(at, at + bytes.length)));
        at += bytes.length;
      }
      await store.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

test.run();
