/** Links and torrents in the forms in which they go around: base 32, bare hashes, a choice of files, and torrents of two versions at once. libtorrent is at the other end. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RunningClient } from '../support/foreign/foreign-client.js';
import { libtorrent, makeLibtorrentTorrent } from '../support/foreign/libtorrent.js';
import { shoal } from '../support/foreign/shoal.js';
import { temporaryFolder } from '../support/program.js';
import { ShoalProcess } from '../support/shoal-process.js';
import { differences, writeFolderTitle, writeTorrent } from '../support/title-fixture.js';
import { makeTorrent } from '../support/torrent-fixture.js';

const SETTINGS = { 'tracker.enabled': false, 'titles.dht': false, 'titles.localDiscovery': false };
const DONE_MS = 30_000;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

const folder = temporaryFolder('links');
const title = writeFolderTitle(join(folder, 'in'));
const torrent = makeTorrent(title, { pieceLengthBytes: 65_536 });
let targets = 0;

/** Runs `shoal get` to its end; gives where the title lies. */
async function get(source: string, peer: string): Promise<string> {
  targets += 1;
  const target = join(folder, `out-${targets}`);
  mkdirSync(target);
  const command = new ShoalProcess(['get', source, '--folder', target, '--peer', peer], { settings: SETTINGS });
  const { code } = await command.program.whenExited(DONE_MS);
  assert.is(code, 0, command.program.errors);
  return join(target, torrent.name);
}

async function withSeeder(path: string, task: (peer: string) => Promise<void>, client = libtorrent): Promise<void> {
  const seeder: RunningClient = await client.seed(path, join(folder, 'in'));
  try {
    await task(`${seeder.host}:${seeder.port}`);
  } finally {
    await seeder.stop();
  }
}

function base32(hash: string): string {
  const bits = [...Buffer.from(hash, 'hex')].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{5}/g) ?? []).map((group) => BASE32[Number.parseInt(group, 2)]).join('');
}

test('a hash may be in base 32 or stand alone, in any case', () =>
  withSeeder(writeTorrent(folder, 'title', torrent.file()), async (peer) => {
    const short = base32(torrent.infoHash);
    for (const source of [
      `magnet:?xt=urn:btih:${short}`,
      `magnet:?xt=urn:btih:${short.toUpperCase()}`,
      short,
      torrent.infoHash.toUpperCase(),
    ])
      assert.equal(differences(title, await get(source, peer)), [], source);
  }));

test('a link may choose files: the others do not come, but for what shares a piece', () =>
  withSeeder(writeTorrent(folder, 'title', torrent.file()), async (peer) => {
    const some = await get(`${torrent.magnet()}&so=0-2`, peer);
    assert.equal(differences(title, some), ['второй/часть #2 100%.bin is missing', 'zum Schluß/last+one.bin has other bytes']);
    assert.equal(differences(title, await get(`${torrent.magnet()}&so=99`, peer)), [], 'a choice of nothing is none');
    assert.not.ok(existsSync(await get(`${torrent.magnet()}&so=5`, peer)), 'an empty file comes with no piece');
  }));

test('a torrent of both versions is given and taken, as torrent and as magnet', async () => {
  const path = join(folder, 'hybrid.torrent');
  const magnet = `magnet:?xt=urn:btih:${makeLibtorrentTorrent(title, path, 'hybrid')}`;
  await withSeeder(path, async (peer) => {
    for (const source of [path, magnet]) assert.equal(differences(title, await get(source, peer)), [], source);
  });
  await withSeeder(
    path,
    async (peer) => {
      for (const [index, source] of [path, magnet].entries()) {
        const target = join(folder, `up-${index}`);
        mkdirSync(target);
        const downloading = await libtorrent.download(source, target, { peers: [peer] });
        await downloading.completed;
        await downloading.stop();
        assert.equal(differences(title, join(target, torrent.name)), [], source);
      }
    },
    shoal,
  );
});

test('a torrent of version 2 alone is refused with what would do', async () => {
  const path = join(folder, 'v2.torrent');
  makeLibtorrentTorrent(title, path, 'v2');
  const command = new ShoalProcess(['get', path], { settings: SETTINGS });
  assert.is((await command.program.whenExited(DONE_MS)).code, 1);
  assert.match(command.program.errors, /version 2 only .* expected a version 1 or hybrid torrent/);
});

test.run();
