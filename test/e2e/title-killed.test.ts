/**
 * The real program is killed (SIGKILL) at random moments of a download and started again: it completes, every byte is right, and what had come by then is not
 * fetched again, but for the blocks that were on their way. The seeder counts.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Rng } from '../../src/kernel/rng.js';
import { BLOCK_BYTES } from '../../src/vod/block.js';
import { freePort } from '../support/free-port.js';
import { temporaryFolder } from '../support/program.js';
import { ShoalProcess, startStation } from '../support/shoal-process.js';
import { differences, writeFolderTitle, writeTorrent } from '../support/title-fixture.js';
import { titleOf, whenTitle } from '../support/title-processes.js';
import { makeTorrent, type TestTorrent } from '../support/torrent-fixture.js';
import { until } from '../support/until.js';

const KILLS = 20;
const STATION_KILLS = 6;
const SEED = Number(process.env['SHOAL_KILL_SEED'] ?? 1);
const PIECE_LENGTH_BYTES = 262_144;
/** So that the kills fall into the download. */
const LIFE_MS = 600;
const BYTES_PER_SECOND = 3_000_000;
/** What the seeder may have had on its way to one that is killed, many times over; a piece begun anew each time would be as much. */
const IN_FLIGHT_BYTES = 32 * BLOCK_BYTES;
const ALONE = { 'tracker.enabled': false, 'titles.dht': false, 'titles.localDiscovery': false };

interface Scene {
  readonly title: string;
  readonly torrent: TestTorrent;
  readonly magnet: string;
  readonly target: string;
  readonly seeder: ShoalProcess;
}

async function openScene(totalBytes: number): Promise<Scene> {
  const folder = temporaryFolder('killed');
  const title = writeFolderTitle(join(folder, 'in'), totalBytes, SEED);
  const torrent = makeTorrent(title, { pieceLengthBytes: PIECE_LENGTH_BYTES });
  const torrentPath = writeTorrent(folder, 'title', torrent.file());
  const port = await freePort();
  const settings = { ...ALONE, 'swarm.port': port, 'swarm.uploadBytesPerSecond': BYTES_PER_SECOND };
  const seeder = new ShoalProcess(['get', torrentPath, '--seed', '--json', '--folder', join(folder, 'in')], { settings });
  await seeder.whenReady();
  await whenTitle(seeder, 'it is given', ({ state }) => state === 'seeding');
  const target = join(folder, 'out');
  mkdirSync(target);
  return { title, torrent, magnet: torrent.magnet({ peers: [`127.0.0.1:${port}`] }), target, seeder };
}

/** Starts, waits a random time, kills, again and again; the last one is left to its end. Then all is compared and counted. */
async function assertSurvives(scene: Scene, kills: number, start: () => Promise<ShoalProcess>): Promise<void> {
  const rng = new Rng(SEED);
  try {
    for (let kill = 0; kill < kills; kill++) {
      const shoal = await start();
      await new Promise((resolve) => setTimeout(resolve, rng.below(LIFE_MS)));
      shoal.signal('SIGKILL');
      await shoal.program.whenExited(5_000);
    }
    const last = await start();
    await whenTitle(last, 'it is here', ({ state }) => state === 'seeding', 60_000);
    await last.stop();
    assert.equal(differences(scene.title, join(scene.target, scene.torrent.name)), []);
    const seen = scene.seeder.statuses.length;
    await until('the seeder has counted', () => scene.seeder.statuses.length > seen + 1);
    const againBytes = titleOf(scene.seeder).uploadedBytes - scene.torrent.totalBytes;
    const blocks = (againBytes / kills / BLOCK_BYTES).toFixed(1);
    process.stdout.write(`measured: fetched again after ${kills} kills: ${againBytes} bytes, ${blocks} blocks a kill\n`);
    assert.ok(againBytes <= kills * IN_FLIGHT_BYTES, `${againBytes} bytes were fetched again`);
  } finally {
    await scene.seeder.stop();
  }
}

test(`killed ${KILLS} times, "shoal get" completes, and fetches again no more than was on its way`, async () => {
  const scene = await openScene(26_000_000);
  const dataDir = join(temporaryFolder('data'), 'data');
  await assertSurvives(scene, KILLS, async () => {
    const shoal = new ShoalProcess(['get', scene.magnet, '--seed', '--json', '--folder', scene.target], { dataDir, settings: ALONE });
    await until('it runs', () => shoal.lines.length > 0 || shoal.program.exit !== undefined, 20_000);
    assert.is(shoal.program.exit, undefined, shoal.program.errors);
    return shoal;
  });
});

test(`so does a station that was killed ${STATION_KILLS} times, and it needs to be told of the title once`, async () => {
  const scene = await openScene(12_000_000);
  const dataDir = join(temporaryFolder('data'), 'data');
  const settings = { ...ALONE, 'station.testCard': false, 'titles.folder': scene.target };
  let isTold = false;
  await assertSurvives(scene, STATION_KILLS, async () => {
    const station = await startStation({ dataDir, settings });
    if (!isTold) await tell(station, scene.magnet);
    isTold = true;
    return station;
  });
});

async function tell(station: ShoalProcess, link: string): Promise<void> {
  const init = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ link }) };
  const response = await fetch(new URL('/api/titles', station.ready.page), init);
  assert.is(response.status, 201, await response.text());
}

test.run();
