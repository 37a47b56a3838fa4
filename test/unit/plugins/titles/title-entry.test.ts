import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseTitleEntry } from '../../../../src/plugins/titles/title-entry.js';

const OLD = {
  version: 1,
  id: 'a'.repeat(40),
  link: `magnet:?xt=urn:btih:${'a'.repeat(40)}`,
  folder: '/films',
  published: true,
  publicSeed: false,
  cached: false,
  paused: false,
  addedAt: '2026-11-21T07:00:00.000Z',
  usedAt: '2026-11-21T07:00:00.000Z',
  uploadedBytes: 5,
  downloadedBytes: 0,
};

test('an entry of an earlier version gets what it lacks, and keeps what it has', () => {
  const entry = parseTitleEntry(OLD);
  assert.is(entry.uploadedBytes, 5);
  assert.is(entry.diskName, null);
  assert.is(entry.watched, null);
  assert.equal(parseTitleEntry(JSON.parse(JSON.stringify(entry))), entry);
});

test('what the super node saw comes back', () => {
  const watched = { path: '/films/a.mkv', sizeBytes: 7, changedMs: 1_700_000_000_123.5 };
  assert.equal(parseTitleEntry({ ...OLD, watched, diskName: 'a.mkv' }).watched, watched);
});

test('what is no entry is refused: another version, a name that is no id, text where a number belongs, nothing at all', () => {
  const wrong = [
    { ...OLD, version: 2 },
    { ...OLD, id: '../etc' },
    { ...OLD, uploadedBytes: '5' },
    { ...OLD, folder: '' },
    null,
    [],
    'x',
    7,
  ];
  for (const value of wrong) assert.throws(() => parseTitleEntry(value));
});

test.run();
