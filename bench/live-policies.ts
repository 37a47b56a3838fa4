/**
 * The wait times of the live exchange against a fixed wait of two seconds and against a deadline hedge: what comes late, and what viewers serve.
 *
 * `npm run bench live-policies [seeds]`: 20 paired seeds unless told otherwise, about a quarter of an hour on two cores; where upload is scarce, and where the publisher could serve
 * everybody alone. In virtual time, so the machine makes no difference to any figure.
 */
import { argv } from 'node:process';
import { type FigureName, formatFigure } from '../src/sim/figure.js';
import type { Report } from '../src/sim/report.js';
import { BenchRun, type Row } from './support/bench-run.js';
import { scenarioReport, seedsFrom } from './support/scenario-runs.js';
import { scenarioTable } from './support/scenario-table.js';

const LIMIT_MS = 3 * 3_600_000;
const SEEDS = 20;
const COLUMNS: readonly FigureName[] = [
  'slowPieces',
  'latePieces',
  'continuity',
  'delayP50Ms',
  'delayP95Ms',
  'rebufferRatio',
  'peerShare',
  'sourceCopies',
  'duplicateRatio',
];
const COMPARED: readonly FigureName[] = ['slowPieces', 'latePieces', 'peerShare'];

/** The other policy less ours, pairwise by seed. */
function differenceRows({ scenario, variants }: Report): Row[] {
  return variants.slice(1).flatMap(({ name, against }) =>
    COMPARED.flatMap((figure) => {
      const difference = against?.[figure];
      if (!difference) return [];
      const [mean, spread] = [difference.mean, difference.plusMinus ?? 0].map((value) => formatFigure(figure, value));
      return [[scenario, name, figure, `${mean} ± ${spread}`, Math.abs(difference.mean) > (difference.plusMinus ?? 0) ? 'yes' : 'no']];
    }),
  );
}

await BenchRun.run('live-policies', LIMIT_MS, async (run) => {
  const seeds = seedsFrom(argv.slice(2), SEEDS);
  const rows: Row[] = [];
  for (const scenario of ['live-policies', 'live-policies-source']) {
    const report = await scenarioReport(run, scenario, seeds);
    scenarioTable(run, report, COLUMNS);
    rows.push(...differenceRows(report));
  }
  run.table('The other policy less what ships, pairwise by seed', ['scenario', 'policy', 'figure', 'difference', 'sure'], rows);
  return { seeds };
});
