/**
 * What each part of the live exchange is worth: the same worlds without one of them, once where nobody leaves, once where much goes wrong, and once where upload is to spare.
 *
 * `npm run bench live-ablations [seeds]`: 8 seeds unless told otherwise, about a quarter of an hour on two cores. In virtual time, so the machine makes no difference to any figure.
 */
import { argv } from 'node:process';
import type { FigureName } from '../src/sim/figure.js';
import { BenchRun } from './support/bench-run.js';
import { scenarioReport, seedsFrom } from './support/scenario-runs.js';
import { scenarioTable } from './support/scenario-table.js';

const LIMIT_MS = 3 * 3_600_000;
const SEEDS = 8;
const COLUMNS: readonly FigureName[] = [
  'continuity',
  'slowPieces',
  'latePieces',
  'delayP50Ms',
  'delayP95Ms',
  'rebufferRatio',
  'holedWindows',
  'skippedWindows',
  'peerShare',
  'sourceCopies',
  'duplicateRatio',
  'controlRatio',
  'recoveryS',
];

await BenchRun.run('live-ablations', LIMIT_MS, async (run) => {
  const seeds = seedsFrom(argv.slice(2), SEEDS);
  for (const scenario of ['live-ablations', 'live-ablations-faults', 'live-ablations-ample'])
    scenarioTable(run, await scenarioReport(run, scenario, seeds), COLUMNS);
  return { seeds };
});
