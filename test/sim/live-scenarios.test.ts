/**
 * Small forms of the live scenarios: that they repeat, and that no figure is worse than recorded.
 *
 * Baselines are recorded anew, when a change is meant to move figures, by `npm run baselines`.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadScenario, shippedExchange } from '../../src/commands/simulate.js';
import { simulationPorts } from '../../src/commands/simulation-ports.js';
import { compare, parseBaseline } from '../../src/sim/baseline.js';
import { type Report, reportOf } from '../../src/sim/report.js';
import { differenceLines } from '../../src/sim/report-text.js';
import type { NamedScenario } from '../../src/sim/scenario-file.js';
import { type Run, runScenario, runsOf } from '../../src/sim/simulation.js';

const FOLDER = fileURLToPath(new URL('../../../test/sim/', import.meta.url));
const SMALL = ['live-small', 'live-small-faults', 'live-small-aims'] as const;
/** What some worlds of `live-small-aims` are there for: they must not be recorded without it. */
const AIMS = [
  ['departures', 'peerShare'],
  ['late joiners', 'firstPeerPieceP95Ms'],
  ['eight neighbours in all', 'socketControlRatio'],
] as const;
const PORTS = simulationPorts(shippedExchange());
const SEEDS = 3;

function small(name: (typeof SMALL)[number], settings: readonly string[] = []): NamedScenario {
  return loadScenario(join(FOLDER, 'scenarios', `${name}.json5`), settings);
}

test('the same seed gives the same log', () => {
  const { variants } = small('live-small', ['durationS=20', 'viewers.count=5']);
  const run: Run = { variant: 'x', scenario: (variants[0] as (typeof variants)[number]).scenario, seed: 3 };
  const [one, other] = [runScenario(run, PORTS), runScenario(run, PORTS)];
  assert.is(one.digest, other.digest);
  assert.is.not(runScenario({ ...run, seed: 4 }, PORTS).digest, one.digest);
});

function baseline(name: (typeof SMALL)[number]): Report {
  const file = join(FOLDER, 'baselines', `${name}.json`);
  return parseBaseline(readFileSync(file, 'utf8'), file, name);
}

test('what the small forms of single aims are there for is recorded, with every seed', () => {
  const { seeds, variants } = baseline('live-small-aims');
  for (const [name, figure] of AIMS)
    assert.is(variants.find((variant) => variant.name === name)?.figures[figure]?.count, seeds.length, name);
});

for (const name of SMALL) {
  test(`${name}: no figure is worse than recorded, no wrong window is played, nobody innocent is banned, and nobody gets in a third bad piece`, () => {
    const named = small(name);
    const report = reportOf(
      named,
      runsOf(named, named.seed, SEEDS).map((run) => ({ run, outcome: runScenario(run, PORTS) })),
    );
    const difference = compare(baseline(name), report);
    assert.equal(
      difference.changes.filter(({ verdict }) => verdict === 'worse'),
      [],
      differenceLines(difference).join('\n'),
    );
    assert.equal(difference.unmatched, []);
    for (const { figures } of report.variants) {
      assert.is(figures.badWindows?.mean, 0);
      assert.is(figures.innocentBans?.mean, 0);
      assert.ok(Math.max(0, ...(figures.badPiecesMost?.values.map(Number) ?? [])) <= 2);
    }
  });
}

test.run();
