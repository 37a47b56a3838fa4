/** What the publisher file promises: made once, read by nobody else, and never overwritten when it is not understood. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { checkFileMode, checkFolderMode } from '../../src/io/files/file-mode.js';
import { publisherSeed } from '../../src/io/files/publisher-file.js';

const test = suite<{ dir: string }>('publisher file');
const SEED = new Uint8Array(32).fill(7);

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'shoal-publisher-'));
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

test('the seed is made once, for the owner of the folder alone', ({ dir }) => {
  assert.equal(
    publisherSeed(dir, () => SEED),
    SEED,
  );
  assert.is(statSync(join(dir, 'publisher.json')).mode & 0o777, 0o600);
  const other = (): Uint8Array => {
    throw new Error('a second seed');
  };
  assert.equal(publisherSeed(dir, other), SEED);
});

test('a file that others can read is refused, with the command that cures it', ({ dir }) => {
  publisherSeed(dir, () => SEED);
  const path = join(dir, 'publisher.json');
  chmodSync(path, 0o644);
  assert.throws(() => publisherSeed(dir, () => SEED), new RegExp(`chmod 600 '${path}'`));
  assert.throws(() => checkFileMode(path), /others can read it \(mode 644\)/);
  chmodSync(path, 0o600);
  chmodSync(dir, 0o777);
  assert.throws(() => checkFolderMode(path), new RegExp(`chmod 700 '${dir}'`));
  chmodSync(dir, 0o700);
});

test('what is not understood is refused and left alone, without quoting it', ({ dir }) => {
  const path = join(dir, 'publisher.json');
  for (const content of ['', '{"version":2,"seed":"geheim"}', '{"version":1,"seed":"geheim"}', 'null']) {
    writeFileSync(path, content, { mode: 0o600 });
    assert.throws(
      () => publisherSeed(dir, () => SEED),
      (error: Error) => error.message.includes(path) && !`${error.message}${error.stack}`.includes('geheim'),
    );
    assert.is(readFileSync(path, 'utf8'), content);
  }
});

test.run();
