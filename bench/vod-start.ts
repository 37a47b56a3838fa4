/**
 * From a torrent file, and from a magnet, to the first byte of a title on loopback; Shoal beside WebTorrent in the same run.
 *
 * `npm run bench vod-start [runs] [client …]`: 10 runs. A seeder (libtorrent) holds 512 MiB in pieces of 1 MiB. Two figures: "cold" counts from the
 * start of the program, which is told the seeder's address, to the first byte a player gets over HTTP; "warm" from when a program that runs already is given
 * the title, whose tracker knows the seeder.
 */
import { argv } from 'node:process';
import type { ForeignClient } from '../test/support/foreign/foreign-client.js';
import { libtorrent } from '../test/support/foreign/libtorrent.js';
import { shoal } from '../test/support/foreign/shoal.js';
import { startTracker } from '../test/support/foreign/test-tracker.js';
import { webtorrent } from '../test/support/foreign/webtorrent.js';
import { temporaryFolder } from '../test/support/program.js';
import { writeRandomFile, writeTorrent } from '../test/support/title-fixture.js';
import { makeTorrent } from '../test/support/torrent-fixture.js';
import { until } from '../test/support/until.js';
import { BenchRun, type Row } from './support/bench-run.js';
import { median, percentile, show } from './support/figures.js';
import { runSeeks } from './support/seek-run.js';
import type { TransferTitle } from './support/transfer-run.js';
import { warmShoal, warmWebtorrent } from './support/warm-start.js';

const RUNS = 10;
const TITLE_BYTES = 512 * 1_048_576;
const PIECE_LENGTH_BYTES = 1_048_576;
const LIMIT_MS = 1_200_000;
const SOURCES = ['torrent', 'magnet'] as const;
const CLIENTS: readonly ForeignClient[] = [shoal, webtorrent];
const HEAD: Row = ['client', 'from', 'cold p50 ms', 'p95', 'warm p50 ms', 'p95', 'runs'];

type Source = (typeof SOURCES)[number];

interface Result {
  readonly client: string;
  readonly from: Source;
  readonly coldMs: number[];
  readonly warmMs: number[];
}

const words = argv.slice(2).filter((word) => !word.startsWith('--'));
const [runs = RUNS] = words.filter((word) => /^\d+$/.test(word)).map(Number);
const named = CLIENTS.filter(({ name }) => words.includes(name));

await BenchRun.run('vod-start', LIMIT_MS, async (run) => {
  const folder = temporaryFolder('start');
  writeRandomFile(`${folder}/title.bin`, TITLE_BYTES, 1);
  const title = { folder, torrent: makeTorrent(`${folder}/title.bin`, { pieceLengthBytes: PIECE_LENGTH_BYTES }) };
  const results: Result[] = (named.length > 0 ? named : CLIENTS).flatMap(({ name }) =>
    SOURCES.map((from) => ({ client: name, from, coldMs: [], warmMs: [] })),
  );
  for (let round = 1; round <= runs; round++) {
    for (const { client, from, coldMs, warmMs } of results) {
      coldMs.push(await coldStart(client, from, title));
      warmMs.push(await warmStart(client, from, title));
      run.progress(`round ${round} of ${runs}, ${client}, ${from}: cold ${show(coldMs.at(-1) ?? 0)}, warm ${show(warmMs.at(-1) ?? 0)} ms`);
    }
  }
  run.table('From a torrent file or magnet to the first byte, 512 MiB, loopback', HEAD, results.map(rowOf));
  return { runs, results };
});

async function coldStart(name: string, from: Source, title: TransferTitle): Promise<number> {
  const client = CLIENTS.find((candidate) => candidate.name === name) as ForeignClient;
  const line = { lineBytesPerSecond: Number.POSITIVE_INFINITY, delayMs: 0 };
  return (await runSeeks({ client, title, scratch: temporaryFolder('start-run'), from, seeks: 0, ...line })).startUpMs;
}

async function warmStart(name: string, from: Source, { folder, torrent }: TransferTitle): Promise<number> {
  const tracker = await startTracker();
  const trackers = [tracker.url];
  const scratch = temporaryFolder('start-run');
  const torrentPath = writeTorrent(scratch, 'seed', torrent.file({ trackers }));
  const source = from === 'magnet' ? torrent.magnet({ trackers }) : torrentPath;
  const seeder = await libtorrent.seed(torrentPath, folder);
  try {
    // Or the first answer names nobody, and what is measured is the time to the next.
    await until('the tracker knows the seeder', () => tracker.peerCount(torrent.infoHash) > 0);
    return await (name === 'shoal' ? warmShoal(source) : warmWebtorrent(source, `${scratch}/out`));
  } finally {
    await seeder.stop();
    await tracker.stop();
  }
}

function rowOf({ client, from, coldMs, warmMs }: Result): Row {
  const both = [coldMs, warmMs].flatMap((all) => [show(median(all)), show(percentile(all, 0.95))]);
  return [client, from, ...both, `${coldMs.length}`];
}
