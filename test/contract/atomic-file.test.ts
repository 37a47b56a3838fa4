/** Where files can be put, and what is said where they cannot. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFolder, writeFileAtomically } from '../../src/io/files/atomic-file.js';
import { ShoalError } from '../../src/kernel/errors.js';

const test = suite<{ dir: string }>('atomic file');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'shoal-atomic-'));
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

test('missing folders are made for their owner alone, and the file is there whole', ({ dir }) => {
  const path = join(dir, 'a', 'b', 'file.json');
  writeFileAtomically(path, 'one');
  writeFileAtomically(path, 'two');
  assert.is(readFileSync(path, 'utf8'), 'two');
  assert.is(statSync(join(dir, 'a')).mode & 0o777, 0o700);
  assert.is(statSync(path).mode & 0o777, 0o600);
});

test('a folder that cannot be is refused at once, with what to do', ({ dir }) => {
  writeFileSync(join(dir, 'file'), '');
  for (const folder of [join(dir, 'file'), join(dir, 'file', 'below'), '/proc/nothing/here']) {
    try {
      makeFolder(folder);
      assert.unreachable(folder);
    } catch (error) {
      assert.instance(error, ShoalError);
      assert.is((error as ShoalError).code, 'DATA_DIR_UNUSABLE');
      assert.match((error as ShoalError).message, /--data DIR/);
    }
  }
});

test.run();
