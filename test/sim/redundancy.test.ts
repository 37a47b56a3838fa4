/** Several publishers of one source in simulated swarms: what a lost one costs, what a second one costs, and what becomes of two that differ. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createSigner } from '../../src/io/crypto.js';
import { signCertificate } from '../../src/relay/exchange/certificate.js';
import type { WindowContent } from '../../src/relay/exchange/manifest.js';
import { type Fellow, type LiveWorld, WORLD_START_MS } from '../../src/sim/live-world.js';
import type { SimPeer } from '../../src/sim/sim-peer.js';
import { LIVE_PARAMETERS } from '../support/live-parameters.js';
import { BYTES_PER_SECOND, CHANNEL, makeWorld, missingWindows, OWNER } from '../support/live-world-fixture.js';

const WINDOW_MS = 500;
const SECOND = createSigner(new Uint8Array(32).fill(9));

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

test('of two that differ each viewer follows one, without a bad piece or a ban, and reports both', () => {
  for (let seed = 1; seed <= 6; seed++) {
    const world = makeWorld({ seed });
    world.addFellow('other', { behindMs: 40, alter: differing });
    for (let index = 0; index < 6; index++) world.join(`viewer ${index}`);
    world.run(30_000);
    for (const peer of world.peers) {
      const told = `seed ${seed}: ${peer.name}`;
      const sources = peer.deliveries.map(({ source }) => source);
      const changes = sources.filter((source, index) => index > 0 && source !== sources[index - 1]).length;
      assert.is(changes, 0, `${told} changed over ${changes} times`);
      assert.ok(
        peer.deliveries.every(({ intact }) => intact),
        told,
      );
      assert.equal([peer.bans, peer.figures().badPieces], [[], 0], told);
      assert.ok(peer.conflicts.length > 0, `${told} has not noticed`);
      assert.ok(longestGapMs(peer, 8_000) <= 2_500, `${told} waited ${longestGapMs(peer, 8_000)} ms`);
    }
  }
});

test('when the one that is followed dies, its viewers go over to the other, with a break', () => {
  const world = makeWorld({ seed: 3 });
  const other: Fellow = world.addFellow('other', { behindMs: 40, alter: differing });
  for (let index = 0; index < 4; index++) world.join(`viewer ${index}`);
  world.run(15_000);
  const followers = world.peers.filter(({ deliveries }) => deliveries.at(-1)?.source === 'other');
  world.killFellow(other);
  world.run(10_000);
  for (const peer of world.peers) {
    assert.is(peer.deliveries.at(-1)?.source, 'publisher');
    const crossing = peer.deliveries.find(({ source }, index) => index > 0 && source !== peer.deliveries[index - 1]?.source);
    assert.is(crossing?.discontinuity ?? false, followers.includes(peer), peer.name);
    assert.ok(longestGapMs(peer, 8_000) < 3_000, `${longestGapMs(peer, 8_000)} ms`);
  }
});

test('publishers with keys of their own make one swarm', () => {
  const world = makeWorld({ seed: 4 });
  const certificate = signCertificate(
    { key: SECOND.publicKey, fromMs: WORLD_START_MS - 1, untilMs: WORLD_START_MS + 3_600_000 },
    CHANNEL,
    OWNER,
  );
  world.addFellow('second', { behindMs: 20, identity: { signer: SECOND, certificate } });
  for (let index = 0; index < 4; index++) world.join(`viewer ${index}`);
  world.run(5 * WINDOW_MS + 10_000);
  for (const peer of world.peers) assert.equal(missingWindows(world, peer, 5_000), []);
});

test.run();
