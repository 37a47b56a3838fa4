/**
 * One world of one scenario in a process of its own, so that its cost is nobody else's: run as `shoal sim --threads 1` runs it, on one thread.
 *
 * Started with the name of the scenario and settings as those of `--set`; sends what came of it and what it cost as one message.
 */
import { argv, cpuUsage, resourceUsage } from 'node:process';
import { loadScenario, shippedExchange } from '../../src/commands/simulate.js';
import { runAll } from '../../src/commands/simulation-pool.js';
import type { Outcome } from '../../src/sim/figure.js';
import { runsOf } from '../../src/sim/simulation.js';

export interface WorldCost {
  readonly viewers: number;
  readonly worldS: number;
  /** Of all threads, the collector's too, in user and system mode. */
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  /** The most that was resident at once, in 10^6 bytes. */
  readonly peakMb: number;
  readonly figures: Outcome['figures'];
  readonly digest: string;
}

const [scenario = '', ...settings] = argv.slice(2);
const named = loadScenario(scenario, settings);
await runAll(runsOf(named, named.seed, 1), 1, shippedExchange(), ({ run, outcome }) => {
  const { user, system } = cpuUsage();
  const cost: WorldCost = {
    viewers: run.scenario.viewers.count,
    worldS: 'durationS' in run.scenario ? run.scenario.durationS : 0,
    cpuSeconds: (user + system) / 1e6,
    wallSeconds: outcome.wallMs / 1000,
    peakMb: (resourceUsage().maxRSS * 1024) / 1e6,
    figures: outcome.figures,
    digest: outcome.digest,
  };
  process.send?.(cost);
});
