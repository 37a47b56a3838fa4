/**
 * Seek to first byte under full background load on a line of 2 MiB/s, and from a torrent file or a magnet to the first byte on an unlimited one.
 *
 * `npm run bench vod-seek [seeks] [client …]`: 20 seeks, Shoal beside WebTorrent and libtorrent (with deadlines) unless told otherwise. Pieces of 1 MiB, so that
 * no client that checks whole pieces before it gives bytes can be faster than half a second on that line.
 */
import { argv } from 'node:process';
import type { ForeignClient } from '../test/support/foreign/foreign-client.js';
import { libtorrent } from '../test/support/foreign/libtorrent.js';
import { shoal } from '../test/support/foreign/shoal.js';
import { webtorrent } from '../test/support/foreign/webtorrent.js';
import { temporaryFolder } from '../test/support/program.js';
import { writeRandomFile } from '../test/support/title-fixture.js';
import { makeTorrent } from '../test/support/torrent-fixture.js';
import { BenchRun, type Row } from './support/bench-run.js';
import { median, percentile, show } from './support/figures.js';
import { runSeeks, type SeekFigures } from './support/seek-run.js';
import type { TransferTitle } from './support/transfer-run.js';

const SEEKS = 20;
const STARTS = 5;
const TITLE_BYTES = 512 * 1_048_576;
const PIECE_LENGTH_BYTES = 1_048_576;
const LINE_BYTES_PER_SECOND = 2 * 1_048_576;
const DELAY_MS = 10;
const ALL = ['shoal', 'webtorrent', 'libtorrent'];
const LIMIT_MS = 1_200_000;

interface Result {
  readonly name: string;
  readonly torrentStartMs: readonly number[];
  readonly magnetStartMs: readonly number[];
  readonly seeks: SeekFigures;
}

const words = argv.slice(2).filter((word) => !word.startsWith('--'));
const [seeks = SEEKS] = words.filter((word) => /^\d+$/.test(word)).map(Number);
const names = words.filter((word) => !/^\d+$/.test(word));

await BenchRun.run('vod-seek', LIMIT_MS, async (run) => {
  const folder = temporaryFolder('seek');
  writeRandomFile(`${folder}/title.mp4`, TITLE_BYTES, 1);
  const title = { folder, torrent: makeTorrent(`${folder}/title.mp4`, { pieceLengthBytes: PIECE_LENGTH_BYTES }) };
  const results: Result[] = [];
  for (const name of names.length > 0 ? names : ALL) {
    results.push(await measure(run, clientOf(name), title));
  }
  const head: Row = ['client', 'seek p50 ms', 'p95', 'max', 'late', 'line MB/s', 'torrent start p50 ms', 'magnet start p50 ms'];
  run.table(`${seeks} random seeks to first byte, line of 2 MiB/s, whole title in the background`, head, results.map(rowOf));
  return { seeks, lineBytesPerSecond: LINE_BYTES_PER_SECOND, delayMs: DELAY_MS, results };
});

function clientOf(name: string): ForeignClient {
  const found = [shoal, webtorrent, libtorrent].find((client) => client.name === name);
  if (found === undefined) throw new Error(`there is no client "${name}" that serves; there are: ${ALL.join(', ')}`);
  return found;
}

async function measure(run: BenchRun, client: ForeignClient, title: TransferTitle): Promise<Result> {
  const line = { client, title, delayMs: DELAY_MS, lineBytesPerSecond: LINE_BYTES_PER_SECOND };
  const begin = async (from: 'torrent' | 'magnet'): Promise<number> => {
    const scratch = temporaryFolder('seek-run');
    return (await runSeeks({ ...line, scratch, from, seeks: 0, lineBytesPerSecond: Number.POSITIVE_INFINITY, delayMs: 0 })).startUpMs;
  };
  const startsFrom = async (from: 'torrent' | 'magnet'): Promise<readonly number[]> => {
    const starts: number[] = [];
    while (starts.length < STARTS) starts.push(await begin(from));
    run.progress(`${client.name}, starts from a ${from}: ${starts.map((ms) => show(ms)).join(', ')} ms`);
    return starts;
  };
  const result = {
    name: client.name,
    seeks: await runSeeks({ ...line, scratch: temporaryFolder('seek-run'), from: 'torrent', seeks }),
    torrentStartMs: await startsFrom('torrent'),
    magnetStartMs: await startsFrom('magnet'),
  };
  run.progress(`${client.name}: ${result.seeks.seekMs.map((ms) => show(ms)).join(', ')} ms`);
  return result;
}

function rowOf(result: Result): Row {
  const inTime = result.seeks.seekMs.filter(Number.isFinite);
  return [
    result.name,
    ...[0.5, 0.95, 1].map((ratio) => show(percentile(inTime, ratio))),
    String(result.seeks.seekMs.length - inTime.length),
    show(result.seeks.lineBytesPerSecond / 1e6, 2),
    show(median(result.torrentStartMs)),
    show(median(result.magnetStartMs)),
  ];
}
