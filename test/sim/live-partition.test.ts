/**
 * Law L8 of the algorithm sheet: a network that was cut in two and is whole again has one swarm within 60 s, in which everybody plays.
 *
 * Viewers find each other as they would outside; the other laws are checked after every step, before, during and after the cut.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { LiveWorld } from '../../src/sim/live-world.js';
import { PeerFinding } from '../../src/sim/peer-finding.js';
import type { SimPeer } from '../../src/sim/sim-peer.js';
import { LiveInvariants } from '../support/live-invariants.js';
import { LAG_WINDOWS_MAX, LIVE_PARAMETERS } from '../support/live-parameters.js';
import { LogHash, makeWorld, reached } from '../support/live-world-fixture.js';

const BYTES_PER_SECOND = 20_000;
const VIEWERS = 8;
const BEFORE_MS = 10_000;
/** Of the law. */
const ONE_SWARM_MS = 60_000;
const SETTLED_MS = 15_000;
/** One that all links survive, and one that none does: neighbours that say nothing are let go after `silentMs`. */
const SHORT_MS = 8_000;
const LONG_MS = LIVE_PARAMETERS.silentMs + 5_000;
const SEEDS = [1, 2, 3];

interface Cut {
  readonly world: LiveWorld;
  readonly away: readonly SimPeer[];
  readonly log: LogHash;
}

/** Half of the viewers have just been cut off from the publisher and all others. */
function cut(seed: number): Cut {
  const log = new LogHash();
  const finding = new PeerFinding(seed);
  const limits = {
    // Each half has as many as a viewer looks for: only because nothing comes does it look for others.
    parameters: { ...LIVE_PARAMETERS, pieceBytes: 2_048, targetNeighbours: 3, maxNeighbours: 5, maxViewers: 5 },
    publisherUpBytesPerSecond: 2.2 * BYTES_PER_SECOND,
    viewerUpBytesPerSecond: 1.2 * BYTES_PER_SECOND,
  };
  const { onStep } = new LiveInvariants(limits);
  const world = makeWorld({ seed, bytesPerSecond: BYTES_PER_SECOND, mends: true, ...limits, onStep, onLog: log.onLog, ...finding.hooks });
  finding.serve(world);
  for (let index = 0; index < VIEWERS; index++) world.join(`viewer ${index}`, { neighbours: 3 });
  world.run(BEFORE_MS);
  const away = world.peers.filter((_, index) => index % 2 === 0);
  world.partition(away);
  return { world, away, log };
}

/** Links over the cut, each counted at both its ends. */
function linksAcross({ world, away }: Cut): number {
  const isAway = (name: string): boolean => away.some((peer) => peer.name === name);
  const all = [world.publisher, ...world.peers];
  return all.flatMap(({ name, engine }) => engine.connections.filter(({ peerId }) => isAway(name) !== isAway(peerId))).length;
}

/** Everybody is at the live edge, and has been given all that the source made from then on until there. */
function assertPlays(world: LiveWorld, fromMs: number, seed: number): void {
  const head = [...world.cut.keys()].at(-1) ?? 0;
  for (const { name, deliveries } of world.peers) {
    const got = new Set(deliveries.map(({ number }) => number));
    const last = deliveries.at(-1)?.number ?? 0;
    assert.ok(last >= head - LAG_WINDOWS_MAX, `seed ${seed}: ${name} is at ${last} of ${head}`);
    const lacking = [...world.cut].flatMap(([number, { atMs }]) => (atMs >= fromMs && number <= last && !got.has(number) ? [number] : []));
    assert.equal(lacking, [], `seed ${seed}: ${name} lacks windows before ${last}`);
    assert.ok(deliveries.every(({ intact }) => intact));
  }
}

for (const [what, forMs] of [
  ['a short cut', SHORT_MS],
  ['a cut that outlasts every link', LONG_MS],
] as const)
  test(`L8: after ${what} there is one swarm again within 60 s, and everybody plays`, () => {
    for (const seed of SEEDS) {
      const swarm = cut(seed);
      const { world, away } = swarm;
      const atStart = linksAcross(swarm);
      world.run(forMs);
      const head = [...world.cut.keys()].at(-1) ?? 0;
      for (const { name, deliveries } of away) {
        const last = deliveries.at(-1)?.number ?? 0;
        assert.ok(last < head - 4, `seed ${seed}: the cut lets window ${last} of ${head} through to ${name}`);
      }
      const atEnd = linksAcross(swarm);
      assert.ok(atStart > 0 && (forMs === SHORT_MS || atEnd === 0), `seed ${seed}: ${atStart} ends of links, then ${atEnd}`);
      world.heal();
      world.run(ONE_SWARM_MS);
      assert.is(reached(world).size, VIEWERS + 1, `seed ${seed}: somebody is cut off still`);
      assert.ok(linksAcross(swarm) >= 4, `seed ${seed}: both halves hang by ${linksAcross(swarm)} ends of links`);
      assertPlays(world, world.clock.nowMs() - SETTLED_MS, seed);
    }
  });

test('a cut and what follows repeat to the letter (M5)', () => {
  const tell = (seed: number): string => {
    const { world, log } = cut(seed);
    world.run(SHORT_MS);
    world.heal();
    world.run(SHORT_MS);
    return log.digest();
  };
  assert.is(tell(1), tell(1));
  assert.is.not(tell(1), tell(2));
});

test.run();
