/** Laws of the choice of neighbours, whatever comes and goes: counts are bounded, few are let go, and never those that are needed. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PeerFinding } from '../../src/sim/peer-finding.js';
import { DrivenChoice } from '../support/driven-choice.js';
import { assertLaw } from '../support/law.js';
import { LiveInvariants } from '../support/live-invariants.js';
import { LAG_WINDOWS_MAX, LIVE_PARAMETERS } from '../support/live-parameters.js';
import { makeWorld } from '../support/live-world-fixture.js';

const LIMITS = { targetNeighbours: 4, maxNeighbours: 6, maxViewers: 6, reviewMs: 30_000 };
const MIN = 2;
const EXTRA = 4;
const PUBLISHERS_MAX = 3;
const PUBLISHER_PLACES = 16;
/** A place at a publisher that goes from newcomer to newcomer is kept so long. */
const STAY_MS = 10_000;
const GRACE_MS = 20_000;

type Step =
  | { readonly kind: 'viewer'; readonly block: number }
  | { readonly kind: 'publisher'; readonly onAir: boolean }
  | { readonly kind: 'leave' | 'give'; readonly who: number; readonly bytes: number }
  | { readonly kind: 'pass'; readonly who: number; readonly part: number }
  | { readonly kind: 'trouble'; readonly is: boolean }
  | { readonly kind: 'wait'; readonly ms: number };

const who = fc.nat({ max: 8 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('viewer' as const), block: fc.nat({ max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('publisher' as const), onAir: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('leave' as const), who, bytes: fc.constant(0) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('give' as const), who, bytes: fc.nat({ max: 1_000_000 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pass' as const), who, part: fc.double({ min: 0, max: 1, noNaN: true }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('trouble' as const), is: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 40_000 }) }) },
);

/** A choice, and what its neighbours are; checked from what it lets go alone. */
class Model {
  readonly driven: DrivenChoice;
  readonly #isPublisher: boolean;
  readonly #sinceMs = new Map<string, number>();
  readonly #publishers = new Set<string>();
  #replacedMs = Number.NEGATIVE_INFINITY;
  #isTroubled = false;
  /** In trouble there may be more; afterwards never more again than there are. */
  #bound = LIMITS.maxNeighbours;
  #count = 0;

  constructor(isPublisher: boolean) {
    this.#isPublisher = isPublisher;
    this.driven = new DrivenChoice(LIMITS, { isPublisher });
  }

  run(next: Step): void {
    const { context, gone } = this.driven;
    const [goneBefore, before] = [gone.length, context.neighbours.values().map(({ id }) => id)];
    const wantsBefore = this.driven.wants.length;
    const newcomer = this.#strike(next, before);
    const letGo = gone.slice(goneBefore);
    assert.ok(letGo.length <= 2, 'one for another and one publisher at most');
    for (const id of letGo) this.#checkLetGo(id, newcomer, newcomer === undefined ? before : [...before, newcomer]);
    const viewers = context.neighbours
      .values()
      .map(({ id }) => id)
      .filter((id) => !this.#publishers.has(id));
    if (this.#isTroubled) this.#bound = LIMITS.maxNeighbours + EXTRA;
    assert.ok(viewers.length <= this.#bound, `${viewers.length} viewers`);
    if (!this.#isTroubled) this.#bound = Math.max(LIMITS.maxNeighbours, viewers.length);
    // As many as usual, as many as in trouble, or one in the place of a poor one.
    const { targetNeighbours } = LIMITS;
    for (const want of this.driven.wants.slice(wantsBefore))
      assert.ok([targetNeighbours, targetNeighbours + EXTRA, before.length + 1].includes(want), `${want} are wanted, of ${before.length}`);
  }

  #strike(next: Step, ids: readonly string[]): string | undefined {
    const { driven } = this;
    const id = 'who' in next ? ids[next.who % Math.max(1, ids.length)] : undefined;
    if (next.kind === 'wait') driven.wait(next.ms);
    else if (next.kind === 'trouble') {
      this.#isTroubled = next.is;
      driven.trouble(next.is);
    } else if (next.kind === 'viewer' || next.kind === 'publisher') return this.#meet(next);
    else if (id === undefined) return undefined;
    else if (next.kind === 'leave') driven.lose(id);
    else if (next.kind === 'pass') driven.shares.passed.set(id, next.part);
    else {
      const neighbour = driven.context.neighbours.get(id);
      if (neighbour) neighbour.mediaDownBytes += next.bytes;
    }
    return undefined;
  }

  #meet(next: Step & { kind: 'viewer' | 'publisher' }): string {
    const id = `${next.kind} ${this.#count++}`;
    this.#sinceMs.set(id, this.driven.context.nowMs);
    if (next.kind === 'publisher') this.#publishers.add(id);
    const neighbour = this.driven.meet(id, next.kind === 'viewer' ? { block: `block ${next.block}` } : { publisher: true });
    if (next.kind === 'publisher') neighbour.onAir = next.onAir;
    return id;
  }

  #checkLetGo(id: string, newcomer: string | undefined, before: readonly string[]): void {
    const { nowMs } = this.driven.context;
    const ageMs = nowMs - (this.#sinceMs.get(id) ?? nowMs);
    const viewers = before.filter((other) => !this.#publishers.has(other));
    if (this.#publishers.has(id)) {
      if (id === newcomer) return assert.ok(before.length - viewers.length > PUBLISHER_PLACES);
      assert.not(this.#isPublisher, 'a publisher lets no other go');
      assert.not(this.#isTroubled);
      assert.ok(before.length - viewers.length > PUBLISHERS_MAX && viewers.length >= MIN, 'a publisher that is needed is let go');
      return;
    }
    assert.ok(id === newcomer || viewers.length > (newcomer ? LIMITS.maxViewers : MIN), 'nobody goes while there is room');
    if (id === newcomer) return;
    if (this.#isPublisher) {
      assert.ok(newcomer, 'a publisher lets nobody go for nobody');
      assert.ok(ageMs >= STAY_MS, `${id} had ${ageMs} ms`);
      return;
    }
    assert.not(this.#isTroubled, 'somebody is let go in trouble');
    assert.ok(ageMs >= GRACE_MS, `${id} had ${ageMs} ms`);
    assert.ok(before.length > LIMITS.targetNeighbours, 'one of few goes');
    assert.ok(nowMs - this.#replacedMs >= LIMITS.reviewMs, 'two in half a minute');
    this.#replacedMs = nowMs;
  }
}

test('of a viewer: counts are bounded, and whoever is let go is surplus, settled, no publisher that is needed, and one in half a minute', () => {
  assertLaw(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const model = new Model(false);
      for (const next of steps) model.run(next);
    }),
    { numRuns: 300 },
  );
});

test('of a publisher: it never has more viewers than places, keeps whoever it takes for a while, and other publishers always', () => {
  assertLaw(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const model = new Model(true);
      for (const next of steps) model.run(next);
    }),
    { numRuns: 200 },
  );
});

test('neighbours that stay as they are come to rest: nobody is let go any more, and nobody looked for, after a few minutes', () => {
  const worth = fc.array(fc.nat({ max: 100_000 }), { minLength: 1, maxLength: 10 });
  assertLaw(
    fc.property(worth, (given) => {
      const driven = new DrivenChoice(LIMITS);
      for (const index of given.keys()) driven.meet(`viewer ${index}`);
      const all = Object.fromEntries(given.map((bytes, index) => [`viewer ${index}`, bytes]));
      for (let count = 0; count < 10; count++) driven.review(all);
      const gone = driven.gone.length;
      for (let count = 0; count < 20; count++) driven.review(all);
      assert.is(driven.gone.length, gone);
    }),
    { numRuns: 100 },
  );
});

test('small swarms of any limits stay connected, play, and keep to the limits', () => {
  const life = fc.record({
    seed: fc.nat(),
    viewers: fc.integer({ min: 1, max: 10 }),
    targetNeighbours: fc.integer({ min: 2, max: 5 }),
    spare: fc.integer({ min: 1, max: 4 }),
    maxViewers: fc.integer({ min: 2, max: 8 }),
    firstNeighbours: fc.integer({ min: 0, max: 3 }),
  });
  assertLaw(
    fc.property(life, ({ seed, viewers, targetNeighbours, spare, maxViewers, firstNeighbours }) => {
      const parameters = { ...LIVE_PARAMETERS, pieceBytes: 2_048, targetNeighbours, maxNeighbours: targetNeighbours + spare, maxViewers };
      const limits = { parameters, publisherUpBytesPerSecond: 80_000, viewerUpBytesPerSecond: 60_000 };
      const finding = new PeerFinding(seed);
      const { onStep } = new LiveInvariants(limits);
      const world = makeWorld({ seed, bytesPerSecond: 20_000, ...limits, onStep, ...finding.hooks });
      finding.serve(world);
      for (let index = 0; index < viewers; index++) {
        world.join(`viewer ${index}`, { neighbours: firstNeighbours });
        world.run(500);
      }
      // The tracker is asked after half a minute by those who began with too few.
      world.run(50_000);
      const head = [...world.cut.keys()].at(-1) ?? 0;
      // One may have come this very moment, and has not been turned away yet.
      const atPublisher = (): number => world.publisher.engine.connections.length;
      if (atPublisher() > maxViewers) world.run(1_000);
      assert.ok(atPublisher() <= maxViewers, `the publisher has ${atPublisher()}`);
      for (const { name, engine, deliveries } of world.peers) {
        const extra = world.peers.some((peer) => peer.figures().secondTimeouts > 0) ? EXTRA : 0;
        assert.ok(engine.connections.length <= targetNeighbours + spare + 1 + extra, `${name} has ${engine.connections.length}`);
        // Two circles that share nobody but the publisher get half of everything from it, late.
        assert.ok((deliveries.at(-1)?.number ?? 0) >= head - LAG_WINDOWS_MAX, `${name} is at ${deliveries.at(-1)?.number} of ${head}`);
      }
    }),
    { numRuns: 12 },
  );
});

test.run();
