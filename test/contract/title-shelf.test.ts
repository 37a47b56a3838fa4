/** What is kept of titles over restarts, on a real disk. */
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TitleShelf } from '../../src/io/titles/title-shelf.js';
import { MemoryLog } from '../support/memory-log.js';
import { temporaryFolder } from '../support/program.js';

interface Entry {
  readonly id: string;
  readonly addedAt: string;
  readonly text: string;
}

const [A, B, C] = ['a', 'b', 'c'].map((digit) => digit.repeat(40)) as [string, string, string];

function parse(value: unknown): Entry {
  const entry = value as Entry;
  if (typeof entry?.text !== 'string') throw new TypeError('no text');
  return entry;
}

function shelfIn(dataDir: string, log = new MemoryLog()): TitleShelf<Entry> {
  return new TitleShelf(dataDir, parse, log);
}

test('entries come back in another life, the oldest first', () => {
  const dataDir = join(temporaryFolder('shelf'), 'data');
  const shelf = shelfIn(dataDir);
  assert.equal(shelf.entries(), []);
  shelf.keep({ id: B, addedAt: '2026-01-01', text: 'old' });
  shelf.keep({ id: A, addedAt: '2026-01-02', text: 'new' });
  shelf.keep({ id: C, addedAt: '2026-01-01', text: 'old too' });
  shelf.keep({ id: A, addedAt: '2026-01-02', text: 'newer' });
  assert.equal(
    shelfIn(dataDir)
      .entries()
      .map(({ text }) => text),
    ['old', 'old too', 'newer'],
  );
  assert.is(shelf.entry(A)?.text, 'newer');
  assert.is(shelf.entry('d'.repeat(40)), undefined);
});

test('the torrent lies beside its entry, also when it comes first; nobody else may read either', () => {
  const dataDir = temporaryFolder('shelf');
  const shelf = shelfIn(dataDir);
  assert.is(shelf.torrent(A), undefined);
  shelf.keepTorrent(A, Uint8Array.of(1, 2, 3));
  shelf.keepTorrent(A, Uint8Array.of(4, 5));
  assert.equal(shelf.entries(), []);
  shelf.keep({ id: A, addedAt: '', text: 'x' });
  assert.equal(shelfIn(dataDir).torrent(A), Uint8Array.of(4, 5));
  const folder = join(dataDir, 'titles', A);
  assert.equal(readdirSync(folder).sort(), ['entry.json', 'title.torrent']);
  for (const name of readdirSync(folder)) assert.is(statSync(join(folder, name)).mode & 0o077, 0, name);
});

test('an entry that cannot be understood is set aside with a warning, and the others come', () => {
  const dataDir = temporaryFolder('shelf');
  const log = new MemoryLog();
  const shelf = shelfIn(dataDir, log);
  for (const [id, content] of [
    [A, '{"id'],
    [B, '{"id":"b"}'],
    [C, `{"id":"${A}","addedAt":"","text":"another title"}`],
  ] as const) {
    mkdirSync(join(dataDir, 'titles', id));
    writeFileSync(join(dataDir, 'titles', id, 'entry.json'), content);
  }
  const good = 'e'.repeat(40);
  shelf.keep({ id: good, addedAt: '', text: 'good' });
  assert.equal(
    shelf.entries().map(({ id }) => id),
    [good],
  );
  assert.is(log.complaints.length, 3);
  assert.ok(existsSync(join(dataDir, 'titles', A, 'entry.json.corrupt')));
  // Said once: it is not looked at again.
  assert.is(shelf.entries().length, 1);
  assert.is(log.complaints.length, 3);
});

test('what is forgotten is gone with all that lay beside it, and no other title with it', () => {
  const dataDir = temporaryFolder('shelf');
  const shelf = shelfIn(dataDir);
  for (const id of [A, B]) shelf.keep({ id, addedAt: '', text: id });
  const shared = shelf.sharedPath(A, 'Film.torrent');
  writeFileSync(shared, 'x');
  writeFileSync(shelf.pathOf(A, 'picture.jpg'), 'x');
  shelf.forget(A);
  shelf.forget(A);
  assert.is(existsSync(shared), false);
  assert.equal(
    shelf.entries().map(({ id }) => id),
    [B],
  );
});

test('other folders beside the titles are none', () => {
  const dataDir = temporaryFolder('shelf');
  const shelf = shelfIn(dataDir);
  mkdirSync(shelf.recordFolder);
  mkdirSync(join(dataDir, 'titles', 'files'));
  assert.equal(shelf.entries(), []);
});

test.run();
