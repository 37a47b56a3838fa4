/**
 * One swarm on the shared port: finds peers, keeps as many connections as the core wants, and hands each to the core when it is ready.
 *
 * A peer is ready when its handshakes are done, it speaks what the swarm speaks (`SwarmDialect`: a live channel's extension, or a
 * torrent's frames), and the metadata is known on this side. Until then it is held, and serves or fetches metadata meanwhile.
 * The decisions are the pool's, the metadata exchange's and the peer exchange's, all three pure; this class connects them to wires.
 */
import type { Connection } from '../../kernel/connection.js';
import { type BanTarget, type CandidateSource, ConnectionPool } from '../../kernel/connection-pool.js';
import { invariant, Malformed } from '../../kernel/errors.js';
import { makeAddress, type PeerAddress } from '../../kernel/peer-address.js';
import type { Clock, Hasher, Log } from '../../kernel/ports.js';
import type { Rng } from '../../kernel/rng.js';
import type { Bytes, ConnectionId, InfoHash, Milliseconds } from '../../kernel/units.js';
import type { Greeting, PeerWire, PeerWireEvents, RemoteHandshake, WireEnd } from './bittorrent-wire.js';
import { DIAL_MANNERS, type DialManner, type EncryptionPolicy } from './encryption-policy.js';
import type { ExtendedHandshake } from './extended-handshake.js';
import type { FrameRules } from './frame-guard.js';
import { LiveDialect } from './live-dialect.js';
import { type MetadataEffect, MetadataExchange } from './metadata-exchange.js';
import { PeerConnection } from './peer-connection.js';
import { type KnownPeer, PeerExchange } from './peer-exchange.js';
import { type PeerInfo, peerInfo } from './peer-info.js';
import type { PeerVerdict, SwarmDialect } from './swarm-dialect.js';
import { TorrentDialect, type TorrentShape } from './torrent-dialect.js';
import { DHT_PORT_ID } from './torrent-frame-rules.js';

/** Our name and version in the extended handshake. */
export const CLIENT_NAME = 'Shoal 0.1.0';
/** Sources that a private torrent must not have. A link may come from anybody too. */
const UNTRACKED: readonly CandidateSource[] = ['link', 'lsd', 'dht', 'pex'];
const ALL_SOURCES: readonly CandidateSource[] = ['tracker', 'incoming', ...UNTRACKED];
/** Peers that are being told whom else there is because there is no room for them; the one that has taken longest gives way to the next. */
export const TURNED_AWAY_MAX = 16;
const METADATA_EXTENSION = 'ut_metadata';
const PEX_EXTENSION = 'ut_pex';

/** What live swarms and torrent swarms are joined with alike. */
interface SwarmOptionsBase {
  readonly infoHash: InfoHash;
  /** The bytes whose SHA-1 is the info hash, at most 64 KiB for a channel and 16 MiB for a torrent; null to fetch them from peers. */
  readonly metadata: Uint8Array | null;
  /** In both directions; a quarter is kept for connections that come in. */
  readonly maxConnections: number;
  /** To be reached by dialling until `want` says otherwise. */
  readonly targetConnections: number;
  /** Both handshakes are done, the peer speaks what the swarm speaks and the metadata is known. `listen` to it soon: what it sends waits. */
  onConnection(connection: Connection, info: PeerInfo): void;
}

/** A live channel: one extension carries everything. */
export interface LiveSwarmOptions extends SwarmOptionsBase {
  readonly kind?: 'live';
  /** Name of the BEP 10 extension whose messages the connections carry, `shoal_live` for a live channel. */
  readonly extension: string;
  /** Whether this side publishes the channel. */
  readonly publisher: boolean;
  /** The metadata has been fetched and hashes to the info hash. Comes before the first `onConnection`. */
  onMetadata?(bytes: Uint8Array): void;
}

/** A torrent: the connections carry whole BitTorrent frames, see `vod/torrent-frame.ts`. */
export interface TorrentSwarmOptions extends SwarmOptionsBase {
  readonly kind: 'torrent';
  /** BEP 27: peers come from the tracker alone. With a magnet link it is learnt from the metadata. */
  readonly isPrivate: boolean;
  /** Null while the metadata is unknown. */
  readonly pieceCount: number | null;
  /** Whether we download nothing (BEP 21). Default false; `setUploadOnly` changes it. */
  readonly uploadOnly?: boolean;
  /**
   * The metadata has been fetched and hashes to the info hash. Comes before the first `onConnection`. Answers what it says, or why it is of
   * no use, and then the swarm goes without.
   */
  onMetadata(bytes: Uint8Array): TorrentShape | Malformed;
}

export type SwarmOptions = LiveSwarmOptions | TorrentSwarmOptions;

/** Periods of a swarm's housekeeping. Only tests change them. */
export interface SwarmTimings {
  readonly tickMs: Milliseconds;
  /** How long a peer may stay without mapping the extension. */
  readonly unmappedMs: Milliseconds;
}

export const SWARM_TIMINGS: SwarmTimings = { tickMs: 1_000, unmappedMs: 30_000 };

/** The DHT node of this process, as peers hear of it. */
export interface DhtContact {
  /** UDP. */
  readonly port: number;
  /** A peer names its node. */
  addNode(address: PeerAddress): void;
}

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
  dial(address: PeerAddress, greeting: Greeting, events: PeerWireEvents, manner: DialManner): PeerWire | undefined;
  dht(): DhtContact | undefined;
  /** Whether connections of torrents are encrypted. */
  readonly encryption: EncryptionPolicy;
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
  readonly extended: boolean;
  readonly fast: boolean;
  /** What its extended handshakes have said so far. */
  handshake: Omit<ExtendedHandshake, 'extensions'>;
  /** Its extended handshake, or a frame, has come. */
  heard: boolean;
  connection: PeerConnection | undefined;
  handedOver: boolean;
}

export class Swarm {
  readonly infoHash: InfoHash;
  readonly #host: SwarmHost;
  readonly #options: SwarmOptions;
  readonly #dialect: SwarmDialect;
  readonly #log: Log;
  readonly #pool: ConnectionPool;
  readonly #metadata: MetadataExchange;
  readonly #peers = new Map<ConnectionId, SwarmPeer>();
  readonly #dials = new Set<PeerWire>();
  readonly #turnedAway = new Set<PeerWire>();
  /** The metadata is known and of use. */
  #isReady = false;
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
    this.#dialect = dialectOf(options, host.timings);
    this.#metadata = new MetadataExchange(options.infoHash, host.hasher, null, this.#dialect.metadataLimits);
    if (options.metadata !== null) {
      this.#checkMetadata(options.metadata);
      this.#isReady = true;
    }
    this.#cancelTick = host.clock.schedule(() => this.#tick(), host.timings.tickMs);
  }

  get isTorrent(): boolean {
    return this.#dialect instanceof TorrentDialect;
  }

  /** What a connection of this swarm may carry; `fast` is whether the other end speaks the fast extension. */
  frameRules(fast: boolean): FrameRules {
    return this.#dialect.frameRules(fast && this.#dialect.fast);
  }

  /** Peers that speak what the swarm speaks, handed over or waiting for metadata. */
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

  /** Whether peers come from the tracker alone (BEP 27); with a magnet link it is known with the metadata. */
  get isPrivate(): boolean {
    return this.#dialect.isPrivate;
  }

  /** Names an address to try. Unusable, banned and surplus ones are ignored, and what strangers name of a private torrent. */
  addCandidate(host: string, port: number, source: Exclude<CandidateSource, 'incoming'>): void {
    if (this.isPrivate && UNTRACKED.includes(source)) return;
    this.#pool.addCandidate(host, port, source, this.#nowMs());
    this.#dial();
  }

  /** How many connections dialling should reach; the limit of the swarm stands. */
  want(count: number): void {
    this.#pool.want(count);
    this.#dial();
  }

  /** Something is wanted again: peers with whom there was nothing to exchange are dialled once more. */
  recall(): void {
    this.#pool.recall(this.#nowMs());
    this.#dial();
  }

  /** Bans a peer for an hour and closes its connections. */
  ban(peerId: string, reason: string): void {
    const peer = [...this.#peers.values()].find((known) => known.peerId === peerId);
    this.#ban(peer === undefined ? { peerId } : banTarget(peer), reason);
  }

  /** Closes every connection and forgets every address: whoever named them is not to be believed any more. The swarm goes on with new ones. */
  dismiss(reason: string): void {
    this.#pool.forget(ALL_SOURCES);
    for (const wire of [...this.#dials, ...[...this.#peers.values()].map((peer) => peer.wire)]) wire.close(reason);
  }

  /** The metadata became known from elsewhere. It must hash to the info hash. Connections that waited for it are handed over. */
  setMetadata(bytes: Uint8Array): void {
    if (this.#metadata.metadata !== undefined) return;
    this.#checkMetadata(bytes);
    if (this.#dialect instanceof TorrentDialect) this.#learn(bytes);
    else this.#metadataKnown();
  }

  /** Says to all peers of a torrent whether we download nothing any more (BEP 21). */
  setUploadOnly(uploadOnly: boolean): void {
    invariant(this.#dialect instanceof TorrentDialect, 'Only torrents are uploaded only.');
    if (this.#dialect.uploadOnly === uploadOnly) return;
    this.#dialect.uploadOnly = uploadOnly;
    for (const peer of this.#peers.values()) {
      if (peer.wire.supports('upload_only')) peer.wire.sendExtension('upload_only', Uint8Array.of(uploadOnly ? 1 : 0));
      else if (peer.extended) peer.wire.renew(this.#introduction());
    }
  }

  /** Says goodbye to all peers; resolves when every socket is closed, a second later at most. */
  async leave(): Promise<void> {
    if (!this.#left) {
      this.#left = true;
      this.#cancelTick();
      this.#host.forget(this);
    }
    const wires = [...this.#dials, ...this.#turnedAway, ...[...this.#peers.values()].map((peer) => peer.wire)];
    for (const wire of wires) wire.closeGently('leaving the swarm');
    await Promise.all(wires.map((wire) => wire.closed));
  }

  /** A connection has brought this swarm's info hash. Called by the network for those that came in. */
  welcome(wire: PeerWire, remote: RemoteHandshake, dialled?: PeerAddress): void {
    const nowMs = this.#nowMs();
    const id = this.#host.nextConnectionId();
    const { peerId, extended } = remote;
    const admission = this.#pool.admit({ id, peerId, host: wire.host, ...(dialled === undefined ? {} : { dialled }) }, nowMs);
    if (admission.kind === 'refused') {
      if (admission.reason === 'full' && dialled === undefined) this.turnAway(wire, remote);
      else wire.close(`refused: ${admission.reason}`);
      return;
    }
    const peer: SwarmPeer = {
      id,
      peerId,
      wire,
      dialled,
      pex: new PeerExchange(wire.host),
      sinceMs: nowMs,
      extended,
      fast: remote.fast && this.#dialect.fast,
      handshake: { publisher: false },
      heard: false,
      connection: undefined,
      handedOver: false,
    };
    this.#peers.set(id, peer);
    wire.listen(this.#eventsOf(peer));
    if (admission.replaces !== undefined) this.#peers.get(admission.replaces)?.wire.close('a second connection to the same peer stands');
    const verdict = this.#verdict(peer);
    if (dialled === undefined && typeof verdict === 'string') wire.greet(this.#greeting());
    const dht = remote.dht ? this.#dht() : undefined;
    if (dht !== undefined) wire.sendFrames(Uint8Array.of(0, 0, 0, 3, DHT_PORT_ID, dht.port >> 8, dht.port & 0xff));
    this.#judge(peer);
  }

  /** There is no room for a connection that has come in: it is told whom else there is, and closed. */
  turnAway(wire: PeerWire, { extended }: RemoteHandshake): void {
    if (!extended || this.isTorrent || this.#left) return wire.close('refused: full');
    const [oldest] = this.#turnedAway;
    if (this.#turnedAway.size >= TURNED_AWAY_MAX) oldest?.close('refused: full');
    this.#turnedAway.add(wire);
    const cancel = this.#host.clock.schedule(() => wire.close('refused: full'), this.#host.timings.unmappedMs);
    wire.listen({
      ...SILENT_EVENTS,
      onHandshake: () => wire.close('a second handshake'),
      onExtendedHandshake: () => {
        this.#sendAddresses(wire, new PeerExchange(wire.host));
        wire.closeGently('refused: full');
      },
      onClose: () => {
        cancel();
        this.#turnedAway.delete(wire);
      },
    });
    wire.greet(this.#greeting());
  }

  #nowMs(): Milliseconds {
    return this.#host.clock.nowMs();
  }

  #tick(): void {
    this.#cancelTick = this.#host.clock.schedule(() => this.#tick(), this.#host.timings.tickMs);
    const nowMs = this.#nowMs();
    this.#perform(this.#metadata.tick(nowMs));
    for (const peer of [...this.#peers.values()]) {
      this.#judge(peer);
      this.#tellPeers(peer, nowMs);
    }
    this.#dial();
  }

  #judge(peer: SwarmPeer): void {
    if (peer.connection !== undefined || peer.wire.end !== undefined) return;
    const verdict = this.#verdict(peer);
    if (verdict === 'ready') this.#openConnection(peer);
    else if (verdict !== 'wait') peer.wire.close(verdict.refused);
  }

  #verdict({ extended, heard, wire, sinceMs }: SwarmPeer): PeerVerdict {
    const ageMs = this.#nowMs() - sinceMs;
    return this.#dialect.judge({ extended, heard, supports: (extension) => wire.supports(extension), ageMs });
  }

  #dial(): void {
    if (this.#left) return;
    for (const address of this.#pool.dial(this.#nowMs())) this.#dialOne(address);
  }

  #dialOne(address: PeerAddress): void {
    const [manner, ...others] = this.isTorrent ? DIAL_MANNERS[this.#host.encryption] : DIAL_MANNERS.off;
    this.#dialAs(address, manner, others);
  }

  /** Dials; a peer that was reached and closed without a handshake may have wanted the other manner. */
  #dialAs(address: PeerAddress, manner: DialManner, others: readonly DialManner[]): void {
    let judged = false;
    const events: PeerWireEvents = {
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
        const [next, ...rest] = others;
        if (next === undefined || wire?.reached !== true || this.#left) {
          this.#onDialFailed(address, end);
          return;
        }
        this.#log.debug('dialled once more, in another manner', { reason: end.reason, was: manner, next });
        this.#dialAs(address, next, rest);
      },
    };
    const wire = this.#host.dial(address, this.#greeting(), events, manner);
    if (wire === undefined) this.#pool.dialFailed(address, this.#nowMs());
    else this.#dials.add(wire);
  }

  #onDialFailed(address: PeerAddress, end: WireEnd): void {
    this.#pool.dialFailed(address, this.#nowMs());
    this.#log.debug('dial failed', { reason: end.reason, host: address.host, port: address.port });
    this.#dial();
  }

  #greeting(): Greeting {
    return {
      infoHash: this.infoHash,
      peerId: this.#host.peerId,
      extensions: [...this.#dialect.extensions, METADATA_EXTENSION, ...(this.#dialect.isPrivate ? [] : [PEX_EXTENSION])],
      fast: this.#dialect.fast,
      dht: this.#dht() !== undefined,
      handshake: this.#introduction(),
    };
  }

  #introduction(): Greeting['handshake'] {
    const metadata = this.#metadata.metadata;
    return {
      listenPort: this.#host.port,
      client: CLIENT_NAME,
      ...this.#dialect.introduction(),
      ...(metadata === undefined ? {} : { metadataSizeBytes: metadata.length }),
    };
  }

  #eventsOf(peer: SwarmPeer): PeerWireEvents {
    return {
      onHandshake: () => peer.wire.close('a second handshake'),
      onExtendedHandshake: (handshake) => this.#onExtendedHandshake(peer, handshake),
      onExtensionMessage: (name, bytes) => this.#onMessage(peer, name, bytes),
      onFrame: (frame) => this.#onFrame(peer, frame),
      onDrain: () => peer.connection?.drained(),
      onClose: (end) => this.#onClose(peer, end),
    };
  }

  #onExtendedHandshake(peer: SwarmPeer, handshake: ExtendedHandshake): void {
    const nowMs = this.#nowMs();
    const before = peer.handshake;
    peer.handshake = addHandshake(before, handshake);
    peer.heard = true;
    if (peer.handshake.listenPort !== undefined && before.listenPort === undefined) {
      this.#pool.learnListenPort(peer.id, peer.handshake.listenPort, nowMs);
    }
    if (peer.connection === undefined) this.#judge(peer);
    else this.#onRenewal(peer, before);
    if (peer.wire.end !== undefined) return;
    this.#tellPeers(peer, nowMs);
    if (peer.wire.supports(METADATA_EXTENSION)) this.#perform(this.#metadata.peerReady(peer.id, handshake.metadataSizeBytes, nowMs));
  }

  /** A further handshake of a peer that the core may have: it may withdraw what carries the swarm, or stop to download. */
  #onRenewal(peer: SwarmPeer, before: SwarmPeer['handshake']): void {
    const { carriage } = this.#dialect;
    if (carriage !== 'frames') {
      if (!peer.wire.supports(carriage.extension)) peer.wire.close(`no longer speaks ${carriage.extension}`);
      return;
    }
    const uploadOnly = peer.handshake.uploadOnly === true;
    if (uploadOnly !== (before.uploadOnly === true)) peer.connection?.deliverExtension('upload_only', Uint8Array.of(uploadOnly ? 1 : 0));
  }

  #openConnection(peer: SwarmPeer): void {
    const { carriage } = this.#dialect;
    peer.connection = new PeerConnection({
      id: peer.id,
      peerId: peer.peerId,
      wire: peer.wire,
      ...(carriage === 'frames' ? {} : { extension: carriage.extension }),
      onMisbehaved: (detail) => this.#onMisbehaved(peer, detail),
      onLetGo: (kind) => this.#onLetGo(peer, kind),
    });
    this.#handOver(peer);
  }

  #handOver(peer: SwarmPeer): void {
    if (peer.handedOver || peer.connection === undefined || !this.#isReady) return;
    const complaint = this.#dialect.judgeWaiting(peer.connection);
    if (complaint !== undefined) {
      this.#onMisbehaved(peer, complaint);
      return;
    }
    peer.handedOver = true;
    try {
      this.#options.onConnection(peer.connection, infoOf(peer));
    } catch (error) {
      peer.wire.fail('connection', error);
    }
  }

  #onMessage(peer: SwarmPeer, name: string, bytes: Uint8Array): void {
    const { carriage } = this.#dialect;
    if (carriage !== 'frames' && name === carriage.extension) peer.connection?.deliver(bytes);
    else if (name === METADATA_EXTENSION) this.#perform(this.#metadata.message(peer.id, bytes, this.#nowMs()));
    else if (name === PEX_EXTENSION) this.#onPex(peer, bytes);
    else peer.connection?.deliverExtension(name, bytes);
  }

  /** The DHT node for this swarm's peers; a private torrent knows none. */
  #dht(): DhtContact | undefined {
    return this.isTorrent && !this.isPrivate ? this.#host.dht() : undefined;
  }

  #onDhtPort({ wire }: SwarmPeer, frame: Uint8Array): void {
    const address = makeAddress(wire.host, ((frame[5] ?? 0) << 8) | (frame[6] ?? 0));
    if (address !== undefined) this.#dht()?.addNode(address);
  }

  #onFrame(peer: SwarmPeer, frame: Uint8Array): void {
    if (frame[4] === DHT_PORT_ID) {
      this.#onDhtPort(peer, frame);
      return;
    }
    if (peer.connection === undefined) {
      peer.heard = true;
      this.#judge(peer);
    }
    peer.connection?.deliver(frame);
  }

  #onPex(peer: SwarmPeer, bytes: Uint8Array): void {
    if (this.isPrivate) return;
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
    this.#ban(banTarget(peer), detail);
    peer.wire.close(`misbehaved: ${detail}`);
  }

  /** The core lets the peer go: for want of room, or because there is nothing to exchange. */
  #onLetGo(peer: SwarmPeer, kind: 'surplus' | 'idle'): void {
    if (kind === 'idle') return this.#pool.setAside(peer.id, this.#nowMs());
    const nowMs = this.#nowMs();
    this.#pool.rest(peer.id, nowMs);
    this.#tellPeers(peer, nowMs);
  }

  #onClose(peer: SwarmPeer, end: WireEnd): void {
    if (!this.#peers.delete(peer.id)) return;
    const nowMs = this.#nowMs();
    this.#pastUpBytes += peer.wire.traffic.upBytes;
    this.#pastDownBytes += peer.wire.traffic.downBytes;
    this.#logEnd(peer, end);
    // Who has all it wants is of no use to a seed, which hangs up first as often as we do.
    if (this.#dialect instanceof TorrentDialect && this.#dialect.uploadOnly) this.#pool.setAside(peer.id, nowMs);
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
    if (peer.pex.isDue(nowMs)) this.#sendAddresses(peer.wire, peer.pex);
  }

  #sendAddresses(wire: PeerWire, pex: PeerExchange): void {
    if (this.isPrivate || !wire.supports(PEX_EXTENSION)) return;
    const others = [...this.#peers.values()].filter((other) => other.wire !== wire && other.connection !== undefined);
    const message = pex.next(others.flatMap(listeningAddress), this.#nowMs());
    if (message !== undefined) wire.sendExtension(PEX_EXTENSION, message);
  }

  #perform(effects: readonly MetadataEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'verified') {
        this.#learn(effect.metadata);
        continue;
      }
      const peer = this.#peers.get(effect.kind === 'send' ? effect.to : effect.peer);
      if (peer === undefined) continue;
      if (effect.kind === 'send') peer.wire.sendExtension(METADATA_EXTENSION, effect.bytes);
      else this.#onMisbehaved(peer, effect.detail);
    }
  }

  #checkMetadata(bytes: Uint8Array): void {
    const { bytesMax } = this.#dialect.metadataLimits;
    invariant(bytes.length > 0 && bytes.length <= bytesMax, `Metadata has 1 to ${bytesMax} bytes, not ${bytes.length}.`);
    const digest = Buffer.from(this.#host.hasher.sha1(bytes)).toString('hex');
    invariant(digest === this.infoHash, `Metadata of the swarm ${this.infoHash} hashes to ${digest}.`);
    this.#metadata.provide(bytes);
  }

  /** Fetched metadata has proved right; what it says may still be of no use, and then there is nobody to ask for other bytes. */
  #learn(metadata: Uint8Array): void {
    const complaint = this.#dialect.learn(metadata);
    if (complaint === undefined) {
      if (this.isPrivate) this.#leaveStrangers();
      this.#metadataKnown();
    } else this.#log.warn(`The metadata of the title is of no use: ${complaint.reason}.`);
  }

  /** The torrent has turned out to be private: who was not found through its tracker must go (BEP 27). */
  #leaveStrangers(): void {
    for (const id of this.#pool.forget(UNTRACKED)) this.#peers.get(id)?.wire.close('the torrent is private');
  }

  /** Others may fetch it from us from now on, and those who waited are ready. */
  #metadataKnown(): void {
    this.#isReady = true;
    for (const peer of [...this.#peers.values()]) {
      peer.wire.useRules(this.frameRules(peer.fast));
      peer.wire.renew(this.#introduction());
      this.#handOver(peer);
    }
  }
}

function dialectOf(options: SwarmOptions, timings: SwarmTimings): SwarmDialect {
  if (options.kind === 'torrent')
    return new TorrentDialect({ ...options, uploadOnly: options.uploadOnly === true, onMetadata: (bytes) => options.onMetadata(bytes) });
  const { extension, publisher } = options;
  return new LiveDialect({ extension, publisher, unmappedMs: timings.unmappedMs, onMetadata: (bytes) => options.onMetadata?.(bytes) });
}

/** BEP 10: a later handshake adds to the earlier ones. The port stays, so that nobody makes us remember address after address. */
function addHandshake(before: SwarmPeer['handshake'], { extensions: _, ...news }: ExtendedHandshake): SwarmPeer['handshake'] {
  const { listenPort } = before;
  return { ...before, ...news, publisher: before.publisher || news.publisher, ...(listenPort === undefined ? {} : { listenPort }) };
}

const SILENT_EVENTS = {
  onExtendedHandshake: () => {},
  onExtensionMessage: () => {},
  onDrain: () => {},
};

function infoOf(peer: SwarmPeer): PeerInfo {
  return peerInfo(peer.wire, peer);
}

function banTarget(peer: SwarmPeer): BanTarget {
  const port = peer.handshake.listenPort ?? peer.dialled?.port;
  return { peerId: peer.peerId, host: peer.wire.host, ...(port === undefined ? {} : { port }) };
}

/** Where others can reach the peer: where we dialled it, or where it says that it listens. */
function listeningAddress({ dialled, handshake, wire }: SwarmPeer): KnownPeer[] {
  const port = dialled?.port ?? handshake.listenPort;
  if (port === undefined) return [];
  const { host, encrypted } = wire;
  return [{ host, port, reachable: dialled !== undefined, encrypted, uploadOnly: handshake.uploadOnly === true }];
}
