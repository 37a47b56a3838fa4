/**
 * Whether the upload limit holds with ordinary clients: a Shoal seeder at 1 MiB/s, and libtorrent, aria2 and transmission that take what they get.
 *
 * `npm run bench vod-upload-cap [seconds]`: 30 s by default, one client at a time and then all together, brought together by a tracker. Payload as the seeder counts it.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import { aria2 } from '../test/support/foreign/aria2.js';
import type { ForeignClient } from '../test/support/foreign/foreign-client.js';
import { libtorrent } from '../test/support/foreign/libtorrent.js';
import { startTracker } from '../test/support/foreign/test-tracker.js';
import { transmission } from '../test/support/foreign/transmission.js';
import { LibraryNode } from '../test/support/library-node.js';
import { temporaryFolder } from '../test/support/program.js';
import { writeRandomFile, writeTorrent } from '../test/support/title-fixture.js';
import { until } from '../test/support/until.js';
import { BenchRun, type Row } from './support/bench-run.js';
import { show, showPercent } from './support/figures.js';

const CAP_BYTES_PER_SECOND = 1_048_576;
const TITLE_BYTES = 256 * 1_048_576;
const WARM_UP_MS = 5_000;
const FIRST_BYTES_MS = 60_000;
const LIMIT_MS = 900_000;

const seconds = Number(argv.slice(2).find((word) => /^\d+$/.test(word)) ?? 30);
const CLIENTS: readonly ForeignClient[] = [libtorrent, aria2, transmission];

await BenchRun.run('vod-upload-cap', LIMIT_MS, async (run) => {
  const results: { readonly clients: string; readonly bytesPerSecond: number }[] = [];
  for (const clients of [...CLIENTS.map((client) => [client]), CLIENTS]) {
    const bytesPerSecond = await measure(run, clients);
    results.push({ clients: clients.map(({ name }) => name).join(', '), bytesPerSecond });
    await run.stopAll();
  }
  const rows = results.map(
    ({ clients, bytesPerSecond }): Row => [clients, show(bytesPerSecond / 1024), showPercent(bytesPerSecond / CAP_BYTES_PER_SECOND - 1)],
  );
  run.table(`Upload of a seeder limited to 1 MiB/s, ${seconds} s`, ['clients', 'KiB/s', 'off by'], rows);
  return { seconds, capBytesPerSecond: CAP_BYTES_PER_SECOND, results };
});

async function measure(run: BenchRun, clients: readonly ForeignClient[]): Promise<number> {
  const folder = temporaryFolder('upload-cap');
  writeRandomFile(`${folder}/title.bin`, TITLE_BYTES, 1);
  const tracker = run.keep(await startTracker());
  const seed = run.keep(await LibraryNode.start({ settings: { 'swarm.uploadBytesPerSecond': CAP_BYTES_PER_SECOND } }));
  const { title, torrent } = await seed.publish(`${folder}/title.bin`, 262_144, [tracker.url]);
  const path = writeTorrent(folder, 'title', torrent);
  for (const client of clients) {
    const out = join(folder, client.name);
    mkdirSync(out);
    run.keep(await client.download(path, out, client.canDial ? { peers: [seed.address] } : {}));
  }
  await until(
    'all take',
    () => (title.transfer?.session.neighbourFigures().filter(({ upBytes }) => upBytes > 0).length ?? 0) >= Math.min(2, clients.length),
    FIRST_BYTES_MS,
  );
  await run.wait(WARM_UP_MS);
  run.progress(`${clients.map(({ name }) => name).join(', ')}: measuring`);
  const before = title.entry.uploadedBytes;
  const beganMs = performance.now();
  await run.wait(seconds * 1_000);
  return ((title.entry.uploadedBytes - before) * 1_000) / (performance.now() - beganMs);
}
