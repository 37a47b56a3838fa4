/** The super node: a folder on a real disk, and a library that really gives what lies in it. */
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeTorrent } from '../../src/io/titles/torrent-maker.js';
import { SuperNode, type SuperNodeOptions } from '../../src/plugins/titles/super-node.js';
import { type LibraryNode, withLibraries } from '../support/library-node.js';
import { temporaryFolder } from '../support/program.js';
import { writeRandomFile } from '../support/title-fixture.js';
import { until } from '../support/until.js';

const running: SuperNode[] = [];

test.after.each(async () => {
  await Promise.all(running.splice(0).map((superNode) => superNode.stop()));
});

/** A super node over a library, and what it has told. */
function watch(
  node: LibraryNode,
  folder: string,
  options: Partial<SuperNodeOptions> = {},
): { readonly superNode: SuperNode; readonly told: string[] } {
  const told: string[] = [];
  const superNode = new SuperNode({
    folder,
    library: node.library,
    log: node.log,
    publicSeed: false,
    onPublished: (_, path) => told.push(`+${basename(path)}`),
    onWithdrawn: (_, path) => told.push(`-${basename(path)}`),
    everyMs: 10,
    restMs: 40,
    ...options,
  });
  superNode.start();
  running.push(superNode);
  return { superNode, told };
}

function states(node: LibraryNode): string[] {
  return node.library
    .list()
    .map(({ name, state }) => `${name} ${state}`)
    .sort();
}

test('a file that lies in the folder is given, and another process fetches it; taken away, it is given no longer', () =>
  withLibraries(async (start) => {
    const [station, viewer] = [await start(), await start()];
    const folder = temporaryFolder('super');
    writeRandomFile(join(folder, 'film.bin'), 300_000, 1);
    const { told } = watch(station, folder, { trackers: ['http://127.0.0.1:9/announce'] });
    await until('it is published', () => told.length === 1);
    const [title] = station.library.all;
    assert.equal(title?.metainfo?.trackerTiers, [['http://127.0.0.1:9/announce']]);
    const fetched = await viewer.add(title?.torrent() ?? new Uint8Array(), [station], { folder: temporaryFolder('fetched') });
    await until('the viewer has it', () => fetched.isComplete);
    rmSync(join(folder, 'film.bin'));
    await until('it is withdrawn', () => told.length === 2);
    assert.equal(told, ['+film.bin', '-film.bin']);
    assert.equal(station.library.list(), []);
    assert.ok(
      station.log.lines.some(
        ({ message, fields }) => message.includes('not in the folder any more') && fields['path'] === join(folder, 'film.bin'),
      ),
    );
  }));

test('what is changed is another title, and what is renamed too; the old ones are withdrawn, and no file is touched', () =>
  withLibraries(async (start) => {
    const node = await start();
    const folder = temporaryFolder('super');
    const path = join(folder, 'film.bin');
    writeRandomFile(path, 100_000, 1);
    const { told } = watch(node, folder);
    await until('it is published', () => told.length === 1);
    const [before] = node.library.all;
    appendFileSync(path, 'more');
    await until('it is published anew', () => told.length === 3);
    const [after] = node.library.all;
    assert.is.not(before?.infoHash, after?.infoHash);
    assert.is(statSync(path).size, 100_004);
    renameSync(path, join(folder, 'renamed.bin'));
    await until('the new name is published', () => told.length === 5);
    assert.equal(told, ['+film.bin', '-film.bin', '+film.bin', '-film.bin', '+renamed.bin']);
    assert.equal(states(node), ['renamed.bin seeding']);
  }));

test('after a restart what is there is given without being hashed again, and what went meanwhile is withdrawn', () =>
  withLibraries(async (start) => {
    const dataDir = join(temporaryFolder('library'), 'data');
    const folder = temporaryFolder('super');
    for (const [seed, name] of ['stays.bin', 'goes.bin'].entries()) writeRandomFile(join(folder, name), 100_000, seed);
    const first = await start({ dataDir });
    const before = watch(first, folder);
    await until('both are published', () => before.told.length === 2);
    await before.superNode.stop();
    await first.stop();
    rmSync(join(folder, 'goes.bin'));
    const second = await start({ dataDir });
    const hashed: string[] = [];
    const after = watch(second, folder, { publicSeed: true, onProgress: (path) => hashed.push(path) });
    await until('one is withdrawn', () => after.told.length === 1);
    await until('the other is given', () => states(second)[0] === 'stays.bin seeding');
    assert.equal(after.told, ['-goes.bin']);
    assert.equal(hashed, []);
    assert.equal(
      second.library.all.map(({ isPublicSeed }) => isPublicSeed),
      [true],
    );
    await after.superNode.stop();
  }));

test('a torrent in the folder is a title whose files lie beside it; without the torrent it is gone, and the files stay', () =>
  withLibraries(async (start) => {
    const node = await start();
    const folder = temporaryFolder('super');
    const inside = join(folder, 'show');
    mkdirSync(inside);
    writeRandomFile(join(inside, 'one.bin'), 50_000, 1);
    const { torrentBytes } = await makeTorrent({ source: inside });
    writeFileSync(join(folder, 'show.torrent'), torrentBytes);
    const { told } = watch(node, folder);
    await until('both lead to one title', () => told.length === 2 && node.library.all.length === 1 && states(node)[0] === 'show seeding');
    rmSync(join(folder, 'show.torrent'));
    rmSync(inside, { recursive: true });
    await until('it is gone', () => node.library.all.length === 0);
  }));

test('what a torrent in the folder fetches is no second title, and becomes one when the torrent is taken away', () =>
  withLibraries(async (start) => {
    const [giver, station] = [await start(), await start({ settings: { 'swarm.downloadBytesPerSecond': 400_000 } })];
    const path = join(temporaryFolder('own'), 'film.bin');
    writeRandomFile(path, 400_000, 1);
    const { torrent } = await giver.publish(path);
    const folder = temporaryFolder('super');
    writeFileSync(join(folder, 'film.torrent'), torrent);
    const { told } = watch(station, folder);
    await until('the torrent is taken', () => told.length === 1);
    const [title] = station.library.all;
    if (title) station.meet(title, [giver]);
    await until('it is here', () => title?.isComplete === true, 10_000);
    writeFileSync(join(folder, 'other.bin'), 'x');
    await until('the folder is looked at again', () => told.length === 2);
    assert.equal(told, ['+film.torrent', '+other.bin']);
    rmSync(join(folder, 'film.torrent'));
    await until('the file is a title', () => told.length === 4);
    assert.equal(told.slice(2), ['-film.torrent', '+film.bin']);
    assert.equal(states(station), ['film.bin seeding', 'other.bin seeding']);
  }));

test('what cannot be published is said once, with the reason, and the others are', () =>
  withLibraries(async (start) => {
    const node = await start();
    const folder = temporaryFolder('super');
    writeFileSync(join(folder, 'empty.bin'), '');
    writeFileSync(join(folder, 'bad.torrent'), 'no torrent');
    writeFileSync(join(folder, 'huge.torrent'), '');
    truncateSync(join(folder, 'huge.torrent'), 3 * 2 ** 30);
    mkdirSync(join(folder, 'nothing'));
    writeRandomFile(join(folder, 'good.bin'), 20_000, 1);
    const { told } = watch(node, folder);
    await until('the good one is published and four are not', () => told.length === 1 && node.log.complaints.length === 4);
    const reasons = node.log.lines.filter(({ level }) => level === 'warn').map(({ fields }) => String(fields['reason']));
    assert.match(reasons.join('\n'), /empty\.bin is empty/);
    assert.match(reasons.join('\n'), /This torrent cannot be used/);
    assert.match(reasons.join('\n'), /it holds no files/);
    assert.match(reasons.join('\n'), /a torrent file has at most/);
    assert.equal(told, ['+good.bin']);
  }));

test('a title that lies there twice, as itself and by its torrent, is given until both are gone', () =>
  withLibraries(async (start) => {
    const node = await start();
    const folder = temporaryFolder('super');
    const path = join(folder, 'film.bin');
    writeRandomFile(path, 50_000, 1);
    const { torrentBytes } = await makeTorrent({ source: path });
    const { told } = watch(node, folder);
    await until('it is published', () => told.length === 1);
    writeFileSync(join(folder, 'film.torrent'), torrentBytes);
    await until('the torrent is taken', () => told.length === 2);
    rmSync(join(folder, 'film.torrent'));
    writeFileSync(join(folder, 'other.bin'), 'x');
    await until('the folder is looked at again', () => told.length === 3);
    assert.equal(states(node), ['film.bin seeding', 'other.bin seeding']);
  }));

test('published titles are never written to: a file that was edited makes the title fail, and is left as it is', () =>
  withLibraries(async (start) => {
    const dataDir = join(temporaryFolder('library'), 'data');
    const path = join(temporaryFolder('own'), 'film.bin');
    writeRandomFile(path, 200_000, 1);
    const [giver, first] = [await start(), await start({ dataDir })];
    const { torrent } = await giver.publish(path);
    const copy = join(temporaryFolder('copy'), 'film.bin');
    writeFileSync(copy, readFileSync(path));
    await first.publish(copy);
    await first.stop();
    writeFileSync(copy, 'mine now');
    const second = await start({ dataDir });
    const [title] = second.library.all;
    await until('it fails', () => title?.state === 'failed');
    assert.match(title?.error ?? '', /film\.bin has changed since it was published, or is gone/);
    if (title) second.meet(title, [giver]);
    await title?.start();
    await until('it fails again', () => title?.state === 'failed');
    assert.is(readFileSync(copy, 'utf8'), 'mine now');
    // Brought back, it is given again.
    writeFileSync(copy, readFileSync(path));
    await title?.start();
    await until('it is given', () => title?.state === 'seeding');
    assert.is(torrent.length > 0, true);
  }));

test('one file may be two titles: with another name, or with other pieces', () =>
  withLibraries(async (start) => {
    const node = await start();
    const path = join(temporaryFolder('own'), 'film.bin');
    writeRandomFile(path, 200_000, 1);
    await node.publish(path);
    await node.publish(path, 16_384);
    const { metainfo, torrentBytes, folder, diskName } = await makeTorrent({ source: path, name: 'Another name.bin' });
    await node.library.publish({ metainfo, torrent: torrentBytes, folder, diskName, publicSeed: false });
    await until('all are given', () => states(node).every((state) => state.endsWith('seeding')));
    assert.equal(states(node), ['Another name.bin seeding', 'film.bin seeding', 'film.bin seeding']);
  }));

test.run();
