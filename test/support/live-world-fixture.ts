/** Simulated swarms with the shipped parameters, for tests that vary one thing. */
import { createHash } from 'node:crypto';
import { createSigner, nodeHasher, nodeVerifier } from '../../src/io/crypto.js';
import type { WindowNumber } from '../../src/kernel/units.js';
import { LiveWorld, type LiveWorldOptions } from '../../src/sim/live-world.js';
import type { Forgery } from '../../src/sim/misbehaviour.js';
import type { SimPeer } from '../../src/sim/sim-peer.js';
import { LIVE_PARAMETERS } from './live-parameters.js';

export const CHANNEL = 'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00';
export const OWNER = createSigner(new Uint8Array(32).fill(1));
export const FORGERY: Forgery = { channel: CHANNEL, owner: OWNER, stranger: createSigner(new Uint8Array(32).fill(2)), hasher: nodeHasher };

/** 500 kbit/s: small enough that a world of ten peers runs a thousand times faster than time. */
export const SLOW_BYTES_PER_SECOND = 62_500;
/** 2.5 Mbit/s: an ordinary picture. */
export const BYTES_PER_SECOND = 312_500;

export function makeWorld(options: Partial<LiveWorldOptions> & { readonly seed: number }): LiveWorld {
  const bytesPerSecond = options.bytesPerSecond ?? SLOW_BYTES_PER_SECOND;
  return new LiveWorld({
    parameters: LIVE_PARAMETERS,
    channel: CHANNEL,
    hasher: nodeHasher,
    verifier: nodeVerifier,
    signer: OWNER,
    bytesPerSecond,
    keyIntervalMs: 2_000,
    latencyMs: [10, 60],
    publisherUpBytesPerSecond: bytesPerSecond * 2.2,
    viewerUpBytesPerSecond: 0,
    ...options,
  });
}

/** Collects an event log and says in one word what was in it. */
export class LogHash {
  readonly #hash = createHash('sha256');
  lines = 0;
  readonly onLog = (line: string): void => {
    this.lines += 1;
    this.#hash.update(`${line}\n`);
  };

  digest(): string {
    return this.#hash.digest('hex');
  }
}

/** What the publisher sent of its media, in copies. */
export function copiesSent(world: LiveWorld): number {
  const mediaBytes = [...world.cut.values()].reduce((sum, { content }) => sum + content.bytes.length, 0);
  return world.publisher.up.payloadBytes / mediaBytes;
}

/** Everybody reached from the publisher, neighbour by neighbour. */
export function reached(world: LiveWorld): ReadonlySet<string> {
  const byName = new Map([world.publisher, ...world.peers].map((peer) => [peer.name, peer]));
  const found = new Set(['publisher']);
  for (const name of found) for (const { peerId } of byName.get(name)?.engine.connections ?? []) if (byName.has(peerId)) found.add(peerId);
  return found;
}

/**
 * Windows younger than this may still be under way when a world ends. A piece that goes no further is dealt again after `revealMs` and what is usual (0.4 to 0.8 s), and is
 * then as far from the last viewer as at first: one window in a hundred takes longer than a second.
 */
const UNDER_WAY_MS = 1_500;

/** Numbers cut since `fromMs` that this viewer has not been given, but for those that may still be under way. */
export function missingWindows(world: LiveWorld, peer: SimPeer, fromMs: number): readonly WindowNumber[] {
  const got = new Set(peer.deliveries.map(({ number }) => number));
  const untilMs = world.clock.nowMs() - UNDER_WAY_MS;
  return [...world.cut].flatMap(([number, { atMs }]) => (atMs >= fromMs && atMs <= untilMs && !got.has(number) ? [number] : []));
}
