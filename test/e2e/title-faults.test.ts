/**
 * What goes wrong on a disk, through the real program: files that changed while nobody looked, a full disk, one that may not be written, names that are taken
 * and names that no file may have. Each is told in words, nothing of anybody's is overwritten, and what can be mended is.
 *
 * Mounts small file systems, which takes root.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { freePort } from '../support/free-port.js';
import { folderInfo, readTorrent, torrentBytes } from '../support/metainfo-fixture.js';
import { temporaryFolder } from '../support/program.js';
import { ShoalProcess, startStation } from '../support/shoal-process.js';
import { writeRandomFile, writeTorrent } from '../support/title-fixture.js';
import { titleOf, whenTitle } from '../support/title-processes.js';
import { makeTorrent } from '../support/torrent-fixture.js';
import { until } from '../support/until.js';

const ALONE = { 'tracker.enabled': false, 'titles.dht': false, 'titles.localDiscovery': false };
const TITLE_BYTES = 12_000_003;
const PIECE_LENGTH_BYTES = 262_144;
const DONE_MS = 30_000;

const folder = temporaryFolder('faults');
const film = join(folder, 'in', 'film.bin');
writeRandomFile(film, TITLE_BYTES, 3);
const torrent = makeTorrent(film, { pieceLengthBytes: PIECE_LENGTH_BYTES });
const torrentPath = writeTorrent(folder, 'film', torrent.file());
const other = join(folder, 'other', 'film.bin');
writeRandomFile(other, TITLE_BYTES, 4);
const otherPath = writeTorrent(folder, 'other', makeTorrent(other, { pieceLengthBytes: PIECE_LENGTH_BYTES }).file());
const seeders = new Map<string, { readonly shoal: ShoalProcess; readonly peer: string }>();
let targets = 0;

test.before(async () => {
  await seed(torrentPath, join(folder, 'in'));
  await seed(otherPath, join(folder, 'other'));
});
test.after(async () => {
  for (const { shoal } of seeders.values()) await shoal.stop();
});

async function seed(path: string, dataFolder: string): Promise<void> {
  const port = await freePort();
  const settings = { ...ALONE, 'swarm.port': port };
  const shoal = await new ShoalProcess(['get', path, '--seed', '--json', '--folder', dataFolder], { settings }).whenReady();
  await whenTitle(shoal, 'it is given', ({ state }) => state === 'seeding');
  seeders.set(path, { shoal, peer: `127.0.0.1:${port}` });
}

/** A place for one test: where a title goes, and the data folder of who gets it. */
function place(): { readonly target: string; readonly dataDir: string } {
  targets += 1;
  const target = join(folder, `target-${targets}`);
  mkdirSync(target);
  return { target, dataDir: join(folder, `data-${targets}`) };
}

function begin(paths: readonly string[], { target, dataDir }: ReturnType<typeof place>): ShoalProcess {
  const peers = paths.flatMap((path) => ['--peer', seeders.get(path)?.peer ?? '127.0.0.1:1']);
  return new ShoalProcess(['get', ...paths, ...peers, '--json', '--folder', target], { dataDir, settings: ALONE });
}

/** Until the command has ended by itself; gives its code and what it has said to the person. */
async function get(
  paths: readonly string[],
  where: ReturnType<typeof place>,
): Promise<{ readonly code: number | null; readonly said: string }> {
  const shoal = begin(paths, where);
  const { code } = await shoal.program.whenExited(DONE_MS);
  const said = shoal.program.errors
    .split('\n')
    .filter((line) => line.startsWith('shoal: '))
    .join('\n');
  return { code, said };
}

/** What the first seeder gives while the task runs. */
async function givenBytes(task: () => Promise<unknown>): Promise<number> {
  const { shoal } = seeders.get(torrentPath) ?? {};
  if (!shoal) throw new Error('no seeder');
  const count = async (): Promise<number> => {
    const seen = shoal.statuses.length;
    await until('it has counted', () => shoal.statuses.length > seen + 1);
    return titleOf(shoal).uploadedBytes;
  };
  const before = await count();
  await task();
  return (await count()) - before;
}

function assertSame(path: string, expected: string): void {
  assert.ok(readFileSync(path).equals(readFileSync(expected)), `${path} has other bytes than ${expected}`);
}

test('bytes that were changed, cut off or deleted while it was down are found, and they alone are fetched again', async () => {
  const where = place();
  const path = join(where.target, 'film.bin');
  assert.equal(await get([torrentPath], where), { code: 0, said: '' });
  const changes: readonly (readonly [what: () => void, bytes: number])[] = [
    [() => overwrite(path, 5_000_000), PIECE_LENGTH_BYTES],
    [() => truncateSync(path, 40 * PIECE_LENGTH_BYTES), TITLE_BYTES - 40 * PIECE_LENGTH_BYTES],
    [() => rmSync(path), TITLE_BYTES],
    [() => rmSync(where.dataDir, { recursive: true }), 0],
  ];
  for (const [change, expectedBytes] of changes) {
    change();
    const bytes = await givenBytes(async () => assert.equal(await get([torrentPath], where), { code: 0, said: '' }));
    assert.is(bytes, expectedBytes);
    assertSame(path, film);
  }
});

test('a file that is deleted while it comes is fetched again before anybody is told that it is here', async () => {
  const where = place();
  const path = join(where.target, 'film.bin');
  const shoal = begin([torrentPath], where);
  await until('a part has come', () => existsSync(path), DONE_MS);
  rmSync(path);
  assert.is((await shoal.program.whenExited(DONE_MS)).code, 0);
  assertSame(path, film);
});

function overwrite(path: string, atByte: number): void {
  const file = openSync(path, 'r+');
  writeSync(file, 'something else', atByte);
  closeSync(file);
}

test('a disk that is full is told with the file and the way out; with room it goes on, and nothing is fetched twice', async () => {
  const where = place();
  mount(where.target, 'size=5m');
  try {
    const bytes = await givenBytes(async () => {
      const shoal = begin([torrentPath], where);
      await whenTitle(shoal, 'the disk is full', ({ error }) => error !== null);
      const { error, state } = titleOf(shoal);
      assert.match(error ?? '', /film\.bin: the disk is full \(ENOSPC\)\. Make room there/);
      assert.is(state, 'downloading');
      mount(where.target, 'remount,size=40m');
      assert.is((await shoal.program.whenExited(DONE_MS)).code, 0);
    });
    assertSame(join(where.target, 'film.bin'), film);
    assert.is(bytes, TITLE_BYTES);
  } finally {
    spawnSync('umount', [where.target]);
  }
});

test('a folder that may not be written, or cannot be, ends it with words', async () => {
  const where = place();
  mount(where.target, 'ro,size=1m');
  try {
    const { code, said } = await get([torrentPath], where);
    assert.is(code, 1);
    assert.match(said, /^shoal: film\.bin: \/.*film\.bin: it may not be written or read \(EROFS\)\. Give this user the right to it/);
  } finally {
    spawnSync('umount', [where.target]);
  }
  const nowhere = await get([torrentPath], { ...place(), target: '/proc/nowhere' });
  assert.is(nowhere.code, 1);
  assert.match(nowhere.said, /\/proc\/nowhere: .*Choose another folder for the title\.$/);
});

test('a station tells the same by its API, goes on by itself with room, and by resume when the disk may be written again', async () => {
  const { target, dataDir } = place();
  mount(target, 'size=5m');
  const settings = { ...ALONE, 'station.testCard': false, 'titles.folder': target };
  const station = await startStation({ dataDir, settings });
  const link = torrent.magnet({ peers: [seeders.get(torrentPath)?.peer ?? ''] });
  const add = (): Promise<void> => ask(station, 'POST', '/api/titles', { link });
  const whenState = (state: string): Promise<void> => whenTitle(station, `it is ${state}`, (title) => title.state === state, DONE_MS);
  try {
    await add();
    await whenTitle(station, 'the disk is full', ({ error }) => /the disk is full \(ENOSPC\)\. Make room/.test(error ?? ''), DONE_MS);
    mount(target, 'remount,size=40m');
    await whenState('seeding');
    assertSame(join(target, 'film.bin'), film);
    await ask(station, 'DELETE', `/api/titles/${torrent.infoHash}?data=remove`);
    assert.equal(readdirSync(target), []);
    mount(target, 'remount,ro');
    await add();
    await whenState('failed');
    assert.match(titleOf(station).error ?? '', /may not be written or read \(EROFS\)/);
    mount(target, 'remount,rw');
    await ask(station, 'POST', `/api/titles/${torrent.infoHash}/resume`);
    await whenState('seeding');
    assertSame(join(target, 'film.bin'), film);
  } finally {
    await station.stop();
    spawnSync('umount', [target]);
  }
});

async function ask(station: ShoalProcess, method: string, path: string, body?: object): Promise<void> {
  const init = body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(new URL(path, station.ready.page), { method, ...init });
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.text()}`);
}

function mount(path: string, options: string): void {
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`This test mounts a small file system, and may not: ${stderr.trim()}. Run it as root.`);
}

test('two titles of one name lie beside each other, and both are still known after another start', async () => {
  const where = place();
  for (let start = 0; start < 2; start++) {
    const bytes = await givenBytes(async () => assert.equal(await get([torrentPath, otherPath], where), { code: 0, said: '' }));
    assert.is(bytes, start === 0 ? TITLE_BYTES : 0);
    assert.equal(readdirSync(where.target).toSorted(), ['film (2).bin', 'film.bin']);
    const isFirst = readFileSync(join(where.target, 'film.bin')).equals(readFileSync(film));
    assertSame(join(where.target, isFirst ? 'film.bin' : 'film (2).bin'), film);
    assertSame(join(where.target, isFirst ? 'film (2).bin' : 'film.bin'), other);
  }
});

test("somebody's own file, folder or link of that name stays as it is", async () => {
  const outside = join(folder, 'outside.bin');
  writeFileSync(outside, 'mine');
  const makers: readonly ((path: string) => void)[] = [
    (path) => writeRandomFile(path, TITLE_BYTES, 9),
    (path) => writeRandomFile(path, TITLE_BYTES + 1, 9),
    (path) => mkdirSync(path),
    (path) => symlinkSync(outside, path),
  ];
  for (const make of makers) {
    const where = place();
    const path = join(where.target, 'film.bin');
    make(path);
    const before = spawnSync('ls', ['-ln', '--time-style=full-iso', where.target], { encoding: 'utf8' }).stdout;
    assert.equal(await get([torrentPath], where), { code: 0, said: '' });
    assertSame(join(where.target, 'film (2).bin'), film);
    rmSync(join(where.target, 'film (2).bin'));
    assert.is(
      spawnSync('ls', ['-ln', '--time-style=full-iso', where.target], { encoding: 'utf8' }).stdout.replace(/total \d+/, ''),
      before.replace(/total \d+/, ''),
    );
  }
  assert.is(readFileSync(outside, 'utf8'), 'mine');
});

test('paths that climb, start at the root or name devices are made harmless, and hold what they should', async () => {
  const paths = [
    ['..', '..', 'climbed.txt'],
    ['/etc/passwd'],
    ['a/../../b'],
    ['CON'],
    ['aux.txt'],
    ['x', '..'],
    ['trailing. '],
    ['film.mkv'],
    ['FILM.mkv'],
  ];
  const texts = paths.map((_, index) => `file ${index} `.repeat(100));
  const info = {
    ...folderInfo(paths.map((path, index) => ({ path, length: texts[index]?.length }))),
    name: '../../outside',
    pieces: createHash('sha1').update(texts.join('')).digest(),
  };
  const bytes = torrentBytes(info);
  const climbing = readTorrent(bytes);
  const path = writeTorrent(folder, 'climbing', bytes);
  const source = place();
  for (const [index, file] of climbing.files.entries()) {
    const filePath = join(source.target, climbing.name, ...file.path);
    mkdirSync(join(filePath, '..'), { recursive: true });
    writeFileSync(filePath, texts[index] ?? '');
  }
  await seed(path, source.target);
  const where = place();
  const deep = { ...where, target: join(where.target, 'one', 'two', 'three') };
  assert.equal(await get([path], deep), { code: 0, said: '' });
  assert.equal(readdirSync(join(where.target, 'one', 'two')), ['three']);
  assert.equal(readdirSync(deep.target), [climbing.name]);
  const found = readdirSync(join(deep.target, climbing.name), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const contents = found.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
  assert.equal(contents.toSorted(), texts.toSorted());
  for (const { name } of found) assert.not.match(name, /^(\.\.|con|aux\.txt|.*[. ])$/i);
  assert.not.ok(existsSync(join(where.target, 'outside')));
});

test('a torrent or a link that is none is told with what is wrong, before anything begins', async () => {
  const none = writeTorrent(folder, 'none', Buffer.from('d4:infod4:name1:xee'));
  for (const [source, words] of [
    [none, /cannot be used\. The torrent's info\["piece length"\] is missing/],
    [join(folder, 'missing.torrent'), /neither a magnet link nor a torrent file/],
    ['magnet:?xt=urn:btih:short', /cannot be used\. /],
    ['magnet:?dn=nothing', /cannot be used\. The magnet link has no "xt"/],
  ] as const) {
    const { code, said } = await get([source], place());
    assert.is(code, 1);
    assert.match(said, words);
  }
});

test.run();
