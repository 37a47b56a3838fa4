/**
 * A swarm of live exchanges in virtual time: the shipped core, engine and codec over a virtual network.
 *
 * Everything that happens follows from the seed: the same options give the same event log on every machine (invariant M5).
 */
import type { Connection } from '../kernel/connection.js';
import { Engine } from '../kernel/engine.js';
import type { Hasher, Signer, Verifier } from '../kernel/ports.js';
import { Rng } from '../kernel/rng.js';
import { TokenBucket } from '../kernel/token-bucket.js';
import type { Bytes, BytesPerSecond, InfoHash, Milliseconds, WindowNumber } from '../kernel/units.js';
import { type LiveCommand, type LiveEvent, LiveExchange, type LiveTimer } from '../relay/live-exchange.js';
import { type LiveMessage, liveCodec, TRAFFIC_KIND } from '../relay/live-message.js';
import type { LiveParameters } from '../relay/live-parameters.js';
import { Host, Network } from './network.js';
import { VirtualClock } from './virtual-clock.js';

export interface LiveWorldOptions {
  readonly seed: number;
  readonly parameters: LiveParameters;
  readonly channel: InfoHash;
  readonly hasher: Hasher;
  readonly verifier: Verifier;
  readonly signer: Signer;
  /** Media of the stream. */
  readonly bytesPerSecond: BytesPerSecond;
  /** Every so many milliseconds a window holds a key frame. */
  readonly keyIntervalMs: Milliseconds;
  /** One way, each pair draws its own between the two. */
  readonly latencyMs: readonly [Milliseconds, Milliseconds];
  /** The publisher's upload limit, as its own limiter keeps it; 0: none. */
  readonly publisherUpBytesPerSecond: BytesPerSecond;
  readonly viewerUpBytesPerSecond: BytesPerSecond;
  /** Called with one line per event, for a log that two runs can compare. */
  readonly onLog?: (line: string) => void;
}

/** One window as a viewer got it. */
export interface Delivery {
  readonly number: WindowNumber;
  readonly atMs: Milliseconds;
  /** Delivery minus the moment the publisher cut the window, by the world's own clock. */
  readonly afterCutMs: Milliseconds;
}

type LiveEngine = Engine<LiveMessage, LiveCommand, LiveEvent, LiveTimer>;

export class SimPeer {
  readonly name: string;
  readonly host: Host;
  readonly exchange: LiveExchange;
  readonly engine: LiveEngine;
  readonly deliveries: Delivery[] = [];
  readonly payloads = new Map<WindowNumber, Uint8Array>();
  readonly joinedMs: Milliseconds;
  skipped = 0;
  up: Record<string, Bytes> = {};
  down: Record<string, Bytes> = {};
  readonly links: Connection[] = [];

  constructor(name: string, host: Host, exchange: LiveExchange, engine: LiveEngine, joinedMs: Milliseconds) {
    this.name = name;
    this.host = host;
    this.exchange = exchange;
    this.engine = engine;
    this.joinedMs = joinedMs;
  }
}

export class LiveWorld {
  readonly clock = new VirtualClock();
  readonly publisher: SimPeer;
  readonly peers: SimPeer[] = [];
  readonly cutMs = new Map<WindowNumber, Milliseconds>();
  readonly cutBytes = new Map<WindowNumber, Uint8Array>();
  readonly #options: LiveWorldOptions;
  readonly #network: Network;
  readonly #rng: Rng;
  readonly #mediaRng: Rng;
  #number: WindowNumber = 0;
  #publishing = true;

  constructor(options: LiveWorldOptions) {
    this.#options = options;
    this.#network = new Network(this.clock);
    this.#rng = new Rng(options.seed);
    this.#mediaRng = this.#rng.fork();
    this.publisher = this.#makePeer('publisher', options.publisherUpBytesPerSecond, options.signer);
    this.#scheduleWindow();
  }

  /** A viewer joins and is linked to the publisher and to everybody else, up to `neighbours` drawn at random. */
  join(name: string, neighbours = Number.POSITIVE_INFINITY, withPublisher = true): SimPeer {
    const peer = this.#makePeer(name, this.#options.viewerUpBytesPerSecond);
    const others = [...this.peers];
    const chosen: SimPeer[] = withPublisher ? [this.publisher] : [];
    while (others.length > 0 && chosen.length < neighbours) chosen.push(...others.splice(this.#rng.below(others.length), 1));
    this.peers.push(peer);
    for (const other of chosen) this.connect(peer, other);
    return peer;
  }

  connect(a: SimPeer, b: SimPeer): void {
    const [low, high] = this.#options.latencyMs;
    const [one, other] = this.#network.link(a.host, b.host, low + this.#rng.float() * (high - low));
    a.links.push(one);
    b.links.push(other);
    a.engine.add(one);
    b.engine.add(other);
  }

  /** A peer vanishes; its neighbours notice after the latency. */
  kill(peer: SimPeer): void {
    for (const link of peer.links) link.close({ kind: 'leaving', detail: 'killed' });
    peer.engine.stop();
    this.peers.splice(this.peers.indexOf(peer), 1);
  }

  /** The source falls silent, or comes back. */
  setPublishing(publishing: boolean): void {
    this.#publishing = publishing;
  }

  run(forMs: Milliseconds): void {
    this.clock.runUntil(this.clock.nowMs() + forMs);
  }

  #makePeer(name: string, upBytesPerSecond: BytesPerSecond, signer?: Signer): SimPeer {
    const { channel, parameters, hasher, verifier } = this.#options;
    const host = new Host({ name, upBytesPerSecond: 0, downBytesPerSecond: 0 });
    const exchange = new LiveExchange({
      channel,
      owner: this.#options.signer.publicKey,
      parameters,
      hasher,
      verifier,
      ...(signer ? { signer } : {}),
      rng: this.#rng.fork(),
      uplink: new TokenBucket(upBytesPerSecond),
      downlink: new TokenBucket(0),
    });
    const engine: LiveEngine = new Engine({
      protocol: exchange,
      codec: liveCodec,
      clock: this.clock,
      onEvent: (event) => this.#onEvent(peer, event),
      onTraffic: (direction, message, sizeBytes) => {
        const kind = TRAFFIC_KIND[message.kind];
        peer[direction][kind] = (peer[direction][kind] ?? 0) + sizeBytes;
      },
      onDisconnect: (connection, reason) => this.#log(`${name} drops ${connection.peerId}: ${reason.kind} ${reason.detail}`),
    });
    const peer = new SimPeer(name, host, exchange, engine, this.clock.nowMs());
    engine.command({ kind: 'start' });
    return peer;
  }

  #onEvent(peer: SimPeer, event: LiveEvent): void {
    if (event.kind === 'window') {
      const { number } = event.manifest;
      peer.deliveries.push({ number, atMs: this.clock.nowMs(), afterCutMs: this.clock.nowMs() - (this.cutMs.get(number) ?? 0) });
      peer.payloads.set(number, event.bytes);
      this.#log(`${peer.name} plays ${number}`);
    } else if (event.kind === 'skipped') {
      peer.skipped += event.to - event.from;
      this.#log(`${peer.name} skips ${event.from} to ${event.to}`);
    }
  }

  #log(line: string): void {
    this.#options.onLog?.(`${this.clock.nowMs().toFixed(3)} ${line}`);
  }

  #scheduleWindow(): void {
    const { windowMs } = this.#options.parameters;
    this.clock.schedule(() => {
      this.#number += 1;
      if (this.#publishing) this.#publishWindow(this.#number);
      this.#scheduleWindow();
    }, windowMs);
  }

  #publishWindow(number: WindowNumber): void {
    const { windowMs } = this.#options.parameters;
    const startMs = number * windowMs;
    const sizeBytes = Math.round((this.#options.bytesPerSecond * windowMs) / 1000);
    const bytes = Uint8Array.from({ length: sizeBytes }, () => this.#mediaRng.below(256));
    const key = startMs % this.#options.keyIntervalMs < windowMs;
    this.cutMs.set(number, this.clock.nowMs());
    this.cutBytes.set(number, bytes);
    const previous = this.cutMs.has(number - 1) ? number - 1 : null;
    const keyMarks = key ? [{ offsetBytes: 0, afterStartMs: 0 }] : [];
    this.publisher.engine.command({
      kind: 'publish',
      content: { number, previous, discontinuity: previous === null, startMs, durationMs: windowMs, bytes, keyMarks },
    });
    this.#log(`publisher cuts ${number}`);
  }
}
