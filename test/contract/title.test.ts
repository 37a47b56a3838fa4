/** The life of one title in a library, over real sockets and a real disk: from its link to its last byte, and away again. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../src/kernel/errors.js';
import type { Title } from '../../src/plugins/titles/title.js';
import { parseMagnet } from '../../src/vod/magnet-link.js';
import { type LibraryNode, withLibraries } from '../support/library-node.js';
import { temporaryFolder } from '../support/program.js';
import { writeRandomFile } from '../support/title-fixture.js';
import { until } from '../support/until.js';

const SLOW = { settings: { 'swarm.downloadBytesPerSecond': 300_000 } };

function randomFile(lengthBytes = 600_000): string {
  const path = join(temporaryFolder('own'), 'film.bin');
  writeRandomFile(path, lengthBytes, 1);
  return path;
}

function digest(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex');
}

/** Adds a title by its link alone; the peers are named in it. */
async function addLink(node: LibraryNode, title: Title, peers: readonly LibraryNode[], more = ''): Promise<Title> {
  const addresses = peers.map(({ address }) => `&x.pe=${address}`).join('');
  const { id } = await node.library.add(
    { link: `magnet:?xt=urn:btih:${title.infoHash}${addresses}${more}` },
    { folder: temporaryFolder('got') },
  );
  return titleOf(node, id);
}

function titleOf(node: LibraryNode, id: string): Title {
  const title = node.library.title(id);
  if (title === undefined) throw new Error('the title is not there');
  return title;
}

async function readAll(title: Title): Promise<Buffer> {
  const file = title.metainfo?.files[0];
  if (file === undefined) throw new Error('no file');
  const reading = title.open(file, 0, file.lengthBytes);
  const parts: Uint8Array[] = [];
  for (let part = await reading.next(65_536); part !== null; part = await reading.next(65_536)) parts.push(part);
  reading.close();
  return Buffer.concat(parts);
}

const isSeeding = (title: Title): Promise<void> => until('all is here', () => title.state === 'seeding', 15_000);

test('a link alone goes through metadata and download to the end, and is a torrent then', () =>
  withLibraries(async (start) => {
    const [giver, getter] = [await start(), await start(SLOW)];
    const path = randomFile();
    const { title: given } = await giver.publish(path);
    const title = await addLink(getter, given, [giver]);
    assert.is(title.state, 'metadata');
    assert.equal(title.files, []);
    assert.is(title.torrent(), undefined);
    await until('it downloads', () => title.state === 'downloading', 10_000);
    assert.is(title.name, 'film.bin');
    assert.ok(title.haveBytes() < 600_000);
    await isSeeding(title);
    assert.is(title.haveBytes(), 600_000);
    assert.equal(title.metainfo?.infoBytes, given.metainfo?.infoBytes);
    assert.ok((title.torrent()?.length ?? 0) > 0);
    assert.is(title.entry.downloadedBytes, 600_000);
  }));

test('a player reads from the first moment on, and gets the bytes of the file', () =>
  withLibraries(async (start) => {
    const [giver, getter] = [await start(), await start()];
    const path = randomFile(3_000_000);
    const { title: given } = await giver.publish(path);
    const title = await addLink(getter, given, [giver]);
    await until('the metadata is here', () => title.files.length === 1, 10_000);
    assert.is(digest(await readAll(title)), digest(readFileSync(path)));
    assert.is(title.readerCount, 0);
  }));

test('paused it keeps what it has and asks for nothing; resumed it goes on; both outlive the process', () =>
  withLibraries(async (start) => {
    const dataDir = join(temporaryFolder('library'), 'data');
    const [giver, getter] = [await start(), await start({ ...SLOW, dataDir })];
    const { title: given, torrent } = await giver.publish(randomFile(2_000_000));
    const title = await getter.add(torrent, [giver], { folder: temporaryFolder('got') });
    await until('some of it is here', () => title.haveBytes() > 100_000, 10_000);
    await getter.library.pause(given.infoHash);
    const [state, haveBytes] = [title.state, title.haveBytes()];
    assert.is(state, 'paused');
    assert.is(title.swarm, undefined);
    await getter.stop();
    const again = await start({ dataDir });
    const resumed = titleOf(again, given.infoHash);
    assert.is(resumed.state, 'paused');
    assert.ok(resumed.entry.downloadedBytes >= haveBytes);
    await again.library.resume(given.infoHash);
    again.meet(resumed, [giver]);
    await isSeeding(resumed);
    // What was there was not fetched twice, but for a block or two on their way.
    assert.ok(resumed.entry.downloadedBytes <= 2_000_000 + 20 * 16_384, String(resumed.entry.downloadedBytes));
  }));

test('what cannot be stored fails with words that say where; removed, it can be had elsewhere', () =>
  withLibraries(async (start) => {
    const [giver, getter] = [await start(), await start()];
    const { title: given, torrent } = await giver.publish(randomFile());
    const inTheWay = join(temporaryFolder('got'), 'a file');
    writeFileSync(inTheWay, 'mine');
    const title = await getter.add(torrent, [giver], { folder: join(inTheWay, 'below') });
    await until('it fails', () => title.state === 'failed', 15_000);
    assert.match(title.error ?? '', /a file/);
    const refusal = await readAll(title).catch((error: Error) => error.message);
    assert.match(String(refusal), /a file/);
    await getter.library.remove(given.infoHash, { withData: true });
    assert.is(readFileSync(inTheWay, 'utf8'), 'mine');
    await isSeeding(await getter.add(torrent, [giver], { folder: temporaryFolder('got') }));
  }));

test('removed with its data it takes its files away, and no others; without, it leaves them', () =>
  withLibraries(async (start) => {
    const [giver, getter] = [await start(), await start()];
    const { title: given, torrent } = await giver.publish(randomFile());
    for (const withData of [true, false]) {
      const folder = temporaryFolder('got');
      writeFileSync(join(folder, 'mine.txt'), 'mine');
      await isSeeding(await getter.add(torrent, [giver], { folder }));
      await getter.library.remove(given.infoHash, { withData });
      assert.is(existsSync(join(folder, 'film.bin')), !withData);
      assert.ok(existsSync(join(folder, 'mine.txt')));
      assert.equal(getter.library.list(), []);
    }
    await giver.library.remove(given.infoHash, { withData: true });
    assert.ok(existsSync(join(given.entry.folder, 'film.bin')), 'what was published is the user’s own');
  }));

test('the link of what is published names this process; what was fetched names whom its own link named', () =>
  withLibraries(async (start) => {
    const [giver, getter] = [await start(), await start()];
    const { title: given } = await giver.publish(randomFile());
    const link = parseMagnet(given.link);
    if (link instanceof Malformed) throw new Error(link.reason);
    assert.equal(link.peers, [{ host: giver.host, port: giver.network.port }]);
    assert.is(link.name, 'film.bin');
    const title = await addLink(getter, given, [giver], '&tr=udp%3A%2F%2Ft.example%3A1');
    const passedOn = parseMagnet(title.link);
    if (passedOn instanceof Malformed) throw new Error(passedOn.reason);
    assert.equal(passedOn.trackers, ['udp://t.example:1']);
  }));

test('published again from another place it is one title, in its new place, and keeps its figures', () =>
  withLibraries(async (start) => {
    const [giver, getter] = [await start(), await start()];
    const path = randomFile();
    const { title: given } = await giver.publish(path);
    await isSeeding(await addLink(getter, given, [giver]));
    await until('the giver has counted it', () => given.entry.uploadedBytes >= 600_000);
    const copy = randomFile();
    const { title: moved } = await giver.publish(copy);
    assert.is(giver.library.list().length, 1);
    assert.is(moved.infoHash, given.infoHash);
    assert.is(join(moved.entry.folder, 'film.bin'), copy);
    assert.ok(moved.entry.uploadedBytes >= 600_000);
    await isSeeding(moved);
  }));

test('what was fetched and is published then stands where it was published, and is never deleted', () =>
  withLibraries(async (start) => {
    const [giver, getter] = [await start(), await start()];
    const path = randomFile();
    const { torrent } = await giver.publish(path);
    await isSeeding(await getter.add(torrent, [giver], { folder: temporaryFolder('got') }));
    const copy = randomFile();
    const { title } = await getter.publish(copy);
    await isSeeding(title);
    await getter.library.remove(title.infoHash, { withData: true });
    assert.ok(existsSync(copy));
  }));

test.run();
