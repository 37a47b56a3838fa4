/**
 * An MMS server of our own for tests, over MMST and MMSH, since no free MMST server exists; and one that misbehaves by script.
 *
 * The honest one plays a recording in real time through the shipped server; the other writes whatever bytes a test gives it.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { MmsServer } from '../../src/io/mms/mms-server.js';
import { AsfFeed } from '../../src/relay/endpoints/asf-feed.js';
import { type AsfRecipe, type AsfRecording, recordAsf } from './asf-recording.js';
import { MemoryLog } from './memory-log.js';

export interface MmstTestServerOptions {
  readonly recipe?: AsfRecipe;
  /** Length of the recording; it must outlast the test. */
  readonly seconds: number;
  readonly path?: string;
  /** 0 means any free port. */
  readonly port?: number;
  /** How much of the recording has been sent before the first client comes. Default 3 s. */
  readonly startSeconds?: number;
}

const TICK_MS = 20;

export class MmstTestServer {
  readonly server: MmsServer;
  readonly feed: AsfFeed;
  readonly recording: AsfRecording;
  readonly log: MemoryLog;
  readonly #timer: NodeJS.Timeout;

  static async start(options: MmstTestServerOptions): Promise<MmstTestServer> {
    const log = new MemoryLog();
    const server = await MmsServer.start({ host: '127.0.0.1', port: options.port ?? 0, log });
    return new MmstTestServer(server, log, options);
  }

  private constructor(server: MmsServer, log: MemoryLog, options: MmstTestServerOptions) {
    const { recipe = 'wmv', seconds, path = '/live/x', startSeconds = 3 } = options;
    this.server = server;
    this.log = log;
    this.recording = recordAsf(recipe, seconds);
    this.feed = new AsfFeed();
    this.feed.setHeader(this.recording.headerBytes);
    server.offer(path, this.feed);
    const { packets } = this.recording;
    const packetsPerMs = packets.length / (seconds * 1000);
    const startMs = performance.now() - startSeconds * 1000;
    let sentCount = 0;
    const send = (): void => {
      const dueCount = Math.min(packets.length, Math.floor((performance.now() - startMs) * packetsPerMs));
      for (const { locationId, payload } of packets.slice(sentCount, dueCount)) this.feed.push(locationId, payload, false);
      sentCount = Math.max(sentCount, dueCount);
    };
    send();
    this.#timer = setInterval(send, TICK_MS);
  }

  get port(): number {
    return this.server.port;
  }

  url(scheme: 'mms' | 'mmsh' | 'mmst' | 'http'): string {
    return `${scheme}://127.0.0.1:${this.port}/live/x`;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.server.stop();
  }
}

/** Says what a test wants, however wrong. */
export class ScriptedServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  connectionCount = 0;
  /** Everything that clients sent, over all connections. */
  received = '';

  static start(onBytes: (socket: Socket, bytes: Buffer, connectionIndex: number) => void): Promise<ScriptedServer> {
    return new Promise((resolve) => {
      const server: ScriptedServer = new ScriptedServer(onBytes, () => resolve(server));
    });
  }

  private constructor(onBytes: (socket: Socket, bytes: Buffer, connectionIndex: number) => void, onListening: () => void) {
    this.#server = createServer((socket) => {
      const index = this.connectionCount++;
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.once('close', () => this.#sockets.delete(socket));
      socket.on('data', (bytes) => {
        this.received += bytes.toString('latin1');
        onBytes(socket, bytes, index);
      });
    }).listen(0, '127.0.0.1', onListening);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get openCount(): number {
    return this.#sockets.size;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
