/**
 * A complete title, its process killed and started again: how long until a peer has a block of it, and a player a byte, both asking from the first moment on.
 *
 * `npm run bench vod-restart [GiB] [runs] [GiB for others]`: 10 GiB of random bytes, 10 restarts. Beside it the same with a title of 1 MiB, which is what the start of
 * the program costs whatever the title, and libtorrent and WebTorrent, which know nothing of a title any more when they are started and hash it again: with 1 GiB
 * unless told otherwise. Writes as much to the folder for temporary files.
 */
import { rmSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { argv } from 'node:process';
import type { ForeignClient } from '../test/support/foreign/foreign-client.js';
import { libtorrent } from '../test/support/foreign/libtorrent.js';
import { webtorrent } from '../test/support/foreign/webtorrent.js';
import { freePort } from '../test/support/free-port.js';
import { temporaryFolder } from '../test/support/program.js';
import { ShoalProcess } from '../test/support/shoal-process.js';
import { writeRandomFile, writeTorrent } from '../test/support/title-fixture.js';
import { makeTorrent, type TestTorrent } from '../test/support/torrent-fixture.js';
import { until } from '../test/support/until.js';
import { BenchRun } from './support/bench-run.js';
import { median, percentile, show } from './support/figures.js';
import { whenFirstBlock } from './support/first-block.js';

const GIBIBYTE = 2 ** 30;
const MEBIBYTE = 2 ** 20;
const PIECE_LENGTH_BYTES = 4 * MEBIBYTE;
const LIMIT_MS = 3_600_000;
const CHECK_MS = 1_200_000;
const ALONE = { 'tracker.enabled': false, 'titles.dht': false, 'titles.localDiscovery': false };

interface Title {
  readonly folder: string;
  readonly path: string;
  readonly torrent: TestTorrent;
}

interface Figures {
  readonly hashedMs: number;
  readonly blockMs: number[];
  readonly byteMs: number[];
}

interface Kept extends Figures {
  readonly title: Title;
  readonly start: () => ShoalProcess;
  readonly port: number;
  readonly play: string;
}

const [gibibytes = 10, runs = 10, othersGibibytes = 1] = argv
  .slice(2)
  .filter((word) => /^[\d.]+$/.test(word))
  .map(Number);

await BenchRun.run('vod-restart', LIMIT_MS, async (run) => {
  const kept = [await keep(run, makeTitle(gibibytes * GIBIBYTE)), await keep(run, makeTitle(MEBIBYTE))] as const;
  // In turn, so that a busy moment does not fall on one alone.
  for (let round = 0; round < runs; round++) for (const one of kept) await restart(run, one);
  for (const { title } of kept) rmSync(title.folder, { recursive: true });
  const shared = makeTitle(othersGibibytes * GIBIBYTE);
  const others = [];
  for (const client of [libtorrent, webtorrent]) others.push({ name: client.name, ms: await rehash(client, shared) });
  const [large, small] = kept.map(({ hashedMs, blockMs, byteMs }) => ({ hashedMs, blockMs, byteMs })) as [Figures, Figures];
  const row = (name: string, { hashedMs, blockMs, byteMs }: Figures): readonly string[] => {
    return [name, show(hashedMs), ...[blockMs, byteMs].flatMap((values) => [show(median(values)), show(percentile(values, 0.95))])];
  };
  const more = (of: 'blockMs' | 'byteMs'): string => show(median(large[of].map((ms, round) => ms - (small[of][round] ?? Number.NaN))));
  run.table(
    `Killed and started again, ${runs} times, from the start of the process`,
    ['title', 'hashed once, ms', 'block to a peer p50 ms', 'p95', 'byte to a player p50 ms', 'p95'],
    [row(`${gibibytes} GiB`, large), row('1 MiB', small), ['more, in the same round', '', more('blockMs'), '', more('byteMs'), '']],
  );
  run.table(
    `Others, ${othersGibibytes} GiB: hashed again`,
    ['client', 'ms'],
    others.map(({ name, ms }) => [name, show(ms)]),
  );
  return { gibibytes, runs, large, small, othersGibibytes, others };
});

function makeTitle(totalBytes: number): Title {
  const folder = temporaryFolder('restart');
  const path = join(folder, 'in', 'film.mkv');
  writeRandomFile(path, totalBytes, 1);
  return { folder, path, torrent: makeTorrent(path, { pieceLengthBytes: PIECE_LENGTH_BYTES }) };
}

/** Hashes the title once, as the program finds it; from then on it only restarts. */
async function keep(run: BenchRun, title: Title): Promise<Kept> {
  const { folder, torrent } = title;
  const torrentPath = writeTorrent(folder, 'title', torrent.file());
  const port = await freePort();
  const settings = { ...ALONE, 'swarm.port': port, 'relay.http.port': await freePort() };
  const words = ['get', torrentPath, '--seed', '--json', '--folder', join(folder, 'in')];
  const start = (): ShoalProcess => run.keep(new ShoalProcess(words, { dataDir: join(folder, 'data'), settings }));
  const beganMs = performance.now();
  const first = start();
  await until('it is hashed', () => first.lines.some((line) => line.startsWith('{"event":"complete"')), CHECK_MS);
  const hashedMs = performance.now() - beganMs;
  const play = await address(first);
  await kill(first);
  return { title, start, port, play, hashedMs, blockMs: [], byteMs: [] };
}

async function restart(run: BenchRun, { title, start, port, play, blockMs, byteMs }: Kept): Promise<void> {
  const shoal = start();
  const startedMs = performance.now();
  const [block, byte] = await Promise.all([whenFirstBlock(port, title.torrent.infoHash), whenFirstByte(play, startedMs)]);
  blockMs.push(block);
  byteMs.push(byte);
  await kill(shoal);
  run.progress(`${title.torrent.totalBytes} bytes: ${show(block)} ms, ${show(byte)} ms`);
}

/** Of the title's file, for players; the same after every restart. */
async function address(shoal: ShoalProcess): Promise<string> {
  await until('it is told where to play', () => shoal.statuses.length > 0);
  const [title] = shoal.statuses[0]?.line.titles ?? [];
  return new URL(title?.files[0]?.play ?? '', shoal.ready.page).href;
}

async function kill(shoal: ShoalProcess): Promise<void> {
  shoal.signal('SIGKILL');
  await shoal.program.whenExited(5_000);
}

async function whenFirstByte(url: string, startedMs: number): Promise<number> {
  while (!(await readByte(url))) await new Promise((resolve) => setTimeout(resolve, 1));
  return performance.now() - startedMs;
}

function readByte(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false, headers: { range: 'bytes=0-0' } }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode === 206));
    });
    request.on('error', () => resolve(false));
  });
}

/** From the start of its process over a folder that is complete to the moment when it says so. */
async function rehash(client: ForeignClient, { folder, torrent }: Title): Promise<number> {
  const beganMs = performance.now();
  const running = await client.download(writeTorrent(folder, 'title', torrent.file()), join(folder, 'in'));
  await running.completed;
  const ms = performance.now() - beganMs;
  await running.stop();
  return ms;
}
