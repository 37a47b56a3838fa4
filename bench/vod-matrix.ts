/**
 * Shoal's titles against every other BitTorrent client there is here, up and down, by each way of meeting, plain and encrypted, in each shape of a title: the
 * whole of what `test/e2e/foreign-clients.test.ts` tries in short. The figure of a cell is the time from the start of the first client to bytes that were
 * compared; most of it is timers of the others. Ends with 1 when a cell failed.
 *
 * `npm run bench vod-matrix [client …]`: libtorrent, aria2, WebTorrent and Transmission unless told otherwise; about ten minutes.
 */
import { argv } from 'node:process';
import { aria2 } from '../test/support/foreign/aria2.js';
import { libtorrent } from '../test/support/foreign/libtorrent.js';
import { type CellResult, type MatrixOptions, matrixTable, runMatrix } from '../test/support/foreign/matrix.js';
import { shoal } from '../test/support/foreign/shoal.js';
import { transmission } from '../test/support/foreign/transmission.js';
import { webtorrent } from '../test/support/foreign/webtorrent.js';
import { BenchRun } from './support/bench-run.js';

const ALL = [libtorrent, aria2, webtorrent, transmission];
const LIMIT_MS = 3_600_000;
const CONCURRENCY = 8;

/** Every way with the folder; every shape by a tracker, and by a web seed where pieces end within files. */
const PARTS: readonly Partial<MatrixOptions>[] = [
  {},
  { ways: ['tracker'], encryptions: ['plain'], shapes: ['folder 16 KiB', 'folder 4 MiB', 'file 16 KiB', 'file 4 MiB'] },
  { ways: ['web seed'], encryptions: ['plain'], shapes: ['folder 16 KiB', 'folder 4 MiB', 'file 16 KiB', 'file 4 MiB'] },
];

const names = argv.slice(2).filter((word) => !word.startsWith('--'));
const others = ALL.filter(({ name }) => names.length === 0 || names.includes(name));
if (others.length < names.length) throw new Error(`there are: ${ALL.map(({ name }) => name).join(', ')}`);

await BenchRun.run('vod-matrix', LIMIT_MS, async (run) => {
  const results: CellResult[] = [];
  const onResult = (result: CellResult): void => {
    if (result.outcome !== 'skipped')
      run.progress([result.other, result.direction, result.way, result.encryption, result.shape, result.outcome].join(', '));
  };
  for (const part of PARTS) results.push(...(await runMatrix({ client: shoal, others, concurrency: CONCURRENCY, onResult, ...part })));
  process.stdout.write(`${matrixTable(results)}\n`);
  const failed = results.filter(({ outcome }) => outcome === 'failed');
  if (failed.length > 0) throw new Error(`${failed.length} of ${results.length} cells failed`);
  return {
    cells: results.filter(({ outcome }) => outcome === 'equal').length,
    skipped: results.filter(({ outcome }) => outcome === 'skipped').length,
  };
});
