/** Several titles in one library, over real sockets: who gives way to whom, on the disk and on the line, and until when a title is given. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeTorrent } from '../../src/io/titles/torrent-maker.js';
import type { Title } from '../../src/plugins/titles/title.js';
import { type LibraryNode, type LibraryNodeOptions, withLibraries } from '../support/library-node.js';
import { temporaryFolder } from '../support/program.js';
import { until } from '../support/until.js';

const MIB = 1_048_576;
const PIECE_BYTES = 65_536;

function randomFile(sizeBytes: number): string {
  const path = join(temporaryFolder('titles'), 'film.bin');
  writeFileSync(path, randomBytes(sizeBytes));
  return path;
}

function storedBytes(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile() && !entry.parentPath.includes('records')) bytes += statSync(join(entry.parentPath, entry.name)).blocks * 512;
  return bytes;
}

/** Reads on as a player does, so many bytes. */
async function read(title: Title, fromByte: number, bytes: number, onBytes: (bytes: Uint8Array) => void = () => {}): Promise<void> {
  const file = title.metainfo?.files[0];
  if (file === undefined) throw new Error('no file');
  const reading = title.open(file, fromByte, file.lengthBytes);
  for (let had = 0; had < bytes; ) {
    const next = await reading.next(PIECE_BYTES);
    if (next === null) break;
    had += next.length;
    onBytes(next);
  }
  reading.close();
}

const isComplete = (title: Title): Promise<void> => until(`${title.name} is here`, () => title.isComplete, 20_000);

test('a title that nobody watches gives way to one that is watched; the pieces leave the disk and the swarm hears of it', () =>
  withLibraries(async (start) => {
    const quotaBytes = 6 * MIB;
    const source = await start();
    const [old, fresh] = await Promise.all([4, 5].map(async (size) => source.publish(randomFile(size * MIB), PIECE_BYTES)));
    if (!old || !fresh) throw new Error('not published');
    const viewer = await start({ settings: { 'titles.quotaBytes': quotaBytes } });
    const first = await viewer.add(old.torrent, [source]);
    await isComplete(first);
    // Slow enough to be there all along.
    const witness = await start({ settings: { 'swarm.downloadBytesPerSecond': 50_000 } });
    const seen = await witness.add(old.torrent, [viewer]);
    await until('it has met the viewer', () => (seen.transfer?.session.figures().neighbours ?? 0) > 0, 5_000);
    const second = await viewer.add(fresh.torrent, [source]);
    const file = second.metainfo?.files[0];
    if (!file) throw new Error('no file');
    await read(second, 0, file.lengthBytes);
    await until('pieces of the other gave way', () => !first.isComplete, 5_000);
    await until('the disk holds no more than the quota', () => storedBytes(join(viewer.dataDir, 'titles')) <= quotaBytes + MIB / 2, 5_000);
    await until('the swarm has heard of it', () => seen.transfer?.session.neighbourFigures()[0]?.pieces === first.have?.count, 5_000);
  }));

test('a pinned title never gives way, and what was given up comes back when somebody reads it', () =>
  withLibraries(async (start) => {
    const source = await start();
    const bytes = randomBytes(3 * MIB);
    const path = join(temporaryFolder('titles'), 'pinned.bin');
    writeFileSync(path, bytes);
    const [pinned, loose, third] = [
      await source.publish(path),
      await source.publish(randomFile(3 * MIB)),
      await source.publish(randomFile(4 * MIB)),
    ];
    const viewer = await start({ settings: { 'titles.quotaBytes': 8 * MIB } });
    const kept = await viewer.add(pinned.torrent, [source]);
    await isComplete(kept);
    viewer.library.pin(kept.infoHash, true);
    const gone = await viewer.add(loose.torrent, [source]);
    await isComplete(gone);
    const watched = await viewer.add(third.torrent, [source]);
    await until('it may be read', () => watched.state === 'downloading', 10_000);
    await read(watched, 0, 4 * MIB);
    assert.ok(kept.isComplete, 'what is pinned is whole');
    assert.ok(!gone.isComplete, 'what is not pinned gave way');
    const chunks: Uint8Array[] = [];
    await read(gone, 0, 3 * MIB, (chunk) => chunks.push(chunk));
    assert.is(Buffer.concat(chunks).length, 3 * MIB);
  }));

test('seeding stops at the ratio, over a restart, and goes on when it is told to', () =>
  withLibraries(async (start) => {
    const source = await start();
    const { torrent } = await source.publish(randomFile(2 * MIB));
    const settings = { 'titles.seedingRatio': 150 };
    const giver = await start({ settings });
    const title = await giver.add(torrent, [source]);
    await isComplete(title);
    const takers: LibraryNode[] = [];
    const take = async (): Promise<Title> => {
      const taker = await start();
      takers.push(taker);
      return taker.add(torrent, [giver]);
    };
    await isComplete(await take());
    assert.is(title.state, 'seeding');
    await giver.stop();
    const again = await start({ dataDir: giver.dataDir, settings });
    const resumed = again.library.title(title.infoHash);
    if (!resumed) throw new Error('the title was not kept');
    await until('it is given again', () => resumed.state === 'seeding', 5_000);
    const second = await start();
    await second.add(torrent, [again]);
    await until('enough has been given', () => resumed.state === 'idle', 10_000);
    assert.ok(resumed.entry.uploadedBytes >= 3 * MIB && resumed.entry.uploadedBytes < 4.2 * MIB, String(resumed.entry.uploadedBytes));
    await again.stop();
    const last = await start({ dataDir: giver.dataDir, settings });
    const rested = last.library.title(title.infoHash);
    await until('it rests', () => rested?.state === 'idle', 5_000);
    await last.library.resume(title.infoHash);
    await until('it is given on', () => rested?.state === 'seeding', 5_000);
  }));

/** A title of one MiB that has given enough, of the node that has it, and the node that published it. */
async function resting(
  start: (options?: LibraryNodeOptions) => Promise<LibraryNode>,
): Promise<{ readonly source: LibraryNode; readonly giver: LibraryNode; readonly title: Title }> {
  const source = await start();
  const { torrent } = await source.publish(randomFile(MIB));
  const giver = await start({ settings: { 'titles.seedingRatio': 10 } });
  const title = await giver.add(torrent, [source]);
  await isComplete(title);
  await (await start()).add(torrent, [giver]);
  await until('enough has been given', () => title.state === 'idle', 10_000);
  return { source, giver, title };
}

test('a title that has given enough and is paused stays paused when its player hangs up', () =>
  withLibraries(async (start) => {
    const { giver, title } = await resting(start);
    const file = title.metainfo?.files[0];
    if (!file) throw new Error('no file');
    const reading = title.open(file, 0, file.lengthBytes);
    await giver.library.pause(title.infoHash);
    reading.close();
    assert.is(title.state, 'paused');
  }));

test('a check of a title that has given enough lets it rest, and fetches what was damaged of it; whoever resumes or pauses it meanwhile is heard', () =>
  withLibraries(async (start) => {
    const { source, giver, title } = await resting(start);
    await title.recheck();
    assert.equal([title.state, title.swarm, title.haveBytes()], ['idle', undefined, MIB]);
    const path = join(title.entry.folder, title.name);
    const bytes = readFileSync(path);
    const damaged = Uint8Array.from(bytes);
    damaged.fill(0, MIB / 2, MIB / 2 + 10);
    writeFileSync(path, damaged);
    const [file] = title.metainfo?.files ?? [];
    if (!file) throw new Error('no file');
    const early = title.open(file, MIB / 2, MIB / 2 + 10);
    await title.recheck();
    assert.is(title.state, 'downloading');
    giver.meet(title, [source]);
    assert.equal(Buffer.from((await early.next(10)) ?? []), bytes.subarray(MIB / 2, MIB / 2 + 10));
    early.close();
    await isComplete(title);
    assert.ok(readFileSync(path).equals(bytes));
    await giver.library.pause(title.infoHash);
    const resumed = title.recheck();
    await giver.library.resume(title.infoHash);
    await resumed;
    // It goes on, and has given enough already.
    await until('it rests again', () => title.state === 'idle', 5_000);
    assert.not(title.entry.paused);
    const ended = title.recheck();
    await giver.library.pause(title.infoHash);
    await ended;
    assert.is(title.state, 'paused');
    assert.is(title.haveBytes() > 0, title.hereUntil(0, 0) > 0, 'no more is claimed than can be read');
  }));

test('a title that is resumed while its pause is not over goes on', () =>
  withLibraries(async (start) => {
    const source = await start();
    const { title } = await source.publish(randomFile(MIB));
    await until('it is given', () => title.state === 'seeding');
    const paused = source.library.pause(title.infoHash);
    await source.library.resume(title.infoHash);
    await paused;
    assert.is(title.state, 'seeding');
    assert.is(title.entry.paused, false);
  }));

test('a bare link that nobody answers is described by the torrent that is added later', () =>
  withLibraries(async (start) => {
    const source = await start();
    const { title, torrent } = await source.publish(randomFile(MIB));
    const viewer = await start();
    await viewer.library.add({ link: `magnet:?xt=urn:btih:${title.infoHash}` });
    assert.is(viewer.library.title(title.infoHash)?.state, 'metadata');
    await isComplete(await viewer.add(torrent, [source]));
    assert.is(viewer.library.count, 1);
  }));

test('nothing is kept of a peer that has hung up', () =>
  withLibraries(async (start) => {
    // Slow enough that it is not done before anybody has looked.
    const source = await start({ settings: { 'swarm.uploadBytesPerSecond': 64 * 1_024 } });
    const { title, torrent } = await source.publish(randomFile(MIB));
    const viewer = await start();
    const fetched = await viewer.add(torrent, [source]);
    await until('they have met', () => (title.transfer?.session.neighbourFigures().length ?? 0) > 0);
    const [{ peer } = { peer: '' }] = title.transfer?.session.neighbourFigures() ?? [];
    assert.ok(title.transfer?.info(peer));
    await viewer.library.pause(fetched.infoHash);
    await until('it is gone', () => title.transfer?.session.neighbourFigures().length === 0);
    assert.is(title.transfer?.info(peer), undefined);
  }));

test('a title that is paused goes on when somebody adds it again', () =>
  withLibraries(async (start) => {
    const source = await start();
    const { torrent } = await source.publish(randomFile(MIB));
    const viewer = await start();
    const title = await viewer.add(torrent, []);
    await until('it waits for peers', () => title.state === 'downloading');
    await viewer.library.pause(title.infoHash);
    await isComplete(await viewer.add(torrent, [source]));
  }));

test('a title that is removed does not come back while its trackers are told goodbye', () =>
  withLibraries(async (start) => {
    const tracker = createServer().listen(0, '127.0.0.1');
    try {
      await until('the tracker listens', () => tracker.listening);
      const { port } = tracker.address() as AddressInfo;
      const node = await start();
      const ids: string[] = [];
      for (let count = 0; count < 3; count++) {
        const trackerTiers = [[`http://127.0.0.1:${port}/announce`]];
        const { torrentBytes } = await makeTorrent({ source: randomFile(PIECE_BYTES), pieceLengthBytes: PIECE_BYTES, trackerTiers });
        ids.push((await node.library.add({ torrent: torrentBytes })).id);
      }
      // The shelf is looked at every two seconds, and a goodbye takes one: some removal is under way at each moment of that.
      const removals = ids.map(async (id, at) => {
        await new Promise((resolve) => setTimeout(resolve, at * 700));
        await node.library.remove(id, { withData: true });
      });
      await Promise.all(removals);
      assert.is(node.library.count, 0);
    } finally {
      tracker.closeAllConnections();
      tracker.close();
    }
  }));

test.run();
