/** Laws of feeding: whoever joins, dies or stands still, in the end nobody is fed what it feeds, and everybody gets everything. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SUBSTREAMS } from '../../src/relay/exchange/substreams.js';
import type { LiveWorld } from '../../src/sim/live-world.js';
import type { SimPeer } from '../../src/sim/sim-peer.js';
import { Feeders } from '../support/feeders.js';
import { assertLaw } from '../support/law.js';
import { LiveInvariants } from '../support/live-invariants.js';
import { LIVE_PARAMETERS } from '../support/live-parameters.js';
import { makeWorld, missingWindows } from '../support/live-world-fixture.js';

const PARAMETERS = { ...LIVE_PARAMETERS, pieceBytes: 2_048 };
const BYTES_PER_SECOND = 20_000;
const PEERS_MAX = 9;
/** A swarm begins to feed once it has played for a while. */
const BEGINNING_MS = 6_000;
/** From when all is well again until all windows must come. */
const CALMING_MS = 15_000;
const CALM_MS = 6_000;

type Fate =
  | { readonly kind: 'join'; readonly neighbours: number; readonly withPublisher: boolean }
  | { readonly kind: 'kill' | 'freeze' | 'thaw'; readonly who: number };

const who = fc.nat({ max: PEERS_MAX });
const fate: fc.Arbitrary<Fate> = fc.oneof(
  fc.record({ kind: fc.constant('join' as const), neighbours: fc.integer({ min: 1, max: 5 }), withPublisher: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('kill' as const, 'freeze' as const, 'thaw' as const), who }),
);
const life = fc.record({
  seed: fc.nat(),
  viewers: fc.integer({ min: 2, max: 6 }),
  /** 0: no limit. */
  publisherCopies: fc.constantFrom(0, 2, 4),
  fates: fc.array(fc.tuple(fc.integer({ min: 0, max: 4_000 }), fate), { maxLength: 8 }),
});
type Life = typeof life extends fc.Arbitrary<infer Value> ? Value : never;

function begin({ seed, viewers, publisherCopies }: Life, feeders: Feeders): LiveWorld {
  const limits = { parameters: PARAMETERS, publisherUpBytesPerSecond: publisherCopies * BYTES_PER_SECOND, viewerUpBytesPerSecond: 0 };
  const { onStep } = new LiveInvariants(limits);
  const world = makeWorld({
    seed,
    bytesPerSecond: BYTES_PER_SECOND,
    ...limits,
    onStep: (step) => {
      onStep(step);
      feeders.onStep(step);
    },
  });
  for (let index = 0; index < viewers; index++) world.join(`viewer ${index}`);
  world.run(BEGINNING_MS);
  return world;
}

function suffer(world: LiveWorld, { fates }: Life): void {
  for (const [index, [afterMs, fate]] of fates.entries()) {
    world.run(afterMs);
    if (fate.kind === 'join') {
      if (world.peers.length < PEERS_MAX) world.join(`joiner ${index}`, fate);
      continue;
    }
    const peer = world.peers[fate.who % Math.max(1, world.peers.length)];
    if (!peer) continue;
    if (fate.kind === 'kill') world.kill(peer);
    else peer.host.frozen = fate.kind === 'freeze';
  }
}

/** Everybody is awake, and has neighbours as a tracker would bring them. Returns when all windows must come again. */
function calm(world: LiveWorld): number {
  for (const peer of world.peers) peer.host.frozen = false;
  world.run(1_000);
  const isLinked = (peer: SimPeer, name: string): boolean => peer.engine.connections.some(({ peerId }) => peerId === name);
  for (const [index, peer] of world.peers.entries()) {
    const before = world.peers[index - 1];
    if (before && !isLinked(peer, before.name)) world.connect(peer, before);
    if (!isLinked(peer, 'publisher')) world.connect(peer, world.publisher);
  }
  world.run(CALMING_MS);
  const fromMs = world.clock.nowMs();
  world.run(CALM_MS);
  return fromMs;
}

test('whatever happens, nobody is fed in the end what it feeds, everybody gets every window again, and the invariants hold', () => {
  let fedCount = 0;
  assertLaw(
    fc.property(life, (fateful) => {
      const feeders = new Feeders();
      const world = begin(fateful, feeders);
      suffer(world, fateful);
      const fromMs = calm(world);
      const alive = [world.publisher, ...world.peers];
      assert.equal(feeders.cycles(alive), []);
      for (const peer of world.peers) {
        assert.equal(missingWindows(world, peer, fromMs), [], `windows that ${peer.name} lacks`);
        assert.equal(peer.bans, []);
      }
      for (let substream = 0; substream < SUBSTREAMS; substream++)
        for (const from of feeders.edges(alive, substream).values()) {
          assert.ok(from.length <= 1, `substream ${substream} from ${from.join(' and ')}`);
          fedCount += from.length;
        }
    }),
    { numRuns: 20 },
  );
  assert.ok(fedCount > 20, `${fedCount} substreams fed: hardly anything has been seen`);
});

test.run();
