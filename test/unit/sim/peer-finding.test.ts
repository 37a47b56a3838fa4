/** How simulated viewers find each other: lonely ones ask a tracker, those turned away are told of others, and pairs rest. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { LiveWorld } from '../../../src/sim/live-world.js';
import { PeerFinding } from '../../../src/sim/peer-finding.js';
import type { SimPeer } from '../../../src/sim/sim-peer.js';
import { LIVE_PARAMETERS } from '../../support/live-parameters.js';
import { makeWorld } from '../../support/live-world-fixture.js';

function worldOf(parameters: Partial<typeof LIVE_PARAMETERS>, seed = 1): LiveWorld {
  const finding = new PeerFinding(seed);
  const world = makeWorld({ seed, parameters: { ...LIVE_PARAMETERS, ...parameters }, ...finding.hooks });
  finding.serve(world);
  return world;
}

function namesOf(peer: SimPeer): readonly string[] {
  return peer.engine.connections.map(({ peerId }) => peerId).sort();
}

test('a viewer that loses its neighbours is named others by the tracker, the publisher among them', () => {
  const world = worldOf({ targetNeighbours: 3 });
  const [a, b] = ['a', 'b', 'c'].map((name) => world.join(name, { neighbours: 0, withPublisher: false }));
  if (!a || !b) throw new Error('two viewers');
  world.connect(a, b);
  world.run(1_000);
  world.kill(b);
  world.run(1_900);
  assert.equal(namesOf(a), []);
  world.run(1_500);
  assert.equal(namesOf(a), ['c', 'publisher']);
});

test('a viewer that begins with too few is named others after a while, again and again', () => {
  const world = worldOf({ targetNeighbours: 3 });
  const first = world.join('first', { neighbours: 0 });
  world.run(40_000);
  assert.equal(namesOf(first), ['publisher']);
  world.join('second', { neighbours: 0, withPublisher: false });
  world.run(40_000);
  assert.equal(namesOf(first), ['publisher', 'second']);
});

test('who is turned away knows the neighbours of whoever had no room, and is not named it again for a while', () => {
  const world = worldOf({ targetNeighbours: 2, maxViewers: 2 });
  const first = ['a', 'b'].map((name) => world.join(name, { neighbours: 0 }));
  world.run(2_000);
  const late = world.join('late', { neighbours: 0 });
  world.run(1_000);
  assert.equal(namesOf(late), ['a', 'b']);
  for (const peer of first) world.kill(peer);
  world.run(20_000);
  assert.equal(namesOf(late), [], 'it rests');
  world.run(60_000);
  assert.equal(namesOf(late), ['publisher']);
});

test('a dial across a cut comes to nothing; somebody else is dialled, and the failed one again once the network is whole', () => {
  const world = worldOf({ targetNeighbours: 2 });
  const [a, b, c] = ['a', 'b', 'c'].map((name) => world.join(name, { neighbours: 0, withPublisher: false }));
  if (!a || !b || !c) throw new Error('three viewers');
  world.partition([b, c]);
  assert.not(world.connect(a, b));
  assert.equal([a, b].map(namesOf), [[], []]);
  world.run(60_000);
  assert.equal(namesOf(a), ['publisher'], 'of those that are named it reaches one');
  world.heal();
  world.run(12_000);
  assert.ok(namesOf(a).length >= 2, `it has ${namesOf(a)}`);
});

test('who is cut off from the publisher gets no answer of the tracker until the network is whole', () => {
  const world = worldOf({ targetNeighbours: 3 });
  const [a, b, c] = ['a', 'b', 'c'].map((name) => world.join(name, { neighbours: 0, withPublisher: false }));
  if (!a || !b || !c) throw new Error('three viewers');
  world.connect(a, b);
  world.partition([a, b, c]);
  world.run(1_000);
  world.kill(b);
  world.run(20_000);
  assert.equal(namesOf(a), [], 'c is on its side, but nobody tells it so');
  world.heal();
  world.run(20_000);
  assert.ok(namesOf(a).includes('c') && namesOf(a).includes('publisher'), `it has ${namesOf(a)}`);
});

test('the same seed names the same', () => {
  const tell = (seed: number): readonly (readonly string[])[] => {
    const world = worldOf({ targetNeighbours: 4, maxNeighbours: 4, maxViewers: 3 }, seed);
    for (let index = 0; index < 12; index++) world.join(`viewer ${index}`, { neighbours: 1 });
    world.run(20_000);
    return world.peers.map(namesOf);
  };
  assert.equal(tell(1), tell(1));
  assert.is.not(JSON.stringify(tell(1)), JSON.stringify(tell(2)));
});

test.run();
