/**
 * The simplest peer that moves a whole title over torrent connections: it serves all it has, and asks for the blocks in order. For tests of
 * the wire against ordinary clients; a title in use is the core's business.
 */
import { nodeHasher } from '../../src/io/crypto.js';
import type { PeerInfo } from '../../src/io/peers/peer-info.js';
import { PeerNetwork, type PeerNetworkOptions } from '../../src/io/peers/peer-network.js';
import type { Swarm } from '../../src/io/peers/swarm.js';
import type { Connection } from '../../src/kernel/connection.js';
import { MemoryLog } from './memory-log.js';
import { frame } from './swarm-fixture.js';

const BLOCK_BYTES = 16_384;
const DEPTH = 16;

export interface WholeTitle {
  readonly infoHash: string;
  readonly pieceCount: number;
  readonly pieceLengthBytes: number;
  readonly totalBytes: number;
  /** The title's bytes; undefined for one who has nothing. */
  readonly bytes?: Uint8Array;
}

export class WholeTitlePeer {
  readonly network: PeerNetwork;
  readonly swarm: Swarm;
  readonly log: MemoryLog;
  readonly infos: PeerInfo[] = [];
  readonly ends: string[] = [];
  readonly #title: WholeTitle;
  readonly #bytes: Uint8Array;
  readonly #missing = new Set<number>();

  private constructor(network: PeerNetwork, log: MemoryLog, title: WholeTitle, metadata: Uint8Array | null) {
    this.network = network;
    this.log = log;
    this.#title = title;
    this.#bytes = title.bytes ?? new Uint8Array(title.totalBytes);
    if (title.bytes === undefined) for (let at = 0; at < title.totalBytes; at += BLOCK_BYTES) this.#missing.add(at);
    this.swarm = network.join({
      kind: 'torrent',
      infoHash: title.infoHash,
      metadata,
      isPrivate: false,
      pieceCount: metadata === null ? null : title.pieceCount,
      maxConnections: 20,
      targetConnections: 10,
      onMetadata: () => ({ pieceCount: title.pieceCount, isPrivate: false }),
      onConnection: (connection, info) => this.#onConnection(connection, info),
    });
  }

  static async start(title: WholeTitle, metadata: Uint8Array | null, options: Partial<PeerNetworkOptions> = {}): Promise<WholeTitlePeer> {
    const log = new MemoryLog();
    const network = await PeerNetwork.start({ host: '127.0.0.1', port: 0, maxConnections: 50, log, hasher: nodeHasher, ...options });
    return new WholeTitlePeer(network, log, title, metadata);
  }

  get isComplete(): boolean {
    return this.#missing.size === 0;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  #onConnection(connection: Connection, info: PeerInfo): void {
    this.infos.push(info);
    const asked = new Set<number>();
    connection.listen({
      onMessage: (message) => this.#onFrame(connection, message, asked),
      onDrain: () => {},
      onClose: (reason) => this.ends.push(reason),
    });
    const bits = new Uint8Array(Math.ceil(this.#title.pieceCount / 8));
    if (this.#title.bytes !== undefined) {
      for (let piece = 0; piece < this.#title.pieceCount; piece++) bits[piece >> 3] = (bits[piece >> 3] ?? 0) | (0x80 >> (piece & 7));
    }
    connection.send(frame(5, bits));
    connection.send(frame(1));
    if (!this.isComplete) connection.send(frame(2));
  }

  #onFrame(connection: Connection, bytes: Uint8Array, asked: Set<number>): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (bytes[4] === 1) this.#ask(connection, asked);
    if (bytes[4] === 6) this.#serve(connection, view);
    if (bytes[4] !== 7) return;
    const at = view.getUint32(5) * this.#title.pieceLengthBytes + view.getUint32(9);
    this.#bytes.set(bytes.subarray(13), at);
    this.#missing.delete(at);
    asked.delete(at);
    this.#ask(connection, asked);
  }

  #serve(connection: Connection, request: DataView): void {
    const from = request.getUint32(5) * this.#title.pieceLengthBytes + request.getUint32(9);
    const head = new Uint8Array(8);
    new DataView(head.buffer).setUint32(0, request.getUint32(5));
    new DataView(head.buffer).setUint32(4, request.getUint32(9));
    connection.send(frame(7, Buffer.concat([head, this.#bytes.subarray(from, from + request.getUint32(13))])));
  }

  #ask(connection: Connection, asked: Set<number>): void {
    for (const at of this.#missing) {
      if (asked.size >= DEPTH) break;
      if (asked.has(at)) continue;
      asked.add(at);
      const body = new DataView(new ArrayBuffer(12));
      body.setUint32(0, Math.floor(at / this.#title.pieceLengthBytes));
      body.setUint32(4, at % this.#title.pieceLengthBytes);
      body.setUint32(8, Math.min(BLOCK_BYTES, this.#title.totalBytes - at));
      connection.send(frame(6, new Uint8Array(body.buffer)));
    }
  }
}
