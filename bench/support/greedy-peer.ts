/**
 * A peer that takes and never gives: it asks everybody for as much as a queue holds, says nothing of what it has, and hangs up now and then to come back as
 * a newcomer. It speaks our extension, so that nobody chokes it.
 */
import { nodeHasher } from '../../src/io/crypto.js';
import type { PeerInfo } from '../../src/io/peers/peer-info.js';
import { PeerNetwork } from '../../src/io/peers/peer-network.js';
import type { Swarm } from '../../src/io/peers/swarm.js';
import type { Connection } from '../../src/kernel/connection.js';
import { Malformed } from '../../src/kernel/errors.js';
import { BLOCK_BYTES } from '../../src/vod/block.js';
import type { Metainfo } from '../../src/vod/metainfo.js';
import { type PeerMessage, peerCodec } from '../../src/vod/peer-message.js';
import { PieceSet } from '../../src/vod/transfer/piece-set.js';
import { MemoryLog } from '../../test/support/memory-log.js';

export interface GreedyOptions {
  readonly host: string;
  readonly metainfo: Metainfo;
  /** Comes back as a newcomer this often; 0: stays. */
  readonly returnsEveryMs: number;
}

/** As many requests as others keep for one peer. */
const DEPTH = 500;

interface Victim {
  readonly connection: Connection;
  readonly holds: PieceSet;
  readonly asked: Set<number>;
  mayAsk: boolean;
}

export class GreedyPeer {
  readonly #network: PeerNetwork;
  readonly #metainfo: Metainfo;
  readonly #swarm: Swarm;
  readonly #victims = new Set<Victim>();
  readonly #got = new Set<number>();
  readonly #timer: NodeJS.Timeout | undefined;
  #downBytes = 0;

  private constructor(network: PeerNetwork, { metainfo, returnsEveryMs }: GreedyOptions) {
    this.#network = network;
    this.#metainfo = metainfo;
    this.#swarm = network.join({
      kind: 'torrent',
      infoHash: metainfo.infoHash,
      metadata: metainfo.infoBytes,
      isPrivate: false,
      pieceCount: metainfo.pieceCount,
      maxConnections: 100,
      targetConnections: 100,
      onMetadata: () => new Malformed('it is known'),
      onConnection: (connection, info) => this.#onConnection(connection, info),
    });
    if (returnsEveryMs > 0) this.#timer = setInterval(() => this.#return(), returnsEveryMs);
  }

  static async start(options: GreedyOptions): Promise<GreedyPeer> {
    const network = await PeerNetwork.start({ host: options.host, port: 0, maxConnections: 200, log: new MemoryLog(), hasher: nodeHasher });
    return new GreedyPeer(network, options);
  }

  /** Payload that came, whatever of it is new. */
  get downBytes(): number {
    return this.#downBytes;
  }

  get connectionCount(): number {
    return this.#victims.size;
  }

  meet(host: string, port: number): void {
    this.#swarm.addCandidate(host, port, 'tracker');
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#network.stop();
  }

  #return(): void {
    for (const { connection } of this.#victims) connection.close({ kind: 'leaving', detail: 'comes back' });
  }

  #onConnection(connection: Connection, _info: PeerInfo): void {
    const victim: Victim = { connection, holds: new PieceSet(this.#metainfo.pieceCount), asked: new Set(), mayAsk: false };
    this.#victims.add(victim);
    connection.listen({
      onMessage: (bytes) => this.#onFrame(victim, bytes),
      onDrain: () => {},
      onClose: () => this.#victims.delete(victim),
    });
    this.#say(victim, { kind: 'have-none' });
    this.#say(victim, { kind: 'interested' });
  }

  #onFrame(victim: Victim, bytes: Uint8Array): void {
    const message = peerCodec.decode(bytes);
    if (message instanceof Malformed) return;
    switch (message.kind) {
      case 'have-all':
        for (let piece = 0; piece < this.#metainfo.pieceCount; piece++) victim.holds.add(piece);
        break;
      case 'bitfield':
        for (const piece of PieceSet.fromBitfield(this.#metainfo.pieceCount, message.bytes)) victim.holds.add(piece);
        break;
      case 'have':
        victim.holds.add(message.piece);
        break;
      case 'unchoke':
        victim.mayAsk = true;
        break;
      case 'choke':
        victim.mayAsk = false;
        victim.asked.clear();
        break;
      case 'reject':
        victim.asked.delete(this.#keyOf(message.piece, message.offsetBytes));
        return;
      case 'piece':
        this.#downBytes += message.bytes.length;
        victim.asked.delete(this.#keyOf(message.piece, message.offsetBytes));
        this.#got.add(this.#keyOf(message.piece, message.offsetBytes));
    }
    this.#ask(victim);
  }

  #ask(victim: Victim): void {
    const { pieceLengthBytes, totalBytes } = this.#metainfo;
    if (!victim.mayAsk || victim.asked.size > DEPTH / 2) return;
    for (const piece of victim.holds) {
      const end = Math.min(totalBytes, (piece + 1) * pieceLengthBytes);
      for (let at = piece * pieceLengthBytes; at < end; at += BLOCK_BYTES) {
        if (victim.asked.size >= DEPTH) return;
        const key = at / BLOCK_BYTES;
        if (this.#got.has(key) || victim.asked.has(key)) continue;
        victim.asked.add(key);
        const offsetBytes = at - piece * pieceLengthBytes;
        this.#say(victim, { kind: 'request', piece, offsetBytes, lengthBytes: Math.min(BLOCK_BYTES, end - at) });
      }
    }
  }

  #keyOf(piece: number, offsetBytes: number): number {
    return (piece * this.#metainfo.pieceLengthBytes + offsetBytes) / BLOCK_BYTES;
  }

  #say({ connection }: Victim, message: PeerMessage): void {
    connection.send(peerCodec.encode(message));
  }
}
