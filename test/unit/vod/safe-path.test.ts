/** Names that would climb, hide, clash or not fit, and what becomes of them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../src/kernel/errors.js';
import { COMPONENT_BYTES_MAX, numberedComponent, PATH_DEPTH_MAX, PathNames, safeComponent, safePath } from '../../../src/vod/safe-path.js';

const CHANGED: readonly (readonly [name: string, safe: string])[] = [
  ['', '_'],
  ['.', '_'],
  ['..', '_'],
  ['...', '_'],
  [' . ', '_'],
  ['../../etc/passwd', '.._.._etc_passwd'],
  ['a/b', 'a_b'],
  ['C:\\Windows', 'C:_Windows'],
  ['a\0b', 'a_b'],
  ['a\nb\u007f', 'a_b_'],
  ['film\u202egpj.exe', 'film_gpj.exe'],
  ['a\u2066b\u2069', 'a_b_'],
  ['a\ud800b', 'a_b'],
  ['name.', 'name'],
  ['name . .', 'name'],
  ['CON', '_CON'],
  ['con.txt', '_con.txt'],
  ['nul .tar.gz', '_nul .tar.gz'],
  ['COM1', '_COM1'],
  ['lpt².x', '_lpt².x'],
  ['CONIN$', '_CONIN$'],
];

test('dangerous names become harmless', () => {
  for (const [name, safe] of CHANGED) assert.is(safeComponent(name), safe, JSON.stringify(name));
});

test('ordinary names stay as they are', () => {
  for (const name of ['film.mkv', 'Was nun?.mkv', 'a: b', '.hidden', 'ü', 'u\u0308', '映画.mp4', 'console', 'com10', 'a..b', '  x', '🐟']) {
    assert.is(safeComponent(name), name);
  }
});

test('a name too long loses the end of its stem, never half a character, and keeps its extension', () => {
  const safe = safeComponent(`${'日'.repeat(200)}.mkv`);
  assert.ok(Buffer.byteLength(safe) <= COMPONENT_BYTES_MAX && Buffer.byteLength(safe) > COMPONENT_BYTES_MAX - 3);
  assert.match(safe, /^日+\.mkv$/);
  assert.is(Buffer.byteLength(safeComponent(`a.${'x'.repeat(400)}`)), COMPONENT_BYTES_MAX);
  assert.is(safeComponent(`${' '.repeat(300)}.mkv`), '_.mkv');
});

test('what is safe stays itself when made safe again', () => {
  for (const [name] of CHANGED) assert.is(safeComponent(safeComponent(name)), safeComponent(name));
});

test('paths that are empty, too deep or too long are refused with words', () => {
  const reasonOf = (path: readonly string[]): string => {
    const safe = safePath(path);
    return safe instanceof Malformed ? safe.reason : 'accepted';
  };
  assert.match(reasonOf([]), /empty/);
  assert.match(reasonOf(new Array(PATH_DEPTH_MAX + 1).fill('a')), /33 folders deep; at most 32/);
  assert.match(reasonOf(new Array(PATH_DEPTH_MAX).fill('a'.repeat(200))), /bytes; at most 3072/);
  assert.equal(safePath(['..', 'a', '..', 'b']), ['_', 'a', '_', 'b']);
});

function claimed(...paths: string[]): string[] {
  const names = new PathNames();
  return paths.map((path) => names.claim(path.split('/')).join('/'));
}

test('names that some file system takes for one are numbered in order', () => {
  assert.equal(claimed('a.mkv', 'A.MKV', 'a.mkv'), ['a.mkv', 'A (2).MKV', 'a (3).mkv']);
  assert.equal(claimed('ü', 'u\u0308', 'Ü'), ['ü', 'u\u0308 (2)', 'Ü (3)']);
  assert.equal(claimed('straße', 'STRASSE'), ['straße', 'STRASSE (2)']);
  assert.equal(claimed('a (2)', 'a', 'a'), ['a (2)', 'a', 'a (3)']);
});

test('folders that differ in case alone are one folder, spelt as first met', () => {
  assert.equal(claimed('Extras/a', 'extras/b', 'EXTRAS/A'), ['Extras/a', 'Extras/b', 'Extras/A (2)']);
});

test('a file and a folder of one name give way to whichever came first', () => {
  assert.equal(claimed('a', 'a/b', 'A/c'), ['a', 'a (2)/b', 'a (2)/c']);
  assert.equal(claimed('a/b', 'a'), ['a/b', 'a (2)']);
});

test('the longest names still have room for a number', () => {
  const name = `${'x'.repeat(251)}.mkv`;
  const [first = '', second = ''] = claimed(name, name);
  assert.is(first, name);
  assert.match(second, /^x+ \(2\)\.mkv$/);
  assert.ok(Buffer.byteLength(second) <= COMPONENT_BYTES_MAX);
});

test('a hundred thousand equal names are told apart, each one once', () => {
  const names = new PathNames();
  const given = new Set(Array.from({ length: 100_000 }, () => names.claim(['same.mkv']).join('/')));
  assert.is(given.size, 100_000);
});

test('a number goes before the extension, and into names of full length', () => {
  assert.is(numberedComponent('a film.mkv', 2), 'a film (2).mkv');
  assert.is(numberedComponent('.hidden', 12), '.hidden (12)');
  const long = numberedComponent(`${'ü'.repeat(125)}.mkv`, 100);
  assert.match(long, /^ü+ \(100\)\.mkv$/);
  assert.ok(Buffer.byteLength(long) <= 255);
});

test.run();
