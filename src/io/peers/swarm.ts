/**
 * One swarm on the shared port: finds peers, keeps as many connections as the core wants, and hands each to the core when it is ready.
 *
 * A peer is ready when both handshakes are done, it maps the swarm's extension, and the metadata is known on this side. Until then
 * it is held, and serves or fetches metadata meanwhile. A peer that does not map the extension is let go after 30 s.
 * The decisions are the pool's, the metadata exchange's and the peer exchange's, all three pure; this class connects them to wires.
 */
import type { Connection } from '../../kernel/connection.js';
import { type BanTarget, ConnectionPool } from '../../kernel/connection-pool.js';
import { invariant, Malformed } from '../../kernel/errors.js';
import type { PeerAddress } from '../../kernel/peer-address.js';
import type { Clock, Hasher, Log } from '../../kernel/ports.js';
import type { Rng } from '../../kernel/rng.js';
import type { Bytes, ConnectionId, InfoHash, Milliseconds } from '../../kernel/units.js';
import type { Greeting, PeerWire, PeerWireEvents, RemoteHandshake, WireEnd } from './bittorrent-wire.js';
import type { ExtendedHandshake } from './extended-handshake.js';
import { METADATA_BYTES_MAX, type MetadataEffect, MetadataExchange } from './metadata-exchange.js';
import { PeerConnection } from './peer-connection.js';
import { type KnownPeer, PeerExchange } from './peer-exchange.js';

/** Our name and version in the extended handshake. */
export const CLIENT_NAME = 'Shoal 0.1.0';
const METADATA_EXTENSION = 'ut_metadata';
const PEX_EXTENSION = 'ut_pex';
/** Requests we would queue; libtorrent's default. Live swarms have none. */
const REQUEST_QUEUE_COUNT = 250;

/** What a swarm's owner knows of a peer. */
export interface PeerInfo {
  readonly address: string;
  readonly outgoing: boolean;
  /** The peer says that it publishes the channel; only signatures prove it. */
  readonly publisher: boolean;
  /** What the peer calls its program; printable, at most 64 characters, possibly empty. */
  readonly client: string;
}

export interface SwarmOptions {
  readonly infoHash: InfoHash;
  /** Name of the BEP 10 extension whose messages the connections carry, `shoal_live` for a live channel. */
  readonly extension: string;
  /** The bytes whose SHA-1 is the info hash, at most 64 KiB; null to fetch them from peers. */
  readonly metadata: Uint8Array | null;
  /** Whether this side publishes the channel. */
  readonly publisher: boolean;
  /** In both directions; a quarter is kept for connections that come in. */
  readonly maxConnections: number;
  /** To be reached by dialling until `want` says otherwise. */
  readonly targetConnections: number;
  /** Both handshakes are done, the peer maps the extension and the metadata is known. `listen` to it soon: what it sends waits. */
  onConnection(connection: Connection, info: PeerInfo): void;
  /** The metadata has been fetched and hashes to the info hash. Comes before the first `onConnection`. */
  onMetadata?(bytes: Uint8Array): void;
}

/** Periods of a swarm's housekeeping. Only tests change them. */
export interface SwarmTimings {
  readonly tickMs: Milliseconds;
  /** How long a peer may stay without mapping the extension. */
  readonly unmappedMs: Milliseconds;
}

export const SWARM_TIMINGS: SwarmTimings = { tickMs: 1_000, unmappedMs: 30_000 };

/** What a swarm needs of the network it lives on. */
export interface SwarmHost {
  readonly peerId: string;
  readonly port: number;
  readonly clock: Clock;
  readonly hasher: Hasher;
  readonly log: Log;
  readonly rng: Rng;
  readonly timings: SwarmTimings;
  /** Addresses of this machine beyond loopback. */
  readonly ownHosts: ReadonlySet<string>;
  /** A connection id never used before. */
  nextConnectionId(): ConnectionId;
  /** Begins to connect; undefined when the process has no place for another connection. */
  dial(address: PeerAddress, greeting: Greeting, events: PeerWireEvents): PeerWire | undefined;
  /** The swarm takes no more connections. */
  forget(swarm: Swarm): void;
}

interface SwarmPeer {
  readonly id: ConnectionId;
  readonly peerId: string;
  readonly wire: PeerWire;
  readonly dialled: PeerAddress | undefined;
  readonly pex: PeerExchange;
  readonly sinceMs: Milliseconds;
  publisher: boolean;
  client: string;
  listenPort: number | undefined;
  connection: PeerConnection | undefined;
  handedOver: boolean;
}

export class Swarm {
  readonly infoHash: InfoHash;
  readonly #host: SwarmHost;
  readonly #options: SwarmOptions;
  readonly #log: Log;
  readonly #pool: ConnectionPool;
  readonly #metadata: MetadataExchange;
  readonly #peers = new Map<ConnectionId, SwarmPeer>();
  readonly #dials = new Set<PeerWire>();
  #pastUpBytes: Bytes = 0;
  #pastDownBytes: Bytes = 0;
  #cancelTick: () => void;
  #left = false;

  /** Called by `PeerNetwork.join` only. */
  constructor(host: SwarmHost, options: SwarmOptions) {
    this.infoHash = options.infoHash;
    this.#host = host;
    this.#options = options;
    this.#log = host.log.child({ infoHash: options.infoHash });
    const { maxConnections, targetConnections } = options;
    this.#pool = new ConnectionPool({ ownPeerId: host.peerId, maxConnections, targetConnections, rng: host.rng, ownHosts: host.ownHosts });
    this.#metadata = new MetadataExchange(options.infoHash, host.hasher, null);
    if (options.metadata !== null) this.#checkMetadata(options.metadata);
    this.#cancelTick = host.clock.schedule(() => this.#tick(), host.timings.tickMs);
  }

  /** Peers that speak the swarm's extension, handed over or waiting for metadata. */
  get connectionCount(): number {
    return [...this.#peers.values()].filter((peer) => peer.connection !== undefined).length;
  }

  /** The peers that `connectionCount` counts. */
  peers(): PeerInfo[] {
    return [...this.#peers.values()].filter((peer) => peer.connection !== undefined).map(infoOf);
  }

  /** Raw bytes of all sockets the swarm has had. */
  traffic(): { readonly upBytes: Bytes; readonly downBytes: Bytes } {
    let [upBytes, downBytes] = [this.#pastUpBytes, this.#pastDownBytes];
    for (const { wire } of this.#peers.values()) {
      upBytes += wire.traffic.upBytes;
      downBytes += wire.traffic.downBytes;
    }
    return { upBytes, downBytes };
  }

  /** Names an address to try. Unusable, banned and surplus ones are ignored. */
  addCandidate(host: string, port: number, source: 'tracker' | 'pex' | 'link'): void {
    this.#pool.addCandidate(host, port, source, this.#nowMs());
    this.#dial();
  }

  /** How many connections dialling should reach; the limit of the swarm stands. */
  want(count: number): void {
    this.#pool.want(count);
    this.#dial();
  }

  /** Bans a peer for an hour and closes its connections. */
  ban(peerId: string, reason: string): void {
    const peer = [...this.#peers.values()].find((known) => known.peerId === peerId);
    this.#ban(peer === undefined ? { peerId } : banTarget(peer), reason);
  }

  /** The metadata became known from elsewhere. It must hash to the info hash. Connections that waited for it are handed over. */
  setMetadata(bytes: Uint8Array): void {
    if (this.#metadata.metadata !== undefined) return;
    this.#checkMetadata(bytes);
    this.#metadataKnown();
  }

  /** Says goodbye to all peers; resolves when every socket is closed, a second later at most. */
  async leave(): Promise<void> {
    if (!this.#left) {
      this.#left = true;
      this.#cancelTick();
      this.#host.forget(this);
    }
    const wires = [...this.#dials, ...[...this.#peers.values()].map((peer) => peer.wire)];
    for (const wire of wires) wire.closeGently('leaving the swarm');
    await Promise.all(wires.map((wire) => wire.closed));
  }

  /** A connection has brought this swarm's info hash. Called by the network for those that came in. */
  welcome(wire: PeerWire, remote: RemoteHandshake, dialled?: PeerAddress): void {
    const nowMs = this.#nowMs();
    const id = this.#host.nextConnectionId();
    const { peerId } = remote;
    const admission = this.#pool.admit({ id, peerId, host: wire.host, ...(dialled === undefined ? {} : { dialled }) }, nowMs);
    if (admission.kind === 'refused') {
      wire.close(`refused: ${admission.reason}`);
      return;
    }
    const peer: SwarmPeer = {
      id,
      peerId,
      wire,
      dialled,
      pex: new PeerExchange(wire.host),
      sinceMs: nowMs,
      publisher: false,
      client: '',
      listenPort: undefined,
      connection: undefined,
      handedOver: false,
    };
    this.#peers.set(id, peer);
    wire.listen(this.#eventsOf(peer));
    if (admission.replaces !== undefined) this.#peers.get(admission.replaces)?.wire.close('a second connection to the same peer stands');
    if (!remote.extended) wire.close('speaks no extensions');
    else if (dialled === undefined) wire.greet(this.#greeting());
  }

  #nowMs(): Milliseconds {
    return this.#host.clock.nowMs();
  }

  #tick(): void {
    this.#cancelTick = this.#host.clock.schedule(() => this.#tick(), this.#host.timings.tickMs);
    const nowMs = this.#nowMs();
    this.#perform(this.#metadata.tick(nowMs));
    for (const peer of [...this.#peers.values()]) {
      const isOverdue = peer.connection === undefined && nowMs - peer.sinceMs >= this.#host.timings.unmappedMs;
      if (isOverdue) peer.wire.close(`does not speak ${this.#options.extension}`);
      else this.#tellPeers(peer, nowMs);
    }
    this.#dial();
  }

  #dial(): void {
    if (this.#left) return;
    for (const address of this.#pool.dial(this.#nowMs())) this.#dialOne(address);
  }

  #dialOne(address: PeerAddress): void {
    let judged = false;
    const wire = this.#host.dial(address, this.#greeting(), {
      ...SILENT_EVENTS,
      onHandshake: (remote) => {
        judged = true;
        if (wire === undefined) return;
        this.#dials.delete(wire);
        this.welcome(wire, remote, address);
      },
      onClose: (end) => {
        if (wire !== undefined) this.#dials.delete(wire);
        if (judged) return;
        this.#pool.dialFailed(address, this.#nowMs());
        this.#log.debug('dial failed', { reason: end.reason, host: address.host, port: address.port });
        this.#dial();
      },
    });
    if (wire === undefined) this.#pool.dialFailed(address, this.#nowMs());
    else this.#dials.add(wire);
  }

  #greeting(): Greeting {
    return {
      infoHash: this.infoHash,
      peerId: this.#host.peerId,
      extensions: [this.#options.extension, METADATA_EXTENSION, PEX_EXTENSION],
      handshake: this.#introduction(),
    };
  }

  #introduction(): Greeting['handshake'] {
    const metadata = this.#metadata.metadata;
    return {
      listenPort: this.#host.port,
      client: CLIENT_NAME,
      requestQueueCount: REQUEST_QUEUE_COUNT,
      publisher: this.#options.publisher,
      ...(metadata === undefined ? {} : { metadataSizeBytes: metadata.length }),
    };
  }

  #eventsOf(peer: SwarmPeer): PeerWireEvents {
    return {
      onHandshake: () => peer.wire.close('a second handshake'),
      onExtendedHandshake: (handshake) => this.#onExtendedHandshake(peer, handshake),
      onExtensionMessage: (name, bytes) => this.#onMessage(peer, name, bytes),
      onDrain: () => peer.connection?.drained(),
      onClose: (end) => this.#onClose(peer, end),
    };
  }

  #onExtendedHandshake(peer: SwarmPeer, handshake: ExtendedHandshake): void {
    const nowMs = this.#nowMs();
    peer.publisher ||= handshake.publisher;
    peer.client = handshake.client ?? peer.client;
    if (handshake.listenPort !== undefined && peer.listenPort === undefined) {
      peer.listenPort = handshake.listenPort;
      this.#pool.learnListenPort(peer.id, handshake.listenPort, nowMs);
    }
    const speaks = peer.wire.supports(this.#options.extension);
    if (!speaks && peer.connection !== undefined) {
      peer.wire.close(`no longer speaks ${this.#options.extension}`);
      return;
    }
    if (speaks && peer.connection === undefined) this.#openConnection(peer);
    this.#tellPeers(peer, nowMs);
    if (peer.wire.supports(METADATA_EXTENSION)) this.#perform(this.#metadata.peerReady(peer.id, handshake.metadataSizeBytes, nowMs));
  }

  #openConnection(peer: SwarmPeer): void {
    peer.connection = new PeerConnection({
      id: peer.id,
      peerId: peer.peerId,
      wire: peer.wire,
      extension: this.#options.extension,
      onMisbehaved: (detail) => this.#onMisbehaved(peer, detail),
    });
    this.#handOver(peer);
  }

  #handOver(peer: SwarmPeer): void {
    if (peer.handedOver || peer.connection === undefined || this.#metadata.metadata === undefined) return;
    peer.handedOver = true;
    try {
      this.#options.onConnection(peer.connection, infoOf(peer));
    } catch (error) {
      peer.wire.fail('connection', error);
    }
  }

  #onMessage(peer: SwarmPeer, name: string, bytes: Uint8Array): void {
    if (name === this.#options.extension) peer.connection?.deliver(bytes);
    else if (name === METADATA_EXTENSION) this.#perform(this.#metadata.message(peer.id, bytes, this.#nowMs()));
    else if (name === PEX_EXTENSION) this.#onPex(peer, bytes);
  }

  #onPex(peer: SwarmPeer, bytes: Uint8Array): void {
    const nowMs = this.#nowMs();
    const addresses = peer.pex.accept(bytes, nowMs);
    if (addresses instanceof Malformed) {
      this.#onMisbehaved(peer, addresses.reason);
      return;
    }
    for (const { host, port } of addresses) this.#pool.addCandidate(host, port, 'pex', nowMs);
    this.#dial();
  }

  #onMisbehaved(peer: SwarmPeer, detail: string): void {
    this.ban(peer.peerId, detail);
    peer.wire.close(`misbehaved: ${detail}`);
  }

  #onClose(peer: SwarmPeer, end: WireEnd): void {
    if (!this.#peers.delete(peer.id)) return;
    const nowMs = this.#nowMs();
    this.#pastUpBytes += peer.wire.traffic.upBytes;
    this.#pastDownBytes += peer.wire.traffic.downBytes;
    this.#logEnd(peer, end);
    this.#pool.released(peer.id, nowMs);
    // Before a handshake a stranger may have the wrong port; after it, breaking the wire protocol is no accident.
    if (end.kind === 'malformed') this.#ban(banTarget(peer), end.reason);
    if (peer.handedOver) peer.connection?.ended(end.reason);
    this.#perform(this.#metadata.peerGone(peer.id, nowMs));
    this.#dial();
  }

  #ban(target: BanTarget, reason: string): void {
    this.#log.info('peer banned', { reason });
    for (const id of this.#pool.ban(target, this.#nowMs())) this.#peers.get(id)?.wire.close(`banned: ${reason}`);
  }

  #logEnd(peer: SwarmPeer, end: WireEnd): void {
    const fields = { reason: end.reason, connection: peer.id };
    if (end.kind === 'fault') this.#log.error('a handler failed and its connection was closed', fields);
    this.#log.debug('peer gone', { ...fields, address: peer.wire.address });
  }

  #tellPeers(peer: SwarmPeer, nowMs: Milliseconds): void {
    if (!peer.wire.supports(PEX_EXTENSION) || !peer.pex.isDue(nowMs)) return;
    const others = [...this.#peers.values()].filter((other) => other !== peer && other.connection !== undefined);
    const message = peer.pex.next(others.flatMap(listeningAddress), nowMs);
    if (message !== undefined) peer.wire.sendExtension(PEX_EXTENSION, message);
  }

  #perform(effects: readonly MetadataEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'verified') {
        this.#options.onMetadata?.(effect.metadata);
        this.#metadataKnown();
        continue;
      }
      const peer = this.#peers.get(effect.kind === 'send' ? effect.to : effect.peer);
      if (peer === undefined) continue;
      if (effect.kind === 'send') peer.wire.sendExtension(METADATA_EXTENSION, effect.bytes);
      else this.#onMisbehaved(peer, effect.detail);
    }
  }

  #checkMetadata(bytes: Uint8Array): void {
    invariant(
      bytes.length > 0 && bytes.length <= METADATA_BYTES_MAX,
      `Metadata has 1 to ${METADATA_BYTES_MAX} bytes, not ${bytes.length}.`,
    );
    const digest = Buffer.from(this.#host.hasher.sha1(bytes)).toString('hex');
    invariant(digest === this.infoHash, `Metadata of the swarm ${this.infoHash} hashes to ${digest}.`);
    this.#metadata.provide(bytes);
  }

  /** Others may fetch it from us from now on, and those who waited are ready. */
  #metadataKnown(): void {
    for (const peer of [...this.#peers.values()]) {
      peer.wire.renew(this.#introduction());
      this.#handOver(peer);
    }
  }
}

const SILENT_EVENTS = {
  onExtendedHandshake: () => {},
  onExtensionMessage: () => {},
  onDrain: () => {},
};

function infoOf(peer: SwarmPeer): PeerInfo {
  return { address: peer.wire.address, outgoing: peer.wire.outgoing, publisher: peer.publisher, client: peer.client };
}

function banTarget(peer: SwarmPeer): BanTarget {
  const port = peer.listenPort ?? peer.dialled?.port;
  return { peerId: peer.peerId, host: peer.wire.host, ...(port === undefined ? {} : { port }) };
}

/** Where others can reach the peer: where we dialled it, or where it says that it listens. */
function listeningAddress(peer: SwarmPeer): KnownPeer[] {
  const port = peer.dialled?.port ?? peer.listenPort;
  return port === undefined ? [] : [{ host: peer.wire.host, port, reachable: peer.dialled !== undefined }];
}
