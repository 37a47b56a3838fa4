/** Swarms in which every fifth viewer lies: none of it is played, the liars are banned, and the others keep up. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Tamper } from '../../src/sim/live-world.js';
import { type HabitName, POLLUTERS, TIME_WASTERS, tamperOf } from '../../src/sim/misbehaviour.js';
import { LiveInvariants } from '../support/live-invariants.js';
import { LIVE_PARAMETERS } from '../support/live-parameters.js';
import { FORGERY, makeWorld, missingWindows, SLOW_BYTES_PER_SECOND } from '../support/live-world-fixture.js';

const WARM_UP_MS = 8_000;
/** Whoever is asked for nothing sends nothing bad: where all is fed, liars are often left alone instead of found out. */
const PULLED = { ...LIVE_PARAMETERS, pushRatio: 0 };

interface Outcome {
  readonly bans: readonly string[];
  readonly badPiecesMax: number;
  readonly stallsAfterWarmUp: number;
  readonly delayP95Ms: number;
}

/** Eight honest viewers and two with the habit, all linked to each other. */
function live(habit: HabitName, seed: number, { misbehave = true, parameters = PULLED } = {}): Outcome {
  const publisherUpBytesPerSecond = SLOW_BYTES_PER_SECOND * 2.2;
  const invariants = new LiveInvariants({ parameters, publisherUpBytesPerSecond, viewerUpBytesPerSecond: 0 });
  const world = makeWorld({ seed, publisherUpBytesPerSecond, parameters, onStep: invariants.onStep });
  for (let index = 0; index < 8; index++) world.join(`viewer ${index}`);
  for (let index = 0; index < 2; index++) world.join(`liar ${index}`, misbehave ? { tamper: tamperOf(habit, FORGERY) } : {});
  world.run(WARM_UP_MS);
  const honest = world.peers.filter(({ name }) => name.startsWith('viewer'));
  const stallsBefore = honest.reduce((sum, peer) => sum + peer.figures().stalls, 0);
  world.run(20_000);
  for (const peer of honest) {
    assert.equal(missingWindows(world, peer, WARM_UP_MS), [], `${habit}: ${peer.name} lacks windows`);
    assert.ok(
      peer.deliveries.every(({ intact }) => intact),
      `${habit}: ${peer.name} was given bad bytes`,
    );
  }
  const late = honest.flatMap(({ deliveries }) => deliveries.filter(({ atMs }) => atMs > WARM_UP_MS).map(({ afterCutMs }) => afterCutMs));
  const all = [...honest, world.publisher];
  return {
    bans: all.flatMap((peer) => peer.bans.map(({ name }) => name)),
    badPiecesMax: Math.max(...all.map((peer) => peer.figures().badPieces)),
    stallsAfterWarmUp: honest.reduce((sum, peer) => sum + peer.figures().stalls, 0) - stallsBefore,
    delayP95Ms: late.sort((a, b) => a - b)[Math.floor(late.length * 0.95)] ?? Number.POSITIVE_INFINITY,
  };
}

for (const habit of POLLUTERS) {
  test(`two of ten viewers that do this are banned and harm nobody: ${habit}`, () => {
    const { bans, badPiecesMax, stallsAfterWarmUp, delayP95Ms } = live(habit, 3);
    assert.ok(bans.length >= 8, `only ${bans.length} bans`);
    assert.ok(
      bans.every((name) => name.startsWith('liar')),
      `banned: ${bans}`,
    );
    assert.ok(badPiecesMax <= 2 * 2, `${badPiecesMax} bad pieces from two liars`);
    assert.ok(stallsAfterWarmUp <= 24, `${stallsAfterWarmUp} stalls`);
    assert.ok(delayP95Ms < 2_000, `p95 ${delayP95Ms} ms`);
  });
}

for (const habit of POLLUTERS) {
  test(`nor do they where what is new is sent unasked: ${habit}`, () => {
    const { bans, badPiecesMax, stallsAfterWarmUp, delayP95Ms } = live(habit, 3, { parameters: LIVE_PARAMETERS });
    assert.ok(
      bans.every((name) => name.startsWith('liar')),
      `banned: ${bans}`,
    );
    assert.ok(badPiecesMax <= 2 * 2, `${badPiecesMax} bad pieces from two liars`);
    assert.ok(stallsAfterWarmUp <= 24, `${stallsAfterWarmUp} stalls`);
    assert.ok(delayP95Ms < 2_000, `p95 ${delayP95Ms} ms`);
  });
}

for (const habit of TIME_WASTERS) {
  test(`two of ten viewers that do this starve nobody: ${habit}`, () => {
    // Where all is fed they are met for the first time after the warm-up: a piece that is dealt to both of them costs everybody three seconds, once.
    for (const [parameters, delayMaxMs] of [
      [PULLED, 2_000],
      [LIVE_PARAMETERS, 3_500],
    ] as const) {
      const { bans, stallsAfterWarmUp, delayP95Ms } = live(habit, 4, { parameters });
      assert.ok(
        bans.every((name) => name.startsWith('liar')),
        `banned: ${bans}`,
      );
      assert.ok(stallsAfterWarmUp <= 24, `${stallsAfterWarmUp} stalls`);
      assert.ok(delayP95Ms < delayMaxMs, `p95 ${delayP95Ms} ms`);
    }
  });
}

for (const habit of ['claims the far future', 'claims to hold everything'] as const) {
  test(`nor do they when they say so every second, from the first window on: ${habit}`, () => {
    for (const seed of [1, 2, 3]) {
      const { stallsAfterWarmUp, delayP95Ms } = live(habit, seed, { parameters: { ...LIVE_PARAMETERS, mapPeriodMs: 1_000 } });
      assert.ok(stallsAfterWarmUp <= 24, `${stallsAfterWarmUp} stalls`);
      assert.ok(delayP95Ms < 2_000, `p95 ${delayP95Ms} ms`);
    }
  });
}

test('half of all tell what they hold and refuse whatever they are asked for: where upload is scarce it is they who do without', () => {
  const stalls = { viewer: 0, liar: 0 };
  for (const seed of [1, 2, 3, 4]) {
    const viewerUpBytesPerSecond = SLOW_BYTES_PER_SECOND * 2;
    const world = makeWorld({ seed, viewerUpBytesPerSecond });
    for (let index = 0; index < 8; index++) world.join(`viewer ${index}`, { neighbours: 5 });
    for (let index = 0; index < 8; index++) world.join(`liar ${index}`, { neighbours: 5, tamper: tamperOf('always refuses', FORGERY) });
    world.run(WARM_UP_MS);
    const before = new Map(world.peers.map((peer) => [peer, peer.figures().stalls]));
    world.run(30_000);
    for (const peer of world.peers) stalls[peer.honest ? 'viewer' : 'liar'] += peer.figures().stalls - (before.get(peer) ?? 0);
  }
  assert.ok(stalls.viewer * 2 < stalls.liar, `${stalls.viewer} stalls of those who give, ${stalls.liar} of those who refuse`);
});

test('viewers with the same names and no bad habit are not banned', () => {
  assert.equal(live('flips a byte', 3, { misbehave: false }).bans, []);
});

test("a liar who is a late joiner's only other acquaintance cannot lead it astray", () => {
  const world = makeWorld({ seed: 21 });
  const liar = world.join('liar', { tamper: tamperOf('claims the far future', FORGERY) });
  world.run(10_000);
  const late = world.join('late', { neighbours: 1 });
  world.run(10_000);
  assert.is(liar.honest, false);
  assert.ok((late.deliveries[0]?.atMs ?? Number.POSITIVE_INFINITY) - late.joinedMs < 1_500);
  assert.equal(missingWindows(world, late, 11_000), []);
});

test('a late joiner that meets a liar first finds its way once it meets somebody else', () => {
  const world = makeWorld({ seed: 22 });
  const liar = world.join('liar', { tamper: tamperOf('claims the far future', FORGERY) });
  world.run(10_000);
  const late = world.join('late', { neighbours: 1, withPublisher: false });
  world.run(3_000);
  assert.is(liar.honest, false);
  assert.equal(late.deliveries, []);
  world.connect(late, world.publisher);
  world.run(7_000);
  assert.ok((late.deliveries[0]?.atMs ?? Number.POSITIVE_INFINITY) - late.joinedMs < 5_500, `starts after ${late.deliveries[0]?.atMs}`);
  assert.is(late.skipped, 0, 'counts what it never began as skipped');
});

/** Names another content for windows that are yet to come, sends rubbish for it, and shows no signature. */
function namesContents(): Tamper {
  const named = new Set<number>();
  let head = 0;
  return (message) => {
    if (message.kind === 'manifest') return [];
    if (message.kind === 'refuse' && named.has(message.window))
      return message.pieces.slice(0, 1).map((piece) => ({ kind: 'piece', window: message.window, piece, payload: new Uint8Array(500) }));
    if (message.kind !== 'map') return [message];
    head = Math.max(head, ...message.windows.map(({ number }) => number));
    const made = [1, 2, 3].map((ahead) => ({ number: head + ahead, pieceCount: 8, key: false, held: null, version: 1 }));
    for (const { number } of made) named.add(number);
    return [{ ...message, windows: [...message.windows.filter(({ number }) => !named.has(number)), ...made] }];
  };
}

test('those who are first to name contents that there are not cost viewers a moment, and no window', () => {
  for (const [liars, seed] of [[1, 3], [2, 8], ...Array.from({ length: 8 }, (_, index) => [3, index + 1] as const)] as const) {
    const world = makeWorld({ seed });
    const viewers = Array.from({ length: 4 }, (_, index) => world.join(`viewer ${index}`));
    world.run(8_000);
    for (let index = 0; index < liars; index++) world.join(`liar ${index}`, { tamper: namesContents() });
    world.run(30_000);
    for (const viewer of viewers) assert.equal(missingWindows(world, viewer, 4_000), [], `${liars} liars, seed ${seed}: ${viewer.name}`);
  }
});

test.run();
