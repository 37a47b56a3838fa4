/**
 * What each parameter of the live exchange is worth: one world with another value of one of them at a time.
 *
 * `npm run bench live-parameters [seeds]`: 6 seeds unless told otherwise, about a quarter of an hour on two cores. In virtual time, so the machine makes no difference to any figure.
 */
import { argv } from 'node:process';
import type { FigureName } from '../src/sim/figure.js';
import { BenchRun } from './support/bench-run.js';
import { scenarioReport, seedsFrom } from './support/scenario-runs.js';
import { scenarioTable } from './support/scenario-table.js';

const LIMIT_MS = 3 * 3_600_000;
const SEEDS = 6;
const COLUMNS: readonly FigureName[] = [
  'continuity',
  'slowPieces',
  'delayP50Ms',
  'delayP95Ms',
  'startUpP95Ms',
  'rebufferRatio',
  'sourceCopies',
  'duplicateRatio',
  'controlRatio',
];

await BenchRun.run('live-parameters', LIMIT_MS, async (run) => {
  const seeds = seedsFrom(argv.slice(2), SEEDS);
  scenarioTable(run, await scenarioReport(run, 'live-parameters', seeds), COLUMNS);
  return { seeds };
});
