/** Torrent swarms on real peer networks on loopback. The metadata is any bytes: what they say is the owner's business, here a fixed shape. */
import { nodeHasher } from '../../src/io/crypto.js';
import type { PeerInfo } from '../../src/io/peers/peer-info.js';
import { PeerNetwork, type PeerNetworkOptions } from '../../src/io/peers/peer-network.js';
import type { Swarm, TorrentSwarmOptions } from '../../src/io/peers/swarm.js';
import type { TorrentShape } from '../../src/io/peers/torrent-dialect.js';
import type { Connection } from '../../src/kernel/connection.js';
import { MemoryLog } from './memory-log.js';
import { hex, pattern } from './swarm-fixture.js';

export const TORRENT_METADATA = pattern(40_000, 5);
export const TORRENT_HASH = hex(nodeHasher.sha1(TORRENT_METADATA));
export const TORRENT_SHAPE: TorrentShape = { pieceCount: 20, isPrivate: false };

/** A connection handed over, with the frames that came over it. */
export interface HeardFrames {
  readonly connection: Connection;
  readonly info: PeerInfo;
  readonly frames: Uint8Array[];
  readonly ends: string[];
}

/** One process's worth of network with one torrent joined. */
export class TorrentNode {
  readonly network: PeerNetwork;
  readonly log: MemoryLog;
  readonly heard: HeardFrames[] = [];
  readonly fetched: Uint8Array[] = [];
  readonly swarm: Swarm;

  private constructor(network: PeerNetwork, log: MemoryLog, options: Partial<TorrentSwarmOptions>) {
    this.network = network;
    this.log = log;
    this.swarm = network.join({
      kind: 'torrent',
      infoHash: TORRENT_HASH,
      metadata: TORRENT_METADATA,
      isPrivate: false,
      pieceCount: options.metadata === null ? null : TORRENT_SHAPE.pieceCount,
      maxConnections: 40,
      targetConnections: 8,
      onConnection: (connection, info) => this.#onConnection(connection, info),
      onMetadata: (bytes) => {
        this.fetched.push(bytes);
        return TORRENT_SHAPE;
      },
      ...options,
    });
  }

  static async start(options: Partial<TorrentSwarmOptions> = {}, network: Partial<PeerNetworkOptions> = {}): Promise<TorrentNode> {
    const log = new MemoryLog();
    const timings = { tickMs: 50 };
    const started = await PeerNetwork.start({
      host: '127.0.0.1',
      port: 0,
      maxConnections: 100,
      log,
      hasher: nodeHasher,
      timings,
      ...network,
    });
    return new TorrentNode(started, log, options);
  }

  meet(other: TorrentNode): void {
    this.swarm.addCandidate('127.0.0.1', other.network.port, 'link');
  }

  get live(): HeardFrames[] {
    return this.heard.filter(({ ends }) => ends.length === 0);
  }

  #onConnection(connection: Connection, info: PeerInfo): void {
    const heard: HeardFrames = { connection, info, frames: [], ends: [] };
    this.heard.push(heard);
    connection.listen({
      onMessage: (bytes) => heard.frames.push(bytes),
      onDrain: () => {},
      onClose: (reason) => heard.ends.push(reason),
    });
  }
}

/** Runs a test with nodes that are stopped afterwards, whatever happens. */
export async function withTorrentNodes(
  options: readonly Partial<TorrentSwarmOptions>[],
  task: (...nodes: TorrentNode[]) => Promise<void>,
  network: Partial<PeerNetworkOptions> = {},
): Promise<void> {
  const nodes: TorrentNode[] = [];
  try {
    for (const one of options) nodes.push(await TorrentNode.start(one, network));
    await task(...nodes);
  } finally {
    await Promise.all(nodes.map((node) => node.network.stop()));
  }
}

/** A BitTorrent handshake with reserved bits as told. */
export function torrentHandshake(
  peerId: string,
  { extended = true, fast = true, infoHash = TORRENT_HASH }: { extended?: boolean; fast?: boolean; infoHash?: string } = {},
): Uint8Array {
  const reserved = Uint8Array.of(0, 0, 0, 0, 0, extended ? 0x10 : 0, 0, fast ? 0x04 : 0);
  return Buffer.concat([Buffer.from('\u0013BitTorrent protocol'), reserved, Buffer.from(infoHash, 'hex'), Buffer.from(peerId, 'hex')]);
}
