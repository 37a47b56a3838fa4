/** An HTTP tracker that writes down what it is told and names to everybody all who have announced. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { encodeBencode } from '../../src/kernel/bencode.js';
import { encodeCompact } from '../../src/kernel/peer-address.js';

export interface RecordedAnnounce {
  readonly infoHash: string;
  readonly port: number;
  /** `started`, `completed`, `stopped`; empty for an ordinary one. */
  readonly event: string;
  readonly uploadedBytes: number;
  readonly downloadedBytes: number;
  readonly leftBytes: number;
}

export class RecordingTracker {
  readonly announces: RecordedAnnounce[] = [];
  readonly #server: Server;
  readonly #ports = new Set<number>();

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request, response) => response.end(this.#answer(request.url ?? '')));
  }

  static async start(): Promise<RecordingTracker> {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    return new RecordingTracker(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/announce`;
  }

  /** What the peer at this port has told, in order. */
  of(port: number): readonly RecordedAnnounce[] {
    return this.announces.filter((announce) => announce.port === port);
  }

  /** Everybody that has announced, in order. */
  get ports(): readonly number[] {
    return [...this.#ports];
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(url: string): Uint8Array {
    // One character a byte: an info hash is no text.
    const fields = new Map(
      [...url.slice(url.indexOf('?') + 1).matchAll(/([^&=]+)=([^&]*)/g)].map(([, key = '', value = '']) => [key, value]),
    );
    const number = (key: string): number => Number(fields.get(key) ?? Number.NaN);
    const infoHash = Buffer.from(
      (fields.get('info_hash') ?? '').replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
      'latin1',
    );
    const port = number('port');
    this.announces.push({
      infoHash: infoHash.toString('hex'),
      port,
      event: fields.get('event') ?? '',
      uploadedBytes: number('uploaded'),
      downloadedBytes: number('downloaded'),
      leftBytes: number('left'),
    });
    const others = [...this.#ports].filter((other) => other !== port).map((other) => ({ host: '127.0.0.1', port: other }));
    this.#ports.add(port);
    return encodeBencode({ interval: 1800, peers: encodeCompact(others, 4) });
  }
}
