/** Laws of the title session under any fate: whatever joins, dies, stalls, seeks, evicts or lies, all that is wanted comes, and every byte is right. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PeerMessage } from '../../src/vod/peer-message.js';
import { assertLaw } from '../support/law.js';
import { TitleInvariants } from '../support/title-invariants.js';
import { type TitleNode, TitleWorld, type TitleWorldOptions } from '../support/title-world.js';

const PIECES = 24;
const NODES_MAX = 7;
const HEAL_MS = 120_000;

type Fate =
  | { readonly kind: 'kill' | 'freeze' | 'thaw' | 'cut'; readonly who: number }
  | { readonly kind: 'seek'; readonly who: number; readonly share: number; readonly bytesPerSecond: number }
  | { readonly kind: 'leave' | 'choke-all'; readonly who: number }
  | { readonly kind: 'evict'; readonly who: number; readonly piece: number }
  | { readonly kind: 'select'; readonly who: number; readonly first: number; readonly last: number }
  | { readonly kind: 'allow'; readonly who: number; readonly bytesPerSecond: number | null }
  | { readonly kind: 'join'; readonly kin: boolean; readonly fast: boolean }
  | { readonly kind: 'liar'; readonly everyBlock: boolean };

const who = fc.nat({ max: NODES_MAX });
const fate: fc.Arbitrary<Fate> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('kill' as const, 'freeze' as const, 'thaw' as const, 'cut' as const), who }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('seek' as const),
      who,
      share: fc.integer({ min: 0, max: 99 }),
      bytesPerSecond: fc.constantFrom(0, 20_000, 400_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('leave' as const), who }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('evict' as const), who, piece: fc.nat({ max: PIECES - 1 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('select' as const),
      who,
      first: fc.nat({ max: PIECES - 1 }),
      last: fc.nat({ max: PIECES - 1 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('allow' as const), who, bytesPerSecond: fc.constantFrom(null, 0, 50_000) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('join' as const), kin: fc.boolean(), fast: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('liar' as const), everyBlock: fc.boolean() }) },
);

const life = fc.record({
  seed: fc.nat(),
  leechers: fc.integer({ min: 1, max: 3 }),
  blocksPerPiece: fc.integer({ min: 1, max: 5 }),
  shortByBytes: fc.integer({ min: 0, max: 16_000 }),
  upBytesPerSecond: fc.constantFrom(0, 200_000),
  fates: fc.array(fc.tuple(fc.integer({ min: 0, max: 1_500 }), fate), { maxLength: 12 }),
});
type Life = typeof life extends fc.Arbitrary<infer Value> ? Value : never;

/** A swarm around one seeder that always comes back. */
class Swarm {
  readonly world: TitleWorld;
  readonly #life: Life;
  readonly liars = new Set<TitleNode>();

  constructor(life: Life, onStep?: TitleWorldOptions['onStep']) {
    this.#life = life;
    this.world = new TitleWorld({
      seed: life.seed,
      pieceCount: PIECES,
      pieceLengthBytes: life.blocksPerPiece * 16_384,
      shortByBytes: life.shortByBytes,
      latencyMs: 10,
      ...(onStep ? { onStep } : {}),
    });
    this.world.join('seeder', { holds: 'all', upBytesPerSecond: life.upBytesPerSecond });
    for (let index = 0; index < life.leechers; index++) this.world.join(`leecher ${index}`, { upBytesPerSecond: life.upBytesPerSecond });
    this.world.mesh();
  }

  suffer(): void {
    for (const [index, [afterMs, fate]] of this.#life.fates.entries()) {
      this.world.run(afterMs);
      this.#strike(fate, index);
    }
  }

  /** Everything is well again: all go on, the seeder is there, everybody knows everybody, all is wanted, nothing is limited. */
  heal(): void {
    for (const node of this.world.nodes) node.host.frozen = false;
    this.world.run(500);
    const seeder = this.world.join('last seeder', { holds: 'all' });
    for (const node of this.world.nodes) {
      if (node === seeder) continue;
      node.engine.command({ kind: 'select', ranges: [{ firstPiece: 0, lastPiece: PIECES - 1, priority: 2 }] });
      node.engine.command({ kind: 'allow', bulkBytesPerSecond: null });
      this.world.connect(node, seeder);
    }
  }

  #strike(fate: Fate, index: number): void {
    const { nodes } = this.world;
    const node = 'who' in fate ? nodes[fate.who % nodes.length] : undefined;
    switch (fate.kind) {
      case 'kill':
        if (node && nodes.length > 1) this.world.kill(node);
        return;
      case 'cut':
        node?.engine.connections[0]?.close({ kind: 'leaving', detail: 'cut' });
        return;
      case 'freeze':
      case 'thaw':
        if (node) node.host.frozen = fate.kind === 'freeze';
        return;
      case 'seek':
        return node?.read(Math.floor((this.world.shape.totalBytes * fate.share) / 100), fate.bytesPerSecond, `reader ${fate.share % 2}`);
      case 'leave':
        return node?.engine.command({ kind: 'need-gone', reader: 'reader 0' });
      case 'evict':
        return node?.evict([fate.piece]);
      case 'select':
        return node?.engine.command({ kind: 'select', ranges: [{ firstPiece: fate.first, lastPiece: fate.last, priority: 3 }] });
      case 'allow':
        return node?.engine.command({ kind: 'allow', bulkBytesPerSecond: fate.bytesPerSecond });
      case 'join':
      case 'liar':
        return this.#join(fate, index);
    }
  }

  #join(fate: Fate & { kind: 'join' | 'liar' }, index: number): void {
    if (this.world.nodes.length >= NODES_MAX) return;
    const isLiar = fate.kind === 'liar';
    const joiner = this.world.join(`${fate.kind} ${index}`, {
      upBytesPerSecond: this.#life.upBytesPerSecond,
      ...(fate.kind === 'join' ? { kin: fate.kin, fast: fate.fast } : { holds: 'all', tamper: spoil(fate.everyBlock) }),
    });
    if (isLiar) this.liars.add(joiner);
    for (const other of this.world.nodes) if (other !== joiner) this.world.connect(joiner, other);
  }
}

/** Sends wrong bytes: always, or in every third block. */
function spoil(everyBlock: boolean): (message: PeerMessage) => PeerMessage {
  return (message) => {
    if (message.kind !== 'piece' || (!everyBlock && (message.offsetBytes / 16_384 + message.piece) % 3 !== 0)) return message;
    return { ...message, bytes: message.bytes.map((byte) => byte ^ 0x55), hasHeadroom: false };
  };
}

test('whatever happens, the invariants hold after every step, and everybody gets all of it right in the end', () => {
  assertLaw(
    fc.property(life, (fateful) => {
      const { onStep } = new TitleInvariants();
      const swarm = new Swarm(fateful, onStep);
      swarm.suffer();
      swarm.heal();
      const honest = swarm.world.nodes.filter((node) => !swarm.liars.has(node));
      swarm.world.runUntil(() => honest.every((node) => node.isComplete), HEAL_MS, 200);
      for (const node of honest) {
        const { piecesMissing, piecesHere } = node.session.figures();
        assert.is(piecesMissing, 0, `${node.name} lacks ${piecesMissing}, has ${piecesHere}`);
        assert.ok(node.isIntact, `${node.name} has wrong bytes`);
        for (const { name, reason } of node.disconnects) {
          if (reason.kind === 'misbehaved') assert.ok(name.startsWith('liar'), `${node.name} bans ${name}: ${reason.detail}`);
        }
      }
    }),
    { numRuns: 150 },
  );
});

test('a life repeats to the letter (M5)', () => {
  const tell = (fateful: Life): string => {
    const lines: string[] = [];
    const swarm = new Swarm(fateful, (node, input, effects, nowMs) => {
      lines.push(
        `${nowMs} ${node.name} ${input.kind} ${effects.map((effect) => (effect.kind === 'send' ? effect.message.kind : effect.kind))}`,
      );
    });
    swarm.suffer();
    return lines.join('\n');
  };
  assertLaw(
    fc.property(life, (fateful) => assert.is(tell(fateful), tell(fateful))),
    { numRuns: 10 },
  );
});

test.run();
