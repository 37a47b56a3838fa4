/** Viewers of a live channel behind lines with limits: nothing passes faster than the line, and a full one is felt by the exchange. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadScenario, shippedExchange } from '../../src/commands/simulate.js';
import { simulationPorts } from '../../src/commands/simulation-ports.js';
import type { Line, LiveWorld } from '../../src/sim/live-world.js';
import { runScenario } from '../../src/sim/simulation.js';
import { BYTES_PER_SECOND, makeWorld } from '../support/live-world-fixture.js';

const SMALL = join(fileURLToPath(new URL('../../../test/sim/scenarios/', import.meta.url)), 'live-small.json5');
const UNLIMITED: Line = { upBytesPerSecond: 0, downBytesPerSecond: 0 };
const VIEWERS = 6;
/** What a line may have taken up and not passed yet: a piece with all that is around it. */
const MESSAGE_BYTES = 70_000;
const SEEDS = [1, 2];

/** Viewers who all have this line, and how often one of them was told that another could not send a piece in time. */
function worldOf(seed: number, line: Line, count = VIEWERS): { readonly world: LiveWorld; readonly refusals: () => number } {
  let busy = 0;
  const world = makeWorld({
    seed,
    bytesPerSecond: BYTES_PER_SECOND,
    publisherUpBytesPerSecond: 2.2 * BYTES_PER_SECOND,
    onStep: ({ peer, input }) => {
      const isRefusal = input.kind === 'message' && input.message.kind === 'refuse' && input.message.why === 'busy';
      if (peer.name !== 'publisher' && isRefusal && input.from !== 'publisher') busy += 1;
    },
  });
  for (let index = 0; index < count; index++) world.join(`viewer ${index}`, { line });
  return { world, refusals: () => busy };
}

const played = ({ peers }: LiveWorld): number => peers.reduce((sum, { deliveries }) => sum + deliveries.length, 0);

test('an uplink sends no more than it can, whatever the exchange hands to it; what it cannot carry is refused once that is learnt', () => {
  for (const seed of SEEDS) {
    const upBytesPerSecond = BYTES_PER_SECOND / 4;
    const limited = worldOf(seed, { ...UNLIMITED, upBytesPerSecond });
    for (let second = 1; second <= 20; second++) {
      limited.world.run(1_000);
      for (const { name, host } of limited.world.peers)
        assert.ok(host.sentBytes <= second * upBytesPerSecond + MESSAGE_BYTES, `${name} has sent ${host.sentBytes} bytes in ${second} s`);
    }
    const mostBytes = Math.max(...limited.world.peers.map(({ host }) => host.sentBytes));
    assert.ok(mostBytes > 0.7 * 20 * upBytesPerSecond, `seed ${seed}: no line is full, the most is ${mostBytes} bytes`);
    const free = worldOf(seed, UNLIMITED);
    free.world.run(20_000);
    const [refused, others] = [limited.refusals(), free.refusals()];
    assert.ok(refused > 2 * others + 20, `seed ${seed}: ${refused} refusals where lines are full, ${others} where they have no limit`);
    assert.ok(played(limited.world) < 0.8 * played(free.world), `seed ${seed}: ${played(limited.world)} of ${played(free.world)} windows`);
  }
});

test('behind lines of one and a half times the stream viewers see nearly all of it, without a limit of their own', () => {
  for (const seed of SEEDS) {
    const line = { upBytesPerSecond: 1.5 * BYTES_PER_SECOND, downBytesPerSecond: 4 * BYTES_PER_SECOND };
    const { world } = worldOf(seed, line, 20);
    world.run(40_000);
    // As many as there are of it, for each of them.
    const share = played(world) / (20 * 80);
    // Before anything was learnt of lines it was 0.7.
    assert.ok(share > 0.85, `seed ${seed}: ${share} of all windows`);
  }
});

test('a downlink of half the bit rate brings half of the stream', () => {
  for (const seed of SEEDS) {
    const { world } = worldOf(seed, UNLIMITED);
    const narrow = world.join('narrow', { line: { ...UNLIMITED, downBytesPerSecond: BYTES_PER_SECOND / 2 } });
    world.run(12_000);
    const mediaBytes = narrow.down.payloadBytes;
    assert.ok(mediaBytes <= (12 * BYTES_PER_SECOND) / 2, `seed ${seed}: ${mediaBytes} bytes came`);
    assert.ok(mediaBytes >= (12 * BYTES_PER_SECOND) / 4, `seed ${seed}: only ${mediaBytes} bytes came`);
    for (const peer of world.peers) if (peer !== narrow) assert.is(peer.skipped, 0, `seed ${seed}: ${peer.name} suffers too`);
  }
});

test('lines of a scenario are those of its viewers', () => {
  const ports = simulationPorts(shippedExchange());
  const continuity = (settings: readonly string[]): number => {
    const { variants } = loadScenario(SMALL, ['durationS=30', ...settings]);
    const { scenario } = variants[0] as (typeof variants)[number];
    return runScenario({ variant: 'x', scenario, seed: 1 }, ports).figures.continuity ?? Number.NaN;
  };
  const bitsPerSecond = 300_000;
  assert.ok(continuity([]) > 0.95);
  assert.ok(continuity([`viewers.downBitsPerSecond=[${bitsPerSecond / 2},${bitsPerSecond / 2}]`]) < 0.7);
  assert.ok(continuity(['viewers.weakRatio=1', `viewers.weakUpBitsPerSecond=[${bitsPerSecond / 4},${bitsPerSecond / 4}]`]) < 0.9);
});

test.run();
