/**
 * Delay from the publisher's tag to the viewer's local HTTP-FLV: over one peer hop, over two, and with eight viewers; with free upload and
 * with 2.2 times the bit rate. In every run, fed by the same publisher: the station's own HTTP-FLV, and node-media-server's.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { ShoalProcess } from '../test/support/shoal-process.js';
import { BenchRun, type Row, type Settings } from './support/bench-run.js';
import { DelayMeter } from './support/delay-meter.js';
import { percentile, show } from './support/figures.js';
import type { PacedPublisher } from './support/paced-publisher.js';
import { makeRecording, type Recording } from './support/recording.js';
import { freePort, publishTarget, statusNow } from './support/station.js';

const BITS_PER_SECOND = 1_000_000;
const RECORDING_SECONDS = 20;
const WARM_UP_MS = 6_000;
const MEASURED_MS = 20_000;
const UPLOAD_RATIO = 2.2;
const VIEWERS = 8;
const HEAD: Row = ['run', 'path', 'min ms', 'p50 ms', 'p95 ms', 'max ms', 'p50 over NMS', 'p50 / NMS', 'tags'];

interface Path {
  readonly name: string;
  readonly urls: readonly string[];
}

interface Result {
  readonly path: string;
  readonly minMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly maxMs: number;
  readonly tags: number;
}

await BenchRun.run('delay', 300_000, async (run) => {
  const recording = await makeRecording({ bitsPerSecond: BITS_PER_SECOND, seconds: RECORDING_SECONDS });
  const limited = { 'swarm.uploadBytesPerSecond': Math.round(recording.bytesPerSecond * UPLOAD_RATIO) };
  const runs = [
    { name: 'chain', make: () => measureChain(run, recording, {}) },
    { name: 'chain, upload 2.2x', make: () => measureChain(run, recording, limited) },
    { name: '8 viewers', make: () => measureEight(run, recording, {}) },
    { name: '8 viewers, station upload 2.2x', make: () => measureEight(run, recording, limited) },
  ];
  const rows: Row[] = [];
  const all: object[] = [];
  for (const { name, make } of runs) {
    run.progress(`${name}: ${(WARM_UP_MS + MEASURED_MS) / 1000} s`);
    const results = await make();
    rows.push(...results.map((result) => rowOf(name, result, results)));
    all.push({ run: name, results });
    await run.stopAll();
  }
  run.table('Delay from the publisher to the local HTTP-FLV', HEAD, rows);
  return { bitsPerSecond: BITS_PER_SECOND, measuredMs: MEASURED_MS, runs: all };
});

/**
 * Station, A, B in a row. The station has room for one neighbour, which is A; B's link names A and no tracker, so that B can have nothing
 * from the station even if A tells it where that is.
 */
async function measureChain(run: BenchRun, recording: Recording, limited: Settings): Promise<readonly Result[]> {
  const { station, nms, publisher } = await source(run, recording, { 'swarm.maxConnections': 1, ...limited });
  const port = await freePort();
  const first = await run.viewer(station.channel.link, { 'swarm.port': port, ...limited });
  await untilConnected(run, first);
  const second = await run.viewer(`magnet:?xt=urn:btih:${station.channel.id}&dn=Bench&x.pe=127.0.0.1:${port}`);
  const results = await measure(run, publisher, [
    { name: 'node-media-server', urls: [nms.flv] },
    { name: 'station', urls: [station.channel.watch.flv] },
    { name: 'one hop', urls: [first.channel.watch.flv] },
    { name: 'two hops', urls: [second.channel.watch.flv] },
  ]);
  const { shareFromPeers } = await statusNow(second);
  if (shareFromPeers !== 1) throw new Error(`The second hop was not one: ${shareFromPeers} of its media came from peers.`);
  return results;
}

async function measureEight(run: BenchRun, recording: Recording, limited: Settings): Promise<readonly Result[]> {
  const { station, nms, publisher } = await source(run, recording, limited);
  const viewers = await run.viewers(VIEWERS, station.channel.link);
  return measure(run, publisher, [
    { name: 'node-media-server', urls: [nms.flv] },
    { name: 'station', urls: [station.channel.watch.flv] },
    { name: 'viewers', urls: viewers.map(({ channel }) => channel.watch.flv) },
  ]);
}

async function source(run: BenchRun, recording: Recording, settings: Settings) {
  const station = await run.station(settings);
  const nms = await run.reference();
  const publisher = await run.publish(recording, [publishTarget(station), nms.publishTarget]);
  return { station, nms, publisher };
}

async function untilConnected(run: BenchRun, viewer: ShoalProcess): Promise<void> {
  for (let tries = 0; (await statusNow(viewer)).windowsDelivered === 0; tries++) {
    if (tries > 100) throw new Error('The first viewer got no window within 10 s.');
    await run.wait(100);
  }
}

async function measure(run: BenchRun, publisher: PacedPublisher, paths: readonly Path[]): Promise<readonly Result[]> {
  const meters = await Promise.all(paths.map(({ urls }) => Promise.all(urls.map((url) => DelayMeter.open(url, publisher)))));
  run.onStop(() => {
    for (const meter of meters.flat()) meter.close();
  });
  await run.wait(WARM_UP_MS);
  const loop = monitorEventLoopDelay({ resolution: 5 });
  loop.enable();
  for (const meter of meters.flat()) meter.begin();
  await run.wait(MEASURED_MS);
  loop.disable();
  run.progress(`the measuring process itself was late by ${show(loop.percentile(99) / 1e6)} ms at p99`);
  if (!publisher.isConnected) throw new Error('A server has dropped the publisher.');
  return paths.map(({ name }, index) => resultOf(name, meters[index]?.flatMap(({ delaysMs }) => delaysMs) ?? []));
}

function resultOf(path: string, delaysMs: readonly number[]): Result {
  const at = (ratio: number): number => Math.round(percentile(delaysMs, ratio) * 10) / 10;
  return { path, minMs: at(0), p50Ms: at(0.5), p95Ms: at(0.95), maxMs: at(1), tags: delaysMs.length };
}

function rowOf(name: string, result: Result, results: readonly Result[]): Row {
  const referenceMs = results[0]?.p50Ms ?? Number.NaN;
  const { path, minMs, p50Ms, p95Ms, maxMs, tags } = result;
  const compared = [`+${show(p50Ms - referenceMs)} ms`, `${show(p50Ms / referenceMs)}x`];
  return [name, path, show(minMs, 1), show(p50Ms, 1), show(p95Ms, 1), show(maxMs, 1), ...compared, String(tags)];
}
