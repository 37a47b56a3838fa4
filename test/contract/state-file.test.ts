/** What state files promise: what was saved comes back, and a broken file never stops the program. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { writeFileAtomically } from '../../src/io/files/atomic-file.js';
import { loadState, saveState } from '../../src/io/files/state-file.js';
import { ShoalError } from '../../src/kernel/errors.js';
import type { Log } from '../../src/kernel/ports.js';

const test = suite<{ dir: string; warnings: string[]; log: Log }>('state file');

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'shoal-state-'));
  context.warnings = [];
  const silent = (): void => undefined;
  const log: Log = { debug: silent, info: silent, error: silent, warn: (message) => context.warnings.push(message), child: () => log };
  context.log = log;
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

test('what was saved comes back, and nothing comes back as undefined', ({ dir, log, warnings }) => {
  assert.is(loadState(dir, 'news', log), undefined);
  saveState(dir, 'news', { nextWindow: 7, parts: [1, null, 'x'] });
  saveState(dir, 'news', { nextWindow: 8 });
  assert.equal(loadState(dir, 'news', log), { nextWindow: 8 });
  assert.equal(warnings, []);
  assert.equal(readdirSync(join(dir, 'state')), ['news.json']);
});

test('a file that is not JSON is set aside with a warning, and a new one takes its place', ({ dir, log, warnings }) => {
  saveState(dir, 'news', 1);
  for (const content of ['', '{"nextWin']) {
    writeFileSync(join(dir, 'state', 'news.json'), content);
    assert.is(loadState(dir, 'news', log), undefined);
    assert.is(readFileSync(join(dir, 'state', 'news.json.corrupt'), 'utf8'), content);
  }
  assert.is(warnings.length, 2);
  saveState(dir, 'news', 2);
  assert.is(loadState(dir, 'news', log), 2);
});

test('a name that would leave the folder is our own bug', ({ dir, log }) => {
  for (const name of ['../x', 'a/b', '', '.', 'A']) {
    assert.throws(
      () => loadState(dir, name, log),
      (error: unknown) => error instanceof ShoalError && error.code === 'INVARIANT',
    );
  }
});

test('a write that cannot finish leaves the old content and no temporary file', ({ dir }) => {
  // A folder in the target's place makes the last step, the rename, fail.
  const target = join(dir, 'target');
  writeFileAtomically(join(target, 'inside'), 'old');
  assert.throws(() => writeFileAtomically(target, 'new'));
  assert.equal(readdirSync(dir), ['target']);
  assert.is(readFileSync(join(target, 'inside'), 'utf8'), 'old');
});

test('a replaced file is for the owner alone, whatever it was before', ({ dir }) => {
  const path = join(dir, 'file');
  writeFileSync(path, 'old', { mode: 0o644 });
  writeFileAtomically(path, 'new');
  assert.is(statSync(path).mode & 0o777, 0o600);
});

test.run();
