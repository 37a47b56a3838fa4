/**
 * Small forms of the scenarios with titles: that they repeat, that the invariants hold after every step, and that no figure is worse than recorded.
 *
 * Baselines are recorded anew, when a change is meant to move figures, by `npm run baselines`.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadScenario } from '../../src/commands/simulate.js';
import { compare, parseBaseline } from '../../src/sim/baseline.js';
import { type Report, reportOf } from '../../src/sim/report.js';
import { differenceLines } from '../../src/sim/report-text.js';
import type { VodScenario } from '../../src/sim/scenario.js';
import { runsOf } from '../../src/sim/simulation.js';
import { runVod } from '../../src/sim/vod-run.js';
import { VodWorld } from '../../src/sim/vod-world.js';
import { VodInvariants } from '../support/vod-invariants.js';

const FOLDER = fileURLToPath(new URL('../../../test/sim/', import.meta.url));
const SEEDS = 3;

function scenarioPath(name: string): string {
  return join(FOLDER, 'scenarios', `${name}.json5`);
}

function reportOfSmall(name: string): Report {
  const named = loadScenario(scenarioPath(name), []);
  const runs = runsOf(named, named.seed, SEEDS).map((run) => ({ run, outcome: runVod(run.scenario as VodScenario, run.seed, () => 0) }));
  return reportOf(named, runs);
}

function checkAgainstBaseline(name: string): Report {
  const report = reportOfSmall(name);
  const file = join(FOLDER, 'baselines', `${name}.json`);
  const difference = compare(parseBaseline(readFileSync(file, 'utf8'), file, name), report);
  const worse = difference.changes.filter(({ verdict }) => verdict === 'worse');
  assert.equal(worse, [], differenceLines(difference).join('\n'));
  assert.equal(difference.unmatched, []);
  return report;
}

function checkInvariants(name: string, variant: number): VodWorld {
  const { scenario } = loadScenario(scenarioPath(name), []).variants[variant] as { readonly scenario: VodScenario };
  const invariants = new VodInvariants();
  const world = new VodWorld(scenario, 5, { onStep: invariants.onStep });
  world.run(scenario.durationS * 1000);
  world.close();
  invariants.checkPlayers(world);
  assert.ok(invariants.steps > 1_000);
  return world;
}

test('the same seed gives the same log, and the log that it gave when it was recorded; another seed another', () => {
  const settings = ['durationS=60', 'viewers.count=6', 'title.durationS=40'];
  const { scenario } = loadScenario(scenarioPath('vod-small'), settings).variants[0] as { readonly scenario: VodScenario };
  const lines: string[][] = [[], []];
  const digests = lines.map((own) => runVod(scenario, 7, () => 0, { onLine: (line) => own.push(line) }).digest);
  assert.equal(lines[0], lines[1]);
  assert.is(digests[0], digests[1]);
  assert.is.not(runVod(scenario, 8, () => 0).digest, digests[0]);
});

test('viewers who jump: no figure is worse than recorded, and picking by need beats rarest first where people wait', () => {
  const { variants } = checkAgainstBaseline('vod-small');
  const [needed, rarest] = variants;
  assert.ok((needed?.figures.rebufferRatio?.mean ?? 1) < (rarest?.figures.rebufferRatio?.mean ?? 0));
  assert.ok((needed?.figures.duplicateRatio?.mean ?? 1) <= 0.03);
});

test('several titles, each mode of caching: no figure is worse than recorded', () => {
  checkAgainstBaseline('vod-small-titles');
});

test('everything that goes wrong at once: no figure is worse than recorded, and nobody innocent is banned', () => {
  const { variants } = checkAgainstBaseline('vod-small-faults');
  assert.is(variants[0]?.figures.innocentBans?.mean, 0);
});

test('the invariants hold after every step: jumps', () => {
  for (const variant of [0, 1, 2]) checkInvariants('vod-small', variant);
});

test('the invariants hold after every step: faults of every kind', () => {
  const world = checkInvariants('vod-small-faults', 0);
  assert.ok(
    world.peers.some(({ accused }) => accused.size > 0),
    'nobody has found a polluter',
  );
});

test('the invariants hold after every step: several titles, and with control nothing beside the film while it is short', () => {
  for (const variant of [0, 1, 2]) checkInvariants('vod-small-titles', variant);
});

test.run();
