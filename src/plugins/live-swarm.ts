/**
 * One live channel on the peer network: the exchange core, its engine, its swarm and its trackers, wired together.
 *
 * A publisher brings the descriptor and a signer; a viewer brings only the id and gets the descriptor from peers, checked against the id,
 * before the exchange begins. Nothing here decides: decisions are the cores'.
 */
import { randomInt } from 'node:crypto';
import { type ChannelDescriptor, decodeDescriptor } from '../ingest/channel.js';
import type { PeerInfo } from '../io/peers/peer-info.js';
import type { PeerNetwork } from '../io/peers/peer-network.js';
import type { Swarm } from '../io/peers/swarm.js';
import { systemClock } from '../io/system-clock.js';
import { TrackerClient } from '../io/trackers/tracker-client.js';
import type { Connection } from '../kernel/connection.js';
import { Engine } from '../kernel/engine.js';
import { invariant, Malformed } from '../kernel/errors.js';
import type { Hasher, Log, Signer, Verifier } from '../kernel/ports.js';
import type { TokenBucket } from '../kernel/token-bucket.js';
import type { InfoHash, Milliseconds, WindowNumber } from '../kernel/units.js';
import type { ChannelStatus } from '../relay/endpoints/channel-status.js';
import type { Certificate } from '../relay/exchange/certificate.js';
import { type LiveCommand, type LiveEvent, LiveExchange, type LiveTimer } from '../relay/exchange/live-exchange.js';
import { LIVE_VERSION, type LiveMessage, liveCodec } from '../relay/exchange/live-message.js';
import type { SecondStageCause } from '../relay/exchange/second-stage.js';
import type { Outlook } from '../relay/exchange/swarm-outlook.js';
import { pacingOf } from '../relay/exchange/viewing-mode.js';
import { exchangeOptions, type TraceOrigin } from '../relay/trace/trace-origin.js';
import { TraceRecorder, type TraceSink } from '../relay/trace/trace-recorder.js';
import type { ShoalConfig } from './config.js';
import { exchangeParameters } from './exchange-parameters.js';
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
  /** Where to record what the exchange is told and does; for viewers, because a publisher's begins with a private key. */
  readonly trace?: TraceSink | undefined;
}

const EXTENSION = 'shoal_live';
const SAMPLE_MS: Milliseconds = 1_000;
/** No media for this long: the channel is not live. Longer than the encoders' usual hiccups, shorter than a person's patience. */
const LIVE_MS: Milliseconds = 5_000;
const SECOND_STAGE_WORDS: Readonly<Record<SecondStageCause, string>> = {
  expired: 'these have gone on without this viewer',
  orphaned: 'too few of these are left that send anything',
  stranded: 'none of these has anything of the channel',
  stuck: 'these go on, and what comes next does not come',
};

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
  #recorder: TraceRecorder | undefined;
  #engine: Engine<LiveMessage, LiveCommand, LiveEvent, LiveTimer> | undefined;
  #lastMediaMs: Milliseconds | undefined;
  /** Times of the last delivered delays, so that one odd window does not make the figure jump. */
  #delayMs: Milliseconds | null = null;
  /** The last cause of looking for others, until media came. */
  #searchCause: SecondStageCause | undefined;

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

  /** Whoever waits for a channel that is not on the air looks for others every ten seconds, maybe all night: that is said once. */
  #tellSecondStage(cause: SecondStageCause): void {
    const isNews = cause !== 'stranded' || this.#searchCause !== cause;
    this.#searchCause = cause;
    this.#log[isNews ? 'info' : 'debug'](`looking for other neighbours: ${SECOND_STAGE_WORDS[cause]}`);
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
    this.#recorder?.stop();
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
      lineBytesPerSecond: figures?.lineBytesPerSecond ?? null,
      shareFromPeers: publisher || mediaBytes === 0 ? null : Math.round(((figures?.fromPeersBytes ?? 0) / mediaBytes) * 1000) / 1000,
      delayMs: publisher || this.#delayMs === null ? null : Math.round(this.#delayMs),
      windowsDelivered: figures?.windowsDelivered ?? 0,
      holes: figures?.windowsSkipped ?? 0,
      inPart: figures?.windowsInPart ?? 0,
      pacing: pacingOf(this.#context.config.live.mode),
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
    const origin: TraceOrigin = {
      liveVersion: LIVE_VERSION,
      channel: this.#options.id,
      owner: descriptor.owner ?? openSigner(bytes).publicKey,
      container: descriptor.container,
      rngSeed: randomInt(0x1_0000_0000),
      upBytesPerSecond: uplink.bytesPerSecond,
      downBytesPerSecond: downlink.bytesPerSecond,
      parameters: { ...exchangeParameters(config), windowMs: descriptor.windowMs, pieceBytes: descriptor.pieceBytes },
    };
    const recorder = this.#startRecorder(origin);
    const wallClockMs = recorder ? () => recorder.wallClockMs() : () => Date.now();
    this.#exchange = new LiveExchange({
      ...exchangeOptions(origin, { hasher, verifier, wallClockMs }),
      ...(this.#options.signer ? { signer: this.#options.signer } : {}),
      ...(this.#options.certificate ? { certificate: this.#options.certificate } : {}),
      uplink,
      downlink,
    });
    this.#engine = new Engine({
      protocol: this.#exchange,
      codec: recorder?.codec ?? liveCodec,
      ...(recorder ? { onTrace: (step, nowMs) => recorder.note(step, nowMs) } : {}),
      clock: systemClock,
      onEvent: (event) => this.#onEvent(event),
      onConnect: (want) => this.#lookFor(want),
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

  #startRecorder(origin: TraceOrigin): TraceRecorder | undefined {
    const { trace: sink, signer } = this.#options;
    if (!sink) return undefined;
    invariant(signer === undefined, 'What is recorded holds no private key.');
    this.#recorder = new TraceRecorder({ origin, sink, hasher: this.#context.hasher, wallClockMs: () => Date.now() });
    return this.#recorder;
  }

  /** Dials whom it knows, and asks the trackers for more when those are not enough. */
  #lookFor(want: number): void {
    if (!this.#swarm) return;
    this.#swarm.want(want);
    const { targetConnections } = this.#context.config.swarm;
    // To try one more is no reason to bother trackers.
    const { connectionCount } = this.#swarm;
    if (connectionCount < targetConnections || want - connectionCount > 1) this.#trackers?.announceNow();
  }

  #onEvent(event: LiveEvent): void {
    if (event.kind === 'window') {
      this.#lastMediaMs = systemClock.nowMs();
      this.#searchCause = undefined;
      this.#record.noteWindow(event.publisher, this.#lastMediaMs);
      this.#delayMs = this.#delayMs === null ? event.delayMs : this.#delayMs + (event.delayMs - this.#delayMs) / 4;
    }
    if (event.kind === 'conflict') this.noteConflict(event.number, event.publishers);
    if (event.kind === 'second-stage') this.#tellSecondStage(event.cause);
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
