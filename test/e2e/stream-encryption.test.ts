/** Encrypted connections with ordinary clients, dialled from either side: aria2 and transmission that take nothing else. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { EncryptionPolicy } from '../../src/io/peers/encryption-policy.js';
import { TrackerClient } from '../../src/io/trackers/tracker-client.js';
import { encodeBencode } from '../../src/kernel/bencode.js';
import { aria2 } from '../support/foreign/aria2.js';
import type { Encryption, ForeignClient, RunningClient } from '../support/foreign/foreign-client.js';
import { startTracker } from '../support/foreign/test-tracker.js';
import { transmission } from '../support/foreign/transmission.js';
import { temporaryFolder } from '../support/program.js';
import { writeRandomFile } from '../support/title-fixture.js';
import { makeTorrent } from '../support/torrent-fixture.js';
import { until } from '../support/until.js';
import { type WholeTitle, WholeTitlePeer } from '../support/whole-title-peer.js';

const TITLE_BYTES = 600_001;
const PIECE_LENGTH_BYTES = 262_144;
/** Transmission unchokes after ten seconds and is slow to warm up. */
const PATIENCE_MS = 45_000;

const folder = temporaryFolder('encryption');
const path = join(folder, 'title.bin');
writeRandomFile(path, TITLE_BYTES, 42);
const torrent = makeTorrent(path);
const bytes = readFileSync(path);
const title: WholeTitle = {
  infoHash: torrent.infoHash,
  pieceCount: torrent.pieceCount,
  pieceLengthBytes: PIECE_LENGTH_BYTES,
  totalBytes: TITLE_BYTES,
};
const metadata = infoOf(torrent.file());

/** The info dictionary of a torrent that has nothing else. */
function infoOf(file: Uint8Array): Uint8Array {
  const start = encodeBencode({ info: '' }).length - 'e0:'.length;
  return file.subarray(start, file.length - 1);
}

/** Downloads from a client that we dial. */
async function fetchFrom(client: ForeignClient, theirs: Encryption, ours: EncryptionPolicy): Promise<WholeTitlePeer> {
  const path = join(temporaryFolder('torrent'), 'title.torrent');
  writeFileSync(path, torrent.file());
  const seed = await client.seed(path, folder, { encryption: theirs });
  const peer = await WholeTitlePeer.start(title, null, { encryption: ours });
  try {
    peer.swarm.addCandidate('127.0.0.1', seed.port, 'link');
    await until('everything came', () => peer.isComplete, PATIENCE_MS);
    assert.ok(Buffer.from(peer.bytes).equals(bytes), 'byte-equal');
    return peer;
  } catch (error) {
    throw new Error(`${String(error)} ${JSON.stringify(peer.log.lines)} ${seed.said()}`);
  } finally {
    await Promise.all([seed.stop(), peer.network.stop()]);
  }
}

/** The promise of a client alone would not keep this process alive. */
async function finished(client: RunningClient): Promise<void> {
  let isDone = false;
  const completed = client.completed.then(() => {
    isDone = true;
  });
  await until('the client has all', () => isDone, PATIENCE_MS);
  await completed;
}

for (const client of [aria2, transmission]) {
  test(`we dial a ${client.name} that requires encryption: by preference, by second try, and with nothing but RC4`, async () => {
    const policies = ['prefer', 'allow', 'require'] as const;
    const peers = await Promise.all(policies.map((ours) => fetchFrom(client, 'encrypted', ours)));
    for (const peer of peers) assert.ok(peer.infos[0]?.encrypted);
  });

  test(`we dial a ${client.name} that tolerates plain streams, encrypted`, async () => {
    const peer = await fetchFrom(client, 'plain', 'prefer');
    assert.ok(peer.infos[0]?.encrypted);
  });
}

test('an aria2 that requires encryption dials us and downloads', async () => {
  const tracker = await startTracker();
  const peer = await WholeTitlePeer.start({ ...title, bytes }, metadata);
  const { infoHash } = title;
  const { network, log } = peer;
  const announcer = new TrackerClient({
    infoHash,
    peerId: network.peerId,
    port: network.port,
    trackers: [tracker.url],
    log,
    seeding: true,
    onPeer: () => {},
  });
  announcer.start();
  const [torrents, target] = [temporaryFolder('torrent'), temporaryFolder('aria2-target')];
  const torrentPath = join(torrents, 'title.torrent');
  writeFileSync(torrentPath, torrent.file({ trackers: [tracker.url] }));
  const client = await aria2.download(torrentPath, target, { encryption: 'encrypted' });
  try {
    await until('aria2 has all', () => tracker.peerCount(infoHash) > 0, PATIENCE_MS);
    await finished(client);
    assert.ok(readFileSync(join(target, 'title.bin')).equals(bytes));
    assert.ok(peer.infos.some(({ encrypted, outgoing }) => encrypted && !outgoing));
  } finally {
    await Promise.all([client.stop(), announcer.stop()]);
    await Promise.all([network.stop(), tracker.stop()]);
  }
});

test('a transmission that requires encryption downloads from us', async () => {
  const path = join(temporaryFolder('torrent'), 'title.torrent');
  writeFileSync(path, torrent.file());
  const target = temporaryFolder('transmission-target');
  const client = await transmission.download(path, target, { encryption: 'encrypted' });
  const peer = await WholeTitlePeer.start({ ...title, bytes }, metadata, { encryption: 'require' });
  try {
    peer.swarm.addCandidate('127.0.0.1', client.port, 'link');
    await finished(client);
    assert.ok(readFileSync(join(target, 'title.bin')).equals(bytes));
    assert.ok(peer.infos[0]?.encrypted);
  } finally {
    await Promise.all([client.stop(), peer.network.stop()]);
  }
});

test.run();
