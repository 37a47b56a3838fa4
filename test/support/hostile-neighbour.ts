/**
 * The neighbour that misbehaves: a raw socket that speaks just enough BitTorrent to do harm, from either side.
 *
 * It dials a victim, or listens and is dialled. It reads what comes frame by frame; what it answers is the test's business.
 */

import type { AddressInfo } from 'node:net';
import { createServer, type Server, Socket } from 'node:net';
import { type BencodeInput, decodeBencodePrefix, encodeBencode } from '../../src/kernel/bencode.js';
import { extendedFrame, randomPeerId } from './swarm-fixture.js';
import { torrentHandshake } from './torrent-nodes.js';

/** How it introduces itself. */
export interface Manner {
  readonly infoHash: string;
  readonly peerId?: string;
  readonly fast?: boolean;
  readonly extended?: boolean;
}

/** Ids under which it wants extension messages. */
export const OUR_IDS = { ut_metadata: 3, ut_pex: 4, lt_donthave: 5, upload_only: 6, shoal_title: 7 } as const;
const HANDSHAKE_BYTES = 68;
/** The most that is kept of what came. */
const KEPT_BYTES = 4_194_304;

export class HostileNeighbour {
  readonly socket: Socket;
  readonly #peerId: string;
  /** Called for each frame: its id and body; extension messages come as [20, sub-id, …]. */
  onFrame: (id: number, body: Buffer) => void = () => {};
  closed = false;
  /** The victim's ids of extensions, once it has told. */
  theirIds: ReadonlyMap<string, number> = new Map();
  greeted = false;
  /** Frames that came, by id. */
  readonly counts = new Map<number, number>();
  receivedBytes = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Socket, peerId = randomPeerId()) {
    this.#peerId = peerId;
    this.socket = socket;
    socket.setMaxListeners(0);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
  }

  /** Dials a victim on loopback. */
  static dial(port: number): HostileNeighbour {
    const socket = new Socket();
    socket.connect({ host: '127.0.0.1', port });
    return new HostileNeighbour(socket);
  }

  /** Both handshakes, unless `manner` says otherwise. */
  async greet({ infoHash, peerId = this.#peerId, fast = true, extended = true }: Manner, fields: BencodeInput = {}): Promise<void> {
    await this.send(torrentHandshake(peerId, { infoHash, fast, extended }));
    if (extended) await this.send(extendedFrame(0, encodeBencode({ m: OUR_IDS, ...(fields as object) })));
  }

  /** Writes; resolves when the system has taken it or the socket is gone. */
  send(bytes: Uint8Array): Promise<void> {
    if (this.closed || this.socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.socket.removeListener('close', done);
        resolve();
      };
      this.socket.once('close', done);
      this.socket.write(bytes, done);
    });
  }

  /** A message of an extension under the victim's own id. */
  sendExtension(name: keyof typeof OUR_IDS, payload: Uint8Array): Promise<void> {
    return this.send(extendedFrame(this.theirIds.get(name) ?? 99, payload));
  }

  /** Stops to read: what the victim sends stays with it. */
  goDeaf(): void {
    this.socket.pause();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.receivedBytes += chunk.length;
    this.#rest = Buffer.concat([this.#rest, chunk]);
    if (!this.greeted) {
      if (this.#rest.length < HANDSHAKE_BYTES) return;
      this.greeted = true;
      this.#rest = this.#rest.subarray(HANDSHAKE_BYTES);
    }
    while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readUInt32BE(0)) {
      const end = 4 + this.#rest.readUInt32BE(0);
      if (end > 4) this.#take(this.#rest[4] ?? 0, this.#rest.subarray(5, end));
      this.#rest = this.#rest.subarray(end);
    }
    if (this.#rest.length > KEPT_BYTES) this.#rest = Buffer.alloc(0);
  }

  #take(id: number, body: Buffer): void {
    this.counts.set(id, (this.counts.get(id) ?? 0) + 1);
    if (id === 20 && body[0] === 0) this.#learnIds(body.subarray(1));
    this.onFrame(id, body);
  }

  #learnIds(payload: Uint8Array): void {
    const decoded = decodeBencodePrefix(payload);
    const fields = 'value' in decoded && decoded.value instanceof Map ? decoded.value : new Map();
    const ids: unknown = fields.get('m');
    if (ids instanceof Map) this.theirIds = new Map([...ids].filter(([, id]) => typeof id === 'number')) as ReadonlyMap<string, number>;
  }
}

/** A port at which every caller meets a hostile neighbour. */
export class HostileHost {
  readonly port: number;
  readonly met: HostileNeighbour[] = [];
  readonly #server: Server;

  private constructor(server: Server, onMet: (neighbour: HostileNeighbour) => void) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (socket) => {
      const neighbour = new HostileNeighbour(socket);
      this.met.push(neighbour);
      onMet(neighbour);
    });
  }

  static async start(onMet: (neighbour: HostileNeighbour) => void): Promise<HostileHost> {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    return new HostileHost(server, onMet);
  }

  async stop(): Promise<void> {
    for (const neighbour of this.met) neighbour.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
