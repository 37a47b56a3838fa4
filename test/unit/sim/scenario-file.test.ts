/** Scenario files: every option is explained, all shipped ones load, and what is wrong is told with file, line and what would be right. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadScenario, scenarioNames } from '../../../src/commands/simulate.js';
import { readConfigFile } from '../../../src/io/files/config-file.js';
import { resolveScenario, scenarioOptions } from '../../../src/sim/scenario-file.js';
import { badDefaults } from '../../tidy/tidy-rules.js';

const FOLDER = fileURLToPath(new URL('../../../../config/scenarios/', import.meta.url));
const DEFAULTS = { vod: readConfigFile(join(FOLDER, 'defaults/vod.json5')), live: readConfigFile(join(FOLDER, 'defaults/live.json5')) };

function resolve(value: unknown, lines: Readonly<Record<string, number>> = {}, settings: readonly string[] = []) {
  return resolveScenario({
    name: 'x',
    defaults: DEFAULTS,
    file: { name: 'x.json5', value, lines: new Map(Object.entries(lines)) },
    settings,
  });
}

test('every option has a default that passes, with a comment that says meaning, unit, default, range and why', () => {
  for (const kind of ['vod', 'live'] as const) {
    const options = scenarioOptions(kind).map((option) => ({ ...option, variable: '' }));
    assert.ok(options.length > 20);
    const found = badDefaults(options, DEFAULTS[kind], readFileSync(join(FOLDER, `defaults/${kind}.json5`), 'utf8'));
    // Groups that a file fills itself have nothing below them in the defaults.
    assert.equal(
      found.filter((complaint) => !/^(variants|exchange) has no default$/.test(complaint)),
      [],
    );
  }
});

test('every shipped scenario loads, says what it shows, and has variants that differ', () => {
  assert.ok(scenarioNames().length >= 7);
  for (const name of scenarioNames()) {
    const { about, variants } = loadScenario(name, []);
    assert.ok(about.length > 10, name);
    assert.is(new Set(variants.map(({ scenario }) => JSON.stringify(scenario))).size, variants.length, name);
  }
});

test('variants lie over the file, and --set over all of them', () => {
  const value = { kind: 'vod', viewers: { count: 7 }, variants: { a: { 'viewers.count': 8, 'policy.strategy': 'sequential' }, b: {} } };
  const counts = (settings: readonly string[]) =>
    resolve(value, {}, settings).variants.map(({ scenario }) => (scenario.kind === 'vod' ? scenario.viewers.count : 0));
  assert.equal(counts([]), [8, 7]);
  assert.equal(counts(['viewers.count=9']), [9, 9]);
});

test('a file without variants is one world of its own name', () => {
  assert.equal(
    resolve({ kind: 'live' }).variants.map(({ name }) => name),
    ['x'],
  );
});

test('what is wrong is told with the file, the line, and what would be right', () => {
  const wrong: readonly (readonly [unknown, Readonly<Record<string, number>>, RegExp])[] = [
    [{}, {}, /^x\.json5: kind: expected "vod" or "live", got nothing$/],
    [{ kind: 'film' }, { kind: 2 }, /^x\.json5:2: kind: expected "vod" or "live", got "film"$/],
    [{ kind: 'vod', viewers: { count: 0 } }, { 'viewers.count': 3 }, /^x\.json5:3: viewers\.count: expected 1 to 100000, got 0$/],
    [{ kind: 'vod', viewer: {} }, { viewer: 4 }, /^x\.json5:4: unknown key "viewer", nearest known key is "viewers"$/],
    [
      { kind: 'vod', variants: { a: { 'policy.strategy': 'fastest' } } },
      { 'variants.a.policy.strategy': 9 },
      /^x\.json5:9: policy\.strategy: expected "needed-first", "rarest-first" or "sequential", got "fastest"$/,
    ],
    [
      { kind: 'vod', network: { latencyMs: [80, 10] } },
      { 'network.latencyMs': 5 },
      /^x\.json5:5: network\.latencyMs: expected \[low, high\], each 0 to 10000, got \[80,10\]$/,
    ],
  ];
  for (const [value, lines, message] of wrong) assert.throws(() => resolve(value, lines), message);
  assert.throws(() => resolve({ kind: 'vod' }, {}, ['viewers.count=many']), /--set: viewers\.count: expected/);
});

test('all holders may be asked when a request is late, and no other option of the exchange takes a word', () => {
  const [world] = resolve({ kind: 'live', exchange: { hedge: 'all', tickMs: 50 } }).variants;
  assert.equal(world?.scenario.kind === 'live' && world.scenario.exchange, { hedge: 'all', tickMs: 50 });
  assert.throws(() => resolve({ kind: 'live', exchange: { tickMs: 'all' } }), 'expected a number; only hedge may be "all"');
});

test('a scenario that there is not is answered with the nearest one', () => {
  assert.throws(() => loadScenario('vod-random-seek', []), /no scenario is called "vod-random-seek"; the nearest is "vod-random-seeks"/);
});

test.run();
