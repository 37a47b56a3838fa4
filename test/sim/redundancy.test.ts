/** Several publishers of one source in simulated swarms: what a lost one costs, what a second one costs, and what becomes of two that differ. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createSigner } from '../../src/io/crypto.js';
import type { Signer } from '../../src/kernel/ports.js';
import { signCertificate } from '../../src/relay/exchange/certificate.js';
import type { WindowContent } from '../../src/relay/exchange/manifest.js';
import { type Fellow, type LiveWorld, type PublisherIdentity, WORLD_START_MS } from '../../src/sim/live-world.js';
import type { SimPeer } from '../../src/sim/sim-peer.js';
import { LIVE_PARAMETERS } from '../support/live-parameters.js';
import { BYTES_PER_SECOND, CHANNEL, makeWorld, missingWindows, OWNER } from '../support/live-world-fixture.js';

const WINDOW_MS = 500;

/** Publishers with keys of their own, which the owner has delegated: one above the owner's key, one below it. */
const [IDENTITY, LOWER] = [false, true].map((isLower) => {
  const seeds = Array.from({ length: 32 }, (_, index) => createSigner(new Uint8Array(32).fill(index + 9)));
  const signer = seeds.find(({ publicKey }) => Buffer.compare(publicKey, OWNER.publicKey) < 0 === isLower) as Signer;
  const certificate = signCertificate(
    { key: signer.publicKey, fromMs: WORLD_START_MS - 1, untilMs: WORLD_START_MS + 3_600_000 },
    CHANNEL,
    OWNER,
  );
  return { signer, certificate };
}) as [PublisherIdentity, PublisherIdentity];
/** The lower key. */
const FOLLOWED = 'publisher';

/** The longest time between two deliveries, from a moment on. */
function longestGapMs(peer: SimPeer, fromMs: number): number {
  const times = peer.deliveries.map(({ atMs }) => atMs).filter((atMs) => atMs >= fromMs);
  return Math.max(...times.slice(1).map((atMs, index) => atMs - (times[index] ?? atMs)));
}

function mediaBytes(world: LiveWorld, fromMs = 0): number {
  return [...world.cut.values()].filter(({ atMs }) => atMs >= fromMs).reduce((sum, { content }) => sum + content.bytes.length, 0);
}

function publishers(world: LiveWorld): readonly SimPeer[] {
  return [world.publisher, ...world.fellows.map(({ peer }) => peer)];
}

function differing(content: WindowContent): WindowContent {
  return { ...content, bytes: content.bytes.map((byte) => byte ^ 0x55) };
}

test('a publisher that is frozen or dies costs viewers no window, and less than a second', () => {
  for (let seed = 1; seed <= 12; seed++) {
    const world = makeWorld({ seed, bytesPerSecond: BYTES_PER_SECOND, publisherUpBytesPerSecond: BYTES_PER_SECOND * 2.2 });
    const fellow = world.addFellow('second', { behindMs: seed * 20 });
    const viewers = 1 + (seed % 6);
    for (let index = 0; index < viewers; index++) world.join(`viewer ${index}`);
    world.run(8_000);
    const victim = seed % 2 === 0 ? world.publisher : fellow.peer;
    for (let time = 0; time < 4; time++) {
      world.run(137 * seed);
      victim.host.frozen = true;
      world.run(4_000);
      victim.host.frozen = false;
      world.run(4_000);
    }
    if (victim === fellow.peer) world.killFellow(fellow);
    world.run(4_000);
    for (const peer of world.peers) {
      assert.equal(missingWindows(world, peer, 5_000), [], `seed ${seed}: ${peer.name}`);
      assert.is(peer.skipped, 0);
      assert.is(peer.deliveries.filter(({ discontinuity }, index) => discontinuity && index > 0).length, 0, `seed ${seed}: a break`);
      const gapMs = longestGapMs(peer, 6_000);
      assert.ok(gapMs <= 1_000, `seed ${seed}: ${peer.name} waited ${gapMs} ms`);
    }
  }
});

test('a second publisher adds no traffic of viewers, and a few percent of upload', () => {
  const measure = (fellows: number): { copies: number; viewerBytes: number } => {
    const world = makeWorld({ seed: 5, bytesPerSecond: BYTES_PER_SECOND, publisherUpBytesPerSecond: BYTES_PER_SECOND * 2.2 });
    for (let index = 0; index < fellows; index++) world.addFellow(`fellow ${index}`, { behindMs: 30 * (index + 1) });
    for (let index = 0; index < 8; index++) world.join(`viewer ${index}`);
    world.run(30_000);
    const up = publishers(world).reduce((sum, { up }) => sum + up.payloadBytes, 0);
    return { copies: up / mediaBytes(world), viewerBytes: world.peers.reduce((sum, { down }) => sum + down.payloadBytes, 0) };
  };
  const [one, two, four] = [measure(0), measure(1), measure(3)];
  assert.ok(two.copies <= one.copies * 1.05, `${two.copies} copies with two, ${one.copies} with one`);
  assert.ok(four.copies <= one.copies * 1.1, `${four.copies} copies with four, ${one.copies} with one`);
  assert.ok(two.viewerBytes <= one.viewerBytes * 1.01, `${two.viewerBytes} to viewers with two, ${one.viewerBytes} with one`);
});

test('nor does it with long windows', () => {
  const measure = (fellows: number): number => {
    const parameters = { ...LIVE_PARAMETERS, windowMs: 2_000 };
    const world = makeWorld({ seed: 5, bytesPerSecond: BYTES_PER_SECOND, publisherUpBytesPerSecond: BYTES_PER_SECOND * 3, parameters });
    for (let index = 0; index < fellows; index++) world.addFellow(`fellow ${index}`, { behindMs: 30 });
    for (let index = 0; index < 8; index++) world.join(`viewer ${index}`);
    world.run(40_000);
    return publishers(world).reduce((sum, { up }) => sum + up.payloadBytes, 0) / mediaBytes(world);
  };
  const [one, two] = [measure(0), measure(1)];
  assert.ok(two <= one * 1.1, `${two} copies with two, ${one} copies with one`);
});

test('both publishers of a pair carry their part', () => {
  const world = makeWorld({ seed: 6, bytesPerSecond: BYTES_PER_SECOND, publisherUpBytesPerSecond: BYTES_PER_SECOND * 2.2 });
  world.addFellow('second', { behindMs: 20 });
  for (let index = 0; index < 8; index++) world.join(`viewer ${index}`);
  world.run(30_000);
  const [first = 0, second = 0] = publishers(world).map(({ up }) => up.payloadBytes);
  assert.ok(Math.min(first, second) > 0.3 * (first + second), `${first} and ${second} bytes`);
});

/** Viewers that begin together settle on one publisher within this. */
const SETTLED_MS = 5_000;

function changesOver(peer: SimPeer, fromMs: number): number {
  const sources = peer.deliveries.filter(({ atMs }) => atMs >= fromMs).map(({ source }) => source);
  return sources.filter((source, index) => index > 0 && source !== sources[index - 1]).length;
}

test('of two that differ all who begin together soon follow the same one, without a bad piece or a ban, and report both', () => {
  for (let seed = 1; seed <= 24; seed++) {
    const world = makeWorld({ seed });
    world.addFellow('other', { behindMs: 40, alter: differing, identity: IDENTITY });
    for (let index = 0; index < 6; index++) world.join(`viewer ${index}`);
    world.run(30_000);
    for (const peer of world.peers) {
      const told = `seed ${seed}: ${peer.name}`;
      assert.is(changesOver(peer, SETTLED_MS), 0, `${told} changed over`);
      assert.is(peer.deliveries.at(-1)?.source, FOLLOWED, told);
      assert.ok(
        peer.deliveries.every(({ intact }) => intact),
        told,
      );
      assert.equal([peer.bans, peer.figures().badPieces], [[], 0], told);
      assert.ok(peer.conflicts.length > 0, `${told} has not noticed`);
      assert.ok(longestGapMs(peer, 8_000) <= 1_500, `${told} waited ${longestGapMs(peer, 8_000)} ms`);
    }
  }
});

test('who has watched for a while stays with its publisher, whoever else comes', () => {
  for (let seed = 1; seed <= 6; seed++) {
    const world = makeWorld({ seed });
    for (let index = 0; index < 5; index++) world.join(`viewer ${index}`);
    world.run(15_000);
    world.addFellow('late', { behindMs: 0, alter: differing, identity: LOWER });
    world.run(15_000);
    for (const peer of world.peers) {
      assert.is(changesOver(peer, 0), 0, `seed ${seed}: ${peer.name} changed over`);
      assert.is(peer.deliveries.at(-1)?.source, 'publisher');
      assert.equal(peer.bans, []);
    }
  }
});

test('when the one that is followed dies, its viewers go over to the other, with a break', () => {
  for (let seed = 1; seed <= 6; seed++) {
    const world = makeWorld({ seed });
    const other: Fellow = world.addFellow('other', { behindMs: 40, alter: differing, identity: LOWER });
    for (let index = 0; index < 4; index++) world.join(`viewer ${index}`);
    world.run(15_000);
    for (const { deliveries } of world.peers) assert.is(deliveries.at(-1)?.source, 'other');
    world.killFellow(other);
    world.run(10_000);
    for (const peer of world.peers) {
      assert.is(peer.deliveries.at(-1)?.source, 'publisher');
      const crossing = peer.deliveries.find(({ source, atMs }, index) => atMs > 15_000 && source !== peer.deliveries[index - 1]?.source);
      assert.ok(crossing?.discontinuity, peer.name);
      assert.ok(longestGapMs(peer, 8_000) < 3_500, `${longestGapMs(peer, 8_000)} ms`);
    }
  }
});

test('publishers with keys of their own make one swarm', () => {
  const world = makeWorld({ seed: 4 });
  world.addFellow('second', { behindMs: 20, identity: IDENTITY });
  for (let index = 0; index < 4; index++) world.join(`viewer ${index}`);
  world.run(5 * WINDOW_MS + 10_000);
  for (const peer of world.peers) assert.equal(missingWindows(world, peer, 5_000), []);
});

test.run();
