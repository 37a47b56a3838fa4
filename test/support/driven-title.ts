/** One title session outside any world, with its clock and its neighbours in the test's hand; and bare parts of it. */
import { Rng } from '../../src/kernel/rng.js';
import { TokenBucket } from '../../src/kernel/token-bucket.js';
import type { ConnectionId } from '../../src/kernel/units.js';
import { BLOCK_BYTES } from '../../src/vod/block.js';
import type { PeerMessage } from '../../src/vod/peer-message.js';
import type { Introduction, TitleCommand, TitleEffect, TitleEvent, TitleShape } from '../../src/vod/title-protocol.js';
import { TitleSession, type TitleSessionOptions } from '../../src/vod/title-session.js';
import { Neighbour } from '../../src/vod/transfer/neighbour.js';
import { PieceSet } from '../../src/vod/transfer/piece-set.js';
import { TransferContext } from '../../src/vod/transfer/transfer-context.js';
import { shapeOf } from './title-world.js';

/** 20 pieces of 4 blocks; the last one is a block and a half. */
export const SHAPE: TitleShape = shapeOf(20, 4 * BLOCK_BYTES, 2.5 * BLOCK_BYTES);

export function introductionOf(peer: ConnectionId, overrides: Partial<Introduction> = {}): Introduction {
  return {
    peer,
    fast: true,
    requestQueueCount: 250,
    addressGroup: peer,
    kin: false,
    outgoing: true,
    mapsDontHave: true,
    mapsUploadOnly: true,
    uploadOnly: false,
    ...overrides,
  };
}

export function optionsOf(overrides: Partial<TitleSessionOptions> = {}): TitleSessionOptions {
  return { shape: SHAPE, rng: new Rng(1), uplink: new TokenBucket(0), downlink: new TokenBucket(0), ...overrides };
}

/** A context that has started and holds nothing. */
export function makeContext(overrides: Partial<TitleSessionOptions> = {}): TransferContext {
  const context = new TransferContext(optionsOf(overrides));
  context.hasStarted = true;
  context.wanted.refreshAll();
  return context;
}

/** A neighbour that lets us ask; `holds` null: everything. */
export function addNeighbour(
  context: TransferContext,
  id: ConnectionId,
  holds: readonly number[] | null = null,
  overrides: Partial<Introduction> = {},
): Neighbour {
  const { pieceCount } = context.shape;
  const neighbour = new Neighbour(context.neighbours.size + 1, introductionOf(id, overrides), pieceCount, context.nowMs);
  neighbour.isChoking = false;
  neighbour.hasSpoken = true;
  neighbour.holds = holds === null ? null : new PieceSet(pieceCount);
  for (const piece of holds ?? []) if (neighbour.holds?.add(piece)) context.rarity.gained(piece);
  if (holds === null) context.rarity.seeders += 1;
  neighbour.usefulCount = holds === null ? context.wanted.missing.count : holds.length;
  context.neighbours.set(id, neighbour);
  return neighbour;
}

export class DrivenTitle {
  readonly session: TitleSession;
  readonly shape: TitleShape;
  nowMs = 0;
  readonly effects: TitleEffect[] = [];

  constructor(holds: readonly number[] | 'all' = [], overrides: Partial<TitleSessionOptions> = {}) {
    const options = optionsOf(overrides);
    this.shape = options.shape;
    this.session = new TitleSession(options);
    const have = holds === 'all' ? PieceSet.full(this.shape.pieceCount) : new PieceSet(this.shape.pieceCount);
    if (holds !== 'all') for (const piece of holds) have.add(piece);
    this.command({ kind: 'start', have: have.toBitfield(), blocks: new Map() });
  }

  input(input: Parameters<TitleSession['handle']>[0]): readonly TitleEffect[] {
    const effects = this.session.handle(input, this.nowMs);
    this.effects.push(...effects);
    return effects;
  }

  command(command: TitleCommand): readonly TitleEffect[] {
    return this.input({ kind: 'command', command });
  }

  hear(from: ConnectionId, ...messages: readonly PeerMessage[]): readonly TitleEffect[] {
    return messages.flatMap((message) => this.input({ kind: 'message', from, message }));
  }

  timer(timer: 'watch' | 'news' | 'upload' | 'download' | 'review', afterMs = 0): readonly TitleEffect[] {
    this.nowMs += afterMs;
    return this.input({ kind: 'timer', timer });
  }

  /** A neighbour comes and says what it holds, if anything is said. */
  meet(
    peer: ConnectionId,
    first: PeerMessage | null = { kind: 'have-all' },
    overrides: Partial<Introduction> = {},
  ): readonly TitleEffect[] {
    const effects = [...this.input({ kind: 'peer-up', peer }), ...this.command({ kind: 'introduce', ...introductionOf(peer, overrides) })];
    return first === null ? effects : [...effects, ...this.hear(peer, first)];
  }

  /** It holds everything and lets us ask. */
  meetGenerous(peer: ConnectionId, overrides: Partial<Introduction> = {}): readonly TitleEffect[] {
    return [...this.meet(peer, { kind: 'have-all' }, overrides), ...this.hear(peer, { kind: 'unchoke' })];
  }

  /** The block that was asked for, right or wrong. */
  deliver(from: ConnectionId, piece: number, offsetBytes: number, lengthBytes = BLOCK_BYTES): readonly TitleEffect[] {
    return this.hear(from, { kind: 'piece', piece, offsetBytes, bytes: new Uint8Array(lengthBytes) });
  }

  /** Delivers all that is asked of a neighbour within `effects`, and what is asked meanwhile, at most `count` blocks. */
  serve(from: ConnectionId, effects: readonly TitleEffect[], count = Number.POSITIVE_INFINITY): readonly TitleEffect[] {
    const all: TitleEffect[] = [];
    const queue = [...sentTo(effects, from, 'request')];
    for (let served = 0; served < count; served++) {
      const request = queue.shift();
      if (request === undefined) return all;
      const answers = this.deliver(from, request.piece, request.offsetBytes, request.lengthBytes);
      all.push(...answers);
      queue.push(...sentTo(answers, from, 'request'));
    }
    return all;
  }
}

type Named<Message, Kind> = Message extends { readonly kind: infer Kinds }
  ? Kind extends Kinds
    ? Message & { readonly kind: Kind }
    : never
  : never;
export type MessageOf<Kind extends PeerMessage['kind']> = Named<PeerMessage, Kind>;

/** Messages of one kind to one neighbour. */
export function sentTo<Kind extends PeerMessage['kind']>(effects: readonly TitleEffect[], to: ConnectionId, kind: Kind): MessageOf<Kind>[] {
  return effects.flatMap((effect) =>
    effect.kind === 'send' && effect.to === to && effect.message.kind === kind ? [effect.message as MessageOf<Kind>] : [],
  );
}

/** Kinds of all messages to one neighbour, in order. */
export function kindsTo(effects: readonly TitleEffect[], to: ConnectionId): string[] {
  return effects.flatMap((effect) => (effect.kind === 'send' && effect.to === to ? [effect.message.kind] : []));
}

export function eventsOf<Kind extends TitleEvent['kind']>(
  effects: readonly TitleEffect[],
  kind: Kind,
): Extract<TitleEvent, { readonly kind: Kind }>[] {
  return effects.flatMap((effect) =>
    effect.kind === 'emit' && effect.event.kind === kind ? [effect.event as Extract<TitleEvent, { readonly kind: Kind }>] : [],
  );
}

/** Why neighbours were disconnected: `name kind: detail`. */
export function disconnectsOf(effects: readonly TitleEffect[]): string[] {
  return effects.flatMap((effect) =>
    effect.kind === 'disconnect' ? [`${effect.peer} ${effect.reason.kind}: ${effect.reason.detail}`] : [],
  );
}
