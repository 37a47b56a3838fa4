/**
 * The media host: RTMP in from publishers, RTMP out to players, on one port of our own.
 *
 * Wraps node-media-server without its listeners (they end the process when a port is taken), its HTTP server and its files. A station taps
 * what an authorised publisher sends; a viewer feeds what it takes from the swarm. No remote input ends the process, and a publisher that was
 * refused reaches nobody. One host per process, because the library's state is one per process.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { invariant, ShoalError } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import { TokenBucket } from '../../kernel/token-bucket.js';
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import type { FlvTag } from '../../media/flv.js';
import { createLocalSession, startHost } from './node-media-server.js';
import { Publication } from './publication.js';
import { isStreamPath, type PublishDecision, type PublishRequest, RtmpSession, type RtmpSessionHost } from './rtmp-session.js';

export type { PublishDecision, PublishRequest } from './rtmp-session.js';

export interface MediaHostOptions {
  /** Address to listen on. */
  readonly host: string;
  /** 0 means any free one. */
  readonly port: number;
  /** Decides who may publish and where. Synchronous; what it throws refuses the publisher. */
  readonly authorisePublish: (request: PublishRequest) => PublishDecision;
  /** A publisher without audio or video for this long is dropped. Default 10 000. */
  readonly silentPublisherMs?: Milliseconds;
  /** For the handshake, and again for `publish` or `play` after it. Default 10 000. */
  readonly clientTimeoutMs?: Milliseconds;
  /** What may wait for one slow player: above it, it skips to the next key frame. Default 4 MiB. */
  readonly playerQueueBytesMax?: Bytes;
  /** A player whose queue stays above its limit for this long is closed. Default 10 000. */
  readonly stuckPlayerMs?: Milliseconds;
  /** Lets players on other machines in. Default false: a viewer's host serves the viewer's own machine. */
  readonly allowRemotePlayers?: boolean;
  readonly log: Log;
}

/** What a station hears about one stream path. */
export interface TapEvents {
  /** Every tag that passes the gate, in order, with its raw timestamp; `tag.body` belongs to the receiver. */
  onTag(tag: FlvTag): void;
  onPublisherStart(info: { readonly address: string }): void;
  /** The path is free again. The next publisher starts anew, with timestamps of its own. `clean`: this one said that it stops. */
  onPublisherEnd(reason: string, clean: boolean): void;
}

/** How a viewer feeds one stream path. */
export interface HostPublisher {
  push(tag: FlvTag): void;
  /** Frees the path; players stay and wait. */
  end(): void;
}

const SILENT_PUBLISHER_MS: Milliseconds = 10_000;
const CLIENT_TIMEOUT_MS: Milliseconds = 10_000;
const PLAYER_QUEUE_BYTES_MAX: Bytes = 4 * 1024 * 1024;
const STUCK_PLAYER_MS: Milliseconds = 10_000;
/** Every connection costs a socket and about 20 KiB before it has said anything. */
const CONNECTION_COUNT_MAX = 1000;
/** Protocols sheet 6. */
const CONNECTIONS_PER_ADDRESS_MAX = 64;
/** A flood of bad clients must not become a flood of lines: this many warnings a second, after a first lot. */
const WARNINGS_PER_SECOND = 2;
const WARNING_BURST_COUNT = 50;

export class MediaHost {
  static #isRunning = false;

  readonly port: number;
  readonly #log: Log;
  readonly #server: Server;
  readonly #stopLibrary: () => Promise<void>;
  readonly #sessions = new Map<Socket, RtmpSession>();
  readonly #taps = new Map<string, Set<TapEvents>>();
  readonly #publisherAddresses = new Map<string, string>();
  readonly #localPublications = new Set<Publication>();
  readonly #sweeper: NodeJS.Timeout;
  readonly #sessionHost: RtmpSessionHost;
  #stopping: Promise<void> | undefined;

  /**
   * Listens, and is ready when it resolves.
   *
   * @throws ShoalError `HOST_RUNNING` when this process has a host, `PORT_TAKEN` or `ADDRESS_UNUSABLE` when it cannot listen.
   */
  static async start(options: MediaHostOptions): Promise<MediaHost> {
    if (MediaHost.#isRunning) {
      throw new ShoalError(
        'HOST_RUNNING',
        'A media host runs in this process already, and there can be only one. Stop it first, or start another process.',
      );
    }
    MediaHost.#isRunning = true;
    const server = createServer();
    try {
      await listen(server, options);
      return new MediaHost(server, options);
    } catch (error) {
      MediaHost.#isRunning = false;
      throw error;
    }
  }

  private constructor(server: Server, options: MediaHostOptions) {
    const address = server.address();
    invariant(address !== null && typeof address === 'object', 'a listening TCP server has an address');
    this.port = address.port;
    this.#server = server;
    this.#log = options.log;
    this.#stopLibrary = startHost(options.log);
    const silentPublisherMs = options.silentPublisherMs ?? SILENT_PUBLISHER_MS;
    const clientTimeoutMs = options.clientTimeoutMs ?? CLIENT_TIMEOUT_MS;
    this.#sessionHost = {
      authorisePublish: (request) => this.#authorise(options, request),
      clientTimeoutMs,
      silentPublisherMs,
      playerQueueBytesMax: options.playerQueueBytesMax ?? PLAYER_QUEUE_BYTES_MAX,
      stuckPlayerMs: options.stuckPlayerMs ?? STUCK_PLAYER_MS,
      allowRemotePlayers: options.allowRemotePlayers ?? false,
      log: limitWarnings(options.log),
      nowMs: () => performance.now(),
      onPublisherStart: (streamPath, publisherAddress) => this.#onPublisherStart(streamPath, publisherAddress),
      onTag: (streamPath, tag) => this.#onTag(streamPath, tag),
      onPublisherEnd: (streamPath, reason, clean) => this.#onPublisherEnd(streamPath, reason, clean),
    };
    this.#sweeper = setInterval(() => this.#sweep(), Math.max(20, Math.min(500, silentPublisherMs / 4, clientTimeoutMs / 4)));
    this.#sweeper.unref();
    server.on('connection', (socket) => this.#onConnection(socket));
    server.on('error', (error) => this.#log.error('media host: the listening socket failed', { text: error.message }));
  }

  /**
   * Hears what publishers of `streamPath` send from now on; returns what ends it. With a publisher there already, `onPublisherStart` is called at
   * once, but its headers have passed: tap before publishers can come.
   */
  tap(streamPath: string, events: TapEvents): () => void {
    const taps = this.#taps.get(streamPath) ?? new Set();
    this.#taps.set(streamPath, taps);
    taps.add(events);
    const address = this.#publisherAddresses.get(streamPath);
    if (address !== undefined) events.onPublisherStart({ address });
    return () => {
      taps.delete(events);
      if (taps.size === 0 && this.#taps.get(streamPath) === taps) this.#taps.delete(streamPath);
    };
  }

  /**
   * Takes a stream path for this process, to feed it. Push metadata and headers first, then from a key frame on.
   *
   * @throws ShoalError `HOST_PATH_TAKEN` when the path has a publisher.
   */
  openPublisher(streamPath: string): HostPublisher {
    invariant(isStreamPath(streamPath), `stream path ${streamPath} is /app/name of A-Z a-z 0-9 _ -`);
    const publication = Publication.begin(streamPath, createLocalSession());
    if (publication === undefined) {
      throw new ShoalError('HOST_PATH_TAKEN', `The media host's path ${streamPath} has a publisher already; a path has one at a time.`, {
        streamPath,
      });
    }
    this.#localPublications.add(publication);
    return {
      push: (tag) => publication.push(tag),
      end: () => {
        this.#localPublications.delete(publication);
        publication.end();
      },
    };
  }

  /** RTMP players of a path, those that wait for a publisher included. */
  playerCount(streamPath: string): number {
    let playerCount = 0;
    for (const session of this.#sessions.values()) if (session.playsPath === streamPath) playerCount += 1;
    return playerCount;
  }

  /** Whether a publisher has the path now. */
  isPublished(streamPath: string): boolean {
    return this.#publisherAddresses.has(streamPath);
  }

  /** Sends the path's RTMP publisher away, so that another may come. */
  dropPublisher(streamPath: string, reason: string): void {
    for (const session of this.#sessions.values()) if (session.publishesPath === streamPath) session.close(reason);
  }

  /** Ends every session and frees the port; safe to call again. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    clearInterval(this.#sweeper);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const publication of this.#localPublications) publication.end();
    for (const [socket, session] of this.#sessions) {
      session.close('the media host stopped');
      socket.destroy();
    }
    await closed;
    await this.#stopLibrary();
    MediaHost.#isRunning = false;
  }

  #onConnection(socket: Socket): void {
    const surplus = this.#surplusReason(socket.remoteAddress);
    if (surplus !== undefined) {
      this.#sessionHost.log.warn(`RTMP client turned away: ${surplus}`);
      socket.destroy();
      return;
    }
    this.#sessions.set(socket, new RtmpSession(socket, this.#sessionHost));
    socket.once('close', () => this.#sessions.delete(socket));
  }

  #surplusReason(address: string | undefined): string | undefined {
    if (address === undefined) return 'it was gone before it was accepted';
    if (this.#sessions.size >= CONNECTION_COUNT_MAX) return `there are ${CONNECTION_COUNT_MAX} connections already`;
    let sameAddressCount = 0;
    // Players do not count: those of this machine share one address, and are as many as the machine takes.
    for (const session of this.#sessions.values())
      if (session.address === address && session.playsPath === undefined) sameAddressCount += 1;
    return sameAddressCount < CONNECTIONS_PER_ADDRESS_MAX
      ? undefined
      : `its address has ${CONNECTIONS_PER_ADDRESS_MAX} connections already`;
  }

  #authorise(options: MediaHostOptions, request: PublishRequest): PublishDecision {
    try {
      return options.authorisePublish(request);
    } catch (error) {
      this.#log.error('media host: the publisher could not be checked', { text: error instanceof Error ? error.message : 'unknown' });
      return { allowed: false, reason: 'its key could not be checked' };
    }
  }

  #onPublisherStart(streamPath: string, address: string): void {
    this.#publisherAddresses.set(streamPath, address);
    for (const tap of this.#taps.get(streamPath) ?? []) tap.onPublisherStart({ address });
  }

  #onTag(streamPath: string, tag: FlvTag): void {
    const taps = this.#taps.get(streamPath);
    if (taps === undefined) return;
    let isFirst = true;
    for (const tap of taps) {
      tap.onTag(isFirst ? tag : { ...tag, body: tag.body.slice() });
      isFirst = false;
    }
  }

  #onPublisherEnd(streamPath: string, reason: string, clean: boolean): void {
    this.#publisherAddresses.delete(streamPath);
    this.#log.info('publisher ended', { streamPath, reason });
    for (const tap of this.#taps.get(streamPath) ?? []) tap.onPublisherEnd(reason, clean);
  }

  #sweep(): void {
    const nowMs = performance.now();
    for (const session of this.#sessions.values()) session.check(nowMs);
  }
}

function listen(server: Server, { host, port }: MediaHostOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
    server.listen({ host, port }, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): ShoalError {
  const where = `${host}:${port}`;
  const keys = 'station.rtmp.port (for a viewer relay.rtmp.port)';
  if (error.code === 'EADDRINUSE') {
    const message = `RTMP port ${where} is taken by another program. Stop that program, or set ${keys} to another port; 0 means any free one.`;
    return new ShoalError('PORT_TAKEN', message, { host, port }, { cause: error });
  }
  const message = `RTMP cannot listen on ${where} (${error.code ?? error.message}). Use an address of this machine, and for ${keys} a port above 1023; 0 means any free one.`;
  return new ShoalError('ADDRESS_UNUSABLE', message, { host, port }, { cause: error });
}

/** The same log, with warnings limited in rate; the next one that passes says how many did not. */
function limitWarnings(log: Log): Log {
  const bucket = new TokenBucket(WARNINGS_PER_SECOND, WARNING_BURST_COUNT);
  let suppressedCount = 0;
  return {
    debug: (message, fields) => log.debug(message, fields),
    info: (message, fields) => log.info(message, fields),
    error: (message, fields) => log.error(message, fields),
    child: (fields) => log.child(fields),
    warn: (message, fields) => {
      if (bucket.delayMs(performance.now()) > 0) {
        suppressedCount += 1;
        return;
      }
      bucket.take(1, performance.now());
      log.warn(message, suppressedCount > 0 ? { ...fields, suppressedCount } : fields);
      suppressedCount = 0;
    },
  };
}
