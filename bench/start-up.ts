/**
 * Start-up: from the start of the process `shoal watch` to the first media tag at its HTTP-FLV, joining a warm swarm (a station and three viewers,
 * a key frame every two seconds) at random moments; and where the time goes.
 *
 * Two players wait: one, like a script, opens the address once it is printed; the other knows the port beforehand and tries from the start, which
 * shows when media could be had.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Rng } from '../src/kernel/rng.js';
import { classifyTag } from '../src/media/flv.js';
import { ShoalProcess } from '../test/support/shoal-process.js';
import { BenchRun, type Row } from './support/bench-run.js';
import { median, percentile, show } from './support/figures.js';
import { FlvPlayer } from './support/flv-player.js';
import { GOP_MS, makeRecording } from './support/recording.js';
import { freePort, publishTarget } from './support/station.js';

const BITS_PER_SECOND = 1_000_000;
const RECORDING_SECONDS = 20;
const WARM_UP_MS = 5_000;
const VIEWERS = 3;
const JOINS = 20;
const FIRST_TAG_MS = 15_000;
const RETRY_MS = 5;
const LOADS = 5;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Every package that `shoal watch` loads. */
const PACKAGES = [
  'commander',
  'zod',
  'json5',
  'fastest-levenshtein',
  'pino',
  'pino-pretty',
  'koa',
  '@koa/router',
  'ws',
  'mediabunny',
  'bencode',
  'bittorrent-protocol',
  'bittorrent-tracker/server',
  'fluent-ffmpeg',
  'qrcode',
];

/** Milliseconds since the process was made. */
interface Join {
  readonly listening: number;
  readonly firstNeighbour: number;
  readonly possibleTag: number;
  readonly ready: number;
  readonly firstTag: number;
}

const STEPS: readonly { readonly step: keyof Join; readonly name: string }[] = [
  { step: 'listening', name: 'web server listens' },
  { step: 'firstNeighbour', name: 'first neighbour' },
  { step: 'possibleTag', name: 'first window, first tag possible' },
  { step: 'ready', name: 'ready line' },
  { step: 'firstTag', name: 'first tag after the ready line' },
];

await BenchRun.run('start-up', 300_000, async (run) => {
  const recording = await makeRecording({ bitsPerSecond: BITS_PER_SECOND, seconds: RECORDING_SECONDS });
  const station = await run.station();
  await run.publish(recording, [publishTarget(station)]);
  await run.viewers(VIEWERS, station.channel.link);
  await run.wait(WARM_UP_MS);
  const rng = new Rng(20);
  const joins: Join[] = [];
  for (let count = 0; count < JOINS; count++) {
    await run.wait(rng.below(GOP_MS));
    joins.push(await join(run, station.channel.link));
    run.progress(`join ${count + 1} of ${JOINS}: ${show(joins.at(-1)?.firstTag ?? Number.NaN)} ms`);
  }
  await run.stopAll();
  const loading = await measureLoading();
  run.table(`Start-up, ${JOINS} joins, milliseconds since the process was made`, ['moment', 'p50', 'p95', 'max'], STEPS.map(rowOf(joins)));
  run.table(
    `Loading, milliseconds, median of ${LOADS}`,
    ['module', 'ms'],
    loading.map(({ name, ms }) => [name, show(ms)]),
  );
  return { bitsPerSecond: BITS_PER_SECOND, joins, loading };
});

function rowOf(joins: readonly Join[]) {
  return ({ step, name }: { step: keyof Join; name: string }): Row => {
    const values = joins.map((join) => join[step]);
    return [name, show(median(values)), show(percentile(values, 0.95)), show(percentile(values, 1))];
  };
}

async function join(run: BenchRun, link: string): Promise<Join> {
  const port = await freePort();
  const settings = { 'relay.http.port': port, 'log.level': 'debug', 'log.format': 'json' };
  const viewer = new ShoalProcess(['watch', link, '--json'], { settings });
  const stop = run.keep(viewer);
  const { startedMs } = viewer.program;
  const early = openEarly(`http://127.0.0.1:${port}/live/bench.flv`);
  await viewer.whenReady();
  const firstTagMs = await firstTag(viewer.channel.watch.flv);
  const { listeningMs, tagMs } = await early;
  const neighbourMs = loggedMs(viewer.program.errors, 'neighbour connected');
  await stop.stop();
  return {
    listening: listeningMs - startedMs,
    firstNeighbour: neighbourMs - startedMs,
    possibleTag: tagMs - startedMs,
    ready: viewer.readyMs - startedMs,
    firstTag: firstTagMs - startedMs,
  };
}

/** When the first coded frame came. */
function firstTag(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${url} gave no frame within ${FIRST_TAG_MS} ms`)), FIRST_TAG_MS);
    FlvPlayer.open(url, (tag, arrivedMs) => {
      if (classifyTag(tag).kind !== 'frame') return;
      clearTimeout(timer);
      resolve(arrivedMs);
    }).then((player) => player.close(), reject);
  });
}

/** Tries until the server is there and knows the channel. */
async function openEarly(url: string): Promise<{ readonly listeningMs: number; readonly tagMs: number }> {
  let listeningMs: number | undefined;
  for (const endMs = performance.now() + FIRST_TAG_MS; ; await new Promise((resolve) => setTimeout(resolve, RETRY_MS))) {
    const response = await fetch(url, { method: 'HEAD' }).catch(() => undefined);
    if (response) listeningMs ??= performance.now();
    if (response?.ok && listeningMs !== undefined) return { listeningMs, tagMs: await firstTag(url) };
    if (performance.now() > endMs) throw new Error(`${url} was not there within ${FIRST_TAG_MS} ms`);
  }
}

/** When the first line with this message was logged, on our clock. */
function loggedMs(log: string, message: string): number {
  const line = log.split('\n').find((text) => text.includes(`"msg":"${message}"`));
  if (line === undefined) return Number.NaN;
  const { time } = JSON.parse(line) as { readonly time: string };
  return Date.parse(time) - performance.timeOrigin;
}

/**
 * What each package of a viewer costs to load, in the order in which the program comes to them, so that what two of them share counts for the
 * first; and our own modules behind them.
 */
async function measureLoading(): Promise<readonly { readonly name: string; readonly ms: number }[]> {
  const modules = [...PACKAGES, './dist/src/shoal.js', './dist/src/io/rtmp/media-host.js', 'node-media-server'];
  const script = `
    const times = [performance.now()];
    for (const name of ${JSON.stringify(modules)}) { await import(name); times.push(performance.now()); }
    console.log(JSON.stringify(times));
    process.exit(0);`;
  const runs: number[][] = [];
  for (let count = 0; count < LOADS; count++) runs.push(await loadOnce(script));
  const step = (index: number): number => median(runs.map((times) => (times[index] ?? 0) - (times[index - 1] ?? 0)));
  const names = [...PACKAGES, 'our own modules', 'media host, our part', 'node-media-server'];
  return [
    { name: 'Node itself', ms: median(runs.map((times) => times[0] ?? 0)) },
    ...names.map((name, index) => ({ name, ms: step(index + 1) })),
  ];
}

/** The times that `script` prints, since the start of its process. */
async function loadOnce(script: string): Promise<number[]> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'], cwd: ROOT });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`loading ended with exit code ${code}`);
  return JSON.parse(output) as number[];
}
