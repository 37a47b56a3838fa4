/**
 * How viewers of a simulated live channel find each other after their start: a tracker for those that lack neighbours, and peer exchange from those that have
 * no room for them.
 *
 * Stands in for tracker and sockets, not for the rules: how many are wanted, who is let go and when is the core's own affair, and pairs rest as in the
 * shipped pool of connections. Whom it names is drawn by names and the world's seed.
 *
 * Where the network is cut, the tracker stands with the publisher: a shipped station runs both in one process. Whoever is cut off from it gets no answer and
 * asks again with the pauses of the shipped client, and finds others of its own side by peer exchange alone. On the tracker's side those beyond the cut go on being
 * named, because a tracker notices an absence by its interval only; to dial them comes to nothing.
 */
import { restMs } from '../kernel/connection-pool.js';
import type { Milliseconds } from '../kernel/units.js';
import { draw, namedRng } from './chance.js';
import type { LiveWorld, LiveWorldOptions } from './live-world.js';
import type { SimPeer } from './sim-peer.js';

/** The tracker is asked again after this time at the earliest. */
const TRACKER_MS: Milliseconds = 2_000;
/** And after this time as long as anybody is lacking: the period that is announced as shipped. */
const TRACKER_PERIOD_MS: Milliseconds = 30_000;
/** It names so many: as many as trackers do that are not asked for more. */
const NAMED_MAX = 50;
/** Pauses between questions without an answer: they double, and half of each is left to chance, as in the shipped client. */
const RETRY_MIN_MS: Milliseconds = 1_000;
const RETRY_MAX_MS: Milliseconds = 60_000;
/** A dial has failed after this time without an answer, as one of the shipped wire, and somebody else is dialled. */
const DIAL_MS: Milliseconds = 10_000;
/** Whoever was let go knows others by then, and dials them. */
const REDIAL_MS: Milliseconds = 300;

export class PeerFinding {
  readonly #seed: number;
  #world: LiveWorld | undefined;
  readonly #asking = new Set<SimPeer>();
  /** They wait for dials that come to nothing. */
  readonly #redialling = new Set<SimPeer>();
  /** How many neighbours each exchange has asked for. */
  readonly #wanted = new Map<SimPeer, number>();
  /** Pairs of which one had no room for the other, and until when they rest. */
  readonly #resting = new Map<string, Milliseconds>();

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** What the world is to tell it. */
  readonly hooks: Pick<LiveWorldOptions, 'onWant' | 'onLoss' | 'onLetGo'> = {
    onWant: (peer, want) => {
      const isNew = !this.#wanted.has(peer);
      this.#wanted.set(peer, want);
      // At its start a viewer is linked by whoever drives the world.
      if (isNew) this.#world?.clock.after(TRACKER_PERIOD_MS, () => this.#askTracker(peer));
      else this.#askTracker(peer);
    },
    onLoss: (peer) => this.#askTracker(peer),
    onLetGo: (peer, name, knownMs) => this.#introduce(peer, name, knownMs),
  };

  /** The world whose hooks these are stands. */
  serve(world: LiveWorld): void {
    this.#world = world;
  }

  /** The publisher waits to be found. */
  #askTracker(peer: SimPeer): void {
    const lacking = (this.#wanted.get(peer) ?? 0) - peer.engine.connections.length;
    const world = this.#world;
    if (lacking <= 0 || this.#asking.has(peer) || !world?.peers.includes(peer)) return;
    this.#asking.add(peer);
    world.clock.after(TRACKER_MS, () => this.#announce(world, peer, 0));
  }

  /** @param failures in a row. */
  #announce(world: LiveWorld, peer: SimPeer, failures: number): void {
    const rng = namedRng(this.#seed, `tracker ${peer.name} ${world.clock.nowMs()}`);
    if (world.isCut(peer, world.publisher) && world.peers.includes(peer)) {
      const pauseMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** failures) * (0.5 + rng.float() / 2);
      world.clock.after(pauseMs, () => this.#announce(world, peer, failures + 1));
      return;
    }
    this.#asking.delete(peer);
    this.#dial(world, peer, draw(rng, [world.publisher, ...world.peers], NAMED_MAX));
    world.clock.after(TRACKER_PERIOD_MS, () => this.#askTracker(peer));
  }

  /** A peer without room for another names its neighbours to it, and will not have it back for a while. */
  #introduce(peer: SimPeer, name: string, knownMs: Milliseconds): void {
    const world = this.#world;
    if (!world) return;
    this.#resting.set(pairOf(peer.name, name), world.clock.nowMs() + restMs(knownMs));
    const named = new Set(peer.engine.connections.map(({ peerId }) => peerId));
    const other = world.peers.find((viewer) => viewer.name === name);
    // Over a cut it hears no names.
    if (!other || world.isCut(peer, other)) return;
    world.clock.after(REDIAL_MS, () => {
      const viewers = world.peers.filter((viewer) => named.has(viewer.name));
      const rng = namedRng(this.#seed, `exchange ${name} ${world.clock.nowMs()}`);
      this.#dial(world, other, draw(rng, viewers, NAMED_MAX));
    });
  }

  /** The first of these, as many as the peer lacks. */
  #dial(world: LiveWorld, peer: SimPeer, named: readonly SimPeer[]): void {
    const lacking = (this.#wanted.get(peer) ?? 0) - peer.engine.connections.length;
    if (lacking <= 0 || !world.peers.includes(peer)) return;
    const known = new Set(peer.engine.connections.map(({ peerId }) => peerId));
    const nowMs = world.clock.nowMs();
    const rests = (other: SimPeer): boolean => (this.#resting.get(pairOf(peer.name, other.name)) ?? 0) > nowMs;
    const others = named.filter((other) => other !== peer && !known.has(other.name) && !isBanned(peer, other) && !rests(other));
    const failed = others.slice(0, lacking).filter((other) => !world.connect(peer, other));
    if (failed.length === 0 || this.#redialling.has(peer)) return;
    this.#redialling.add(peer);
    // Those that were not dialled yet come first, and those that failed have their turn again after them.
    const next = [...others.filter((other) => !failed.includes(other)), ...failed];
    world.clock.after(DIAL_MS, () => {
      this.#redialling.delete(peer);
      const there = next.filter((other) => other === world.publisher || world.peers.includes(other));
      this.#dial(world, peer, there);
    });
  }
}

function pairOf(one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`;
}

/** Whether one of them will have nothing to do with the other: a ban lasts an hour, longer than any run. */
function isBanned(one: SimPeer, other: SimPeer): boolean {
  return one.bans.some(({ name }) => name === other.name) || other.bans.some(({ name }) => name === one.name);
}
