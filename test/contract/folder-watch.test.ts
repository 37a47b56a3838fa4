/** What the watch of a folder tells, on a real disk. */
import { appendFileSync, mkdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FolderWatch, type FolderWatchOptions, type RestingState } from '../../src/io/titles/folder-watch.js';
import { temporaryFolder } from '../support/program.js';
import { until } from '../support/until.js';

const EVERY_MS = 10;
const REST_MS = 60;
/** A rest that the test itself cannot take by not being run for a while between two writes. */
const LONG_REST_MS = 1000;

interface Context {
  folder: string;
  told: string[];
  states: Map<string, RestingState>;
  watch: FolderWatch | undefined;
  start(options?: Partial<FolderWatchOptions>): FolderWatch;
}

const test = suite<Context>('folder watch');

test.before.each((context) => {
  const told: string[] = [];
  const states = new Map<string, RestingState>();
  const folder = temporaryFolder('watch');
  context.folder = folder;
  context.told = told;
  context.states = states;
  context.start = (options = {}) => {
    const watch = new FolderWatch({
      folder,
      onTitle: (path, state) => {
        states.set(path, state);
        told.push(`+${basename(path)}`);
      },
      onGone: (path) => told.push(`-${basename(path)}`),
      onUnreadable: () => told.push('unreadable'),
      everyMs: EVERY_MS,
      restMs: REST_MS,
      ...options,
    });
    context.watch = watch;
    watch.start();
    return watch;
  };
});
test.after.each(({ watch }) => watch?.stop());

/** So many looks later. */
function later(looks = 20): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, looks * EVERY_MS));
}

test('files and folders are told once they have come to rest, each once', async ({ folder, told, start }) => {
  writeFileSync(join(folder, 'a.mkv'), 'x');
  mkdirSync(join(folder, 'season', 'one'), { recursive: true });
  writeFileSync(join(folder, 'season', 'one', 'b.mkv'), 'yy');
  start();
  await until('both are told', () => told.length === 2);
  await later();
  assert.equal(told.sort(), ['+a.mkv', '+season'], 'in either order: each has its own clock');
});

test('what grows is not told before it has stopped', async ({ folder, told, states, start }) => {
  const path = join(folder, 'film.mkv');
  writeFileSync(path, '');
  start({ restMs: LONG_REST_MS });
  for (let times = 0; times < 20; times++) {
    appendFileSync(path, 'more');
    await later(1);
    assert.equal(told, []);
  }
  await until('it is told', () => told.length === 1);
  assert.is(states.get(path)?.sizeBytes, 80);
});

test('what grows deep inside a folder keeps the folder from being told', async ({ folder, told, start }) => {
  mkdirSync(join(folder, 'season', 'one'), { recursive: true });
  start({ restMs: LONG_REST_MS });
  for (let times = 0; times < 10; times++) {
    appendFileSync(join(folder, 'season', 'one', 'b.mkv'), 'more');
    await later(2);
    assert.equal(told, []);
  }
  await until('it is told', () => told.length === 1);
});

test('what has changed is told again, what is taken away is told as gone, and a new name is another title', async ({
  folder,
  told,
  start,
}) => {
  const path = join(folder, 'a.mkv');
  writeFileSync(path, 'x');
  start();
  await until('it is told', () => told.length === 1);
  appendFileSync(path, 'y');
  await until('it is told again', () => told.length === 2);
  renameSync(path, join(folder, 'b.mkv'));
  await until('old and new are told', () => told.length === 4);
  rmSync(join(folder, 'b.mkv'));
  await until('it is gone', () => told.length === 5);
  assert.equal(told, ['+a.mkv', '+a.mkv', '-a.mkv', '+b.mkv', '-b.mkv']);
});

test('what was changed and then taken away before it rested is told as gone all the same', async ({ folder, told, start }) => {
  const path = join(folder, 'a.mkv');
  writeFileSync(path, 'x');
  start({ restMs: LONG_REST_MS });
  await until('it is told', () => told.length === 1);
  appendFileSync(path, 'y');
  await later(3);
  rmSync(path);
  await until('it is gone', () => told.length === 2);
  assert.equal(told, ['+a.mkv', '-a.mkv']);
});

test('what never rested is never told as gone', async ({ folder, told, start }) => {
  writeFileSync(join(folder, 'a.mkv'), 'x');
  start({ restMs: 10_000 });
  await later(3);
  rmSync(join(folder, 'a.mkv'));
  await later();
  assert.equal(told, []);
});

test('links, hidden names and downloads that are not done are passed over', async ({ folder, told, start }) => {
  for (const name of ['.hidden', 'a.mkv.part', 'b.crdownload', 'c.!qB', 'd.aria2', 'e.tmp']) writeFileSync(join(folder, name), 'x');
  symlinkSync('/etc/hostname', join(folder, 'link'));
  symlinkSync('/etc', join(folder, 'folder link'));
  writeFileSync(join(folder, 'good.mkv'), 'x');
  start();
  await until('the good one is told', () => told.length === 1);
  await later();
  assert.equal(told, ['+good.mkv']);
});

test('what was told in an earlier life is told again only if it has changed, and as gone if it is', async ({ folder, told, start }) => {
  for (const name of ['same', 'changed']) writeFileSync(join(folder, name), 'x');
  const stateOf = (name: string): RestingState => ({ sizeBytes: 1, changedMs: statSync(join(folder, name)).mtimeMs });
  const known = new Map([
    [join(folder, 'same'), stateOf('same')],
    [join(folder, 'changed'), { ...stateOf('changed'), sizeBytes: 7 }],
    [join(folder, 'gone'), stateOf('same')],
  ]);
  start({ known });
  await until('two are told', () => told.length === 2);
  await later();
  assert.equal(told.sort(), ['+changed', '-gone']);
});

test('whoever could not use it may ask to be told again', async ({ folder, told, start }) => {
  writeFileSync(join(folder, 'a.mkv'), 'x');
  const watch = start();
  await until('it is told', () => told.length === 1);
  watch.again(join(folder, 'a.mkv'));
  watch.again(join(folder, 'nothing'));
  await until('it is told again', () => told.length === 2);
  await later();
  assert.equal(told, ['+a.mkv', '+a.mkv']);
});

test('a folder that cannot be read is said once, takes nothing away, and works again when it is back', async ({ folder, told, start }) => {
  writeFileSync(join(folder, 'a.mkv'), 'x');
  start();
  await until('it is told', () => told.length === 1);
  renameSync(folder, `${folder}-away`);
  await until('it is unreadable', () => told.length === 2);
  await later();
  assert.equal(told, ['+a.mkv', 'unreadable']);
  renameSync(`${folder}-away`, folder);
  writeFileSync(join(folder, 'b.mkv'), 'x');
  await until('the new one is told', () => told.length === 3);
  assert.equal(told, ['+a.mkv', 'unreadable', '+b.mkv']);
});

test('once stopped it tells nothing', async ({ folder, told, start }) => {
  start().stop();
  writeFileSync(join(folder, 'a.mkv'), 'x');
  await later();
  assert.equal(told, []);
});

test.run();
