/** Whole swarms and whom their viewers keep: counts are bounded, nobody is cut off, nothing churns for ever, and small swarms stay whole. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type LiveParameters, REVIEW_MS } from '../../src/relay/exchange/live-parameters.js';
import type { JoinOptions, LiveStep, LiveWorld } from '../../src/sim/live-world.js';
import { tamperOf } from '../../src/sim/misbehaviour.js';
import { PeerFinding } from '../../src/sim/peer-finding.js';
import type { SimPeer } from '../../src/sim/sim-peer.js';
import { LiveInvariants } from '../support/live-invariants.js';
import { LIVE_PARAMETERS } from '../support/live-parameters.js';
import { FORGERY, makeWorld, reached } from '../support/live-world-fixture.js';

const BYTES_PER_SECOND = 20_000;
const SMALL = { ...LIVE_PARAMETERS, pieceBytes: 2_048 };

/** A neighbour that a core let go for want of room or for a better one. */
interface LetGo {
  readonly who: string;
  readonly whom: string;
  readonly atMs: number;
  /** How long it had been a neighbour. */
  readonly ageMs: number;
}

interface Neighbourhood {
  readonly world: LiveWorld;
  readonly letGo: readonly LetGo[];
  join(name: string, options?: JoinOptions): SimPeer;
}

/** A world in which viewers find each other as they would outside; the bounds on counts hold after every step of every honest peer. */
function begin(seed: number, overrides: Partial<LiveParameters> = {}): Neighbourhood {
  const parameters = { ...SMALL, ...overrides };
  const letGo: LetGo[] = [];
  const sinceMs = new Map<string, number>();
  const finding = new PeerFinding(seed);
  const limits = { parameters, publisherUpBytesPerSecond: 4 * BYTES_PER_SECOND, viewerUpBytesPerSecond: 2 * BYTES_PER_SECOND };
  const invariants = new LiveInvariants(limits);
  const onStep = (step: LiveStep): void => {
    invariants.onStep(step);
    const { peer, input, nowMs } = step;
    if (input.kind === 'peer-up') sinceMs.set(`${peer.name} ${input.peer}`, nowMs);
    for (const effect of step.effects)
      if (effect.kind === 'disconnect' && effect.reason.kind === 'surplus') {
        const ageMs = nowMs - (sinceMs.get(`${peer.name} ${effect.peer}`) ?? nowMs);
        letGo.push({ who: peer.name, whom: effect.peer, atMs: nowMs, ageMs });
      }
  };
  const world = makeWorld({ seed, bytesPerSecond: BYTES_PER_SECOND, mends: true, ...limits, onStep, ...finding.hooks });
  finding.serve(world);
  return { world, letGo, join: (name, options) => world.join(name, options) };
}

function viewersOf(peer: SimPeer): readonly string[] {
  return peer.engine.connections.flatMap(({ peerId }) => (peerId === 'publisher' ? [] : [peerId]));
}

/** Nobody lets more than one of its settled neighbours go in half a minute. */
function assertNoChurn(letGo: readonly LetGo[]): void {
  const lastMs = new Map<string, number>();
  for (const { who, atMs, ageMs } of letGo) {
    if (who === 'publisher' || ageMs < REVIEW_MS) continue;
    assert.ok(atMs - (lastMs.get(who) ?? Number.NEGATIVE_INFINITY) >= REVIEW_MS, `${who} lets neighbours go too fast`);
    lastMs.set(who, atMs);
  }
}

function assertPlays(world: LiveWorld, peers: readonly SimPeer[] = world.peers): void {
  const head = [...world.cut.keys()].at(-1) ?? 0;
  const behind = peers.filter(({ honest, deliveries }) => honest && (deliveries.at(-1)?.number ?? 0) < head - 16);
  assert.equal(
    behind.map(({ name, deliveries }) => `${name} is at ${deliveries.at(-1)?.number} of ${head}`),
    [],
  );
}

test('200 viewers who all begin at a station with eight places end up in one swarm, each with enough neighbours and not too many', () => {
  const { world, letGo, join } = begin(1, { maxViewers: 8, maxNeighbours: 12, pieceBytes: 5_000 });
  for (let index = 0; index < 200; index++) {
    join(`viewer ${index}`, { neighbours: Math.min(2, index) });
    world.run(40);
  }
  world.run(12_000);
  assert.is(reached(world).size, 201, 'somebody is cut off');
  assert.ok(world.publisher.engine.connections.length <= 8);
  for (const peer of world.peers) {
    const count = viewersOf(peer).length;
    // Who has been in trouble may have four more for a while.
    const countMax = peer.figures().secondTimeouts > 0 ? 16 : 12;
    assert.ok(count >= 4 && count <= countMax, `${peer.name} has ${count}`);
  }
  assertPlays(world);
  assertNoChurn(letGo);
});

test('one, two and three viewers lose nobody in five minutes', () => {
  for (const count of [1, 2, 3]) {
    const { world, letGo, join } = begin(count);
    for (let index = 0; index < count; index++) join(`viewer ${index}`);
    world.run(300_000);
    assert.equal(letGo, []);
    for (const peer of world.peers) assert.is(peer.engine.connections.length, count, peer.name);
    assertPlays(world);
  }
});

test('a swarm behind one address is a swarm like any other', () => {
  const { world, letGo, join } = begin(4, { maxNeighbours: 5, targetNeighbours: 4, maxViewers: 6 });
  for (let index = 0; index < 12; index++) join(`viewer ${index}`, { neighbours: 3, addressBlock: '192.0.2.0/24' });
  world.run(70_000);
  assert.is(reached(world).size, 13);
  assertPlays(world);
  assertNoChurn(letGo);
});

test('a viewer whose neighbourhood is full of one block of addresses makes room for others', () => {
  const { world, join } = begin(5, { maxNeighbours: 6, targetNeighbours: 6 });
  const middle = join('middle');
  for (let index = 0; index < 6; index++) join(`crowd ${index}`, { neighbours: 0, addressBlock: '192.0.2.0/24' });
  for (const peer of world.peers) if (peer !== middle) world.connect(middle, peer);
  world.run(65_000);
  const stranger = join('stranger', { neighbours: 0, addressBlock: '198.51.100.0/24' });
  world.connect(stranger, middle);
  world.run(2_000);
  assert.ok(viewersOf(middle).includes('stranger'));
  assert.is(viewersOf(middle).length, 6);
});

test('who knows nobody but a full station gets a start and neighbours, one after the other and several at once', () => {
  const { world, join } = begin(6, { maxViewers: 4 });
  for (let index = 0; index < 8; index++) join(`viewer ${index}`);
  world.run(30_000);
  const late = ['a', 'b', 'c', 'd', 'e'].map((name) => join(name, { neighbours: 0 }));
  world.run(5_000);
  for (const peer of late) {
    const [first] = peer.deliveries;
    assert.ok(first && first.atMs - peer.joinedMs < 3_000, `${peer.name} starts after ${(first?.atMs ?? Number.NaN) - peer.joinedMs} ms`);
    assert.ok(viewersOf(peer).length >= 2, `${peer.name} has ${viewersOf(peer).length}`);
  }
  assert.ok(world.publisher.engine.connections.length <= 4);
});

test('those who take and pass nothing on lose their places at the station to those who do', () => {
  const { world, join } = begin(7, { maxViewers: 6 });
  for (let index = 0; index < 3; index++) join(`rider ${index}`, { tamper: tamperOf('takes and never tells', FORGERY) });
  for (let index = 0; index < 9; index++) {
    world.run(12_000);
    join(`viewer ${index}`);
  }
  world.run(30_000);
  assert.equal(
    viewersOf(world.publisher).filter((name) => name.startsWith('rider')),
    [],
  );
  assertPlays(world);
});

test('a swarm comes to rest: after a few minutes hardly any neighbour is let go for another', () => {
  const { world, letGo, join } = begin(8, { targetNeighbours: 5, maxNeighbours: 8 });
  for (let index = 0; index < 12; index++) join(`viewer ${index}`, { neighbours: 4 });
  world.run(240_000);
  assertNoChurn(letGo);
  assertPlays(world);
  const late = letGo.filter(({ who, atMs }) => who !== 'publisher' && atMs > 120_000);
  assert.ok(late.length <= 12, `${late.length} let go in two minutes, of 12 viewers`);
});

test.run();
