/**
 * Redundancy: how many pieces several publishers of one source make alike, started at random times and each killed and restarted once.
 *
 * `npm run bench redundancy [origin] [publishers] [seconds]`: one origin or `all`, 2 or 4 publishers or both, 120 s each unless told otherwise;
 * `-- --seed=7` for other moments. Every station is asked by itself what it made (`PieceCollector`); `piece-table.ts` says what is compared.
 */
import { argv } from 'node:process';
import { Rng } from '../src/kernel/rng.js';
import { feedFleet, ORIGIN_NAMES } from '../test/support/fed-fleet.js';
import type { PieceCollector } from '../test/support/piece-collector.js';
import { compareAll, countPieces, type PairCount, sumOfPairs } from '../test/support/piece-table.js';
import type { Publisher } from '../test/support/publisher-fleet.js';
import { BenchRun, type Row } from './support/bench-run.js';
import { median, show, showPercent } from './support/figures.js';

const SECONDS = 120;
const PUBLISHER_COUNTS = [2, 4];
const START_WITHIN_MS = 20_000;
/** Before and after the restarts, so that there is something to compare. */
const QUIET_MS = 20_000;
const DOWN_MS = [500, 4_000] as const;
const HEAD: Row = ['origin', 'publishers', 'made', 'compared', 'equal', '%', 'first window s', 'after restart s', 'remarks'];

/** What happens to one publisher, in ms since the beginning. */
interface Schedule {
  readonly startMs: number;
  readonly killMs: number;
  readonly downMs: number;
}

interface Result {
  readonly origin: string;
  readonly publishers: number;
  readonly made: readonly number[];
  readonly pairs: readonly PairCount[];
  /** From the start of each process to its first window. */
  readonly firstWindowMs: readonly number[];
  readonly restartedWindowMs: readonly number[];
  readonly remarks: string;
}

const [originWord = 'all', publishersWord = 'all', secondsWord] = argv.slice(2).filter((word) => !word.startsWith('--'));
const seed = Number(argv.find((word) => word.startsWith('--seed='))?.slice('--seed='.length) ?? 1);
const origins = originWord === 'all' ? ORIGIN_NAMES : originWord.split(',');
const counts = publishersWord === 'all' ? PUBLISHER_COUNTS : [Number(publishersWord)];
const durationMs = Number(secondsWord ?? SECONDS) * 1000;

await BenchRun.run('redundancy', origins.length * counts.length * (durationMs + 60_000), async (run) => {
  const results: Result[] = [];
  for (const origin of origins) {
    for (const publishers of counts) {
      run.progress(`${origin}, ${publishers} publishers: ${durationMs / 1000} s`);
      results.push(await measure(run, origin, publishers).catch((error: Error) => nothing(origin, publishers, error)));
      await run.stopAll();
      run.progress(rowOf(results.at(-1) as Result).join(' | '));
    }
  }
  run.table(`Pieces that publishers made alike, ${durationMs / 1000} s each, seed ${seed}`, HEAD, results.map(rowOf));
  return { seconds: durationMs / 1000, seed, results };
});

async function measure(run: BenchRun, origin: string, publishers: number): Promise<Result> {
  const { fleet, source } = await feedFleet(origin, publishers);
  run.keep(source);
  run.keep(fleet);
  const collectors = await fleet.collectors();
  const rng = new Rng(seed);
  const beganMs = performance.now();
  const lives = fleet.publishers.map((publisher, index) => {
    const schedule = scheduleFrom(rng);
    return live(publisher, collectors[index] as PieceCollector, schedule, beganMs);
  });
  const times = await Promise.all(lives);
  const windows = collectors.map((collector) => collector.windows);
  return {
    origin,
    publishers,
    made: windows.map(countPieces),
    pairs: compareAll(windows),
    firstWindowMs: times.map(({ first }) => first),
    restartedWindowMs: times.map(({ again }) => again),
    remarks: fleet.publishers.flatMap((publisher, index) => idleRemark(publisher, collectors[index] as PieceCollector)).join('; '),
  };
}

/** Why a publisher that made nothing did so, as far as it says. */
function idleRemark({ index, process }: Publisher, { windows, connections }: PieceCollector): readonly string[] {
  if (windows.length > 0) return [];
  const said = process.program.errors.trim().split('\n').at(-1) ?? 'nothing';
  return [`publisher ${index} made nothing (${connections} connections to it); it said last: ${said.slice(0, 160)}`];
}

function scheduleFrom(rng: Rng): Schedule {
  const within = (fromMs: number, toMs: number): number => fromMs + rng.below(Math.max(1, Math.round(toMs - fromMs)));
  const startMs = within(0, Math.min(START_WITHIN_MS, durationMs / 6));
  const killMs = within(startMs + Math.min(QUIET_MS, durationMs / 4), durationMs - Math.min(QUIET_MS, durationMs / 4));
  return { startMs, killMs, downMs: within(...DOWN_MS) };
}

/** Starts, dies and comes back as planned; says how long each start took to the first window, NaN when none came. */
async function live(
  publisher: Publisher,
  collector: PieceCollector,
  { startMs, killMs, downMs }: Schedule,
  beganMs: number,
): Promise<{ first: number; again: number }> {
  const at = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, beganMs + ms - performance.now())));
  const afterMs = (launchedMs: number): number => (collector.firstSince(launchedMs)?.arrivedMs ?? Number.NaN) - launchedMs;
  const launch = (): number => {
    publisher.launch();
    return performance.now();
  };
  await at(startMs);
  const firstMs = launch();
  await at(killMs);
  const first = afterMs(firstMs);
  await publisher.kill();
  await at(killMs + downMs);
  const againMs = launch();
  await at(durationMs);
  return { first, again: afterMs(againMs) };
}

function nothing(origin: string, publishers: number, error: Error): Result {
  const remarks = `not taken: ${(/"message":"([^"]*)"/.exec(error.message)?.[1] ?? error.message).slice(0, 160).replaceAll('\n', ' ')}`;
  return { origin, publishers, made: [], pairs: [], firstWindowMs: [], restartedWindowMs: [], remarks };
}

function rowOf({ origin, publishers, made, pairs, firstWindowMs, restartedWindowMs, remarks }: Result): Row {
  const { compared, equal } = sumOfPairs(pairs);
  const seconds = (times: readonly number[]): string => `${show(median(times) / 1000, 1)} (max ${show(Math.max(...times) / 1000, 1)})`;
  const percent = compared === 0 ? 'n/a' : showPercent(equal / compared, 2);
  const counts = [made.join(' / '), String(compared), String(equal), percent];
  return [origin, String(publishers), ...counts, seconds(firstWindowMs), seconds(restartedWindowMs), remarks];
}
