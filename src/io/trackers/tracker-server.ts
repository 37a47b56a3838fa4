/**
 * The embedded tracker: announces over HTTP (BEP 3, 7, 23) and UDP (BEP 15) for the channels of this station, and for no others.
 *
 * The npm package bittorrent-tracker parses announces, keeps the swarms and writes the answers. The sockets are ours, because the
 * package's lack what an open port needs: its UDP connection id is the same for everybody, a UDP announce may name a victim's
 * address, a port that is no whole number throws in a later tick and ends the process, any info hash gets a swarm, IPv6 is bound
 * where there may be none, and the statistics page prints peer ids as HTML. So here connection ids are real, the address field is
 * ignored, every announce passes `#refusalOf`, answers are always compact, and scrape, statistics and WebSocket are off.
 *
 * Bounded: requests per address, connections per address and in all, header size and time, swarms, peers per swarm and per address.
 */

import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP, isIPv6, type Socket } from 'node:net';
import Server, { type RequestParameters, type Swarm, type SwarmPeer, type TrackerResponse } from 'bittorrent-tracker/server';
import { ShoalError } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import type { InfoHash, Milliseconds } from '../../kernel/units.js';
import { AddressRateLimit, addressGroup } from '../address-rate-limit.js';
import { CONNECTION_ID_BYTES, UdpConnectionIds } from './udp-connection-ids.js';

export interface TrackerServerOptions {
  /** Address to listen on; `::` means every address, of IPv4 alone where IPv6 is not to be had. */
  readonly host: string;
  /** 0 for any free one. */
  readonly httpPort: number;
  /** The same number as `httpPort`; 0 for any free one, the HTTP port's number if that is free. */
  readonly udpPort: number;
  /** How often clients are told to announce. */
  readonly intervalMs: Milliseconds;
  /** Whether the swarm is tracked; asked at every announce. */
  allow(infoHash: InfoHash): boolean;
  readonly log: Log;
}

/** 20 announces a second feed some 600 viewers behind one address at an interval of 30 s. */
const REQUEST_LIMIT = { requestsPerSecond: 20, burstCount: 200, addressesMaxCount: 10_000 };
const CONNECTIONS_MAX_COUNT = 1024;
const CONNECTIONS_PER_ADDRESS_MAX_COUNT = 128;
/** An announce is about 400 bytes of URL; 8 KiB leave room for any proxy's headers. */
const HEADER_BYTES_MAX = 8192;
const REQUEST_TIMEOUT_MS = 5000;
const PEERS_PER_SWARM_MAX_COUNT = 5000;
/** Ports that one address may hold in one swarm: enough for a campus behind one address, too few to push others out. */
const PEERS_PER_ADDRESS_MAX_COUNT = 256;
const PRUNE_INTERVAL_MS = 60_000;
/** Peers in an IPv6 UDP answer: 20 + 60 * 18 = 1100 bytes, below the smallest IPv6 packet that every link carries. */
const UDP6_PEERS_BYTES_MAX = 60 * 18;

/** BEP 15: action, connect request and announce request. */
const ACTION_CONNECT = 0;
const ACTION_ANNOUNCE = 1;
const MAGIC = Buffer.from('0000041727101980', 'hex');
const ANNOUNCE_BYTES_MIN = 98;
const ANNOUNCE_ADDRESS_OFFSET = 84;

export class TrackerServer {
  readonly #options: TrackerServerOptions;
  readonly #swarms: SwarmServer;
  readonly #http: HttpServer;
  readonly #udpSockets: UdpSocket[] = [];
  readonly #requests = new AddressRateLimit(REQUEST_LIMIT);
  readonly #connectionIds = new UdpConnectionIds(performance.now());
  readonly #connectionCounts = new Map<string, number>();
  readonly #pruneTimer: NodeJS.Timeout;
  #stopping: Promise<void> | undefined;

  /**
   * Listens, and resolves when announces are answered. A UDP port that cannot be had costs a warning, not the tracker.
   *
   * @throws ShoalError `PORT_TAKEN`, or `ADDRESS_UNUSABLE` when the host is none of this machine's or the port is a privileged one.
   */
  static async start(options: TrackerServerOptions): Promise<TrackerServer> {
    const server = new TrackerServer(options);
    try {
      await server.#listen();
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  private constructor(options: TrackerServerOptions) {
    this.#options = options;
    this.#swarms = new SwarmServer({
      http: false,
      udp: false,
      ws: false,
      stats: false,
      interval: options.intervalMs,
      peersCacheLength: PEERS_PER_SWARM_MAX_COUNT,
      // Two announces may be lost before a peer is forgotten.
      peersCacheTtl: 3 * options.intervalMs + REQUEST_TIMEOUT_MS,
      filter: (infoHash, parameters, callback) => {
        const refusal = this.#refusalOf(infoHash, parameters);
        parameters.compact = 1;
        callback(refusal === undefined ? null : new Error(refusal));
      },
    });
    this.#http = createServer({
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1000,
    });
    this.#http.maxConnections = CONNECTIONS_MAX_COUNT;
    this.#http.on('connection', (socket) => this.#onConnection(socket));
    this.#http.on('request', (request, response) => this.#onHttpRequest(request, response));
    this.#pruneTimer = setInterval(() => this.#prune(), PRUNE_INTERVAL_MS);
    this.#pruneTimer.unref();
  }

  get httpPort(): number {
    return (this.#http.address() as AddressInfo | null)?.port ?? 0;
  }

  /** Null when UDP could not be bound. */
  get udpPort(): number | null {
    return this.#udpSockets[0]?.address().port ?? null;
  }

  /** Peers that have announced themselves and are not yet forgotten. */
  peerCount(infoHash: InfoHash): number {
    return livePeers(this.#swarms.torrents[infoHash]).length;
  }

  /** Closes every socket, open connections too; may be called twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#close();
    return this.#stopping;
  }

  async #close(): Promise<void> {
    clearInterval(this.#pruneTimer);
    this.#swarms.udp4 = null;
    this.#swarms.udp6 = null;
    for (const socket of this.#udpSockets.splice(0)) socket.close();
    await new Promise<void>((resolve) => this.#swarms.close(resolve));
    this.#http.closeAllConnections();
    if (this.#http.listening) await new Promise((resolve) => this.#http.close(resolve));
  }

  async #listen(): Promise<void> {
    const { host, httpPort } = this.#options;
    try {
      await listen(this.#http, httpPort, host);
    } catch (error) {
      if (host !== '::' || !isFamilyMissing(error)) throw listenError(error, host, httpPort);
      this.#options.log.debug('This machine has no IPv6; the tracker listens on IPv4 alone.');
      await listen(this.#http, httpPort, '0.0.0.0').catch((second: unknown) => {
        throw listenError(second, '0.0.0.0', httpPort);
      });
    }
    await this.#bindUdp();
  }

  async #bindUdp(): Promise<void> {
    const { udpPort, log } = this.#options;
    try {
      await this.#bindUdpPort(udpPort === 0 ? this.httpPort : udpPort);
    } catch (error) {
      if (udpPort === 0) return this.#bindUdpPort(0).catch((second: unknown) => this.#warnWithoutUdp(second));
      this.#warnWithoutUdp(error);
    }
    log.debug('tracker listens', { httpPort: this.httpPort, udpPort: this.udpPort });
  }

  #warnWithoutUdp(error: unknown): void {
    const { udpPort, log } = this.#options;
    log.warn(`The tracker answers over HTTP only: UDP port ${udpPort} could not be bound (${codeOf(error)}).`, { udpPort });
  }

  /** IPv4 and IPv6 get a socket each, since the answer must carry addresses of the asker's family. */
  async #bindUdpPort(port: number): Promise<void> {
    const { address } = this.#http.address() as AddressInfo;
    if (address !== '::') return this.#addUdpSocket(isIPv6(address) ? 'udp6' : 'udp4', port, address);
    await this.#addUdpSocket('udp4', port, '0.0.0.0');
    const boundPort = this.udpPort ?? port;
    await this.#addUdpSocket('udp6', boundPort, '::').catch((error: unknown) => {
      this.#options.log.debug('The tracker answers UDP over IPv4 only.', { error: codeOf(error) });
    });
  }

  async #addUdpSocket(type: 'udp4' | 'udp6', port: number, address: string): Promise<void> {
    const socket = createSocket({ type, ipv6Only: type === 'udp6' });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ port, address, exclusive: true }, () => {
        socket.off('error', reject);
        resolve();
      });
    }).catch((error: unknown) => {
      socket.close();
      throw error;
    });
    // Errors of single answers (an unreachable asker) come here too; none of them is ours to mend.
    socket.on('error', (error) => this.#options.log.debug('tracker UDP socket', { error: error.message }));
    socket.on('message', (message, sender) => this.#onUdpMessage(socket, message, sender));
    this.#swarms[type] = socket;
    this.#udpSockets.push(socket);
  }

  #onConnection(socket: Socket): void {
    const address = addressGroup(socket.remoteAddress ?? '');
    const count = (this.#connectionCounts.get(address) ?? 0) + 1;
    this.#connectionCounts.set(address, count);
    socket.once('close', () => {
      const restCount = (this.#connectionCounts.get(address) ?? 1) - 1;
      if (restCount > 0) this.#connectionCounts.set(address, restCount);
      else this.#connectionCounts.delete(address);
    });
    if (count > CONNECTIONS_PER_ADDRESS_MAX_COUNT) socket.destroy();
  }

  #onHttpRequest(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url?.split('?', 1)[0];
    if (request.method !== 'GET') refuseHttp(response, 405, 'Only GET is answered here.');
    else if (path !== '/announce') refuseHttp(response, 404, 'This is a BitTorrent tracker; its address is /announce.');
    else if (!this.#requests.take(request.socket.remoteAddress ?? '', performance.now())) {
      refuseHttp(response, 429, 'Too many announces from this address.');
    } else this.#swarms.onHttpRequest(request, response);
  }

  #onUdpMessage(socket: UdpSocket, message: Buffer, sender: RemoteInfo): void {
    if (message.length < 16 || sender.port === 0) return;
    const nowMs = performance.now();
    if (!this.#requests.take(sender.address, nowMs)) return;
    const action = message.readUInt32BE(8);
    if (action === ACTION_CONNECT && message.subarray(0, CONNECTION_ID_BYTES).equals(MAGIC)) {
      const head = message.subarray(8, 16);
      socket.send([head, this.#connectionIds.issue(sender.address, nowMs)], sender.port, sender.address);
    } else if (action === ACTION_ANNOUNCE && message.length >= ANNOUNCE_BYTES_MIN) {
      const id = message.subarray(0, CONNECTION_ID_BYTES);
      if (!this.#connectionIds.isValid(id, sender.address, nowMs)) return;
      MAGIC.copy(message);
      message.writeUInt32BE(0, ANNOUNCE_ADDRESS_OFFSET);
      this.#swarms.onUdpRequest(message, sender);
    }
  }

  /** Why the announce is not accepted; undefined when it is. The package checks none of these. */
  #refusalOf(infoHash: InfoHash, parameters: RequestParameters): string | undefined {
    const { ip, port, peer_id: peerId, addr } = parameters;
    if (!this.#options.allow(infoHash)) return 'this tracker does not know the channel';
    if (!Number.isInteger(port) || port < 1 || port > 65_535) return 'invalid port';
    if (!/^[0-9a-f]{40}$/.test(peerId)) return 'invalid peer_id';
    if (isIP(ip) === 0 || ip.includes('%')) return 'unusable address';
    const peers = livePeers(this.#swarms.torrents[infoHash]);
    const isNew = !peers.some((peer) => peer.ip === ip && peer.port === port);
    const isCrowded = isNew && peers.filter((peer) => peer.ip === ip).length >= PEERS_PER_ADDRESS_MAX_COUNT;
    if (isCrowded) this.#options.log.debug('tracker refuses one more peer of an address', { addr });
    return isCrowded ? 'too many peers of this address' : undefined;
  }

  #prune(): void {
    for (const [infoHash, swarm] of Object.entries(this.#swarms.torrents)) {
      if (livePeers(swarm).length === 0 || !this.#options.allow(infoHash)) delete this.#swarms.torrents[infoHash];
    }
  }
}

/** The package's server without sockets, and with its gaps closed. */
class SwarmServer extends Server {
  /** Two first announces in one tick would otherwise make two swarms, and one peer would be lost. */
  override createSwarm(infoHash: string, callback: (error: Error | null, swarm: Swarm) => void): void {
    const swarm = this.torrents[infoHash] ?? new SwarmOfOthers(infoHash, this);
    this.torrents[infoHash] = swarm;
    callback(null, swarm);
  }

  /** The package's UDP answer carries the IPv4 peers whoever asks. */
  override _onRequest(parameters: RequestParameters, callback: (error: Error | null, response?: TrackerResponse) => void): void {
    super._onRequest(parameters, (error, response) => {
      const isUdp6 = parameters.type === 'udp' && isIPv6(parameters.ip);
      if (isUdp6 && response?.peers6 !== undefined) response.peers = response.peers6.subarray(0, UDP6_PEERS_BYTES_MAX);
      callback(error, response);
    });
  }
}

/** A swarm that does not name the asker to itself. */
class SwarmOfOthers extends Server.Swarm {
  override _getPeers(numwant: number, ownPeerId: string, isWebRtc: boolean): SwarmPeer[] {
    const others = super._getPeers(numwant + 1, ownPeerId, isWebRtc).filter((peer) => peer.peerId !== ownPeerId);
    return others.slice(0, Math.max(0, numwant));
  }
}

function livePeers(swarm: Swarm | undefined): SwarmPeer[] {
  return swarm === undefined ? [] : swarm.peers.keys.map((key) => swarm.peers.peek(key)).filter((peer) => peer !== undefined);
}

function refuseHttp(response: ServerResponse, status: number, reason: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
  response.end(`${reason}\n`);
}

function listen(server: HttpServer, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host, exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function listenError(error: unknown, host: string, port: number): ShoalError {
  const cause = { cause: error };
  if (codeOf(error) === 'EADDRINUSE') {
    const message = `Port ${port} on ${host} is taken by another program; set tracker.port to a free port, or to 0 for any free one.`;
    return new ShoalError('PORT_TAKEN', message, { host, port, key: 'tracker.port' }, cause);
  }
  const message = `The tracker cannot listen on ${host} port ${port} (${codeOf(error)}); set tracker.host to an address of this machine`;
  return new ShoalError('ADDRESS_UNUSABLE', `${message} and tracker.port to a port that may be used.`, { host, port }, cause);
}

function isFamilyMissing(error: unknown): boolean {
  return ['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL'].includes(codeOf(error));
}

function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code ?? String(error);
}
