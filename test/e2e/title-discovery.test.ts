/** Real Shoal processes that find each other in one way alone: DHT, local network, peer exchange, the link. And private titles, which use none of them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher } from '../../src/io/crypto.js';
import { Dht } from '../../src/io/peers/dht.js';
import { Malformed } from '../../src/kernel/errors.js';
import { parseMagnet } from '../../src/vod/magnet-link.js';
import { type Metainfo, parseTorrent } from '../../src/vod/metainfo.js';
import { encodeTorrent } from '../../src/vod/torrent-draft.js';
import { freePort } from '../support/free-port.js';
import { MemoryLog } from '../support/memory-log.js';
import { temporaryFolder } from '../support/program.js';
import type { ShoalProcess } from '../support/shoal-process.js';
import {
  assertGot,
  type Getting,
  getTitle,
  publishTitle,
  titleOf,
  whenTitle,
  withProcesses,
  writeTitle,
} from '../support/title-processes.js';

const TITLE_BYTES = 1_000_001;
const DHT_ON = { 'titles.dht': true, 'titles.dhtBootstrap': '[]' };
/** No announce of the processes' own comes sooner than its first one; this long nobody is waited for who must not come. */
const NOBODY_MS = 2_000;

/** A node of the DHT that knows nobody: the way in for all processes of a test. */
async function withNode(task: (node: Dht, settings: { readonly [key: string]: string | boolean }) => Promise<void>): Promise<void> {
  const log = new MemoryLog();
  const timings = { firstRetryMs: 200, announceMs: 500 };
  const node = await Dht.start({ host: '127.0.0.1', port: 0, peerPort: 1, bootstrap: [], saved: [], allowsLocal: true, log, timings });
  try {
    await task(node, { ...DHT_ON, 'titles.dhtBootstrap': JSON.stringify([`127.0.0.1:${node.port}`]) });
  } finally {
    await node.stop();
  }
}

function bareLink(shoal: ShoalProcess): string {
  return `magnet:?xt=urn:btih:${titleOf(shoal).id}`;
}

function portOf(shoal: ShoalProcess): number {
  const link = parseMagnet(titleOf(shoal).link);
  if (link instanceof Malformed) throw new Error(link.reason);
  return link.peers[0]?.port ?? 0;
}

/** Ports that the DHT has for a title, without our own. */
function peersInDht(node: Dht, infoHash: string): Set<number> {
  const ports = new Set<number>();
  node.join(infoHash, ({ port }) => {
    if (port !== 1) ports.add(port);
  });
  return ports;
}

function readMetainfo(bytes: Uint8Array): Metainfo {
  const metainfo = parseTorrent(bytes, nodeHasher);
  if (metainfo instanceof Malformed) throw new Error(metainfo.reason);
  return metainfo;
}

test('two processes find each other by the DHT alone, from a bare info hash, and keep its table', () =>
  withNode((_, settings) =>
    withProcesses(async (keep) => {
      const path = writeTitle(TITLE_BYTES, 1);
      const publisher = await keep(publishTitle(path, settings));
      const getting = await keep(getTitle(bareLink(publisher), settings));
      await assertGot(getting, path);
      await getting.shoal.stop();
      const saved = JSON.parse(readFileSync(join(getting.shoal.dataDir, 'state', 'dht.json'), 'utf8')) as {
        readonly nodes: readonly string[];
      };
      assert.ok(saved.nodes.length >= 2, `${saved.nodes.length} nodes saved`);
    }),
  ));

test('a node that the torrent file names is a way into the DHT', () =>
  withNode((node, settings) =>
    withProcesses(async (keep) => {
      const path = writeTitle(TITLE_BYTES, 2);
      const torrentPath = join(temporaryFolder('torrent'), 'title.torrent');
      await keep(publishTitle(path, settings, ['--torrent', torrentPath]));
      const metainfo = readMetainfo(readFileSync(torrentPath));
      writeFileSync(torrentPath, encodeTorrent({ ...metainfo, dhtNodes: [{ host: '127.0.0.1', port: node.port }] }));
      await assertGot(await keep(getTitle(torrentPath, DHT_ON)), path);
    }),
  ));

test('two processes find each other by multicast alone', () =>
  withProcesses(async (keep) => {
    const path = writeTitle(TITLE_BYTES, 3);
    const publisher = await keep(publishTitle(path, { 'titles.localDiscovery': true }));
    const getting = await keep(getTitle(bareLink(publisher), { 'titles.localDiscovery': true }));
    await assertGot(getting, path);
  }));

test('two processes find each other by the address in the link alone', () =>
  withProcesses(async (keep) => {
    const path = writeTitle(TITLE_BYTES, 4);
    const publisher = await keep(publishTitle(path));
    const link = `${bareLink(publisher)}&x.pe=127.0.0.1:${portOf(publisher)}`;
    await assertGot(await keep(getTitle(link)), path);
  }));

test('two processes that know only a third find each other by peer exchange, and learn its DHT node by its port message', () =>
  withProcesses(async (keep) => {
    const path = writeTitle(TITLE_BYTES, 5);
    // Slow enough for the first to be still at it when the second comes: two that have all keep no connection.
    const publisher = await keep(publishTitle(path, { ...DHT_ON, 'swarm.uploadBytesPerSecond': 250_000 }));
    // It passes on next to nothing itself: what the others have in the end, they have from each other.
    const port = await freePort();
    const between = await keep(getTitle(titleOf(publisher).link, { ...DHT_ON, 'swarm.port': port, 'swarm.uploadBytesPerSecond': 16_384 }));
    await whenTitle(between.shoal, 'the one in between knows the publisher', ({ peers, pieceCount }) => peers === 1 && pieceCount > 0);
    const getting = await keep(getTitle(`${bareLink(publisher)}&x.pe=127.0.0.1:${port}`, DHT_ON));
    await assertGot(getting, path);
    const passedOnBytes = titleOf(between.shoal).uploadedBytes;
    assert.ok(passedOnBytes < TITLE_BYTES / 2, `${passedOnBytes} bytes came from the one in between`);
    await getting.shoal.stop();
    const saved = readFileSync(join(getting.shoal.dataDir, 'state', 'dht.json'), 'utf8');
    assert.match(saved, '127.0.0.1:');
  }));

test('a private title is told to nobody but its tracker, and has no peers from elsewhere', () =>
  withNode((node, settings) =>
    withProcesses(async (keep) => {
      const everything = { ...settings, 'titles.localDiscovery': true };
      const path = writeTitle(TITLE_BYTES, 6);
      const torrentPath = join(temporaryFolder('torrent'), 'title.torrent');
      const publisher = await keep(publishTitle(path, { ...everything, 'tracker.enabled': true }, ['--private', '--torrent', torrentPath]));
      const { id, link } = titleOf(publisher);
      assert.not.match(link, 'x.pe');
      const found = peersInDht(node, id);
      const trackerless = join(temporaryFolder('torrent'), 'trackerless.torrent');
      writeFileSync(trackerless, encodeTorrent({ ...readMetainfo(readFileSync(torrentPath)), trackerTiers: [] }));
      const alone = await keep(getTitle(trackerless, everything));
      await assertGot(await keep(getTitle(torrentPath, everything)), path);
      await new Promise((resolve) => setTimeout(resolve, NOBODY_MS));
      assert.equal([...found], [], 'nobody announced it to the DHT');
      assert.is(titleOf(alone.shoal).peers, 0);
      assert.is(titleOf(alone.shoal).haveBytes, 0);
    }),
  ));

for (const [theirs, meeting, missing] of [
  ['require', ['allow', 'require'], 'off'],
  ['off', ['prefer'], 'require'],
] as const) {
  test(`whoever publishes with titles.encryption=${theirs} meets ${meeting.join(' and ')}, but not ${missing}`, () =>
    withProcesses(async (keep) => {
      const path = writeTitle(TITLE_BYTES, 7);
      const publisher = await keep(publishTitle(path, { 'titles.encryption': theirs }));
      const get = (ours: string): Promise<Getting> =>
        keep(getTitle(titleOf(publisher).link, { 'titles.encryption': ours, 'log.level': 'debug' }));
      const [refused, ...taken] = await Promise.all([get(missing), ...meeting.map(get)]);
      for (const getting of taken) await assertGot(getting, path);
      await refused.shoal.whenLogged(/dial failed/);
      assert.is(titleOf(refused.shoal).state, 'metadata');
    }));
}

test.run();
