/**
 * One live channel on the peer network: the exchange core, its engine, its swarm and its trackers, wired together.
 *
 * A publisher brings the descriptor and a signer; a viewer brings only the id and gets the descriptor from peers, checked against the id,
 * before the exchange begins. Nothing here decides: decisions are the cores'.
 */
import { randomInt } from 'node:crypto';
import { type ChannelDescriptor, decodeDescriptor } from '../ingest/channel.js';
import type { PeerNetwork } from '../io/peers/peer-network.js';
import type { PeerInfo, Swarm } from '../io/peers/swarm.js';
import { systemClock } from '../io/system-clock.js';
import { TrackerClient } from '../io/trackers/tracker-client.js';
import type { Connection } from '../kernel/connection.js';
import { Engine } from '../kernel/engine.js';
import { Malformed } from '../kernel/errors.js';
import type { Hasher, Log, Signer, Verifier } from '../kernel/ports.js';
import { Rng } from '../kernel/rng.js';
import type { TokenBucket } from '../kernel/token-bucket.js';
import type { InfoHash, Milliseconds, WindowNumber } from '../kernel/units.js';
import type { ChannelStatus } from '../relay/endpoints/channel-status.js';
import type { Certificate } from '../relay/exchange/certificate.js';
import { type LiveCommand, type LiveEvent, LiveExchange, type LiveTimer } from '../relay/exchange/live-exchange.js';
import { type LiveMessage, liveCodec } from '../relay/exchange/live-message.js';
import { BUFFER_BYTES, GIVE_UP_MS, type LiveParameters, SILENT_MS } from '../relay/exchange/live-parameters.js';
import type { Outlook } from '../relay/exchange/swarm-outlook.js';
import type { ShoalConfig } from './config.js';
import { openSigner } from './open-channel.js';
import { PublisherRecord } from './publisher-record.js';
import { TrafficMeter } from './traffic-meter.js';

/** What all channels of a process share. */
export interface SwarmContext {
  readonly config: ShoalConfig;
  readonly log: Log;
  readonly network: PeerNetwork;
  readonly hasher: Hasher;
  readonly verifier: Verifier;
  readonly uplink: TokenBucket;
  readonly downlink: TokenBucket;
}

export interface LiveSwarmOptions {
  readonly id: InfoHash;
  /** The descriptor as bytes; null for a viewer that knows only the id. */
  readonly descriptor: Uint8Array | null;
  /** Present for a publisher. */
  readonly signer?: Signer;
  /** What the owner gave a publisher that is not the owner. */
  readonly certificate?: Certificate | null | undefined;
  readonly trackers: readonly string[];
  /** Peers named by the link, `host:port`. */
  readonly peers: readonly string[];
  readonly onEvent: (event: LiveEvent) => void;
  readonly onDescriptor?: (descriptor: ChannelDescriptor) => void;
  /** The id belongs to something that is no live channel of ours. */
  readonly onUnusable?: (reason: string) => void;
}

const EXTENSION = 'shoal_live';
const SAMPLE_MS: Milliseconds = 1_000;
/** No media for this long: the channel is not live. Longer than the encoders' usual hiccups, shorter than a person's patience. */
const LIVE_MS: Milliseconds = 5_000;
export class LiveSwarm {
  readonly #context: SwarmContext;
  readonly #options: LiveSwarmOptions;
  readonly #log: Log;
  readonly #meter = new TrafficMeter();
  readonly #record: PublisherRecord;
  readonly #swarm: Swarm;
  readonly #trackers: TrackerClient;
  readonly #sampler: NodeJS.Timeout;
  #exchange: LiveExchange | undefined;
  #engine: Engine<LiveMessage, LiveCommand, LiveEvent, LiveTimer> | undefined;
  #lastMediaMs: Milliseconds | undefined;
  /** Times of the last delivered delays, so that one odd window does not make the figure jump. */
  #delayMs: Milliseconds | null = null;

  constructor(context: SwarmContext, options: LiveSwarmOptions) {
    this.#context = context;
    this.#options = options;
    this.#log = context.log.child({ channel: options.id });
    this.#record = new PublisherRecord(this.#log);
    const { maxConnections, targetConnections } = context.config.swarm;
    if (options.descriptor) this.#begin(options.descriptor);
    this.#swarm = context.network.join({
      infoHash: options.id,
      extension: EXTENSION,
      metadata: options.descriptor,
      publisher: options.signer !== undefined,
      maxConnections,
      targetConnections,
      onConnection: (connection, info) => this.#onConnection(connection, info),
      onMetadata: (bytes) => this.#begin(bytes),
    });
    this.#trackers = this.#makeTrackers();
    this.#sampler = setInterval(() => this.#meter.sample(systemClock.nowMs()), SAMPLE_MS);
    this.#engine?.command({ kind: 'start' });
  }

  /** Looks for peers. */
  start(): void {
    for (const peer of this.#options.peers) {
      const colon = peer.lastIndexOf(':');
      this.#swarm.addCandidate(peer.slice(0, colon).replace(/^\[|\]$/g, ''), Number(peer.slice(colon + 1)), 'link');
    }
    this.#trackers.start();
  }

  command(command: LiveCommand): void {
    if (command.kind === 'publish') this.#lastMediaMs = systemClock.nowMs();
    this.#engine?.command(command);
  }

  /** Two publishers show different content under one number; the first one is followed here. */
  noteConflict(number: WindowNumber, publishers: readonly [Uint8Array, Uint8Array]): void {
    this.#record.noteConflict(number, publishers, systemClock.nowMs());
  }

  /** What the other publishers do, as neighbours tell. */
  outlook(): Outlook {
    return (
      this.#exchange?.outlook(systemClock.nowMs()) ?? {
        upMs: 0,
        neighbours: 0,
        publishers: 0,
        onAir: 0,
        before: 0,
        head: null,
        quietMs: Number.POSITIVE_INFINITY,
      }
    );
  }

  async stop(): Promise<void> {
    clearInterval(this.#sampler);
    this.#engine?.stop();
    await Promise.all([this.#trackers.stop(), this.#swarm.leave()]);
  }

  /** How each tracker does, for the page and the log. */
  get trackers(): ReturnType<TrackerClient['status']> {
    return this.#trackers.status();
  }

  status(players: number): ChannelStatus {
    const nowMs = systemClock.nowMs();
    const figures = this.#exchange?.figures(nowMs);
    const mediaBytes = (figures?.fromPeersBytes ?? 0) + (figures?.fromPublishersBytes ?? 0);
    const publisher = this.#options.signer !== undefined;
    return {
      role: publisher ? 'publisher' : 'viewer',
      live: this.#lastMediaMs !== undefined && nowMs - this.#lastMediaMs < LIVE_MS,
      peers: figures?.neighbours ?? 0,
      bufferSeconds: Math.round((figures?.bufferedMs ?? 0) / 100) / 10,
      upBytes: this.#meter.totals('up'),
      downBytes: this.#meter.totals('down'),
      upBytesPerSecond: this.#meter.bytesPerSecond('up'),
      downBytesPerSecond: this.#meter.bytesPerSecond('down'),
      shareFromPeers: publisher || mediaBytes === 0 ? null : Math.round(((figures?.fromPeersBytes ?? 0) / mediaBytes) * 1000) / 1000,
      delayMs: publisher || this.#delayMs === null ? null : Math.round(this.#delayMs),
      windowsDelivered: figures?.windowsDelivered ?? 0,
      holes: figures?.windowsSkipped ?? 0,
      timeouts: figures?.firstTimeouts ?? 0,
      players,
      publishers: this.#record.publishers(nowMs),
      conflict: this.#record.conflict(nowMs),
      alignment: null,
      authority: 'none',
      publisherKey: null,
      certificateUntil: null,
    };
  }

  /** The descriptor is known: the exchange can begin. */
  #begin(bytes: Uint8Array): void {
    const descriptor = decodeDescriptor(bytes);
    if (descriptor instanceof Malformed) return this.#options.onUnusable?.(descriptor.reason);
    const { hasher, verifier, uplink, downlink, config } = this.#context;
    this.#exchange = new LiveExchange({
      channel: this.#options.id,
      owner: descriptor.owner ?? openSigner(bytes).publicKey,
      parameters: parametersOf(config, descriptor),
      hasher,
      verifier,
      ...(this.#options.signer ? { signer: this.#options.signer } : {}),
      ...(this.#options.certificate ? { certificate: this.#options.certificate } : {}),
      wallClockMs: () => Date.now(),
      rng: new Rng(randomInt(0x1_0000_0000)),
      uplink,
      downlink,
    });
    this.#engine = new Engine({
      protocol: this.#exchange,
      codec: liveCodec,
      clock: systemClock,
      onEvent: (event) => this.#onEvent(event),
      onConnect: (want) => this.#swarm?.want(want),
      onTraffic: (direction, message, sizeBytes) => this.#meter.count(direction, message, sizeBytes),
      onDisconnect: (connection, reason) => {
        const log = reason.kind === 'misbehaved' ? this.#log.warn : this.#log.debug;
        log.call(this.#log, `neighbour dropped: ${reason.detail}`, { peer: connection.peerId, kind: reason.kind });
      },
    });
    this.#options.onDescriptor?.(descriptor);
    // A viewer's swarm exists by now; a publisher's does not yet, and its constructor starts the engine once it does.
    if (this.#swarm) this.#engine.command({ kind: 'start' });
  }

  #onEvent(event: LiveEvent): void {
    if (event.kind === 'window') {
      this.#lastMediaMs = systemClock.nowMs();
      this.#record.noteWindow(event.publisher, this.#lastMediaMs);
      this.#delayMs = this.#delayMs === null ? event.delayMs : this.#delayMs + (event.delayMs - this.#delayMs) / 4;
    }
    if (event.kind === 'conflict') this.noteConflict(event.number, event.publishers);
    if (event.kind === 'clock-doubt') {
      const [from, until, now] = [event.certificate.fromMs, event.certificate.untilMs, event.wallMs].map((ms) =>
        new Date(ms).toISOString(),
      );
      this.#log.warn("a publisher's windows are refused: its certificate is not valid now. Is this machine's clock right?", {
        from,
        until,
        now,
      });
    }
    this.#options.onEvent(event);
  }

  #onConnection(connection: Connection, info: PeerInfo): void {
    this.#log.debug('neighbour connected', { peer: connection.peerId, address: info.address, client: info.client });
    this.#engine?.add(connection);
  }

  #makeTrackers(): TrackerClient {
    const { network, config } = this.#context;
    return new TrackerClient({
      infoHash: this.#options.id,
      peerId: network.peerId,
      port: network.port,
      trackers: this.#options.trackers,
      log: this.#log,
      seeding: this.#options.signer !== undefined,
      onPeer: ({ host, port }) => this.#swarm.addCandidate(host, port, 'tracker'),
      wanted: () => this.#swarm.connectionCount < config.swarm.targetConnections,
      announceStats: () => ({ uploadedBytes: this.#meter.totals('up').total, downloadedBytes: this.#meter.totals('down').total }),
    });
  }
}

function parametersOf(config: ShoalConfig, descriptor: ChannelDescriptor): LiveParameters {
  const { windowMs, pieceBytes } = descriptor;
  return {
    ...config.live,
    windowMs,
    pieceBytes,
    bufferBytes: BUFFER_BYTES,
    targetNeighbours: config.swarm.targetConnections,
    silentMs: SILENT_MS,
    giveUpMs: GIVE_UP_MS,
  };
}
