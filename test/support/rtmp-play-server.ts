/**
 * The least of an RTMP server that players and pulling stations need: it answers `connect`, `createStream` and `play`, and sends tags.
 *
 * It publishes nothing, checks nothing, and serves loopback only.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Malformed } from '../../src/kernel/errors.js';
import { type AmfValue, decodeAmf0 } from '../../src/media/amf0.js';
import type { FlvTag } from '../../src/media/flv.js';
import { RtmpChunkReader, type RtmpMessage } from '../../src/media/rtmp-chunk-reader.js';
import { encodeAmf0, encodeMessage } from './rtmp-client.js';

/** Where the tags of one player go. */
export interface TagSink {
  send(tag: FlvTag): void;
  /** Cuts the connection. */
  close(): void;
}

export interface RtmpPlayServerOptions {
  /** Default: any free port. */
  readonly port?: number;
  readonly onPlay: (player: TagSink) => void;
  readonly onGone: (player: TagSink) => void;
}

const PUBLIC_BYTES = 1536;
const GREETING_BYTES = 1 + PUBLIC_BYTES;
const CHUNK_BYTES = 60_000;
const STREAM = 1;
const TYPE = { chunkSize: 1, userControl: 4, windowSize: 5, bandwidth: 6, command: 20 } as const;

export class RtmpPlayServer {
  readonly #server: Server;
  readonly #options: RtmpPlayServerOptions;
  readonly #sessions = new Set<PlaySession>();

  static async start(options: RtmpPlayServerOptions): Promise<RtmpPlayServer> {
    const server = createServer({ noDelay: true }).listen(options.port ?? 0, '127.0.0.1');
    await once(server, 'listening');
    return new RtmpPlayServer(server, options);
  }

  private constructor(server: Server, options: RtmpPlayServerOptions) {
    this.#server = server;
    this.#options = options;
    server.on('connection', (socket) => this.#onSocket(socket));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const session of this.#sessions) session.close();
    await closed;
  }

  #onSocket(socket: Socket): void {
    const session = new PlaySession(socket, () => this.#options.onPlay(session));
    this.#sessions.add(session);
    socket.on('close', () => {
      this.#sessions.delete(session);
      this.#options.onGone(session);
    });
  }
}

class PlaySession implements TagSink {
  readonly #socket: Socket;
  readonly #onPlay: () => void;
  readonly #reader = new RtmpChunkReader({ messageBytesMax: 65_536, memoryBytesMax: 1_048_576 });
  #greeting = Buffer.alloc(0);
  #isShaken = false;

  constructor(socket: Socket, onPlay: () => void) {
    this.#socket = socket;
    this.#onPlay = onPlay;
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => this.#onData(bytes));
  }

  send({ type, timestampMs, body }: FlvTag): void {
    this.#message(type, body, { timestampMs, streamId: STREAM, chunkStream: { 8: 4, 9: 6, 18: 5 }[type] });
  }

  close(): void {
    this.#socket.destroy();
  }

  /** C0 and C1 are answered with S0, S1 and S2; C2 is not looked at. */
  #onData(bytes: Buffer): void {
    if (this.#isShaken) return this.#read(bytes);
    const before = this.#greeting.length;
    this.#greeting = Buffer.concat([this.#greeting, bytes]);
    if (before < GREETING_BYTES && this.#greeting.length >= GREETING_BYTES) {
      this.#socket.write(Buffer.concat([Uint8Array.of(3), Buffer.alloc(PUBLIC_BYTES), this.#greeting.subarray(1, GREETING_BYTES)]));
    }
    const shakenBytes = GREETING_BYTES + PUBLIC_BYTES;
    if (this.#greeting.length < shakenBytes) return;
    this.#isShaken = true;
    this.#read(this.#greeting.subarray(shakenBytes));
  }

  #read(bytes: Uint8Array): void {
    const fault = this.#reader.push(bytes, (message) => this.#onMessage(message));
    if (fault !== undefined) this.close();
  }

  #onMessage({ type, body }: RtmpMessage): Malformed | undefined {
    if (type !== TYPE.command) return undefined;
    const values = decodeAmf0(body);
    if (values instanceof Malformed) return values;
    const [name, transaction = 0] = values;
    if (name === 'connect') this.#onConnect(transaction);
    else if (name === 'createStream') this.#command(0, '_result', transaction, null, STREAM);
    else if (name === 'play') this.#start();
    return undefined;
  }

  #onConnect(transaction: AmfValue): void {
    const number = (...bytes: readonly number[]): Uint8Array => Uint8Array.from(bytes);
    this.#message(TYPE.windowSize, number(0, 0x4c, 0x4b, 0x40));
    this.#message(TYPE.bandwidth, number(0, 0x4c, 0x4b, 0x40, 2));
    const size = Buffer.alloc(4);
    size.writeUInt32BE(CHUNK_BYTES);
    this.#message(TYPE.chunkSize, size);
    const server = new Map<string, AmfValue>([
      ['fmsVer', 'FMS/3,5,3,888'],
      ['capabilities', 31],
    ]);
    this.#command(0, '_result', transaction, server, status('NetConnection.Connect.Success'));
  }

  #start(): void {
    const streamBegin = Uint8Array.of(0, 0, 0, 0, 0, STREAM);
    this.#message(TYPE.userControl, streamBegin);
    this.#command(STREAM, 'onStatus', 0, null, status('NetStream.Play.Start'));
    this.#onPlay();
  }

  #command(streamId: number, ...values: readonly AmfValue[]): void {
    this.#message(TYPE.command, encodeAmf0(values), { streamId, chunkStream: 3 });
  }

  #message(type: number, body: Uint8Array, place: { timestampMs?: number; streamId?: number; chunkStream?: number } = {}): void {
    if (this.#socket.destroyed) return;
    this.#socket.write(encodeMessage({ type, body, streamId: 0, chunkStream: 2, chunkBytes: CHUNK_BYTES, ...place }));
  }
}

function status(code: string): AmfValue {
  return new Map([
    ['level', 'status'],
    ['code', code],
    ['description', code],
  ]);
}
