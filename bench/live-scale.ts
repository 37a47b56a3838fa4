/**
 * What large simulated swarms cost: processor time and memory of a thousand viewers for five minutes, and of ten thousand until every buffer is full.
 *
 * `npm run bench live-scale [scenario …] [key=value …]`: `live-thousand` and `live-ten-thousand` unless told otherwise, settings as those of `shoal sim --set`. One world
 * at a time on one thread, in a process of its own. Processor time is that of user and system together; on a machine that does other things as well it is more
 * than on a quiet one, because the caches are shared.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { formatFigure } from '../src/sim/figure.js';
import { BenchRun, type Row } from './support/bench-run.js';
import { show } from './support/figures.js';
import type { WorldCost } from './support/world-process.js';

const LIMIT_MS = 6 * 3_600_000;
const SCENARIOS = ['live-thousand', 'live-ten-thousand'];
const PROGRAM = fileURLToPath(new URL('./support/world-process.js', import.meta.url));
const HEAD: Row = [
  'scenario',
  'viewers',
  'time of the world',
  'processor time',
  'of it a viewer and minute',
  'peak memory',
  'of it a viewer',
  'continuity',
  'delay, median',
  'delay, p95',
];

async function costOf(scenario: string, settings: readonly string[]): Promise<WorldCost> {
  const child = fork(PROGRAM, [scenario, ...settings]);
  const ended = once(child, 'exit').then(([code]) =>
    Promise.reject(new Error(`the world of ${scenario} ended with code ${code} and told nothing`)),
  );
  const [cost] = (await Promise.race([once(child, 'message'), ended])) as [WorldCost];
  child.kill();
  await ended.catch(() => undefined);
  return cost;
}

function rowOf(scenario: string, { viewers, worldS, cpuSeconds, peakMb, figures }: WorldCost): Row {
  const figure = (name: 'continuity' | 'delayP50Ms' | 'delayP95Ms'): string => formatFigure(name, figures[name] ?? Number.NaN);
  return [
    scenario,
    String(viewers),
    `${show(worldS)} s`,
    `${show(cpuSeconds)} s`,
    `${show((cpuSeconds * 60_000) / (viewers * worldS), 1)} ms`,
    `${show(peakMb)} MB`,
    `${show((peakMb * 1000) / viewers)} kB`,
    figure('continuity'),
    figure('delayP50Ms'),
    figure('delayP95Ms'),
  ];
}

const words = argv.slice(2).filter((word) => !word.startsWith('--'));
const settings = words.filter((word) => word.includes('='));
const named = words.filter((word) => !word.includes('='));

await BenchRun.run('live-scale', LIMIT_MS, async (run) => {
  const costs: { readonly scenario: string; readonly cost: WorldCost }[] = [];
  for (const scenario of named.length > 0 ? named : SCENARIOS) {
    const cost = await costOf(scenario, settings);
    run.progress(`${scenario}: ${show(cost.cpuSeconds)} s of processor time in ${show(cost.wallSeconds)} s`);
    costs.push({ scenario, cost });
  }
  run.table(
    'What large simulated swarms cost',
    HEAD,
    costs.map(({ scenario, cost }) => rowOf(scenario, cost)),
  );
  return { costs };
});
