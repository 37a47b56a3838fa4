/**
 * Whether a film stalls: ten seeders, three stand still for 30 s, one sends bad data, and there is 1.2 times its bit rate to be had.
 *
 * `npm run bench vod-stalls [client …]`: Shoal beside libtorrent with deadlines. `line`: the viewer's own line carries 1.2 times the bit rate, each seeder
 * half of it. `seeders`: each seeder's line carries 0.12 times the bit rate, so that for 30 s there is less than the film needs and what was fetched ahead
 * has to carry it. `surplus`: what the good seeders gave beyond the title, heads of messages included.
 */
import { argv } from 'node:process';
import type { ForeignClient } from '../test/support/foreign/foreign-client.js';
import { libtorrent } from '../test/support/foreign/libtorrent.js';
import { shoal } from '../test/support/foreign/shoal.js';
import { temporaryFolder } from '../test/support/program.js';
import { writeRandomFile } from '../test/support/title-fixture.js';
import { makeTorrent } from '../test/support/torrent-fixture.js';
import { BenchRun, type Row } from './support/bench-run.js';
import { show, showPercent } from './support/figures.js';
import { runStalls, type StallFigures } from './support/stall-run.js';

/** A film of 2.5 Mbit/s, the best of those that CoolFish had. */
const BYTES_PER_SECOND = 312_500;
const SUPPLY = 1.2;
const SEEDERS = 10;
const PIECE_BYTES = 262_144;
const FREEZE_MS = 30_000;
const START_BUFFER_MS = 2_000;
const LIMIT_MS = 1_800_000;
const CLIENTS = ['shoal', 'libtorrent'];

interface Supply {
  readonly name: string;
  readonly filmS: number;
  readonly freezeAtMs: number;
  readonly seederBytesPerSecond: number;
  readonly lineBytesPerSecond: number | undefined;
}

const SUPPLIES: readonly Supply[] = [
  {
    name: 'line',
    filmS: 100,
    freezeAtMs: 30_000,
    seederBytesPerSecond: BYTES_PER_SECOND / 2,
    lineBytesPerSecond: SUPPLY * BYTES_PER_SECOND,
  },
  {
    name: 'seeders',
    filmS: 200,
    freezeAtMs: 130_000,
    seederBytesPerSecond: (SUPPLY / SEEDERS) * BYTES_PER_SECOND,
    lineBytesPerSecond: undefined,
  },
];

interface Result {
  readonly supply: string;
  readonly client: string;
  readonly figures: StallFigures;
}

const words = argv.slice(2).filter((word) => !word.startsWith('--'));
const names = words.filter((word) => CLIENTS.includes(word));
const supplies = SUPPLIES.filter(({ name }) => words.every((word) => CLIENTS.includes(word)) || words.includes(name));

await BenchRun.run('vod-stalls', LIMIT_MS, async (run) => {
  const results: Result[] = [];
  for (const supply of supplies) {
    for (const name of names.length > 0 ? names : CLIENTS) {
      const figures = await measure(clientOf(name), supply);
      run.progress(`${supply.name}, ${name}: ${JSON.stringify(figures)}`);
      results.push({ supply: supply.name, client: name, figures });
    }
  }
  const head: Row = [
    '1.2 times by',
    'client',
    'start ms',
    'stalls',
    'stalled s',
    'least buffer s',
    'surplus',
    'from the bad one',
    'wrong bytes',
  ];
  run.table('A film of 2.5 Mbit/s from ten seeders: three freeze for 30 s, one sends bad data', head, results.map(rowOf));
  return { bytesPerSecond: BYTES_PER_SECOND, results };
});

function clientOf(name: string): ForeignClient {
  return name === 'shoal' ? shoal : libtorrent;
}

function measure(client: ForeignClient, supply: Supply): Promise<StallFigures> {
  const folder = temporaryFolder('stalls');
  writeRandomFile(`${folder}/film.bin`, supply.filmS * BYTES_PER_SECOND, 1);
  const title = { folder, torrent: makeTorrent(`${folder}/film.bin`, { pieceLengthBytes: PIECE_BYTES }) };
  return runStalls({
    ...supply,
    client,
    title,
    scratch: temporaryFolder('stalls-run'),
    bytesPerSecond: BYTES_PER_SECOND,
    freezeForMs: FREEZE_MS,
    startBufferMs: START_BUFFER_MS,
  });
}

function rowOf({ supply, client, figures }: Result): Row {
  return [
    supply,
    client,
    show(figures.startUpMs),
    String(figures.stalls),
    show(figures.stalledMs / 1000, 1),
    show(figures.leastBufferMs / 1000, 1),
    showPercent(figures.surplusRatio),
    showPercent(figures.spoiledRatio),
    String(figures.wrongBytes),
  ];
}
