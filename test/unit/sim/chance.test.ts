/** Chance that is the same on every machine: draws, places on the map, and what links do to messages, against hashes kept here. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Rng } from '../../../src/kernel/rng.js';
import { draw, exponential, exponentialOf, logNormal, namedRng, naturalLog, normal, sample } from '../../../src/sim/chance.js';
import { EventLog } from '../../../src/sim/event-log.js';
import { Latencies } from '../../../src/sim/latencies.js';
import { Host, Network } from '../../../src/sim/network.js';
import { TOPOLOGIES, Topology } from '../../../src/sim/topology.js';
import { VirtualClock } from '../../../src/sim/virtual-clock.js';

const MODEL = { topology: 'tiny', latencyMs: [10, 80], jitterMs: 5, lossRatio: 0 } as const;

test('draws are the same to the last bit on every machine', () => {
  const log = new EventLog();
  const rng = namedRng(7, 'draws');
  for (let index = 0; index < 1_000; index++)
    log.line(index, [exponential(rng, 3), normal(rng), logNormal(rng, 100, 0.5), sample(rng, [1, 2, 3, 4, 5], 2).join()].join(' '));
  assert.is(log.digest(), 'c5d03ae0e09b4adb');
});

test('logarithm and exponential are right', () => {
  for (const x of [1e-12, 0.3, 1, 2, 10, 12_345.678]) {
    assert.ok(Math.abs(naturalLog(x) - Math.log(x)) < 1e-13 * Math.max(1, Math.abs(Math.log(x))), String(x));
    const back = exponentialOf(naturalLog(x));
    assert.ok(Math.abs(back - x) <= 1e-12 * x, `${back} for ${x}`);
  }
});

test('a map has as many nodes as its preset says, and ways that are the same in both directions', () => {
  assert.is(new Topology(TOPOLOGIES.paper5000, 1).nodeCount, 5_000);
  const latencies = new Latencies(MODEL, 3);
  for (let index = 0; index < 50; index++) {
    const there = latencies.between(`a${index}`, `b${index}`);
    assert.is(latencies.between(`b${index}`, `a${index}`), there);
    assert.ok(there > 2 && there < 500, String(there));
  }
});

test('links with loss, jitter and slow hosts give the same log on every machine', () => {
  const clock = new VirtualClock();
  const network = new Network(clock, { seed: 5, lossRatio: 0.05, jitterMs: 8 });
  const log = new EventLog();
  const hosts = ['a', 'b', 'c'].map((name) => new Host({ name, upBytesPerSecond: 20_000, downBytesPerSecond: 50_000 }));
  const latencies = new Latencies(MODEL, 5);
  for (const from of hosts)
    for (const to of hosts) {
      if (from === to) continue;
      const [one, other] = network.link(from, to, latencies.between(from.options.name, to.options.name));
      other.listen({ onMessage: (bytes) => log.mix(clock.nowMs(), bytes.length), onDrain: () => {}, onClose: () => {} });
      for (let size = 100; size < 3_000; size += 500) one.send(new Uint8Array(size));
    }
  clock.runUntil(60_000);
  assert.is(log.count, 36);
  assert.is(log.digest(), '41dc5c98c497b59b');
});

test('draws without a copy of the list are those of cutting one out of it each time', () => {
  for (const [size, count] of [
    [0, 3],
    [5, 2],
    [5, 9],
    [200, 40],
  ] as const) {
    const items = Array.from({ length: size }, (_, index) => index);
    const [one, other] = [new Rng(size + count), new Rng(size + count)];
    const rest = [...items];
    const cut: number[] = [];
    while (rest.length > 0 && cut.length < count) cut.push(...rest.splice(other.below(rest.length), 1));
    assert.equal(draw(one, items, count), cut);
    assert.is(one.uint32(), other.uint32());
  }
});

test.run();
