/**
 * A swarm of live exchanges in virtual time: the shipped core, engine and codec over a virtual network.
 *
 * Everything that happens follows from the seed: the same options give the same event log on every machine (invariant M5).
 */
import type { Connection } from '../kernel/connection.js';
import { Engine } from '../kernel/engine.js';
import type { Hasher, Signer, Verifier } from '../kernel/ports.js';
import type { Input } from '../kernel/protocol.js';
import { Rng } from '../kernel/rng.js';
import { TokenBucket } from '../kernel/token-bucket.js';
import type { BytesPerSecond, ConnectionId, InfoHash, Milliseconds, WindowNumber } from '../kernel/units.js';
import type { HoledWindow, MendedWindow } from '../media/holed-window.js';
import type { Certificate } from '../relay/exchange/certificate.js';
import { type LiveCommand, type LiveEvent, LiveExchange, type LiveTimer } from '../relay/exchange/live-exchange.js';
import type { LiveMessage } from '../relay/exchange/live-message.js';
import type { LiveParameters } from '../relay/exchange/live-parameters.js';
import type { LiveEffect } from '../relay/exchange/live-protocol.js';
import type { WindowContent } from '../relay/exchange/manifest.js';
import { draw } from './chance.js';
import { MediaSource } from './media-source.js';
import { Host, type HostOptions, Network, type NetworkOptions } from './network.js';
import { type LiveEngine, SimPeer } from './sim-peer.js';
import { SwarmMemory } from './swarm-memory.js';
import { VirtualClock } from './virtual-clock.js';

/** One step of one peer's core. */
export interface LiveStep {
  readonly peer: SimPeer;
  readonly input: Input<LiveMessage, LiveCommand, LiveTimer>;
  readonly effects: readonly LiveEffect[];
  readonly nowMs: Milliseconds;
}

/** What a misbehaving peer sends instead of an honest message. */
export type Tamper = (message: LiveMessage, to: ConnectionId, nowMs: Milliseconds) => readonly LiveMessage[];

export interface LiveWorldOptions {
  readonly seed: number;
  readonly parameters: LiveParameters;
  readonly channel: InfoHash;
  readonly hasher: Hasher;
  readonly verifier: Verifier;
  /** The owner of the channel. */
  readonly signer: Signer;
  /** Who publishes for the owner; the owner itself if left out. */
  readonly publisher?: PublisherIdentity;
  /** Media of the stream. */
  readonly bytesPerSecond: BytesPerSecond;
  /** Every so many milliseconds a window holds a key frame. */
  readonly keyIntervalMs: Milliseconds;
  /** One way, each pair draws its own between the two. */
  readonly latencyMs: readonly [Milliseconds, Milliseconds];
  /** Instead of `latencyMs`: of two hosts by name. */
  readonly latencyBetween?: ((one: string, other: string) => Milliseconds) | undefined;
  /** Loss and jitter of links; none if left out. */
  readonly network?: NetworkOptions | undefined;
  /** The publisher's upload limit, as its own limiter keeps it; 0: none. Its line has no limit. */
  readonly publisherUpBytesPerSecond: BytesPerSecond;
  /** The same of viewers; a viewer may bring another, and a line with limits. */
  readonly viewerUpBytesPerSecond: BytesPerSecond;
  /** Whether viewers take windows with gaps; false if left out. */
  readonly mends?: boolean;
  /** Called with one line per event, for a log that two runs can compare. */
  readonly onLog?: (line: string) => void;
  /** A peer wishes for so many neighbours; whoever drives the world plays the tracker. */
  readonly onWant?: (peer: SimPeer, want: number) => void;
  /** A peer has lost a neighbour, or let it go: a real one would dial somebody else. */
  readonly onLoss?: (peer: SimPeer) => void;
  /** A peer has no room for another, by name, and tells it whom else there is. `knownMs`: how long they knew each other. */
  readonly onLetGo?: (peer: SimPeer, name: string, knownMs: Milliseconds) => void;
  /** Called after every step of every peer: the place to check invariants. */
  readonly onStep?: (step: LiveStep) => void;
}

/** A key, and the owner's word for it. */
export interface PublisherIdentity {
  readonly signer: Signer;
  readonly certificate: Certificate;
}

/** Unix time at which every world begins. */
export const WORLD_START_MS: Milliseconds = 1_800_000_000_000;

/** The line of a host: what waits for it lies behind Shoal's own limiter, where nothing can be taken back. 0: no limit. */
export type Line = Pick<HostOptions, 'upBytesPerSecond' | 'downBytesPerSecond'>;

const UNLIMITED: Line = { upBytesPerSecond: 0, downBytesPerSecond: 0 };

export interface JoinOptions {
  /** Publishes the same windows as the publisher, at the same moments. */
  readonly publishes?: PublisherIdentity;
  /** What it does not hear: to be one who goes on as if it had not been told. */
  readonly deafTo?: LiveMessage['kind'];
  /** By how much its wall clock is ahead of everybody else's. */
  readonly wallClockAheadMs?: Milliseconds;
  /** Viewers to be linked to, drawn at random; all of them if left out. */
  readonly neighbours?: number;
  /** Whether to be linked to the publisher; true if left out. */
  readonly withPublisher?: boolean;
  /** Makes the peer a misbehaving one. */
  readonly tamper?: Tamper;
  /** What its line passes; without limits if left out. */
  readonly line?: Line;
  /** What its own limiter lets out; 0: no limit. As that of all viewers if left out. */
  readonly upLimitBytesPerSecond?: BytesPerSecond;
  /** Of which block of addresses it is; of one of its own if left out. */
  readonly addressBlock?: string;
}

export interface FellowOptions {
  /** How much later than the first publisher it has each window. */
  readonly behindMs: Milliseconds;
  /** What it makes of the source; the same windows if left out. */
  readonly alter?: (content: WindowContent) => WindowContent;
  /** Signs its windows; the owner if left out. */
  readonly identity?: PublisherIdentity;
}

/** A further publisher of the source. */
export interface Fellow extends FellowOptions {
  readonly peer: SimPeer;
  gone: boolean;
}

export class LiveWorld {
  readonly clock = new VirtualClock();
  /** Viewers. */
  readonly peers: SimPeer[] = [];
  /** Further publishers of the source. */
  readonly fellows: Fellow[] = [];
  /** Every window ever cut, and when. */
  readonly cut = new Map<WindowNumber, { readonly content: WindowContent; readonly atMs: Milliseconds }>();
  readonly #options: LiveWorldOptions;
  readonly #linkedMs = new WeakMap<Connection, Milliseconds>();
  readonly #network: Network;
  readonly #rng: Rng;
  readonly #source: MediaSource;
  readonly #memory: SwarmMemory;
  /** Those that publish beside the publisher. */
  readonly #copublishers = new Set<SimPeer>();
  #publisher: SimPeer;
  #publishing = true;
  /** Windows that a further publisher has made of the source, and which one. */
  readonly #altered = new Map<string, string>();

  constructor(options: LiveWorldOptions) {
    const { windowMs } = options.parameters;
    this.#options = options;
    this.#network = new Network(this.clock, options.network);
    this.#rng = new Rng(options.seed);
    this.#memory = new SwarmMemory(options.hasher, options.verifier);
    this.#source = new MediaSource({ ...options, windowMs, rng: this.#rng.fork() });
    this.#publisher = this.#makePublisher();
    this.#scheduleWindow();
  }

  get publisher(): SimPeer {
    return this.#publisher;
  }

  join(name: string, options: JoinOptions = {}): SimPeer {
    const upLimit = options.upLimitBytesPerSecond ?? this.#options.viewerUpBytesPerSecond;
    const peer = this.#makePeer(name, upLimit, options.publishes, options);
    if (options.publishes) this.#copublishers.add(peer);
    const fellows = this.fellows.filter(({ gone }) => !gone).map((fellow) => fellow.peer);
    const chosen: SimPeer[] = options.withPublisher === false ? [] : [this.#publisher, ...fellows];
    for (const other of draw(this.#rng, this.peers, options.neighbours ?? this.peers.length)) chosen.push(other);
    this.peers.push(peer);
    for (const other of chosen) this.connect(peer, other);
    return peer;
  }

  /** Whether nothing passes between the two at the moment. */
  isCut(a: SimPeer, b: SimPeer): boolean {
    return this.#network.isCut(a.host, b.host);
  }

  /** @returns false: no answer comes across a cut, so the attempt fails; whoever made it may try again. */
  connect(a: SimPeer, b: SimPeer): boolean {
    if (this.isCut(a, b)) return false;
    const { latencyBetween, latencyMs } = this.#options;
    const [low, high] = latencyMs;
    const wayMs = latencyBetween?.(a.name, b.name) ?? low + this.#rng.float() * (high - low);
    const [one, other] = this.#network.link(a.host, b.host, wayMs);
    this.#linkedMs.set(one, this.clock.nowMs());
    this.#linkedMs.set(other, this.clock.nowMs());
    a.links.push(one);
    b.links.push(other);
    a.engine.add(one);
    b.engine.add(other);
    return true;
  }

  /** Another publisher of the source, linked to all viewers and all publishers. */
  addFellow(name: string, options: FellowOptions): Fellow {
    const peer = this.#makePeer(name, this.#options.publisherUpBytesPerSecond, options.identity ?? this.#ownIdentity);
    const others = [this.#publisher, ...this.fellows.filter(({ gone }) => !gone).map((fellow) => fellow.peer), ...this.peers];
    for (const other of others) this.connect(peer, other);
    const fellow: Fellow = { ...options, peer, gone: false };
    this.fellows.push(fellow);
    return fellow;
  }

  /** A further publisher's process ends. */
  killFellow(fellow: Fellow): void {
    fellow.gone = true;
    this.kill(fellow.peer);
  }

  /** A peer's process ends; its neighbours notice after the latency. */
  kill(peer: SimPeer): void {
    peer.engine.stop();
    const at = this.peers.indexOf(peer);
    if (at >= 0) this.peers.splice(at, 1);
    this.#copublishers.delete(peer);
    this.#log(`${peer.name} is gone`);
  }

  /** A peer's cable is pulled: its neighbours hear nothing, not even that it is gone. */
  cutOff(peer: SimPeer): void {
    peer.host.frozen = true;
    const at = this.peers.indexOf(peer);
    if (at >= 0) this.peers.splice(at, 1);
    this.#log(`${peer.name} is cut off`);
  }

  /**
   * From now on nothing passes between these and all others, and no new connection comes about; what was sent arrives when the network is whole again.
   */
  partition(peers: readonly SimPeer[]): void {
    this.#network.partition(peers.map(({ host }) => host));
    this.#log('the network is cut');
  }

  heal(): void {
    this.#network.heal();
    this.#log('the network is whole');
  }

  /** The source falls silent, or comes back. */
  setPublishing(publishing: boolean): void {
    this.#publishing = publishing;
  }

  /** The publisher's process ends and another takes its place, which goes on with numbers that lie `jumpWindows` higher. */
  restartPublisher(jumpWindows: number): void {
    this.#publisher.engine.stop();
    this.#source.restart(jumpWindows);
    this.#publisher = this.#makePublisher();
    for (const peer of this.peers) this.connect(peer, this.#publisher);
  }

  run(forMs: Milliseconds): void {
    this.clock.runUntil(this.clock.nowMs() + forMs);
  }

  #makePublisher(): SimPeer {
    return this.#makePeer('publisher', this.#options.publisherUpBytesPerSecond, this.#ownIdentity);
  }

  get #ownIdentity(): Partial<PublisherIdentity> {
    return this.#options.publisher ?? { signer: this.#options.signer };
  }

  /** Unix time, the same for everybody whose clock is right. */
  get wallClockMs(): Milliseconds {
    return WORLD_START_MS + this.clock.nowMs();
  }

  #makePeer(
    name: string,
    upBytesPerSecond: BytesPerSecond,
    identity?: Partial<PublisherIdentity>,
    { tamper, deafTo, addressBlock, line = UNLIMITED, wallClockAheadMs = 0 }: JoinOptions = {},
  ): SimPeer {
    const { channel, parameters, onStep } = this.#options;
    const host = new Host({ name, addressBlock, ...line });
    const exchange = new LiveExchange({
      channel,
      owner: this.#options.signer.publicKey,
      parameters,
      hasher: this.#memory.hasher,
      verifier: this.#memory.verifier,
      intake: this.#memory.intake,
      ...identity,
      wallClockMs: () => this.wallClockMs + wallClockAheadMs,
      rng: this.#rng.fork(),
      uplink: new TokenBucket(upBytesPerSecond),
      downlink: new TokenBucket(0),
      ...(this.#options.mends ? { mend: mendSimulated } : {}),
    });
    const engine: LiveEngine = new Engine({
      protocol: {
        handle: (input, nowMs) => {
          if (input.kind === 'message' && input.message.kind === deafTo) return [];
          const effects = tampered(exchange.handle(input, nowMs), tamper, nowMs);
          onStep?.({ peer, input, effects, nowMs });
          const loses = input.kind === 'peer-down' || effects.some(({ kind }) => kind === 'disconnect');
          if (loses) this.#options.onLoss?.(peer);
          return effects;
        },
      },
      codec: this.#memory.codec,
      clock: host.clock(this.clock),
      onEvent: (event) => this.#onEvent(peer, event),
      onConnect: (want) => this.#options.onWant?.(peer, want),
      onTraffic: (direction, message, sizeBytes) => (direction === 'up' ? peer.up : peer.down).count(message, sizeBytes),
      onDisconnect: (connection, reason) => {
        const knownMs = this.clock.nowMs() - (this.#linkedMs.get(connection) ?? 0);
        if (reason.kind === 'surplus') this.#options.onLetGo?.(peer, connection.peerId, knownMs);
        if (reason.kind === 'misbehaved') peer.bans.push({ name: connection.peerId, detail: reason.detail });
        this.#log(`${name} drops ${connection.peerId}: ${reason.kind} ${reason.detail}`);
      },
    });
    const peer = new SimPeer({
      name,
      host,
      exchange,
      engine,
      clock: this.clock,
      joinedMs: this.clock.nowMs(),
      honest: tamper === undefined && deafTo === undefined,
    });
    engine.command({ kind: 'start' });
    if (identity) engine.command({ kind: 'on-air', onAir: true });
    return peer;
  }

  #onEvent(peer: SimPeer, event: LiveEvent): void {
    const nowMs = this.clock.nowMs();
    if (event.kind === 'window') {
      const { number, signer } = event.manifest;
      const cut = this.cut.get(number);
      const isFirst = cut !== undefined && isSame(cut.content.bytes, event);
      const source = isFirst ? this.#publisher.name : this.#altered.get(`${number} ${contentKey(event)}`);
      peer.deliveries.push({
        number,
        atMs: nowMs,
        afterCutMs: nowMs - (cut?.atMs ?? 0),
        intact: source !== undefined,
        source,
        discontinuity: event.manifest.discontinuity || peer.hasSkipped,
        missedBytes: event.gaps.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0),
        signer,
      });
      peer.hasSkipped = false;
      this.#log(`${peer.name} plays ${number}`);
    } else if (event.kind === 'conflict') {
      peer.conflicts.push(event.number);
    } else if (event.kind === 'skipped') {
      peer.skipped += event.to - event.from;
      peer.hasSkipped = true;
      this.#log(`${peer.name} skips ${event.from} to ${event.to}`);
    }
  }

  #log(line: string): void {
    this.#options.onLog?.(`${this.clock.nowMs().toFixed(3)} ${line}`);
  }

  #scheduleWindow(): void {
    this.clock.schedule(() => {
      if (this.#publishing) this.#publishWindow();
      else this.#source.miss();
      this.#scheduleWindow();
    }, this.#options.parameters.windowMs);
  }

  #publishWindow(): void {
    const content = this.#source.cut();
    this.cut.set(content.number, { content, atMs: this.clock.nowMs() });
    this.#log(`publisher cuts ${content.number}`);
    // Through their hosts, which may be frozen.
    for (const peer of [this.#publisher, ...this.#copublishers])
      peer.host.clock(this.clock).schedule(() => peer.engine.command({ kind: 'publish', content }), 0);
    for (const { peer, behindMs, alter } of this.fellows.filter(({ gone }) => !gone)) {
      const own = alter?.(content) ?? content;
      this.#altered.set(`${content.number} ${contentKey(own)}`, peer.name);
      peer.host.clock(this.clock).schedule(() => peer.engine.command({ kind: 'publish', content: own }), behindMs);
    }
  }
}

/** Simulated media has no tags: what is missing stays zero, and the key frame is the first half of its window. */
function mendSimulated({ bytes, gaps, keyOffsets }: HoledWindow): MendedWindow | undefined {
  const keyEnd = keyOffsets.length > 0 ? bytes.length / 2 : 0;
  return gaps.some(({ offsetBytes }) => offsetBytes < keyEnd) ? undefined : { bytes, keyOffsets, lossOffsets: [] };
}

/** Whether this is what was cut, apart from its gaps. */
function isSame(cut: Uint8Array, { bytes, gaps }: LiveEvent & { kind: 'window' }): boolean {
  // Most viewers are given the very array that one of them was given first.
  if (gaps.length === 0) return bytes === seen.get(cut) || isSeenSame(cut, bytes);
  const masked = Uint8Array.from(cut);
  for (const { offsetBytes, lengthBytes } of gaps) masked.fill(0, offsetBytes, offsetBytes + lengthBytes);
  return Buffer.compare(masked, bytes) === 0;
}

/** By what was cut: an array with the same bytes. */
const seen = new WeakMap<Uint8Array, Uint8Array>();

function isSeenSame(cut: Uint8Array, bytes: Uint8Array): boolean {
  const isSame = Buffer.compare(cut, bytes) === 0;
  if (isSame) seen.set(cut, bytes);
  return isSame;
}

/** Enough to know a window of the simulation again. */
function contentKey({ bytes }: { readonly bytes: Uint8Array }): string {
  return `${bytes.length} ${Buffer.from(bytes.subarray(0, 32)).toString('hex')}`;
}

function tampered(effects: readonly LiveEffect[], tamper: Tamper | undefined, nowMs: Milliseconds): readonly LiveEffect[] {
  if (!tamper) return effects;
  return effects.flatMap((effect): readonly LiveEffect[] =>
    effect.kind === 'send' ? tamper(effect.message, effect.to, nowMs).map((message) => ({ ...effect, message })) : [effect],
  );
}
