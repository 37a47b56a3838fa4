/**
 * How fairly a seeder's limited upload goes to twenty leechers while three greedy peers of one address block take what they can.
 *
 * `npm run bench vod-fairness [seconds]`: 60 s each by default. Shoal's own cores over real sockets: the seeder is a process of its own, the leechers are libraries
 * in this one, each with a loopback address in a block of its own; the greedy peers have three addresses of one block, keep 500 requests with everybody, give nothing,
 * and come back as newcomers every 10 s.
 *
 * `seed alone`: leechers know only the seeder, so that what it gives is all there is. `swarm`: all know each other, and every leecher has a limited upload,
 * too. Rates are payload over the measured time. Jain's index is 1 when all twenty got the same. `greedy`: what one of the three got by what a leecher got on
 * average; `block`: what the three got together.
 */
import { argv } from 'node:process';
import { nodeHasher } from '../src/io/crypto.js';
import { Malformed } from '../src/kernel/errors.js';
import type { Title } from '../src/plugins/titles/title.js';
import { jain } from '../src/sim/statistics.js';
import { type Metainfo, parseTorrent } from '../src/vod/metainfo.js';
import { LibraryNode } from '../test/support/library-node.js';
import { temporaryFolder } from '../test/support/program.js';
import { writeRandomFile } from '../test/support/title-fixture.js';
import { until } from '../test/support/until.js';
import { BenchRun, type Row } from './support/bench-run.js';
import { mean, show, showPercent } from './support/figures.js';
import { GreedyPeer } from './support/greedy-peer.js';

const LEECHERS = 20;
const GREEDY = 3;
const SEED_BYTES_PER_SECOND = 2 * 1_048_576;
const LEECHER_BYTES_PER_SECOND = 128 * 1024;
const TITLE_BYTES = 256 * 1_048_576;
const PIECE_BYTES = 262_144;
const RETURN_MS = 10_000;
/** Before it counts: connections are made and queues filled. */
const WARM_UP_MS = 5_000;
const LIMIT_MS = 900_000;

const seconds = Number(argv.slice(2).find((word) => /^\d+$/.test(word)) ?? 60);

interface Result {
  readonly name: string;
  readonly jain: number;
  readonly greedyRatio: number;
  readonly blockRatio: number;
  readonly leecherBytesPerSecond: number;
  readonly slowestRatio: number;
  readonly uplinkRatio: number;
}

await BenchRun.run('vod-fairness', LIMIT_MS, async (run) => {
  const results = [await measure(run, 'seed alone', false), await measure(run, 'swarm', true)];
  const head: Row = [
    'leechers know',
    "Jain's index",
    'greedy / leecher',
    'block / leecher',
    'slowest / mean',
    'leecher KiB/s',
    'uplink used',
  ];
  run.table(`${LEECHERS} leechers, ${GREEDY} greedy peers of one /24, seeder at 2 MiB/s, ${seconds} s`, head, results.map(rowOf));
  return { seconds, seedBytesPerSecond: SEED_BYTES_PER_SECOND, leecherBytesPerSecond: LEECHER_BYTES_PER_SECOND, results };
});

async function measure(run: BenchRun, name: string, isSwarm: boolean): Promise<Result> {
  const source = `${temporaryFolder('fairness')}/title.bin`;
  writeRandomFile(source, TITLE_BYTES, 1);
  const seed = await node(run, '127.0.0.1', { 'swarm.uploadBytesPerSecond': SEED_BYTES_PER_SECOND });
  const { title: given, torrent } = await seed.publish(source, PIECE_BYTES);
  const metainfo = read(torrent);
  const nodes: LibraryNode[] = [];
  for (let index = 1; index <= LEECHERS; index++) {
    const limits = isSwarm ? { 'swarm.uploadBytesPerSecond': LEECHER_BYTES_PER_SECOND } : { 'titles.maxConnections': 1 };
    nodes.push(await node(run, `127.1.${index}.1`, limits));
  }
  const titles: Title[] = [];
  for (const leecher of nodes)
    titles.push(await leecher.add(torrent, isSwarm ? [seed, ...nodes.filter((other) => other !== leecher)] : [seed]));
  const greedy: GreedyPeer[] = [];
  for (let index = 1; index <= GREEDY; index++) {
    const peer = run.keep(await GreedyPeer.start({ host: `127.9.9.${index}`, metainfo, returnsEveryMs: RETURN_MS }));
    for (const victim of isSwarm ? [seed, ...nodes] : [seed]) peer.meet(victim.host, victim.network.port);
    greedy.push(peer);
  }
  await until('everybody has met the seeder', () => (given.transfer?.session.figures().neighbours ?? 0) >= LEECHERS + GREEDY, 20_000);
  await run.wait(WARM_UP_MS);
  const before = { leechers: titles.map(downBytes), greedy: greedy.map((peer) => peer.downBytes), up: given.entry.uploadedBytes };
  const beganMs = performance.now();
  await run.wait(seconds * 1_000);
  const tookS = (performance.now() - beganMs) / 1_000;
  const rates = titles.map((title, index) => (downBytes(title) - (before.leechers[index] ?? 0)) / tookS);
  const greedyRates = greedy.map((peer, index) => (peer.downBytes - (before.greedy[index] ?? 0)) / tookS);
  const up = (given.entry.uploadedBytes - before.up) / tookS;
  run.progress(
    `${name}: leechers ${rates.map((rate) => show(rate / 1024)).join(' ')}, greedy ${greedyRates.map((rate) => show(rate / 1024)).join(' ')} KiB/s`,
  );
  await run.stopAll();
  return {
    name,
    jain: jain(rates) ?? Number.NaN,
    greedyRatio: mean(greedyRates) / mean(rates),
    blockRatio: (mean(greedyRates) * GREEDY) / mean(rates),
    leecherBytesPerSecond: mean(rates),
    slowestRatio: Math.min(...rates) / mean(rates),
    uplinkRatio: up / SEED_BYTES_PER_SECOND,
  };
}

async function node(run: BenchRun, host: string, settings: Readonly<Record<string, number>>): Promise<LibraryNode> {
  return run.keep(await LibraryNode.start({ host, settings }));
}

function downBytes(title: Title): number {
  return title.entry.downloadedBytes;
}

function read(torrent: Uint8Array): Metainfo {
  const metainfo = parseTorrent(torrent, nodeHasher);
  if (metainfo instanceof Malformed) throw new Error(metainfo.reason);
  return metainfo;
}

function rowOf(result: Result): Row {
  return [
    result.name === 'swarm' ? 'each other' : 'the seeder alone',
    show(result.jain, 4),
    show(result.greedyRatio, 2),
    show(result.blockRatio, 2),
    show(result.slowestRatio, 2),
    show(result.leecherBytesPerSecond / 1024),
    showPercent(result.uplinkRatio),
  ];
}
