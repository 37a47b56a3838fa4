/**
 * Local service discovery (BEP 14): torrents are announced to the local network by multicast, and those of others heard.
 *
 * Our own, because the npm package announces on the default interface alone and takes datagrams of any number and length. IPv4 only. It
 * speaks on the interfaces it is given and nowhere else; datagrams never leave the network (TTL 1). Announces of one torrent come
 * five minutes apart, of several in one datagram. A private torrent must not be joined here (BEP 27), which is its owner's duty.
 * Without multicast it does nothing: a line in the log says so.
 */
import { randomBytes } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { invariant, Malformed } from '../../kernel/errors.js';
import { makeAddress, type PeerAddress } from '../../kernel/peer-address.js';
import type { Clock, Log } from '../../kernel/ports.js';
import type { InfoHash, Milliseconds } from '../../kernel/units.js';
import { AddressRateLimit } from '../address-rate-limit.js';
import { systemClock } from '../system-clock.js';
import { decodeLocalAnnounce, encodeLocalAnnounce, LOCAL_ANNOUNCE_TORRENTS_MAX } from './local-announce.js';

export interface LocalDiscoveryOptions {
  /** Where peers are listened for. */
  readonly peerPort: number;
  /** IPv4 addresses of the interfaces to speak on. Default: all, loopback included, where programs of this machine may listen only. */
  readonly interfaces?: readonly string[];
  readonly log: Log;
  readonly clock?: Clock;
  /** Only tests change these two. */
  readonly port?: number;
  readonly announceMs?: Milliseconds;
}

const GROUP = '239.192.152.143';
const PORT = 6771;
/** BEP 14. */
const ANNOUNCE_MS: Milliseconds = 300_000;
/** Between datagrams when more torrents are due than one datagram holds. */
const PAUSE_MS: Milliseconds = 1_000;
const INTERFACES_MAX = 16;
const ANNOUNCE_LIMIT = { requestsPerSecond: 2, burstCount: 40, addressesMaxCount: 1024 };

export class LocalDiscovery {
  readonly #options: LocalDiscoveryOptions;
  readonly #clock: Clock;
  readonly #port: number;
  readonly #cookie = randomBytes(8).toString('hex');
  readonly #limit = new AddressRateLimit(ANNOUNCE_LIMIT);
  /** All of them, to be closed. */
  readonly #sockets: Socket[] = [];
  readonly #speakers: Socket[] = [];
  readonly #listeners = new Map<InfoHash, (peer: PeerAddress) => void>();
  /** When each torrent was announced last. */
  readonly #announcedMs = new Map<InfoHash, Milliseconds>();
  #cancel: () => void = () => {};
  #isStopped = false;

  private constructor(options: LocalDiscoveryOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#port = options.port ?? PORT;
  }

  /** Resolves when it listens wherever it can. Never rejects: a machine without multicast goes without. */
  static async start(options: LocalDiscoveryOptions): Promise<LocalDiscovery> {
    const discovery = new LocalDiscovery(options);
    await discovery.#listen((options.interfaces ?? localInterfaces()).slice(0, INTERFACES_MAX));
    return discovery;
  }

  /** Announces a torrent for as long as it is not left, and names those who announce it too. */
  join(infoHash: InfoHash, onPeer: (peer: PeerAddress) => void): void {
    invariant(!this.#listeners.has(infoHash), `${infoHash} is announced locally already.`);
    if (this.#isStopped) return;
    this.#listeners.set(infoHash, onPeer);
    this.#schedule(0);
  }

  leave(infoHash: InfoHash): void {
    this.#listeners.delete(infoHash);
    this.#announcedMs.delete(infoHash);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    this.#listeners.clear();
    await Promise.all(this.#sockets.splice(0).map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
  }

  /** One socket hears all interfaces, since each socket on the port is given what comes on any of them; one for each speaks. */
  async #listen(interfaces: readonly string[]): Promise<void> {
    if (interfaces.length === 0) return;
    const listener = await this.#bind(this.#port, undefined, () => {});
    if (listener === undefined) return;
    listener.on('message', (bytes, from) => this.#onDatagram(bytes, from));
    const speakers = interfaces.map((address) =>
      this.#bind(0, address, (socket) => {
        listener.addMembership(GROUP, address);
        socket.setMulticastInterface(address);
        socket.setMulticastTTL(1);
        socket.setMulticastLoopback(true);
      }),
    );
    this.#speakers.push(...(await Promise.all(speakers)).filter((socket) => socket !== undefined));
  }

  /** Undefined, and a line in the log, where it does not work. */
  #bind(port: number, address: string | undefined, prepare: (socket: Socket) => void): Promise<Socket | undefined> {
    return new Promise((resolve) => {
      const socket = createSocket({ type: 'udp4', reuseAddr: true });
      const giveUp = (error: Error): void => {
        this.#options.log.debug('no local discovery on an interface', { reason: error.message });
        socket.removeAllListeners();
        socket.on('error', () => {});
        socket.close();
        resolve(undefined);
      };
      socket.once('error', giveUp);
      socket.bind(port, address, () => {
        try {
          prepare(socket);
        } catch (error) {
          giveUp(error instanceof Error ? error : new Error(String(error)));
          return;
        }
        socket.removeListener('error', giveUp);
        socket.on('error', (error) => this.#options.log.debug('local discovery', { reason: error.message }));
        this.#sockets.push(socket);
        resolve(socket);
      });
    });
  }

  #schedule(delayMs: Milliseconds): void {
    this.#cancel();
    this.#cancel = this.#clock.schedule(() => this.#announce(), delayMs);
  }

  /** Announces what is due, a datagram's worth at a time. */
  #announce(): void {
    const nowMs = this.#clock.nowMs();
    const announceMs = this.#options.announceMs ?? ANNOUNCE_MS;
    const dueMs = (infoHash: InfoHash): Milliseconds => (this.#announcedMs.get(infoHash) ?? Number.NEGATIVE_INFINITY) + announceMs;
    const due = [...this.#listeners.keys()].filter((infoHash) => dueMs(infoHash) <= nowMs).slice(0, LOCAL_ANNOUNCE_TORRENTS_MAX);
    if (due.length > 0) this.#send(due);
    for (const infoHash of due) this.#announcedMs.set(infoHash, nowMs);
    if (this.#listeners.size === 0) return;
    const nextMs = Math.min(...[...this.#listeners.keys()].map(dueMs));
    this.#schedule(Math.max(Math.min(PAUSE_MS, announceMs), nextMs - nowMs));
  }

  #send(infoHashes: readonly InfoHash[]): void {
    const bytes = encodeLocalAnnounce({ port: this.#options.peerPort, infoHashes, cookie: this.#cookie }, `${GROUP}:${this.#port}`);
    for (const socket of this.#speakers) socket.send(bytes, this.#port, GROUP, () => {});
  }

  #onDatagram(bytes: Uint8Array, from: RemoteInfo): void {
    const announce = decodeLocalAnnounce(bytes);
    if (announce instanceof Malformed || announce.cookie === this.#cookie) return;
    if (!this.#limit.take(from.address, this.#clock.nowMs())) return;
    const address = makeAddress(from.address, announce.port);
    if (address === undefined) return;
    for (const infoHash of announce.infoHashes) this.#listeners.get(infoHash)?.(address);
  }
}

function localInterfaces(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.filter(({ family }) => family === 'IPv4').map(({ address }) => address);
}
