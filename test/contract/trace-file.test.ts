/** What a recording's file promises: all that was taken is in it, it is bounded, for its owner alone, and never takes the place of another. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { TraceFile } from '../../src/io/files/trace-file.js';
import { ShoalError } from '../../src/kernel/errors.js';
import { MemoryLog } from '../support/memory-log.js';

const test = suite<{ dir: string; path: string; log: MemoryLog }>('trace file');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'shoal-trace-'));
  context.path = join(context.dir, 'viewer.trace');
  context.log = new MemoryLog();
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

test('what it takes is there once it is closed, and only its owner can read it', async ({ path, log }) => {
  const file = new TraceFile(path, 1_000_000, log);
  const parts = Array.from({ length: 100 }, (_, index) => new Uint8Array(1_000).fill(index));
  for (const part of parts) assert.is(file.write(part), undefined);
  file.end(Uint8Array.of(7), 'stopped');
  await file.close();
  assert.equal(readFileSync(path), Buffer.concat([...parts, Uint8Array.of(7)]));
  assert.is(statSync(path).mode & 0o777, 0o600);
});

test('beyond its bound it says why it takes no more', async ({ path, log }) => {
  const file = new TraceFile(path, 1_500, log);
  assert.is(file.write(new Uint8Array(1_000)), undefined);
  assert.match(file.write(new Uint8Array(1_000)) ?? '', /1500 bytes, the most it may have/);
  await file.close();
  assert.is(statSync(path).size, 1_000);
});

test('a file that is there is left alone, and a folder that is not is named', ({ path, dir, log }) => {
  writeFileSync(path, 'mine');
  const refusal = (at: string): ShoalError => {
    try {
      new TraceFile(at, 1, log);
    } catch (error) {
      return error as ShoalError;
    }
    throw new Error('taken');
  };
  assert.is(refusal(path).code, 'TRACE_UNWRITABLE');
  assert.match(refusal(path).message, /there is such a file already/);
  assert.is(readFileSync(path, 'utf8'), 'mine');
  assert.match(refusal(join(dir, 'nowhere', 'x')).message, /nowhere\/x: no recording can be written there: ENOENT/);
  assert.instance(refusal(path), ShoalError);
});

test.run();
