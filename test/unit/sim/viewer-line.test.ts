/** Lines of simulated viewers: drawn as the scenario says, weak ones in their part, and Shoal's own limit the narrower of two. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfigFile } from '../../../src/io/files/config-file.js';
import type { LiveScenario } from '../../../src/sim/scenario.js';
import { viewerLine } from '../../../src/sim/viewer-line.js';

const DEFAULTS_PATH = join(fileURLToPath(new URL('../../../../config/scenarios/', import.meta.url)), 'defaults/live.json5');
const DEFAULTS = readConfigFile(DEFAULTS_PATH).value as unknown as LiveScenario;

function scenarioWith(viewers: Partial<LiveScenario['viewers']>): LiveScenario {
  return { ...DEFAULTS, channel: { ...DEFAULTS.channel, bitsPerSecond: 800_000 }, viewers: { ...DEFAULTS.viewers, ...viewers } };
}

test('as the defaults have it no line has a limit, and the limiter is that of all viewers', () => {
  for (const number of [0, 1, 17])
    assert.equal(viewerLine(scenarioWith({ upRatio: 1.5 }), 1, number), {
      line: { upBytesPerSecond: 0, downBytesPerSecond: 0 },
      upLimitBytesPerSecond: 150_000,
    });
});

test('each draws its own line, the same one whenever it is asked', () => {
  const scenario = scenarioWith({ upBitsPerSecond: [80_000, 160_000], downBitsPerSecond: [800_000, 1_600_000] });
  const lines = Array.from({ length: 20 }, (_, number) => viewerLine(scenario, 1, number).line);
  for (const { upBytesPerSecond, downBytesPerSecond } of lines) {
    assert.ok(upBytesPerSecond >= 10_000 && upBytesPerSecond <= 20_000, `${upBytesPerSecond} up`);
    assert.ok(downBytesPerSecond >= 100_000 && downBytesPerSecond <= 200_000, `${downBytesPerSecond} down`);
  }
  assert.is(new Set(lines.map(({ upBytesPerSecond }) => upBytesPerSecond)).size, 20);
  assert.equal(viewerLine(scenario, 1, 3).line, lines[3]);
  assert.not.equal(viewerLine(scenario, 2, 3).line, lines[3]);
});

test('weak lines are dealt evenly among all that come', () => {
  const scenario = scenarioWith({ upBitsPerSecond: [800_000, 800_000], weakRatio: 0.25, weakUpBitsPerSecond: [80_000, 80_000] });
  for (const from of [0, 8, 100]) {
    const ups = Array.from({ length: 8 }, (_, at) => viewerLine(scenario, 1, from + at).line.upBytesPerSecond);
    assert.is(ups.filter((up) => up === 10_000).length, 2, `from ${from}`);
    assert.is(ups.filter((up) => up === 100_000).length, 6, `from ${from}`);
  }
});

test('of a limit by bit rate and one by line the smaller holds, and one that is none does not', () => {
  const limit = (viewers: Partial<LiveScenario['viewers']>): number => viewerLine(scenarioWith(viewers), 1, 0).upLimitBytesPerSecond;
  assert.is(limit({ upRatio: 2, upBitsPerSecond: [400_000, 400_000], upLimitRatio: 0.5 }), 25_000);
  assert.is(limit({ upRatio: 0.1, upBitsPerSecond: [400_000, 400_000], upLimitRatio: 0.5 }), 10_000);
  assert.is(limit({ upRatio: 0, upBitsPerSecond: [400_000, 400_000], upLimitRatio: 0.5 }), 25_000);
  assert.is(limit({ upRatio: 2, upBitsPerSecond: [400_000, 400_000], upLimitRatio: 0 }), 200_000);
  assert.is(limit({ upRatio: 0, upBitsPerSecond: [0, 0], upLimitRatio: 0.5 }), 0);
});

test.run();
