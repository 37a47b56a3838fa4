/**
 * A scenario's report as a table: a row for each variant, a column for each figure of interest.
 */
import { FIGURES, type FigureName } from '../../src/sim/figure.js';
import type { Report } from '../../src/sim/report.js';
import type { BenchRun } from './bench-run.js';
import { figureCell } from './scenario-runs.js';

export function scenarioTable(run: BenchRun, report: Report, names: readonly FigureName[]): void {
  const { scenario, about, seeds, variants } = report;
  const known = names.filter((name) => variants.some(({ figures }) => figures[name]));
  run.table(
    `${scenario}: ${about}; ${seeds.length} paired seeds, means with their 95 % intervals, "better" and "worse" than ${variants[0]?.name}`,
    ['', ...known.map((name) => FIGURES[name].label)],
    variants.map((variant) => [variant.name, ...known.map((name) => figureCell(variant, name))]),
  );
}
