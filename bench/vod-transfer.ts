/**
 * One seeder to one leecher over loopback: a random file, pieces of 1 MiB, a tracker of our own; Shoal beside libtorrent, aria2 and WebTorrent in the same run.
 *
 * `npm run bench vod-transfer [runs] [MiB] [client …]`: 5 runs of 512 MiB with all clients unless told otherwise; `a:b` is from a to b. Rounds go through all
 * clients in turn, so that a busy minute does not fall on one alone.
 */
import { argv } from 'node:process';
import { aria2 } from '../test/support/foreign/aria2.js';
import type { ForeignClient } from '../test/support/foreign/foreign-client.js';
import { libtorrent } from '../test/support/foreign/libtorrent.js';
import { shoal } from '../test/support/foreign/shoal.js';
import { startTracker } from '../test/support/foreign/test-tracker.js';
import { transmission } from '../test/support/foreign/transmission.js';
import { webtorrent } from '../test/support/foreign/webtorrent.js';
import { temporaryFolder } from '../test/support/program.js';
import { writeRandomFile } from '../test/support/title-fixture.js';
import { makeTorrent } from '../test/support/torrent-fixture.js';
import { BenchRun, type Row } from './support/bench-run.js';
import { median, show } from './support/figures.js';
import { runTransfer, type TransferFigures } from './support/transfer-run.js';

const RUNS = 5;
const TITLE_MIB = 512;
const PIECE_LENGTH_BYTES = 1_048_576;
const ALL = ['shoal', 'libtorrent', 'aria2', 'webtorrent'];
const LIMIT_MS = 180_000;
const HEAD: Row = [
  'from',
  'to',
  'MB/s wall',
  'MB/s transfer',
  'leecher CPU-s/GB',
  'seeder CPU-s/GB',
  'leecher peak MB',
  'seeder peak MB',
  'load',
  'runs',
];

interface Pair {
  readonly seeder: string;
  readonly leecher: string;
  readonly results: TransferFigures[];
}

const words = argv.slice(2).filter((word) => !word.startsWith('--'));
const numbers = words.filter((word) => /^\d+$/.test(word)).map(Number);
const names = words.filter((word) => !/^\d+$/.test(word));
const [runs = RUNS, titleMib = TITLE_MIB] = numbers;

await BenchRun.run('vod-transfer', runs * ALL.length * LIMIT_MS, async (run) => {
  const folder = temporaryFolder('transfer');
  writeRandomFile(`${folder}/title.bin`, titleMib * 1_048_576, 1);
  const title = { folder, torrent: makeTorrent(`${folder}/title.bin`, { pieceLengthBytes: PIECE_LENGTH_BYTES }) };
  const tracker = run.keep(await startTracker());
  const pairs = (names.length > 0 ? names : ALL).map(pairOf);
  for (let round = 1; round <= runs; round++) {
    for (const { seeder, leecher, results } of pairs) {
      const [from, to] = [clientOf(seeder), clientOf(leecher)];
      const scratch = temporaryFolder('transfer-run');
      const figures = await runTransfer({ seeder: from, leecher: to, title, tracker, scratch, limitMs: LIMIT_MS });
      results.push(figures);
      run.progress(`round ${round} of ${runs}, ${seeder} to ${leecher}: ${show(figures.transferMbPerSecond)} MB/s`);
    }
  }
  run.table(`One seeder to one leecher, ${titleMib} MiB, loopback, medians`, HEAD, pairs.map(rowOf));
  return { titleMib, runs, pairs };
});

function pairOf(name: string): Pair {
  const [seeder = '', leecher = seeder] = name.split(':');
  return { seeder, leecher, results: [] };
}

function clientOf(name: string): ForeignClient {
  const found = [shoal, libtorrent, aria2, webtorrent, transmission].find((client) => client.name === name);
  if (found === undefined) throw new Error(`there is no client "${name}"; there are: ${ALL.join(', ')}, transmission`);
  return found;
}

function rowOf({ seeder, leecher, results }: Pair): Row {
  const of = (figure: keyof TransferFigures, digits: number): string => show(median(results.map((result) => result[figure])), digits);
  return [
    seeder,
    leecher,
    of('wallMbPerSecond', 0),
    of('transferMbPerSecond', 0),
    of('leecherCpuSecondsPerGb', 1),
    of('seederCpuSecondsPerGb', 1),
    of('leecherPeakMb', 0),
    of('seederPeakMb', 0),
    of('loadAverage', 1),
    String(results.length),
  ];
}
