/** Real peer networks on loopback, and the half-peer that misbehaves: a raw socket with just enough of the protocol. */
import { connect, type Socket } from 'node:net';
import { nodeHasher } from '../../src/io/crypto.js';
import type { PeerInfo } from '../../src/io/peers/peer-info.js';
import { PeerNetwork, type PeerNetworkOptions } from '../../src/io/peers/peer-network.js';
import type { LiveSwarmOptions, Swarm } from '../../src/io/peers/swarm.js';
import { type BencodeInput, encodeBencode } from '../../src/kernel/bencode.js';
import type { Connection } from '../../src/kernel/connection.js';
import { Rng } from '../../src/kernel/rng.js';
import { MemoryLog } from './memory-log.js';

export const METADATA = Uint8Array.from({ length: 300 }, (_, i) => i % 251);
export const INFO_HASH = hex(nodeHasher.sha1(METADATA));

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Bytes that differ by place and by `salt`, so that a message out of order shows. */
export function pattern(length: number, salt: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + salt) & 0xff);
}

/** Waits until `condition` holds, looking every few milliseconds; fails with `what` when it does not within the deadline. */
export async function until(what: string, condition: () => boolean, deadlineMs = 5_000): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`waited ${deadlineMs} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A connection handed to a core, with everything that came over it. */
export interface Heard {
  readonly connection: Connection;
  readonly info: PeerInfo;
  readonly messages: Uint8Array[];
  drainCount: number;
  readonly ends: string[];
}

/** One process's worth of network with one swarm joined. */
export class Node {
  readonly network: PeerNetwork;
  readonly log: MemoryLog;
  readonly heard: Heard[] = [];
  readonly fetched: Uint8Array[] = [];
  readonly swarm: Swarm;

  private constructor(network: PeerNetwork, log: MemoryLog, options: Partial<LiveSwarmOptions>) {
    this.network = network;
    this.log = log;
    this.swarm = network.join({
      infoHash: INFO_HASH,
      extension: 'shoal_live',
      metadata: METADATA,
      publisher: false,
      maxConnections: 40,
      targetConnections: 8,
      onConnection: (connection, info) => this.#onConnection(connection, info),
      onMetadata: (bytes) => this.fetched.push(bytes),
      ...options,
    });
  }

  static async start(options: Partial<LiveSwarmOptions> = {}, network: Partial<PeerNetworkOptions> = {}): Promise<Node> {
    const log = new MemoryLog();
    const started = await PeerNetwork.start({
      host: '127.0.0.1',
      port: 0,
      maxConnections: 100,
      log,
      hasher: nodeHasher,
      timings: { tickMs: 50 },
      ...network,
    });
    return new Node(started, log, options);
  }

  /** Names `other` to this node, as a link would. */
  meet(other: Node): void {
    this.swarm.addCandidate('127.0.0.1', other.network.port, 'link');
  }

  /** The connections that have not ended. */
  get live(): Heard[] {
    return this.heard.filter(({ ends }) => ends.length === 0);
  }

  #onConnection(connection: Connection, info: PeerInfo): void {
    const heard: Heard = { connection, info, messages: [], drainCount: 0, ends: [] };
    this.heard.push(heard);
    connection.listen({
      onMessage: (bytes) => heard.messages.push(bytes),
      onDrain: () => {
        heard.drainCount++;
      },
      onClose: (reason) => heard.ends.push(reason),
    });
  }
}

/** Runs a test with nodes that are stopped afterwards, whatever happens. */
export async function withNodes(
  count: number,
  task: (nodes: Node[]) => Promise<void>,
  options: Partial<LiveSwarmOptions> = {},
): Promise<void> {
  const nodes: Node[] = [];
  try {
    for (let i = 0; i < count; i++) nodes.push(await Node.start(options));
    await task(nodes);
  } finally {
    await Promise.all(nodes.map((node) => node.network.stop()));
  }
}

/** A raw socket to a node. */
export class HalfPeer {
  readonly socket: Socket;
  readonly received: Uint8Array[] = [];
  closed = false;

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port });
    this.socket.on('data', (chunk) => this.received.push(chunk));
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
  }

  /** Writes bytes; resolves when the system has taken them or the socket is gone. */
  send(bytes: Uint8Array): Promise<void> {
    if (this.closed) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.socket.removeListener('close', done);
        resolve();
      };
      this.socket.once('close', done);
      this.socket.write(bytes, done);
    });
  }

  /** The BitTorrent handshake and, unless told otherwise, an ordinary extended handshake. */
  async greet(peerId = randomPeerId(), extended: BencodeInput | null = { m: { shoal_live: 7, ut_metadata: 8, ut_pex: 9 } }): Promise<void> {
    await this.send(handshakeBytes(INFO_HASH, peerId));
    if (extended !== null) await this.send(extendedFrame(0, encodeBencode(extended)));
  }

  get receivedBytes(): Uint8Array {
    return Buffer.concat(this.received);
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** A peer id that no other half-peer of this process has. */
export function randomPeerId(): string {
  return hex(Uint8Array.from({ length: 20 }, () => peerIds.below(256)));
}

const peerIds = new Rng(2009);

export function handshakeBytes(infoHash: string, peerId: string): Uint8Array {
  const reserved = Uint8Array.of(0, 0, 0, 0, 0, 0x10, 0, 0);
  return Buffer.concat([Buffer.from('\u0013BitTorrent protocol'), reserved, Buffer.from(infoHash, 'hex'), Buffer.from(peerId, 'hex')]);
}

/** A message with its length prefix. */
export function frame(id: number, body: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = Buffer.alloc(5 + body.length);
  bytes.writeUInt32BE(1 + body.length, 0);
  bytes[4] = id;
  bytes.set(body, 5);
  return bytes;
}

export function extendedFrame(extensionId: number, payload: Uint8Array): Uint8Array {
  return frame(20, Buffer.concat([Uint8Array.of(extensionId), payload]));
}
