/** What the keys file promises: nobody else reads it, a crash leaves it whole, and what is not understood is not touched. */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { KeyFile } from '../../src/io/files/key-file.js';
import { type ErrorCode, ShoalError } from '../../src/kernel/errors.js';
import { signRevocationList } from '../../src/relay/exchange/revocation-list.js';
import { OWNER } from '../support/exchange-fixture.js';

const test = suite<{ dir: string }>('key file');
const NEWS = { slug: 'news', name: 'News', source: 'news', container: 'flv' } as const;

function seed(): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, index) => index);
}

function refusal(call: () => unknown): ShoalError {
  try {
    call();
  } catch (error) {
    assert.instance(error, ShoalError);
    return error as ShoalError;
  }
  throw new Error('expected a refusal');
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'shoal-keys-'));
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

test('the folder and the file are made for the owner alone', ({ dir }) => {
  const file = KeyFile.open(join(dir, 'deep', 'data'), seed);
  file.streamKey('news');
  assert.is(modeOf(file.path), 0o600);
  assert.is(modeOf(join(dir, 'deep', 'data')), 0o700);
});

test('opening writes nothing', ({ dir }) => {
  assert.equal(KeyFile.open(dir, seed).channels(), []);
  assert.equal(readdirSync(dir), []);
});

test('secrets are made once and are the same after a restart', ({ dir }) => {
  const first = KeyFile.open(dir, seed);
  assert.equal(first.ownerSeed, seed());
  const key = first.streamKey('news');
  assert.match(key, /^[A-Za-z0-9_-]{24,}$/);
  assert.is.not(first.streamKey('sport'), key);
  const second = KeyFile.open(dir, () => {
    throw new Error('a second seed');
  });
  assert.equal(second.ownerSeed, seed());
  assert.is(second.streamKey('news'), key);
});

test('a stream key of any slug is kept, even one named like a built-in', ({ dir }) => {
  const file = KeyFile.open(dir, seed);
  for (const slug of ['__proto__', 'constructor', '']) assert.is(file.streamKey(slug), KeyFile.open(dir, seed).streamKey(slug));
});

test('channels keep their order, and a taken slug is refused', ({ dir }) => {
  const file = KeyFile.open(dir, seed);
  file.addChannel(NEWS);
  file.addChannel({ ...NEWS, slug: 'sport', name: 'Sport' });
  assert.equal(
    KeyFile.open(dir, seed)
      .channels()
      .map(({ slug }) => slug),
    ['news', 'sport'],
  );
  assert.is(refusal(() => file.addChannel(NEWS)).code, 'CHANNEL_EXISTS');
});

test('two processes on one folder lose nothing of each other', ({ dir }) => {
  const one = KeyFile.open(dir, seed);
  const other = KeyFile.open(dir, seed);
  const key = one.streamKey('news');
  other.addChannel(NEWS);
  one.streamKey('sport');
  assert.is(other.streamKey('news'), key);
  assert.is(one.channels().length, 1);
});

test('a write leaves no temporary file behind', ({ dir }) => {
  KeyFile.open(dir, seed).streamKey('news');
  assert.equal(readdirSync(dir), ['keys.json']);
});

test('a file that others can read is refused, with the command that cures it', ({ dir }) => {
  const file = KeyFile.open(dir, seed);
  file.streamKey('news');
  for (const mode of [0o640, 0o604, 0o660, 0o601]) {
    chmodSync(file.path, mode);
    const error = refusal(() => KeyFile.open(dir, seed));
    assert.is(error.code, 'KEYS_MODE');
    assert.match(error.message, `chmod 600 '${file.path}'`);
  }
  chmodSync(file.path, 0o600);
  KeyFile.open(dir, seed);
});

test('a folder that others can change is refused, one that they can look into is not', ({ dir }) => {
  const folder = join(dir, 'data');
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  const file = KeyFile.open(folder, seed);
  file.streamKey('news');
  chmodSync(folder, 0o775);
  const error = refusal(() => KeyFile.open(folder, seed));
  assert.is(error.code, 'KEYS_MODE');
  assert.match(error.message, `chmod 700 '${folder}'`);
});

test('a file that is not understood is refused, named, not quoted and not changed', ({ dir }) => {
  const path = join(dir, 'keys.json');
  const contents = [
    '',
    '{"version":1,"ownerSeed":"geheim',
    '[]',
    'null',
    '{"version":3,"streamKeys":{},"channels":[]}',
    '{"version":2,"streamKeys":{},"channels":[],"grants":{"a":5}}',
    '{"version":2,"streamKeys":{},"channels":[],"delegations":{"a":[{"key":"x"}]}}',
    '{"version":2,"streamKeys":{},"channels":[],"revocations":[]}',
    '{"version":1,"streamKeys":{"a":5},"channels":[]}',
    '{"version":1,"ownerSeed":"c2hvcnQ","streamKeys":{},"channels":[]}',
    '{"version":1,"streamKeys":{},"channels":[{"slug":"x"}]}',
    '{"version":1,"streamKeys":{}}',
  ];
  for (const content of contents) {
    writeFileSync(path, content, { mode: 0o600 });
    const error = refusal(() => KeyFile.open(dir, seed));
    assert.is(error.code satisfies ErrorCode, 'KEYS_UNREADABLE', content);
    assert.match(error.message, path);
    assert.not.match(`${error.message} ${error.stack} ${JSON.stringify(error.data)} ${error.cause}`, 'geheim');
    assert.is(readFileSync(path, 'utf8'), content);
  }
});

test('a file that becomes unreadable while we run is not overwritten', ({ dir }) => {
  const file = KeyFile.open(dir, seed);
  file.streamKey('news');
  writeFileSync(file.path, 'half a fi');
  assert.is(refusal(() => file.streamKey('sport')).code, 'KEYS_UNREADABLE');
  assert.is(readFileSync(file.path, 'utf8'), 'half a fi');
});

test('a removed channel takes its stream key with it, and its name is free again', ({ dir }) => {
  const keys = KeyFile.open(dir, seed);
  keys.addChannel(NEWS);
  const before = keys.streamKey('news');
  keys.removeChannel('news');
  keys.removeChannel('news');
  assert.equal(keys.channels(), []);
  keys.addChannel(NEWS);
  assert.is.not(keys.streamKey('news'), before);
});

const ID = 'ab'.repeat(20);
const listBytes = (serial: number): Uint8Array => signRevocationList(serial, [], ID, OWNER).bytes;

test('a file of version 1 opens with nothing lost, and is version 2 after the next change', ({ dir }) => {
  const path = join(dir, 'keys.json');
  const old = { version: 1, ownerSeed: Buffer.from(seed()).toString('base64url'), streamKeys: { news: 'K' }, channels: [NEWS] };
  writeFileSync(path, JSON.stringify(old), { mode: 0o600 });
  const file = KeyFile.open(dir, seed);
  assert.equal([file.ownerSeed, file.streamKey('news'), file.channels()], [seed(), 'K', [NEWS]]);
  assert.is(JSON.parse(readFileSync(path, 'utf8')).version, 1, 'reading changes nothing');
  file.keepGrant(ID, 'shoal-grant:x');
  assert.is(JSON.parse(readFileSync(path, 'utf8')).version, 2);
  assert.equal([file.ownerSeed, file.streamKey('news'), file.channels()], [seed(), 'K', [NEWS]]);
});

test('grants and delegations are kept, the newest of each channel and key', ({ dir }) => {
  const file = KeyFile.open(dir, seed);
  file.keepGrant(ID, 'one');
  file.keepGrant(ID, 'two');
  file.keepDelegation(ID, { key: 'a', label: 'A', certificate: '1' });
  file.keepDelegation(ID, { key: 'b', label: '', certificate: '2' });
  file.keepDelegation(ID, { key: 'a', label: 'A', certificate: '3' });
  const { grants, delegations } = KeyFile.open(dir, seed).authority();
  assert.is(grants.get(ID), 'two');
  assert.equal(
    delegations.get(ID)?.map(({ key, certificate }) => [key, certificate]),
    [
      ['a', '3'],
      ['b', '2'],
    ],
  );
});

test('of revocation lists the newest stays, whichever comes last', ({ dir }) => {
  const file = KeyFile.open(dir, seed);
  assert.is(file.revocations(ID), undefined);
  assert.equal(
    [file.keepRevocations(ID, listBytes(5)), file.keepRevocations(ID, listBytes(4)), file.keepRevocations(ID, listBytes(5))],
    [true, false, false],
  );
  assert.ok(file.keepRevocations(ID, listBytes(6)));
  assert.equal(file.revocations(ID), new Uint8Array(listBytes(6)));
});

test('a channel that is removed takes the grant it lived by with it', ({ dir }) => {
  const file = KeyFile.open(dir, seed);
  file.addChannel({ ...NEWS, granted: ID });
  file.keepGrant(ID, 'x');
  file.keepGrant('cd'.repeat(20), 'y');
  file.removeChannel('news');
  assert.equal([...file.authority().grants.values()], ['y']);
});

test.run();
