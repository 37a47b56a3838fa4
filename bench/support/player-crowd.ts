/**
 * Many HTTP-FLV players in one: plain sockets that count what arrives and look at nothing.
 */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';

export class PlayerCrowd {
  readonly #sockets: readonly Socket[];
  #receivedBytes = 0;
  #lost = 0;

  private constructor(sockets: readonly Socket[]) {
    this.#sockets = sockets;
    for (const socket of sockets) {
      socket.on('data', (bytes) => {
        this.#receivedBytes += bytes.length;
      });
      socket.on('close', () => {
        this.#lost += 1;
      });
    }
  }

  /** Connects `count` players, one after the other, and asks for `url` on each. */
  static async open(url: string, count: number): Promise<PlayerCrowd> {
    const { hostname, port, pathname } = new URL(url);
    const sockets: Socket[] = [];
    while (sockets.length < count) {
      const socket = createConnection({ host: hostname, port: Number(port) });
      socket.on('error', () => socket.destroy());
      await once(socket, 'connect');
      socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\n\r\n`);
      sockets.push(socket);
    }
    return new PlayerCrowd(sockets);
  }

  /** Of all players, with HTTP headers and chunk framing. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Players whose connection has ended. */
  get lost(): number {
    return this.#lost;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
