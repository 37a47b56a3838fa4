/** A peer of one channel on real sockets that misbehaves: the shipped peer, with one habit of the simulator's applied to everything that it sends. */
import { parseLink } from '../../src/ingest/channel-link.js';
import { nodeHasher, nodeVerifier } from '../../src/io/crypto.js';
import { readConfigFiles } from '../../src/io/files/config-file.js';
import { PeerNetwork } from '../../src/io/peers/peer-network.js';
import { systemClock } from '../../src/io/system-clock.js';
import { sameBytes } from '../../src/kernel/bytes.js';
import type { Connection, ConnectionEvents } from '../../src/kernel/connection.js';
import { invariant, Malformed } from '../../src/kernel/errors.js';
import type { Signer } from '../../src/kernel/ports.js';
import type { DisconnectReason } from '../../src/kernel/protocol.js';
import { TokenBucket } from '../../src/kernel/token-bucket.js';
import type { Bytes, BytesPerSecond } from '../../src/kernel/units.js';
import { resolveConfig } from '../../src/plugins/config.js';
import { LiveSwarm } from '../../src/plugins/live-swarm.js';
import type { ChannelStatus } from '../../src/relay/endpoints/channel-status.js';
import { type LiveMessage, liveCodec } from '../../src/relay/exchange/live-message.js';
import type { Tamper } from '../../src/sim/live-world.js';
import { type HabitName, tamperOf } from '../../src/sim/misbehaviour.js';
import { MemoryLog } from './memory-log.js';
import { temporaryFolder } from './program.js';

export interface MisbehavingPeerOptions {
  /** Of the channel; everybody it names is dialled, and its trackers are asked. */
  readonly link: string;
  readonly habit: HabitName;
  /** Whose key signs the channel's windows: some habits sign something true for another channel. */
  readonly publisher: Signer;
  /** Somebody else's key: some habits sign with it. */
  readonly stranger: Signer;
  /** Upload limit; 0, as left out: none. */
  readonly uploadBytesPerSecond?: BytesPerSecond;
}

/** What one neighbour was sent that was not what the exchange would have sent. */
export interface WrongMessages {
  pieces: number;
  manifests: number;
}

export class MisbehavingPeer {
  readonly habit: HabitName;
  /** By peer id of the neighbour, over all connections with it. At most so much of it has reached the neighbour. */
  readonly wrong = new Map<string, WrongMessages>();
  readonly #network: PeerNetwork;
  readonly #swarm: LiveSwarm;

  static async start(options: MisbehavingPeerOptions): Promise<MisbehavingPeer> {
    const log = new MemoryLog();
    const network = await PeerNetwork.start({ host: '127.0.0.1', port: 0, maxConnections: 40, log, hasher: nodeHasher });
    return new MisbehavingPeer(options, network, log);
  }

  private constructor(
    { link, habit, publisher, stranger, uploadBytesPerSecond = 0 }: MisbehavingPeerOptions,
    network: PeerNetwork,
    log: MemoryLog,
  ) {
    const parsed = parseLink(link);
    if (parsed instanceof Malformed) throw new Error(parsed.reason);
    const { id, trackers, peers } = parsed;
    this.habit = habit;
    this.#network = network;
    const tamper = tamperOf(habit, { channel: id, owner: publisher, stranger, hasher: nodeHasher });
    const join = network.join.bind(network);
    // Here alone it is not the shipped peer: its exchange gets connections that change what goes out.
    network.join = (options) =>
      join({
        ...options,
        onConnection: (connection, info) => options.onConnection(this.#tampering(connection, tamper), info),
      });
    const { defaults } = readConfigFiles({ currentDir: temporaryFolder('misbehaving') });
    this.#swarm = new LiveSwarm(
      {
        config: resolveConfig({ defaults }).config,
        log,
        network,
        hasher: nodeHasher,
        verifier: nodeVerifier,
        uplink: new TokenBucket(uploadBytesPerSecond),
        downlink: new TokenBucket(0),
      },
      { id, descriptor: null, trackers, peers, onEvent: () => undefined },
    );
    this.#swarm.start();
  }

  get peerId(): string {
    return this.#network.peerId;
  }

  get status(): ChannelStatus {
    return this.#swarm.status(0);
  }

  async stop(): Promise<void> {
    await this.#swarm.stop();
    await this.#network.stop();
  }

  #tampering(connection: Connection, tamper: Tamper): Connection {
    return new TamperingConnection(connection, tamper, ({ kind }) => {
      const wrong = this.wrong.get(connection.peerId) ?? { pieces: 0, manifests: 0 };
      this.wrong.set(connection.peerId, wrong);
      if (kind === 'piece') wrong.pieces += 1;
      if (kind === 'manifest') wrong.manifests += 1;
    });
  }
}

/** A connection on which something else goes out than was handed to it. */
class TamperingConnection implements Connection {
  readonly #inner: Connection;
  readonly #tamper: Tamper;
  readonly #onChanged: (message: LiveMessage) => void;

  constructor(inner: Connection, tamper: Tamper, onChanged: (message: LiveMessage) => void) {
    this.#inner = inner;
    this.#tamper = tamper;
    this.#onChanged = onChanged;
  }

  get id(): string {
    return this.#inner.id;
  }

  get peerId(): string {
    return this.#inner.peerId;
  }

  get address(): string {
    return this.#inner.address;
  }

  get addressBlock(): string {
    return this.#inner.addressBlock ?? this.#inner.address;
  }

  get bufferedBytes(): Bytes {
    return this.#inner.bufferedBytes;
  }

  send(bytes: Uint8Array): void {
    const message = liveCodec.decode(bytes);
    invariant(!(message instanceof Malformed), 'The exchange sends what it would read.');
    for (const changed of this.#tamper(message, this.id, systemClock.nowMs())) {
      const sent = changed === message ? bytes : liveCodec.encode(changed);
      if (!sameBytes(sent, bytes)) this.#onChanged(changed);
      this.#inner.send(sent);
    }
  }

  close(reason: DisconnectReason): void {
    this.#inner.close(reason);
  }

  listen(events: ConnectionEvents): void {
    this.#inner.listen(events);
  }
}
