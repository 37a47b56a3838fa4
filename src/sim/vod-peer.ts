/**
 * One machine in a simulated swarm of titles: the shipped session and engine of each title over one line, with a phantom disk.
 */
import type { Connection } from '../kernel/connection.js';
import { Engine } from '../kernel/engine.js';
import type { Input } from '../kernel/protocol.js';
import type { Rng } from '../kernel/rng.js';
import { TokenBucket } from '../kernel/token-bucket.js';
import type { Bytes, BytesPerSecond, ConnectionId, Milliseconds } from '../kernel/units.js';
import type { PeerMessage } from '../vod/peer-message.js';
import type { TitleCommand, TitleEffect, TitleEvent, TitleShape, TitleTimer } from '../vod/title-protocol.js';
import { TitleSession } from '../vod/title-session.js';
import { Line } from '../vod/transfer/line.js';
import type { PickStrategy } from '../vod/transfer/transfer-parameters.js';
import { Host } from './network.js';
import { badBlock, goodBlock, messageBytes, PhantomStore, phantomCodec } from './phantom.js';
import type { VirtualClock } from './virtual-clock.js';
import type { VirtualPlayer } from './virtual-player.js';

export type PeerKind = 'source' | 'viewer' | 'greedy';

/** How a peer departs from the shipped one. */
export type PeerHabit = 'honest' | 'free rider' | 'polluter' | 'liar';

export interface VodPeerOptions {
  readonly name: string;
  /** In order of arrival. */
  readonly index: number;
  readonly kind: PeerKind;
  readonly habit: PeerHabit;
  /** It stands still for a while: its own pictures do not count. */
  readonly freezes: boolean;
  readonly upBytesPerSecond: BytesPerSecond;
  readonly downBytesPerSecond: BytesPerSecond;
  /** Shoal's own limit; 0: none. */
  readonly upLimitBytesPerSecond: BytesPerSecond;
  readonly addressGroup: string;
  readonly rng: Rng;
  readonly joinedMs: Milliseconds;
  readonly clock: VirtualClock;
}

/** What a peer has moved, over all titles. */
export interface Traffic {
  /** Payload of blocks. */
  fromSourcesBytes: Bytes;
  fromPeersBytes: Bytes;
  sentBytes: Bytes;
  /** Received blocks that were there already, or that nobody had asked for. */
  duplicateBytes: Bytes;
  /** Received blocks of pieces that turned out wrong. */
  wrongBytes: Bytes;
  /** Messages without payload, and heads of those with, as sent. */
  controlBytes: Bytes;
  readonly controlByKind: Record<string, Bytes>;
}

/** Where a peer tells what happens to it. */
export interface VodPeerEvents {
  readonly onMessage: (peer: VodPeer, sender: VodPeer, message: PeerMessage) => void;
  readonly onPiece: (task: VodTask, piece: number) => void;
  readonly onOffence: (peer: VodPeer, offender: string) => void;
  readonly onWant: (task: VodTask, want: number) => void;
  readonly onStep?: ((step: VodStep) => void) | undefined;
}

/** One step of one session, after what its habit made of it. */
export interface VodStep {
  readonly task: VodTask;
  readonly input: Input<PeerMessage, TitleCommand, TitleTimer>;
  readonly effects: readonly TitleEffect[];
  readonly nowMs: Milliseconds;
}

/** What stays the same for one title in a world. */
export interface PhantomTitle {
  readonly index: number;
  readonly shape: TitleShape;
  readonly bytesPerSecond: BytesPerSecond;
}

/** A title on a machine. */
export class VodTask {
  readonly peer: VodPeer;
  readonly title: PhantomTitle;
  readonly session: TitleSession;
  readonly engine: Engine<PeerMessage, TitleCommand, TitleEvent, TitleTimer>;
  readonly store: PhantomStore;
  /** Names of the machines it is connected to. */
  readonly neighbours = new Set<string>();
  readonly #events: VodPeerEvents;
  /** When the last piece came; undefined while one is missing. */
  completeMs: Milliseconds | undefined;
  completeBytes: Bytes = 0;

  constructor(peer: VodPeer, title: PhantomTitle, strategy: PickStrategy, isWhole: boolean, events: VodPeerEvents) {
    this.peer = peer;
    this.title = title;
    this.#events = events;
    this.store = new PhantomStore(title.shape.pieceCount, (piece) => this.pieceBytes(piece), isWhole);
    this.session = new TitleSession({
      shape: title.shape,
      rng: peer.options.rng.fork(),
      uplink: peer.uplink,
      downlink: peer.downlink,
      line: peer.line,
      parameters: { strategy },
    });
    const { session } = this;
    const { clock } = peer.options;
    this.engine = new Engine({
      protocol: {
        handle: (input, nowMs) => {
          if (input.kind === 'message') this.#onMessage(input.from, input.message);
          const effects = peer.tampered(session.handle(input, nowMs));
          events.onStep?.({ task: this, input, effects, nowMs });
          return effects;
        },
      },
      codec: phantomCodec,
      clock: peer.host.clock(clock),
      onEvent: (event) => this.#onEvent(event),
      onConnect: (want) => events.onWant(this, want),
      onTraffic: (direction, message, frameBytes) => direction === 'up' && this.#onSent(message, frameBytes),
      onDisconnect: (connection) => this.neighbours.delete(connection.peerId),
    });
    this.engine.command({ kind: 'start', have: this.store.bitfield(), blocks: new Map() });
  }

  get isComplete(): boolean {
    return this.store.completeCount === this.title.shape.pieceCount;
  }

  pieceBytes(piece: number): Bytes {
    const { pieceLengthBytes, totalBytes } = this.title.shape;
    return Math.min(pieceLengthBytes, totalBytes - piece * pieceLengthBytes);
  }

  /** End of what can be read from there without a gap; looks ahead no further than it takes to know a minute. */
  readableTo(fromByte: Bytes): Bytes {
    const { pieceLengthBytes, pieceCount, totalBytes } = this.title.shape;
    let piece = Math.floor(fromByte / pieceLengthBytes);
    const last = Math.min(pieceCount, piece + Math.ceil((60 * this.title.bytesPerSecond) / pieceLengthBytes));
    while (piece < last && this.store.has(piece)) piece += 1;
    return Math.max(fromByte, Math.min(totalBytes, piece * pieceLengthBytes));
  }

  /** One end of a link between the same title on two machines. */
  add(connection: Connection, other: VodPeer, outgoing: boolean): void {
    this.peer.others.set(connection.id, other);
    this.neighbours.add(other.name);
    this.engine.add(connection);
    this.engine.command({
      kind: 'introduce',
      peer: connection.id,
      fast: true,
      requestQueueCount: 500,
      addressGroup: other.options.addressGroup,
      kin: true,
      outgoing,
      mapsDontHave: true,
      mapsUploadOnly: true,
      uploadOnly: false,
    });
  }

  need(fromByte: Bytes): void {
    const { shape, bytesPerSecond } = this.title;
    this.engine.command({ kind: 'need', reader: 'player', fromByte, toByte: shape.totalBytes, bytesPerSecond });
  }

  #onEvent(event: TitleEvent): void {
    const { store, engine, peer } = this;
    switch (event.kind) {
      case 'store-block':
        store.write(event.piece, event.offsetBytes, event.bytes);
        return engine.command({ kind: 'block-stored', piece: event.piece, offsetBytes: event.offsetBytes });
      case 'check-piece':
        return engine.command({ kind: 'piece-checked', piece: event.piece, ok: store.isRight(event.piece) });
      case 'digest-blocks':
        return engine.command({ kind: 'blocks-digested', piece: event.piece, digests: store.digests(event.piece) });
      case 'drop-blocks':
        return engine.command({ kind: 'blocks-dropped', piece: event.piece, blocks: event.blocks });
      case 'piece-complete':
        return this.#onComplete(event.piece);
      case 'read-block': {
        const bytes = store.has(event.piece) ? goodBlock(event.lengthBytes) : null;
        return engine.command({ ...event, kind: 'block-read', bytes });
      }
      case 'offence':
        return this.#events.onOffence(peer, peer.others.get(event.peer)?.name ?? event.peer);
      default:
        return;
    }
  }

  #onComplete(piece: number): void {
    this.store.complete(piece);
    this.completeBytes += this.pieceBytes(piece);
    if (this.isComplete) this.completeMs = this.peer.options.clock.nowMs();
    this.#events.onPiece(this, piece);
  }

  #onMessage(from: ConnectionId, message: PeerMessage): void {
    const { traffic, others } = this.peer;
    const sender = others.get(from) as VodPeer;
    const payloadBytes = message.kind === 'piece' ? message.bytes.length : 0;
    if (sender.options.kind === 'source') traffic.fromSourcesBytes += payloadBytes;
    else traffic.fromPeersBytes += payloadBytes;
    this.#events.onMessage(this.peer, sender, message);
  }

  #onSent(message: PeerMessage, frameBytes: Bytes): void {
    const { traffic } = this.peer;
    const sizeBytes = messageBytes(message, frameBytes);
    const payloadBytes = message.kind === 'piece' ? message.bytes.length : 0;
    traffic.sentBytes += payloadBytes;
    traffic.controlBytes += sizeBytes - payloadBytes;
    traffic.controlByKind[message.kind] = (traffic.controlByKind[message.kind] ?? 0) + sizeBytes - payloadBytes;
  }
}

export class VodPeer {
  readonly options: VodPeerOptions;
  readonly host: Host;
  readonly uplink: TokenBucket;
  readonly downlink = new TokenBucket(0);
  readonly line = new Line();
  /** By number of the title. */
  readonly tasks = new Map<number, VodTask>();
  /** Who is at the other end of a connection. */
  readonly others = new Map<ConnectionId, VodPeer>();
  readonly traffic: Traffic = {
    fromSourcesBytes: 0,
    fromPeersBytes: 0,
    sentBytes: 0,
    duplicateBytes: 0,
    wrongBytes: 0,
    controlBytes: 0,
    controlByKind: {},
  };
  /** In the order of watching. */
  readonly players: VirtualPlayer[] = [];
  player: VirtualPlayer | undefined;
  watching: VodTask | undefined;
  leftMs: Milliseconds | undefined;
  /** Distinct names of those whose data was wrong. */
  readonly accused = new Set<string>();

  constructor(options: VodPeerOptions) {
    const { name, upBytesPerSecond, downBytesPerSecond } = options;
    this.options = options;
    this.host = new Host({ name, upBytesPerSecond, downBytesPerSecond });
    this.uplink = new TokenBucket(options.upLimitBytesPerSecond);
  }

  get name(): string {
    return this.options.name;
  }

  get isGone(): boolean {
    return this.leftMs !== undefined;
  }

  /** Its experience counts: it does nothing wrong itself. */
  get counts(): boolean {
    return this.options.kind === 'viewer' && this.options.habit === 'honest' && !this.options.freezes;
  }

  /** Duplicates and wrong bytes are known to the sessions alone. */
  collect(): void {
    const figures = [...this.tasks.values()].map(({ session }) => session.figures());
    this.traffic.duplicateBytes = figures.reduce((sum, { duplicateBytes, unaskedBytes }) => sum + duplicateBytes + unaskedBytes, 0);
    this.traffic.wrongBytes = figures.reduce((sum, { wastedBytes }) => sum + wastedBytes, 0);
  }

  /** What leaves the core, changed by the peer's habit. */
  tampered(effects: readonly TitleEffect[]): readonly TitleEffect[] {
    const { habit } = this.options;
    if (habit === 'honest') return effects;
    if (habit === 'liar') return effects.flatMap(boasting);
    return habit === 'polluter' ? effects.map(spoilt) : effects.flatMap(withheld);
  }
}

function spoilt(effect: TitleEffect): TitleEffect {
  if (effect.kind !== 'send' || effect.message.kind !== 'piece') return effect;
  return { ...effect, message: { ...effect.message, bytes: badBlock(effect.message.bytes.length) } };
}

/** Says that it has everything, and can give little of it. */
function boasting(effect: TitleEffect): TitleEffect[] {
  if (effect.kind !== 'send') return [effect];
  const { kind } = effect.message;
  if (kind === 'bitfield' || kind === 'have-none') return [{ ...effect, message: { kind: 'have-all' } }];
  return kind === 'have' ? [] : [effect];
}

/** Says that it has nothing, and so is asked for nothing. */
function withheld(effect: TitleEffect): TitleEffect[] {
  if (effect.kind !== 'send') return [effect];
  const { kind } = effect.message;
  if (kind === 'bitfield' || kind === 'have-all') return [{ ...effect, message: { kind: 'have-none' } }];
  return kind === 'have' || kind === 'piece' || kind === 'upload-only' ? [] : [effect];
}
