/** How a seeder's limited upload is shared, in virtual time: twenty leechers, and three greedy peers of one address block that give nothing. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { jain } from '../../src/sim/statistics.js';
import { type NodeOptions, type TitleNode, TitleWorld } from '../support/title-world.js';

const LEECHERS = 20;
const SEED_BYTES_PER_SECOND = 1_048_576;
const LEECHER_BYTES_PER_SECOND = 65_536;
const WARM_UP_MS = 5_000;
const MEASURED_MS = 60_000;

interface Shares {
  readonly jain: number;
  readonly greedyRatio: number;
  readonly blockRatio: number;
  readonly uplinkRatio: number;
}

/** Gives nothing of what it gets, and says that it has nothing. */
const GREEDY: NodeOptions = {
  addressGroup: '203.0.113.0/24',
  tamper: (message) => (['piece', 'have', 'bitfield'].includes(message.kind) ? undefined : message),
};

function share(kin: boolean, isSwarm: boolean, seedBytesPerSecond = SEED_BYTES_PER_SECOND): Shares {
  const world = new TitleWorld({ pieceCount: 2_000, pieceLengthBytes: 262_144, latencyMs: 20 });
  const seed = world.join('seed', { holds: 'all', upBytesPerSecond: seedBytesPerSecond, kin });
  const leechers = Array.from({ length: LEECHERS }, (_, index) =>
    world.join(`leecher ${index}`, { kin, ...(isSwarm ? { upBytesPerSecond: LEECHER_BYTES_PER_SECOND } : {}) }),
  );
  const greedy = Array.from({ length: 3 }, (_, index) => world.join(`greedy ${index}`, { ...GREEDY, kin }));
  for (const node of [...leechers, ...greedy]) world.connect(node, seed);
  if (isSwarm) {
    for (const [index, leecher] of leechers.entries())
      for (const other of [...leechers.slice(index + 1), ...greedy]) world.connect(leecher, other);
  }
  world.run(WARM_UP_MS);
  const down = (nodes: readonly TitleNode[]): number[] => nodes.map(({ session }) => session.figures().downBytes);
  const before = [...down(leechers), ...down(greedy)];
  const given = seed.session.figures().upBytes;
  world.run(MEASURED_MS);
  const got = [...down(leechers), ...down(greedy)].map((bytes, index) => bytes - (before[index] ?? 0));
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [honest, taken] = [got.slice(0, LEECHERS), got.slice(LEECHERS)];
  for (const node of [seed, ...leechers, ...greedy]) node.engine.stop();
  return {
    jain: jain(honest) ?? 0,
    greedyRatio: mean(taken) / mean(honest),
    blockRatio: (3 * mean(taken)) / mean(honest),
    uplinkRatio: ((seed.session.figures().upBytes - given) * 1000) / MEASURED_MS / seedBytesPerSecond,
  };
}

test('of a seeder twenty of our kind get the same, and one block of addresses together what one gets', () => {
  const shares = share(true, false);
  assert.ok(shares.jain >= 0.99, String(shares.jain));
  assert.ok(shares.blockRatio <= 1.2, String(shares.blockRatio));
  assert.ok(shares.uplinkRatio >= 0.98 && shares.uplinkRatio <= 1.02, String(shares.uplinkRatio));
});

test('so do twenty ordinary clients, also when there are fewer places than clients', () => {
  for (const bytesPerSecond of [SEED_BYTES_PER_SECOND, SEED_BYTES_PER_SECOND / 4]) {
    const shares = share(false, false, bytesPerSecond);
    assert.ok(shares.jain >= 0.95, `${bytesPerSecond}: ${shares.jain}`);
    assert.ok(shares.blockRatio <= 1.2, `${bytesPerSecond}: ${shares.blockRatio}`);
    assert.ok(shares.uplinkRatio >= 0.98 && shares.uplinkRatio <= 1.02, String(shares.uplinkRatio));
  }
});

test('in a swarm whose members trade, whoever gives nothing gets less than whoever does', () => {
  const shares = share(true, true);
  assert.ok(shares.jain >= 0.95, String(shares.jain));
  assert.ok(shares.greedyRatio <= 1, String(shares.greedyRatio));
});

test.run();
