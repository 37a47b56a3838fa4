/**
 * The process's one listening port for peers: BitTorrent handshakes come in, and each goes to the swarm whose info hash it names.
 *
 * Holds the limits that span swarms: connections in all, and connections that have not yet shown a handshake. When too many of
 * the latter wait, the one that has waited longest gives way, because an honest peer needs milliseconds.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { invariant, ShoalError } from '../../kernel/errors.js';
import type { PeerAddress } from '../../kernel/peer-address.js';
import type { Clock, Hasher, Log } from '../../kernel/ports.js';
import { Rng } from '../../kernel/rng.js';
import type { InfoHash } from '../../kernel/units.js';
import { ownAddresses } from '../own-address.js';
import { systemClock } from '../system-clock.js';
import {
  type Greeting,
  PEER_WIRE_LIMITS,
  PeerWire,
  type PeerWireEvents,
  type PeerWireLimits,
  type RemoteHandshake,
} from './bittorrent-wire.js';
import { SWARM_TIMINGS, Swarm, type SwarmHost, type SwarmOptions, type SwarmTimings } from './swarm.js';

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
  readonly clock?: Clock;
  /** Only tests change these two. */
  readonly wireLimits?: Partial<PeerWireLimits>;
  readonly timings?: Partial<SwarmTimings>;
}

/** Connections that came in and have not shown their handshake. */
const UNGREETED_MAX = 64;
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
    return swarm;
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
      dial: (address, greeting, events) => this.#dial(address, greeting, events),
      forget: (swarm) => this.#swarms.delete(swarm.infoHash),
    };
  }

  /** Connections beyond a handshake, and dials on their way to one. */
  #isFull(): boolean {
    return this.#wires.size - this.#ungreeted.size >= this.#options.maxConnections;
  }

  #onSocket(socket: Socket): void {
    if (this.#stopped || this.#isFull()) {
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
    const wire = this.#track(new PeerWire({ ...this.#wireOptions(), socket, outgoing: false, events: this.#greeter(() => wire) }));
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
    this.#ungreeted.delete(wire);
    const swarm = this.#swarms.get(remote.infoHash);
    if (swarm === undefined) wire.close('unknown info hash');
    else swarm.welcome(wire, remote);
  }

  #dial({ host, port }: PeerAddress, greeting: Greeting, events: PeerWireEvents): PeerWire | undefined {
    if (this.#stopped || this.#isFull()) return undefined;
    const socket = connect({ host, port });
    const wire = this.#track(new PeerWire({ ...this.#wireOptions(), socket, outgoing: true, events, dialled: { host, port } }));
    wire.greet(greeting);
    return wire;
  }

  #wireOptions(): { readonly clock: Clock; readonly limits: PeerWireLimits } {
    return { clock: this.#clock, limits: this.#wireLimits };
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
