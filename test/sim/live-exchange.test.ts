/** Swarms of shipped live exchanges in virtual time: what viewers get, what it costs, and that it repeats. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { LiveWorld } from '../../src/sim/live-world.js';
import type { SimPeer } from '../../src/sim/sim-peer.js';
import { LiveInvariants } from '../support/live-invariants.js';
import { LIVE_PARAMETERS } from '../support/live-parameters.js';
import { BYTES_PER_SECOND, copiesSent, LogHash, makeWorld, missingWindows, SLOW_BYTES_PER_SECOND } from '../support/live-world-fixture.js';

function worldOf(viewers: number, seed: number, bytesPerSecond = SLOW_BYTES_PER_SECOND): { world: LiveWorld; log: LogHash } {
  const log = new LogHash();
  const publisherUpBytesPerSecond = bytesPerSecond * 2.2;
  const invariants = new LiveInvariants({ parameters: LIVE_PARAMETERS, publisherUpBytesPerSecond, viewerUpBytesPerSecond: 0 });
  const world = makeWorld({ seed, bytesPerSecond, publisherUpBytesPerSecond, onLog: log.onLog, onStep: invariants.onStep });
  for (let index = 0; index < viewers; index++) world.join(`viewer ${index}`);
  return { world, log };
}

/** A life with everything in it: late joiners, a death, a pulled cable, a pause. */
function eventful(seed: number): string {
  const { world, log } = worldOf(6, seed);
  world.run(6_000);
  world.join('late', { neighbours: 3 });
  world.run(2_000);
  world.kill(world.peers[1] as SimPeer);
  world.run(2_000);
  world.cutOff(world.peers[2] as SimPeer);
  world.setPublishing(false);
  world.run(3_000);
  world.setPublishing(true);
  world.run(5_000);
  return log.digest();
}

function continuesWhole(world: LiveWorld, fromMs: number, peers: readonly SimPeer[] = world.peers): void {
  for (const peer of peers) {
    assert.equal(missingWindows(world, peer, fromMs), [], `${peer.name} lacks windows`);
    assert.is(peer.skipped, 0, `${peer.name} has skipped`);
    assert.ok(peer.deliveries.every(({ intact }) => intact));
  }
}

test('the same seed gives the same event log, another seed another', () => {
  assert.is(eventful(1), eventful(1));
  assert.is.not(eventful(1), eventful(2));
});

test('eight viewers of a publisher with 2.2 times the bit rate get everything, without a stall, for less than 1.5 copies', () => {
  const { world } = worldOf(8, 7, BYTES_PER_SECOND);
  world.run(30_000);
  continuesWhole(world, 5_000);
  for (const peer of world.peers) assert.is(peer.figures().stalls, 0, peer.name);
  const delaysMs = world.peers.flatMap(({ deliveries }) => deliveries.slice(8).map(({ afterCutMs }) => afterCutMs)).sort((a, b) => a - b);
  assert.ok((delaysMs[Math.floor(delaysMs.length * 0.95)] ?? Number.POSITIVE_INFINITY) < 700, 'p95 behind the publisher');
  assert.ok(copiesSent(world) <= 1.5, `${copiesSent(world)} copies`);
});

test('one viewer alone with a publisher starts promptly and keeps up', () => {
  const { world } = worldOf(0, 3);
  world.run(10_000);
  const viewer = world.join('viewer');
  world.run(10_000);
  assert.ok((viewer.deliveries[0]?.atMs ?? Number.POSITIVE_INFINITY) - viewer.joinedMs < 800);
  continuesWhole(world, 10_500);
  assert.is(viewer.figures().stalls, 0);
});

test('a publisher that cannot serve all of those that have nobody else lets none of them wait for ever', () => {
  const { world } = worldOf(0, 12);
  for (let index = 0; index < 4; index++) world.join(`viewer ${index}`, { neighbours: 0 });
  world.run(60_000);
  for (const peer of world.peers) {
    const times = peer.deliveries.map(({ atMs }) => atMs);
    const gapMs = Math.max(...times.slice(1).map((atMs, index) => atMs - (times[index] ?? atMs)));
    assert.ok(times.length >= 25 && gapMs <= 10_000, `${peer.name}: ${times.length} windows, waited ${gapMs} ms`);
  }
});

test('a viewer that reaches nobody but the publisher, among others who reach each other, is as near the newest media as they are', () => {
  for (const seed of [1, 2, 3]) {
    const world = makeWorld({ seed, mends: false, publisherUpBytesPerSecond: SLOW_BYTES_PER_SECOND * 3 });
    for (let index = 0; index < 8; index++) world.join(`viewer ${index}`);
    const lonely = world.join('lonely', { neighbours: 0, withPublisher: true });
    world.run(30_000);
    const delaysMs = lonely.deliveries.slice(-10).map(({ afterCutMs }) => afterCutMs);
    assert.ok(delaysMs.length === 10 && Math.max(...delaysMs) < 1_500, `seed ${seed}: ${delaysMs.map(Math.round)}`);
    assert.ok(lonely.figures().stalls <= 1, 'it waits once, until the publisher has noticed');
    assert.ok(copiesSent(world) < 2.2, `seed ${seed}: ${copiesSent(world)} copies`);
  }
});

test('a late joiner starts within a second, near the newest media, and costs the publisher no copy', () => {
  const { world } = worldOf(8, 11);
  world.run(20_000);
  const before = world.publisher.up.payloadBytes;
  const late = world.join('late');
  world.run(10_000);
  assert.ok((late.deliveries[0]?.atMs ?? Number.POSITIVE_INFINITY) - late.joinedMs < 1_000);
  const head = [...world.cut.keys()].at(-1) ?? 0;
  assert.ok((late.deliveries[0]?.number ?? 0) >= head - 20 - 8, 'starts at old media');
  continuesWhole(world, 20_500);
  assert.ok(world.publisher.up.payloadBytes - before < 1.5 * 10 * SLOW_BYTES_PER_SECOND);
});

test('a viewer that is killed, and one whose cable is pulled, are not noticed by the others', () => {
  const { world } = worldOf(8, 5);
  world.run(10_000);
  world.kill(world.peers[0] as SimPeer);
  world.run(5_000);
  world.cutOff(world.peers[0] as SimPeer);
  world.run(20_000);
  continuesWhole(world, 5_000);
  for (const peer of world.peers) assert.is(peer.figures().neighbours, 6, `${peer.name} still counts the dead`);
});

test('a viewer that is stopped for ten seconds catches up without a skip, and blames nobody', () => {
  const { world } = worldOf(8, 6);
  world.run(10_000);
  const stopped = world.peers[3] as SimPeer;
  stopped.host.frozen = true;
  world.run(10_000);
  const timeouts = stopped.figures().firstTimeouts;
  stopped.host.frozen = false;
  world.run(10_000);
  continuesWhole(world, 5_000);
  assert.is(stopped.figures().neighbours, 8);
  assert.ok(stopped.figures().firstTimeouts - timeouts <= 2, 'what was on its way when it was stopped counts as late');
  assert.ok((stopped.deliveries.at(-1)?.afterCutMs ?? Number.POSITIVE_INFINITY) < 1_000, 'stays behind');
});

test('when the publisher pauses and returns, viewers go on where it goes on', () => {
  const { world } = worldOf(4, 8);
  world.run(8_000);
  world.setPublishing(false);
  world.run(15_000);
  world.setPublishing(true);
  world.run(10_000);
  continuesWhole(world, 3_000);
});

test('when the publisher restarts with numbers far higher, viewers follow and have missed nothing', () => {
  const { world } = worldOf(4, 9);
  // Not in the middle of a window: what has not left the publisher when it ends is lost.
  world.run(8_450);
  world.restartPublisher(100);
  world.run(10_000);
  continuesWhole(world, 3_000);
  for (const peer of world.peers) assert.ok((peer.deliveries.at(-1)?.number ?? 0) > 110);
});

test('a world of twenty viewers runs thirty times faster than time', () => {
  const startedMs = Date.now();
  const { world } = worldOf(0, 13, BYTES_PER_SECOND);
  for (let index = 0; index < 20; index++) world.join(`viewer ${index}`, { neighbours: 4 });
  world.run(20_000);
  continuesWhole(world, 8_000);
  // A third of what a quiet machine takes is left for a busy one.
  assert.ok(Date.now() - startedMs < 10_000, `${Date.now() - startedMs} ms`);
});

test.run();
