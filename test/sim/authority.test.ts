/** Swarms whose publishers come and go: what is signed without authority is played by nobody, its sender is banned, and nobody else. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sameBytes } from '../../src/kernel/bytes.js';
import { signRevocationList } from '../../src/relay/exchange/revocation-list.js';
import { type LiveWorld, type PublisherIdentity, type Tamper, WORLD_START_MS } from '../../src/sim/live-world.js';
import { type HabitName, identityOf, signsAs, tamperOf } from '../../src/sim/misbehaviour.js';
import type { SimPeer } from '../../src/sim/sim-peer.js';
import { PUBLISHER, STRANGER } from '../support/exchange-fixture.js';
import { LiveInvariants } from '../support/live-invariants.js';
import { LIVE_PARAMETERS } from '../support/live-parameters.js';
import { CHANNEL, FORGERY, makeWorld, missingWindows, OWNER, SLOW_BYTES_PER_SECOND } from '../support/live-world-fixture.js';

const HOUR_MS = 3_600_000;
/** The publisher of every world here has delegated authority, not the owner's own key. */
const FIRST = identityOf(CHANNEL, PUBLISHER, OWNER);
const SECOND = identityOf(CHANNEL, STRANGER, OWNER);
const revocation = (identity: PublisherIdentity, atMs = WORLD_START_MS) =>
  signRevocationList(atMs, [{ key: identity.signer.publicKey, sinceMs: atMs }], CHANNEL, OWNER).bytes;

/** Whoever is asked for nothing sends nothing bad: where all is fed, liars are often left alone instead of found out. */
const PULLED = { ...LIVE_PARAMETERS, pushRatio: 0 };

function begin(seed: number, viewers: number, { check = true, parameters = LIVE_PARAMETERS } = {}): LiveWorld {
  const limits = { publisherUpBytesPerSecond: SLOW_BYTES_PER_SECOND * 2.2, viewerUpBytesPerSecond: 0 };
  const { onStep } = new LiveInvariants({ parameters, ...limits });
  const world = makeWorld({ seed, publisher: FIRST, parameters, ...limits, ...(check ? { onStep } : {}) });
  for (let index = 0; index < viewers; index++) world.join(`viewer ${index}`, { neighbours: 5 });
  return world;
}

const viewersOf = (world: LiveWorld): readonly SimPeer[] => world.peers.filter(({ name }) => name.startsWith('viewer'));
const bansOf = (world: LiveWorld): readonly string[] =>
  [...viewersOf(world), world.publisher].flatMap(({ bans }) => bans.map(({ name }) => name));

function assertUnharmed(world: LiveWorld, fromMs: number, what: string): void {
  for (const peer of viewersOf(world)) {
    assert.ok(
      peer.deliveries.every(({ intact }) => intact),
      `${what}: ${peer.name} was given bad bytes`,
    );
    assert.equal(missingWindows(world, peer, fromMs), [], `${what}: ${peer.name} lacks windows`);
  }
}

const LIES: readonly (readonly [title: string, tamper: () => Tamper])[] = [
  ...(['delegates itself', 'signs with an expired key', 'replays an old manifest', 'replays an old window', 'flips a byte'] as const).map(
    (habit: HabitName) => [habit, () => tamperOf(habit, FORGERY)] as const,
  ),
  ['signs with a withdrawn key', () => signsAs(CHANNEL, SECOND)],
];

for (const [title, tamper] of LIES) {
  test(`in a channel with a delegated publisher, whoever does this is banned and harms nobody: ${title}`, () => {
    for (const parameters of [PULLED, LIVE_PARAMETERS]) {
      const world = begin(31, 8, { parameters });
      world.publisher.engine.command({ kind: 'revoke', bytes: revocation(SECOND) });
      for (let index = 0; index < 2; index++) world.join(`liar ${index}`, { tamper: tamper() });
      world.run(30_000);
      assertUnharmed(world, 8_000, title);
      const bans = bansOf(world);
      if (parameters === PULLED) assert.ok(bans.length >= 8, `only ${bans.length} bans`);
      assert.ok(
        bans.every((name) => name.startsWith('liar')),
        `banned: ${bans}`,
      );
    }
  });
}

test('whoever offers windows without authority is let go after the second, and no more of them is looked at', () => {
  const foreign = signsAs(CHANNEL, identityOf(CHANNEL, STRANGER, STRANGER));
  const sent = new Map<string, number>();
  const world = begin(32, 5, { parameters: PULLED });
  world.join('liar', {
    tamper: (message, to, nowMs) => {
      if (message.kind === 'manifest') sent.set(to, (sent.get(to) ?? 0) + 1);
      return foreign(message, to, nowMs);
    },
  });
  world.run(12_000);
  assertUnharmed(world, 6_000, 'foreign');
  assert.equal([...new Set(bansOf(world))], ['liar']);
  // A few are on their way when the second is refused.
  for (const [to, count] of sent) assert.ok(count <= 8, `${count} foreign manifests went to ${to}`);
});

/** Two publishers of one source, 20 viewers; the second is withdrawn in the middle, honest or deaf to it. */
function withdrawInTheMiddle(seed: number, deaf: boolean, viewers = 20): LiveWorld {
  const world = begin(seed, viewers, { check: false });
  world.join('second', { publishes: SECOND, ...(deaf ? { deafTo: 'revocations' as const } : {}) });
  world.run(4_000);
  const bytes = revocation(SECOND, world.wallClockMs);
  world.publisher.engine.command({ kind: 'revoke', bytes });
  world.run(6_000);
  return world;
}

test('when a publisher is withdrawn in the middle, nobody honest is banned and nobody stalls for long, whatever the seed', () => {
  let playedOfSecond = 0;
  for (let seed = 1; seed <= 50; seed++) {
    const world = withdrawInTheMiddle(seed, false);
    assert.equal(bansOf(world), [], `seed ${seed}`);
    assert.equal(world.peers.find(({ name }) => name === 'second')?.bans, [], `seed ${seed}`);
    assertUnharmed(world, 2_000, `seed ${seed}`);
    const deliveries = viewersOf(world).flatMap((peer) => peer.deliveries);
    const ofSecond = deliveries.filter(({ signer }) => signer && sameBytes(signer, SECOND.signer.publicKey));
    playedOfSecond += ofSecond.length;
    // The list takes a few hops; nothing of the withdrawn one is played after it.
    assert.ok(
      ofSecond.every(({ atMs }) => atMs < 4_000 + 500),
      `seed ${seed}: played after its signer was withdrawn`,
    );
    for (const peer of viewersOf(world)) assert.is(peer.skipped, 0, `seed ${seed}: ${peer.name}`);
  }
  assert.ok(playedOfSecond > 1_000, `only ${playedOfSecond} windows of the second publisher were played at all`);
});

test('a withdrawn publisher that goes on all the same is banned, and it alone', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const world = withdrawInTheMiddle(seed, true);
    const bans = new Set(bansOf(world));
    assert.equal([...bans], ['second'], `seed ${seed}`);
    assertUnharmed(world, 2_000, `seed ${seed}`);
  }
});

test('a swarm whose only publisher is withdrawn falls silent, and goes on when it is delegated anew', () => {
  const world = begin(41, 8);
  world.run(6_000);
  const sinceMs = world.wallClockMs;
  world.publisher.engine.command({ kind: 'revoke', bytes: revocation(FIRST, sinceMs) });
  world.run(4_000);
  const silentFrom = world.clock.nowMs() - 3_000;
  for (const peer of viewersOf(world)) assert.ok(peer.deliveries.every(({ atMs }) => atMs < silentFrom));
  const fresh = identityOf(CHANNEL, PUBLISHER, OWNER, WORLD_START_MS + 48 * HOUR_MS, sinceMs);
  world.publisher.engine.command({ kind: 'authorise', certificate: fresh.certificate });
  world.run(8_000);
  assertUnharmed(world, 13_000, 'again');
  assert.equal(bansOf(world), []);
});

test('a publisher whose certificate ends goes on with a renewed one without a gap', () => {
  const endMs = WORLD_START_MS + 8_000;
  const ending = identityOf(CHANNEL, PUBLISHER, OWNER, endMs);
  const world = makeWorld({ seed: 42, publisher: ending });
  for (let index = 0; index < 6; index++) world.join(`viewer ${index}`);
  world.run(6_000);
  world.publisher.engine.command({ kind: 'authorise', certificate: FIRST.certificate });
  world.run(8_000);
  assertUnharmed(world, 3_000, 'renewed');
  assert.equal(bansOf(world), []);
});

test('when a certificate ends unrenewed nobody takes its windows any more, and a relay whose clock is minutes behind is not banned', () => {
  const world = makeWorld({ seed: 43, publisher: identityOf(CHANNEL, PUBLISHER, OWNER, WORLD_START_MS + 6_000) });
  for (let index = 0; index < 5; index++) world.join(`viewer ${index}`);
  world.join('viewer behind', { wallClockAheadMs: -4 * 60_000 });
  world.run(12_000);
  for (const peer of viewersOf(world).filter(({ name }) => name !== 'viewer behind')) {
    assert.ok(
      peer.deliveries.every(({ atMs }) => atMs < 6_000),
      `${peer.name} plays what has expired`,
    );
  }
  assert.equal(bansOf(world), []);
});

test.run();
