/**
 * Shipped scenarios run in virtual time, on all cores, and their reports.
 */
import { availableParallelism } from 'node:os';
import { loadScenario, shippedExchange } from '../../src/commands/simulate.js';
import { runAll } from '../../src/commands/simulation-pool.js';
import { type FigureName, formatFigure } from '../../src/sim/figure.js';
import { type Report, reportOf, type VariantReport } from '../../src/sim/report.js';
import { type Ran, runsOf } from '../../src/sim/simulation.js';
import type { BenchRun } from './bench-run.js';

/** @param variants those to run; all of them if left out. */
export async function scenarioReport(run: BenchRun, scenario: string, seedCount: number, variants?: readonly string[]): Promise<Report> {
  const named = loadScenario(scenario, []);
  const chosen = { ...named, variants: named.variants.filter(({ name }) => variants === undefined || variants.includes(name)) };
  const runs = runsOf(chosen, chosen.seed, seedCount);
  const done: Ran[] = [];
  await runAll(runs, availableParallelism(), shippedExchange(), (ran) => {
    done.push(ran);
    run.progress(`${scenario}: ${done.length} of ${runs.length}`);
  });
  return reportOf(chosen, done);
}

/** A mean with its interval, and what it is against the first variant. */
export function figureCell({ figures, against }: VariantReport, name: FigureName): string {
  const figure = figures[name];
  if (!figure) return '-';
  const spread = figure.plusMinus === null ? '' : ` ± ${formatFigure(name, figure.plusMinus)}`;
  const verdict = against?.[name]?.verdict ?? 'same';
  return `${formatFigure(name, figure.mean)}${spread}${verdict === 'same' ? '' : ` **${verdict}**`}`;
}

/** A number among the words of the command line, or the default. */
export function seedsFrom(words: readonly string[], usual: number): number {
  const given = words.find((word) => /^\d+$/.test(word));
  return given === undefined ? usual : Number(given);
}
