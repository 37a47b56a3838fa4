/** What a large swarm is made possible by: each viewer costs the same however many there are, and what all of them hold is there once. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeHasher, nodeVerifier } from '../../src/io/crypto.js';
import type { LiveWorld } from '../../src/sim/live-world.js';
import { BYTES_PER_SECOND, makeWorld } from '../support/live-world-fixture.js';

const NEIGHBOURS = 3;
const RUN_MS = 15_000;
/** From here on everybody has started. */
const SETTLED_MS = 5_000;

function populated(viewers: number, options: Parameters<typeof makeWorld>[0]): LiveWorld {
  const world = makeWorld(options);
  for (let index = 0; index < viewers; index++) world.join(`viewer ${index}`, { neighbours: NEIGHBOURS, withPublisher: index < 4 });
  return world;
}

/** Messages and timers of one viewer in a second. */
function tasksPerViewerSecond(viewers: number): number {
  const world = populated(viewers, { seed: 7 });
  world.run(SETTLED_MS);
  const before = world.clock.tasksRun;
  world.run(RUN_MS - SETTLED_MS);
  return (world.clock.tasksRun - before) / viewers / ((RUN_MS - SETTLED_MS) / 1000);
}

test('a viewer has no more to do in a swarm of 60 than in one of 15', () => {
  const [few, many] = [tasksPerViewerSecond(15), tasksPerViewerSecond(60)];
  assert.ok(few > 20 && few < 200, `${few} tasks a second`);
  assert.ok(many < few * 1.15, `${many} tasks a second among 60, ${few} among 15`);
});

test('the pieces that all viewers hold lie in memory once, and each is hashed and each signature checked once', () => {
  const counts = { hashed: 0, verified: 0 };
  const payloads = new Map<string, Set<Uint8Array>>();
  const world = populated(12, {
    seed: 3,
    bytesPerSecond: BYTES_PER_SECOND,
    hasher: {
      ...nodeHasher,
      sha256: (bytes) => {
        counts.hashed += 1;
        return nodeHasher.sha256(bytes);
      },
    },
    verifier: {
      verify: (key, bytes, signature) => {
        counts.verified += 1;
        return nodeVerifier.verify(key, bytes, signature);
      },
    },
    onStep: ({ input }) => {
      if (input.kind !== 'message' || input.message.kind !== 'piece') return;
      const { window, piece, payload } = input.message;
      const name = `${window}:${piece}`;
      payloads.set(name, (payloads.get(name) ?? new Set()).add(payload));
    },
  });
  world.run(RUN_MS);
  const pieces = payloads.size;
  assert.ok(pieces > 200, `${pieces} pieces`);
  assert.equal(
    [...payloads].filter(([, arrays]) => arrays.size > 1),
    [],
  );
  // The publisher hashes its own bytes, all others those that came.
  assert.ok(counts.hashed <= 2 * (pieces + 20), `${counts.hashed} hashes of ${pieces} pieces`);
  assert.ok(counts.verified <= world.cut.size, `${counts.verified} checks of ${world.cut.size} windows`);
});

test.run();
