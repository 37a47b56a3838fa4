/**
 * The process's one listening port for peers: BitTorrent handshakes come in, and each goes to the swarm whose info hash it names.
 *
 * Holds the limits that span swarms: connections in all, and connections that have not yet shown a handshake. When too many of
 * the latter wait, the one that has waited longest gives way, because an honest peer needs milliseconds.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { connect, createServer, isIP, type Server, type Socket } from 'node:net';
import { invariant, ShoalError } from '../../kernel/errors.js';
import { addressScope, type PeerAddress } from '../../kernel/peer-address.js';
import type { Clock, Hasher, Log } from '../../kernel/ports.js';
import { Rng } from '../../kernel/rng.js';
import type { InfoHash } from '../../kernel/units.js';
import { ownAddresses } from '../own-address.js';
import { systemClock } from '../system-clock.js';
import {
  type ChooseRules,
  type Greeting,
  PEER_WIRE_LIMITS,
  PeerWire,
  type PeerWireEvents,
  type PeerWireLimits,
  type RemoteHandshake,
} from './bittorrent-wire.js';
import { type DialManner, type EncryptionPolicy, STREAM_METHODS } from './encryption-policy.js';
import { LIVE_FRAME_RULES } from './frame-guard.js';
import type { StreamStart } from './peer-stream.js';
import { encryptedRequestKey } from './stream-encryption.js';
import { type DhtContact, SWARM_TIMINGS, Swarm, type SwarmHost, type SwarmOptions, type SwarmTimings, TURNED_AWAY_MAX } from './swarm.js';
import { TurnBudget } from './turn-budget.js';

export interface PeerNetworkOptions {
  /** Address to listen on, `0.0.0.0` or `::` for all. */
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** 40 hex digits; by default `-SH0100-` and 12 random bytes. */
  readonly peerId?: string;
  /** Connections of all swarms together. */
  readonly maxConnections: number;
  readonly log: Log;
  readonly hasher: Hasher;
  /** Of torrents; live channels are plain. Default `allow`. */
  readonly encryption?: EncryptionPolicy;
  readonly clock?: Clock;
  /** Only tests change these two. */
  readonly wireLimits?: Partial<PeerWireLimits>;
  readonly timings?: Partial<SwarmTimings>;
}

/** Connections that came in and have not shown their handshake. */
const UNGREETED_MAX = 64;
/** Key exchanges with strangers in any second: each takes half a millisecond of this thread. */
const NEGOTIATIONS_PER_SECOND_MAX = 64;
const PEER_ID_PREFIX = '-SH0100-';

export class PeerNetwork {
  readonly peerId: string;
  /** Where it listens. */
  readonly port: number;
  readonly #options: PeerNetworkOptions;
  readonly #clock: Clock;
  readonly #wireLimits: PeerWireLimits;
  readonly #server: Server;
  readonly #rng = new Rng(randomInt(0x1_0000_0000));
  readonly #swarms = new Map<InfoHash, Swarm>();
  /** What encrypted requests call the torrents' swarms. */
  readonly #requestKeys = new Map<string, InfoHash>();
  readonly #encryption: EncryptionPolicy;
  #dht: DhtContact | undefined;
  #negotiations = { secondMs: 0, count: 0 };
  readonly #budget = new TurnBudget();
  readonly #wires = new Set<PeerWire>();
  /** In the order they came. */
  readonly #ungreeted = new Set<PeerWire>();
  #connectionCount = 0;
  #stopped = false;

  private constructor(options: PeerNetworkOptions, server: Server) {
    const address = server.address();
    invariant(address !== null && typeof address === 'object', 'A listening server has an address.');
    this.port = address.port;
    this.peerId = options.peerId ?? Buffer.concat([Buffer.from(PEER_ID_PREFIX), randomBytes(12)]).toString('hex');
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#encryption = options.encryption ?? 'allow';
    this.#wireLimits = { ...PEER_WIRE_LIMITS, ...options.wireLimits };
    this.#server = server;
    server.on('connection', (socket: Socket) => this.#onSocket(socket));
    server.on('error', (error) => options.log.warn('the swarm port failed to accept a connection', { reason: error.message }));
  }

  /** @throws ShoalError `PORT_TAKEN`, or `ADDRESS_UNUSABLE` when the host or port cannot be listened on at all. */
  static async start(options: PeerNetworkOptions): Promise<PeerNetwork> {
    const { peerId } = options;
    invariant(peerId === undefined || /^[0-9a-f]{40}$/.test(peerId), 'A peer id is 40 lower-case hex digits.');
    const server = createServer();
    await listen(server, options);
    return new PeerNetwork(options, server);
  }

  /** Takes part in a swarm. One swarm per info hash; joining it twice is a bug of the caller. */
  join(options: SwarmOptions): Swarm {
    invariant(!this.#stopped, 'A stopped peer network joins no swarm.');
    invariant(/^[0-9a-f]{40}$/.test(options.infoHash), 'An info hash is 40 lower-case hex digits.');
    invariant(!this.#swarms.has(options.infoHash), `The swarm ${options.infoHash} is joined already.`);
    const swarm = new Swarm(this.#hostFor(), options);
    this.#swarms.set(options.infoHash, swarm);
    if (swarm.isTorrent) this.#requestKeys.set(this.#requestKey(options.infoHash), options.infoHash);
    return swarm;
  }

  /** From now on peers of torrents are told where our DHT node listens, and say where theirs do. */
  useDht(dht: DhtContact): void {
    this.#dht = dht;
  }

  /** Leaves every swarm and closes the port; resolves when no socket is left, a second later at most. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const serverClosed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await Promise.all([...this.#swarms.values()].map((swarm) => swarm.leave()));
    for (const wire of this.#wires) wire.close('the network stops');
    await Promise.all([...this.#wires].map((wire) => wire.closed));
    await serverClosed;
  }

  #hostFor(): SwarmHost {
    return {
      peerId: this.peerId,
      port: this.port,
      clock: this.#clock,
      hasher: this.#options.hasher,
      log: this.#options.log,
      rng: this.#rng.fork(),
      timings: { ...SWARM_TIMINGS, ...this.#options.timings },
      ownHosts: ownAddresses(),
      nextConnectionId: () => `c${++this.#connectionCount}`,
      encryption: this.#encryption,
      dht: () => this.#dht,
      dial: (address, greeting, events, manner) => this.#dial(address, greeting, events, manner),
      forget: (swarm) => {
        this.#swarms.delete(swarm.infoHash);
        this.#requestKeys.delete(this.#requestKey(swarm.infoHash));
      },
    };
  }

  #requestKey(infoHash: InfoHash): string {
    return encryptedRequestKey(Buffer.from(infoHash, 'hex'), this.#options.hasher.sha1);
  }

  /** Connections beyond a handshake, and dials on their way to one. */
  #isFull(further = 0): boolean {
    return this.#wires.size - this.#ungreeted.size >= this.#options.maxConnections + further;
  }

  #onSocket(socket: Socket): void {
    // A few more than there is room for, to be told whom else there is.
    if (this.#stopped || this.#isFull(TURNED_AWAY_MAX)) {
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    if (this.#ungreeted.size >= UNGREETED_MAX) {
      for (const oldest of this.#ungreeted) {
        oldest.close('made room for a newer connection');
        break;
      }
    }
    const wire = this.#track(
      new PeerWire({ ...this.#wireOptions(), socket, outgoing: false, events: this.#greeter(() => wire), stream: this.#incomingStream() }),
    );
    this.#ungreeted.add(wire);
  }

  #greeter(wire: () => PeerWire): PeerWireEvents {
    return {
      onHandshake: (remote) => this.#route(wire(), remote),
      onExtendedHandshake: () => {},
      onExtensionMessage: () => {},
      onDrain: () => {},
      onClose: (end) => {
        this.#ungreeted.delete(wire());
        this.#options.log.debug('a connection was not taken', { reason: end.reason, address: wire().address });
      },
    };
  }

  #route(wire: PeerWire, remote: RemoteHandshake): void {
    const isFull = this.#isFull();
    this.#ungreeted.delete(wire);
    const swarm = this.#swarms.get(remote.infoHash);
    if (swarm === undefined) wire.close('unknown info hash');
    else if (swarm.isTorrent && this.#encryption === 'require' && !wire.encrypted) wire.close('is not encrypted');
    else if (isFull) swarm.turnAway(wire, remote);
    else swarm.welcome(wire, remote);
  }

  /** Only torrents are found by encrypted requests; a port without any speaks no encryption. */
  #incomingStream(): StreamStart {
    if (this.#encryption === 'off' || this.#requestKeys.size === 0) return { kind: 'plain' };
    const findInfoHash = (request: string): Uint8Array | undefined => {
      const infoHash = this.#requestKeys.get(request);
      return infoHash === undefined ? undefined : Buffer.from(infoHash, 'hex');
    };
    return {
      kind: 'detect',
      options: { methods: STREAM_METHODS[this.#encryption], findInfoHash },
      mayNegotiate: () => this.#mayNegotiate(),
    };
  }

  #mayNegotiate(): boolean {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#negotiations.secondMs >= 1000) this.#negotiations = { secondMs: nowMs, count: 0 };
    return ++this.#negotiations.count <= NEGOTIATIONS_PER_SECOND_MAX;
  }

  #dial({ host, port }: PeerAddress, greeting: Greeting, events: PeerWireEvents, manner: DialManner): PeerWire | undefined {
    if (this.#stopped || this.#isFull()) return undefined;
    const localAddress = this.#dialFrom(host);
    const socket = connect({ host, port, ...(localAddress === undefined ? {} : { localAddress }) });
    const infoHash = Buffer.from(greeting.infoHash, 'hex');
    const stream: StreamStart =
      manner === 'plain' ? { kind: 'plain' } : { kind: 'encrypted', options: { infoHash, methods: STREAM_METHODS[this.#encryption] } };
    const wire = this.#track(new PeerWire({ ...this.#wireOptions(), socket, outgoing: true, events, dialled: { host, port }, stream }));
    wire.greet(greeting);
    return wire;
  }

  /** Whoever is bound to one address calls from it as well; from a loopback address only others of this machine can be reached. */
  #dialFrom(host: string): string | undefined {
    const own = this.#options.host;
    const family = isIP(own);
    if (family === 0 || family !== isIP(host) || own === '0.0.0.0' || own === '::') return undefined;
    return addressScope(own) === addressScope(host) || addressScope(own) !== 'loopback' ? own : undefined;
  }

  #wireOptions(): { readonly clock: Clock; readonly limits: PeerWireLimits; readonly rules: ChooseRules; readonly budget: TurnBudget } {
    const rules: ChooseRules = ({ infoHash, fast }) => this.#swarms.get(infoHash)?.frameRules(fast) ?? LIVE_FRAME_RULES;
    return { clock: this.#clock, limits: this.#wireLimits, rules, budget: this.#budget };
  }

  #track(wire: PeerWire): PeerWire {
    this.#wires.add(wire);
    void wire.closed.then(() => this.#wires.delete(wire));
    return wire;
  }
}

function listen(server: Server, { host, port }: PeerNetworkOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(explain(error, host, port));
    server.once('error', onError);
    server.listen({ host, port }, () => {
      server.removeListener('error', onError);
      resolve();
    });
  });
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): ShoalError {
  const data = { host, port };
  if (error.code === 'EADDRINUSE') {
    const message = `swarm.port: port ${port} on ${host} is taken by another program. Choose another one, or 0 for any free port.`;
    return new ShoalError('PORT_TAKEN', message, data, { cause: error });
  }
  const message = `swarm.host, swarm.port: cannot listen on ${host} port ${port} (${error.message}). Choose an address of this machine and a port you may use.`;
  return new ShoalError('ADDRESS_UNUSABLE', message, data, { cause: error });
}
