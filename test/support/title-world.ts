/** A swarm of title sessions in virtual time: the shipped core, engine and codec over the virtual network, each with a disk in memory. */
import { nodeHasher } from '../../src/io/crypto.js';
import type { Connection } from '../../src/kernel/connection.js';
import { Engine } from '../../src/kernel/engine.js';
import type { DisconnectReason, Input } from '../../src/kernel/protocol.js';
import { Rng } from '../../src/kernel/rng.js';
import { TokenBucket } from '../../src/kernel/token-bucket.js';
import type { Bytes, BytesPerSecond, ConnectionId, Milliseconds } from '../../src/kernel/units.js';
import { Host, Network } from '../../src/sim/network.js';
import { VirtualClock } from '../../src/sim/virtual-clock.js';
import { BLOCK_BYTES } from '../../src/vod/block.js';
import { type PeerMessage, peerCodec } from '../../src/vod/peer-message.js';
import type { Introduction, TitleCommand, TitleEffect, TitleEvent, TitleShape, TitleTimer } from '../../src/vod/title-protocol.js';
import { TitleSession } from '../../src/vod/title-session.js';
import { PieceSet } from '../../src/vod/transfer/piece-set.js';
import type { TransferParameters } from '../../src/vod/transfer/transfer-parameters.js';

const DISK_MS: Milliseconds = 1;

export interface TitleWorldOptions {
  readonly seed?: number;
  readonly pieceCount: number;
  readonly pieceLengthBytes: Bytes;
  /** By how much the last piece is shorter. */
  readonly shortByBytes?: Bytes;
  readonly latencyMs?: Milliseconds;
  readonly onStep?: (node: TitleNode, input: TitleInput, effects: readonly TitleEffect[], nowMs: Milliseconds) => void;
}

export type TitleInput = Input<PeerMessage, TitleCommand, TitleTimer>;

export interface NodeOptions {
  /** Pieces on its disk at the start; none if left out. */
  readonly holds?: 'all' | readonly number[];
  readonly linkUpBytesPerSecond?: BytesPerSecond;
  readonly linkDownBytesPerSecond?: BytesPerSecond;
  /** Its own limits. */
  readonly upBytesPerSecond?: BytesPerSecond;
  readonly downBytesPerSecond?: BytesPerSecond;
  readonly parameters?: Partial<TransferParameters>;
  readonly kin?: boolean;
  readonly fast?: boolean;
  readonly addressGroup?: string;
  /** Changes or swallows what it sends. */
  readonly tamper?: (message: PeerMessage) => PeerMessage | undefined;
  /** Not started yet; the test does. */
  readonly isLate?: boolean;
}

/** Content of a title that is the same everywhere. */
export function pieceBytesOf(shape: TitleShape, piece: number): Uint8Array {
  const sizeBytes = Math.min(shape.pieceLengthBytes, shape.totalBytes - piece * shape.pieceLengthBytes);
  const bytes = new Uint8Array(sizeBytes);
  new Uint32Array(bytes.buffer, 0, sizeBytes >>> 2).fill(0x9e37_79b9 ^ piece);
  for (let at = 0; at < sizeBytes; at += BLOCK_BYTES) bytes[at] = at / BLOCK_BYTES;
  return bytes;
}

export function shapeOf(pieceCount: number, pieceLengthBytes: Bytes, shortByBytes: Bytes = 0): TitleShape {
  const totalBytes = pieceCount * pieceLengthBytes - shortByBytes;
  return { pieceCount, pieceLengthBytes, totalBytes, files: [{ offsetBytes: 0, lengthBytes: totalBytes, isPad: false }] };
}

export class TitleNode {
  readonly name: string;
  readonly options: NodeOptions;
  readonly session: TitleSession;
  readonly engine: Engine<PeerMessage, TitleCommand, TitleEvent, TitleTimer>;
  readonly host: Host;
  readonly disk = new Map<number, Uint8Array>();
  readonly uplink: TokenBucket;
  readonly completedMs = new Map<number, Milliseconds>();
  readonly events: TitleEvent[] = [];
  readonly disconnects: { readonly name: string; readonly reason: DisconnectReason }[] = [];
  readonly traffic = { requests: 0, cancels: 0, upPayloadBytes: 0 };
  readonly #world: TitleWorld;

  constructor(world: TitleWorld, name: string, options: NodeOptions, rng: Rng) {
    this.#world = world;
    this.name = name;
    this.options = options;
    this.host = new Host({
      name,
      upBytesPerSecond: options.linkUpBytesPerSecond ?? 0,
      downBytesPerSecond: options.linkDownBytesPerSecond ?? 0,
    });
    this.uplink = new TokenBucket(options.upBytesPerSecond ?? 0);
    this.session = new TitleSession({
      shape: world.shape,
      rng,
      uplink: this.uplink,
      downlink: new TokenBucket(options.downBytesPerSecond ?? 0),
      ...(options.parameters ? { parameters: options.parameters } : {}),
    });
    const { session } = this;
    this.engine = new Engine({
      protocol: {
        handle: (input, nowMs) => {
          const effects = session.handle(input, nowMs);
          world.options.onStep?.(this, input, effects, nowMs);
          return options.tamper ? effects.flatMap((effect) => this.#tampered(effect)) : effects;
        },
      },
      codec: peerCodec,
      clock: this.host.clock(world.clock),
      onEvent: (event) => this.#onEvent(event),
      onDisconnect: (connection, reason) => this.disconnects.push({ name: connection.peerId, reason }),
      onTraffic: (direction, message) => this.#count(direction, message),
    });
    for (const piece of this.#held()) this.disk.set(piece, pieceBytesOf(world.shape, piece));
    if (options.isLate !== true) this.start();
  }

  start(blocks: ReadonlyMap<number, Uint8Array> = new Map()): void {
    const have = new PieceSet(this.#world.shape.pieceCount);
    for (const piece of this.#held()) have.add(piece);
    this.engine.command({ kind: 'start', have: have.toBitfield(), blocks });
  }

  get isComplete(): boolean {
    return this.session.figures().piecesMissing === 0;
  }

  /** Every piece that the session calls its own is right on the disk. */
  get isIntact(): boolean {
    const { shape } = this.#world;
    for (let piece = 0; piece < shape.pieceCount; piece++) {
      if (this.session.has(piece) && !same(this.disk.get(piece), pieceBytesOf(shape, piece))) return false;
    }
    return true;
  }

  read(fromByte: Bytes, bytesPerSecond: BytesPerSecond, reader = 'reader', toByte: Bytes = this.#world.shape.totalBytes): void {
    this.engine.command({ kind: 'need', reader, fromByte, toByte, bytesPerSecond });
  }

  evict(pieces: readonly number[]): void {
    for (const piece of pieces) this.disk.delete(piece);
    this.engine.command({ kind: 'evict', pieces });
  }

  #held(): readonly number[] {
    const { holds = [] } = this.options;
    return holds === 'all' ? Array.from({ length: this.#world.shape.pieceCount }, (_, piece) => piece) : holds;
  }

  #tampered(effect: TitleEffect): TitleEffect[] {
    if (effect.kind !== 'send') return [effect];
    const message = this.options.tamper?.(effect.message);
    return message === undefined ? [] : [{ ...effect, message }];
  }

  #count(direction: 'up' | 'down', message: PeerMessage): void {
    if (direction !== 'up') return;
    if (message.kind === 'request') this.traffic.requests += 1;
    if (message.kind === 'cancel') this.traffic.cancels += 1;
    if (message.kind === 'piece') this.traffic.upPayloadBytes += message.bytes.length;
  }

  #onEvent(event: TitleEvent): void {
    if (event.kind !== 'store-block') this.events.push(event);
    switch (event.kind) {
      case 'store-block':
        this.#write(event.piece, event.offsetBytes, event.bytes);
        return this.#later({ kind: 'block-stored', piece: event.piece, offsetBytes: event.offsetBytes });
      case 'check-piece': {
        const ok = same(this.disk.get(event.piece), pieceBytesOf(this.#world.shape, event.piece));
        return this.#later({ kind: 'piece-checked', piece: event.piece, ok });
      }
      case 'drop-blocks':
        return this.#later({ kind: 'blocks-dropped', piece: event.piece, blocks: event.blocks });
      case 'piece-complete':
        this.completedMs.set(event.piece, this.#world.clock.nowMs());
        return;
      case 'read-block': {
        const { peer, piece, offsetBytes, lengthBytes } = event;
        const bytes = this.disk.get(piece)?.slice(offsetBytes, offsetBytes + lengthBytes) ?? null;
        return this.#later({ kind: 'block-read', peer, piece, offsetBytes, lengthBytes, bytes });
      }
      case 'digest-blocks': {
        const bytes = this.disk.get(event.piece) ?? new Uint8Array(0);
        const digests: string[] = [];
        for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
          digests.push(Buffer.from(nodeHasher.sha1(bytes.subarray(at, at + BLOCK_BYTES))).toString('hex'));
        }
        return this.#later({ kind: 'blocks-digested', piece: event.piece, digests });
      }
    }
  }

  #write(piece: number, offsetBytes: Bytes, bytes: Uint8Array): void {
    const held = this.disk.get(piece) ?? new Uint8Array(pieceBytesOf(this.#world.shape, piece).length);
    held.set(bytes, offsetBytes);
    this.disk.set(piece, held);
  }

  #later(command: TitleCommand): void {
    this.#world.clock.schedule(() => this.host.run(() => this.engine.command(command)), DISK_MS);
  }
}

export class TitleWorld {
  readonly options: TitleWorldOptions;
  readonly shape: TitleShape;
  readonly clock = new VirtualClock();
  readonly nodes: TitleNode[] = [];
  readonly #network = new Network(this.clock);
  readonly #rng: Rng;

  constructor(options: TitleWorldOptions) {
    this.options = options;
    this.shape = shapeOf(options.pieceCount, options.pieceLengthBytes, options.shortByBytes);
    this.#rng = new Rng(options.seed ?? 1);
  }

  join(name: string, options: NodeOptions = {}): TitleNode {
    const node = new TitleNode(this, name, options, this.#rng.fork());
    this.nodes.push(node);
    return node;
  }

  connect(a: TitleNode, b: TitleNode, latencyMs: Milliseconds = this.options.latencyMs ?? 5): readonly [Connection, Connection] {
    const [one, other] = this.#network.link(a.host, b.host, latencyMs);
    a.engine.add(one);
    b.engine.add(other);
    a.engine.command({ kind: 'introduce', ...introduction(one.id, b.options, a.options, true) });
    b.engine.command({ kind: 'introduce', ...introduction(other.id, a.options, b.options, false) });
    return [one, other];
  }

  /** Everybody with everybody. */
  mesh(latencyMs?: Milliseconds): void {
    for (const [index, a] of this.nodes.entries()) for (const b of this.nodes.slice(index + 1)) this.connect(a, b, latencyMs);
  }

  kill(node: TitleNode): void {
    node.engine.stop();
    this.nodes.splice(this.nodes.indexOf(node), 1);
  }

  run(durationMs: Milliseconds): void {
    this.clock.runUntil(this.clock.nowMs() + durationMs);
  }

  /** Runs until it is so, or for `limitMs`. @returns how long it took; undefined when it did not happen. */
  runUntil(isSo: () => boolean, limitMs: Milliseconds, stepMs: Milliseconds = 5): Milliseconds | undefined {
    const fromMs = this.clock.nowMs();
    for (let tookMs = 0; tookMs <= limitMs; tookMs += stepMs) {
      if (isSo()) return this.clock.nowMs() - fromMs;
      this.run(stepMs);
    }
    return undefined;
  }
}

export function introduction(peer: ConnectionId, theirs: NodeOptions, ours: NodeOptions, outgoing: boolean): Introduction {
  return {
    peer,
    fast: theirs.fast !== false && ours.fast !== false,
    requestQueueCount: 500,
    addressGroup: theirs.addressGroup ?? peer,
    kin: theirs.kin !== false,
    outgoing,
    mapsDontHave: true,
    mapsUploadOnly: true,
    uploadOnly: false,
  };
}

function same(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}
