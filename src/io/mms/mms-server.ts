/**
 * Local MMS service: one TCP port for MMSH and MMST, a table of channels, any number of players.
 *
 * It promises: no bytes of a player end the process or reach the log; every connection is bounded in time (10 s for each step) and in queue; a
 * half-closed connection is still served; `stop` ends every player within a second. Answers are pure cores' (`relay/mms-port`); this file
 * carries out what they ask for. Source: protocols sheet 2.4, 3.4, 6.2 and 6.3.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { ShoalError } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import { Rng } from '../../kernel/rng.js';
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import type { PlayerTimer } from '../../relay/endpoints/mms-player.js';
import { MmsPort } from '../../relay/endpoints/mms-port.js';
import { AddressRateLimit, addressGroup } from '../address-rate-limit.js';
import { MmsBroadcast, type MmsBroadcastCounts, type MmsFeed, type MmsOutlet } from './mms-broadcast.js';

export interface MmsServerOptions {
  /** Address to bind, such as `127.0.0.1`. */
  readonly host: string;
  /** 0 means any free port. */
  readonly port: number;
  readonly log: Log;
  /** Packets wait this long for company. Default 10 ms: those of a window come all at once anyway, and ffmpeg's in bursts of a frame. */
  readonly flushMs?: Milliseconds;
  /** Bytes that may wait for one player. Default 4 MiB: 48 s at 700 kbit/s; ten seconds of the channel bind first. */
  readonly queueBytesMax?: Bytes;
  /** A player whose queue stays over the bound for this long is closed. Default 10 s. */
  readonly overfullMsMax?: Milliseconds;
  /** Default 8192: what one machine can send at 700 kbit/s and more. */
  readonly connectionsMax?: number;
  /** Of one address other than this machine's own. Default 64 (protocols sheet, section 6). */
  readonly connectionsPerAddressMax?: number;
  /** Paths that one address may ask for per second, for ever; ten times that at once. Default 50. */
  readonly requestsPerSecondMax?: number;
}

const FLUSH_MS: Milliseconds = 10;
const QUEUE_BYTES_MAX: Bytes = 4 * 1024 * 1024;
const OVERFULL_MS_MAX: Milliseconds = 10_000;
const CONNECTIONS_MAX = 8192;
const CONNECTIONS_PER_ADDRESS_MAX = 64;
const REQUESTS_PER_SECOND_MAX = 50;
const REQUEST_BURST_SECONDS = 10;
const ADDRESSES_MAX = 4096;
/** A connection that was told to end gets this long to take what was sent. */
const LINGER_MS: Milliseconds = 5_000;
/** A half-closed player is kept this long while its channel sends nothing. */
const HALF_CLOSED_IDLE_MS: Milliseconds = 60_000;
const STOP_GRACE_MS: Milliseconds = 500;
/** Where `::1` lies. */
const OWN_IPV6_GROUP = '0:0:0:0::/64';

export class MmsServer {
  readonly #options: MmsServerOptions;
  readonly #server: Server;
  readonly #channels = new Map<string, MmsBroadcast>();
  readonly #connections = new Set<Connection>();
  readonly #connectionCounts = new Map<string, number>();
  readonly #requests: AddressRateLimit;
  readonly #rng = new Rng(Math.floor(Math.random() * 2 ** 32));

  private constructor(options: MmsServerOptions) {
    const requestsPerSecond = options.requestsPerSecondMax ?? REQUESTS_PER_SECOND_MAX;
    this.#options = options;
    this.#requests = new AddressRateLimit({
      requestsPerSecond,
      burstCount: requestsPerSecond * REQUEST_BURST_SECONDS,
      addressesMaxCount: ADDRESSES_MAX,
    });
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) => this.#accept(socket));
    this.#server.maxConnections = options.connectionsMax ?? CONNECTIONS_MAX;
  }

  /**
   * Listens, with an empty table.
   *
   * @throws ShoalError `PORT_TAKEN` or `ADDRESS_UNUSABLE`.
   */
  static async start(options: MmsServerOptions): Promise<MmsServer> {
    const server = new MmsServer(options);
    await server.#listen();
    return server;
  }

  /** The port listened on, also when 0 was asked for. */
  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? this.#options.port;
  }

  /** Serves a feed at `/name`, in place of the one that was there. Its players are ended by `withdraw`. */
  offer(path: string, feed: MmsFeed): void {
    this.withdraw(path);
    const { log, flushMs = FLUSH_MS, queueBytesMax = QUEUE_BYTES_MAX, overfullMsMax = OVERFULL_MS_MAX } = this.#options;
    this.#channels.set(path, new MmsBroadcast(feed, { log, flushMs, queueBytesMax, overfullMsMax }));
  }

  /** Ends the players of a path, and serves it no more. */
  withdraw(path: string): void {
    this.#channels.get(path)?.stop();
    this.#channels.delete(path);
  }

  /** Figures of one path; undefined when it is not served. */
  counts(path: string): MmsBroadcastCounts | undefined {
    return this.#channels.get(path)?.counts;
  }

  /** Whether somebody plays a path, or waits to. */
  isWanted(path: string): boolean {
    return this.#channels.get(path)?.wanted === true;
  }

  /** Connections that are open, playing or not. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Stops listening and ends every player: politely at first, by force after half a second. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const path of [...this.#channels.keys()]) this.withdraw(path);
    for (const connection of this.#connections) connection.end();
    const force = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy();
    }, STOP_GRACE_MS);
    await closed;
    clearTimeout(force);
  }

  #accept(socket: Socket): void {
    const address = addressGroup(socket.remoteAddress ?? '');
    const count = this.#connectionCounts.get(address) ?? 0;
    const isOwn = address.startsWith('127.') || address === OWN_IPV6_GROUP;
    if (!isOwn && count >= (this.#options.connectionsPerAddressMax ?? CONNECTIONS_PER_ADDRESS_MAX)) {
      socket.destroy();
      return;
    }
    this.#connectionCounts.set(address, count + 1);
    const connection = new Connection(socket, (path) => this.#lookUp(path, address), this.#rng.fork(), this.#options.log);
    this.#connections.add(connection);
    socket.once('close', () => {
      this.#connections.delete(connection);
      this.#forget(address);
    });
  }

  #lookUp(path: string, address: string): MmsBroadcast | 'busy' | undefined {
    const channel = this.#channels.get(path);
    if (channel === undefined) return undefined;
    return this.#requests.take(address, performance.now()) ? channel : 'busy';
  }

  #forget(address: string): void {
    const count = (this.#connectionCounts.get(address) ?? 1) - 1;
    if (count > 0) this.#connectionCounts.set(address, count);
    else this.#connectionCounts.delete(address);
  }

  #listen(): Promise<void> {
    const { host, port, log } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
      this.#server.listen({ host, port }, () => {
        this.#server.removeAllListeners('error');
        this.#server.on('error', (error) => log.error('MMS listener failed', { reason: error.message }));
        resolve();
      });
    });
  }
}

/** One player's socket, its core and its timers. */
class Connection implements MmsOutlet {
  readonly #socket: Socket;
  readonly #log: Log;
  readonly #core: MmsPort<MmsBroadcast>;
  readonly #timers = new Map<PlayerTimer, NodeJS.Timeout>();
  #channel: MmsBroadcast | undefined;
  #linger: NodeJS.Timeout | undefined;

  constructor(socket: Socket, lookup: (path: string) => MmsBroadcast | 'busy' | undefined, rng: Rng, log: Log) {
    this.#socket = socket;
    this.#log = log;
    this.#core = new MmsPort<MmsBroadcast>({ lookup, rng });
    // A player that goes away in mid-write is no event; 'close' follows.
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => this.#handle({ kind: 'bytes', bytes }));
    socket.on('end', () => this.#halfClosed());
    socket.once('close', () => this.#closed());
    this.#handle({ kind: 'start' });
  }

  get framing(): MmsOutlet['framing'] {
    return this.#socket.writable ? this.#core.framing : undefined;
  }

  get queuedBytes(): Bytes {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): void {
    this.#core.mediaSent(performance.now());
    this.#socket.write(bytes);
  }

  end(): void {
    this.#handle({ kind: 'end' });
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #handle(input: Parameters<MmsPort<MmsBroadcast>['handle']>[0]): void {
    for (const effect of this.#core.handle(input, performance.now())) this.#carryOut(effect);
  }

  #carryOut(effect: ReturnType<MmsPort<MmsBroadcast>['handle']>[number]): void {
    switch (effect.kind) {
      case 'send':
        if (this.#socket.writable) this.#socket.write(effect.bytes);
        return;
      case 'close':
        return this.#close();
      case 'schedule':
        return this.#schedule(effect.timer, effect.delayMs);
      case 'cancel':
        clearTimeout(this.#timers.get(effect.timer));
        this.#timers.delete(effect.timer);
        return;
      case 'emit':
        return this.#take(effect.event);
    }
  }

  #take(event: Extract<ReturnType<MmsPort<MmsBroadcast>['handle']>[number], { kind: 'emit' }>['event']): void {
    if (event.kind === 'refused') return this.#log.debug('MMS player refused', { reason: event.detail });
    this.#channel?.leave(this);
    this.#channel = event.kind === 'play' ? event.channel : undefined;
    this.#channel?.admit(this);
  }

  #schedule(timer: PlayerTimer, delayMs: Milliseconds): void {
    clearTimeout(this.#timers.get(timer));
    this.#timers.set(
      timer,
      setTimeout(() => this.#handle({ kind: 'timer', timer }), delayMs),
    );
  }

  #close(): void {
    this.#channel?.leave(this);
    this.#channel = undefined;
    this.#socket.end();
    // Nothing more is wanted of it, but reading on keeps the kernel from resetting what is still on its way to the player.
    this.#socket.resume();
    this.#linger ??= setTimeout(() => this.#socket.destroy(), LINGER_MS);
  }

  /** Some players shut their sending side down and read on; without a stream there is nothing to wait for. */
  #halfClosed(): void {
    if (this.#channel === undefined) this.#socket.end();
    // That it has gone altogether shows only when something is written.
    else this.#socket.setTimeout(HALF_CLOSED_IDLE_MS, () => this.#socket.destroy());
  }

  #closed(): void {
    this.#channel?.leave(this);
    this.#channel = undefined;
    clearTimeout(this.#linger);
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    return new ShoalError(
      'PORT_TAKEN',
      `MMS port ${host}:${port} is taken by another program. Stop that program, or set relay.mms.port to another port; 0 means any free one.`,
      { host, port },
      { cause: error },
    );
  }
  const message = `cannot listen for MMS players on ${host}, port ${port} (${error.code ?? error.message}): choose an address of this machine`;
  return new ShoalError('ADDRESS_UNUSABLE', message, { host, port }, { cause: error });
}
