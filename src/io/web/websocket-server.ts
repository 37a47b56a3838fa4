/**
 * WebSockets that carry bytes out: binary frames only, no compression, next to nothing accepted in.
 *
 * The path is decided before the handshake is answered. What a client sends is read and forgotten: frames above 4 KiB, text that is
 * no UTF-8 and floods close the socket (protocols sheet 6.5, row 22). Nothing a client does throws. The only importer of ws.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer as WsServer } from 'ws';
import type { Bytes } from '../../kernel/units.js';

/** One accepted client. */
export interface BinarySocket {
  /** Bytes accepted by `send` that the network has not taken. */
  readonly queuedBytes: Bytes;
  /** One binary frame. */
  send(bytes: Uint8Array): void;
  /** Says goodbye with a code of RFC 6455, 7.4, and a reason of at most 123 bytes. */
  close(code: number, reason: string): void;
  /** Drops the connection at once. */
  destroy(): void;
  /** Called once, however the socket ends. */
  onClose(listener: () => void): void;
}

/** Returns what to do with a client of this path, or null when there is nothing at the path. */
export type SocketAcceptor = (path: string) => ((socket: BinarySocket) => void) | null;

const PAYLOAD_BYTES_MAX: Bytes = 4 * 1024;
/** Messages and pings that a client may send in its life; players send none, browsers' proxies a few pings. */
const INBOUND_FRAMES_MAX = 10_000;
/** A ping is answered only while this little waits to be sent: pongs to a client that does not read would pile up. */
const PONG_QUEUE_BYTES_MAX: Bytes = 64 * 1024;

export class WebSocketServer {
  readonly #accept: SocketAcceptor;
  readonly #server = new WsServer({
    noServer: true,
    maxPayload: PAYLOAD_BYTES_MAX,
    perMessageDeflate: false,
    autoPong: false,
    clientTracking: true,
  });

  constructor(accept: SocketAcceptor) {
    this.#accept = accept;
  }

  /** An `UpgradeHandler`: true when the path is ours. */
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const serve = this.#accept(pathOf(request.url ?? '/'));
    if (serve === null) return false;
    this.#server.handleUpgrade(request, socket, head, (client) => serve(guard(client)));
    return true;
  }

  /** Sends every client away. */
  stop(): void {
    for (const client of this.#server.clients) client.terminate();
    this.#server.close();
  }
}

function guard(client: WebSocket): BinarySocket {
  let inboundFrames = 0;
  const count = (): void => {
    inboundFrames += 1;
    if (inboundFrames > INBOUND_FRAMES_MAX) client.terminate();
  };
  client.on('error', () => client.terminate());
  client.on('message', count);
  client.on('pong', count);
  client.on('ping', (data) => {
    count();
    if (client.readyState === client.OPEN && client.bufferedAmount < PONG_QUEUE_BYTES_MAX) client.pong(data);
  });
  return {
    get queuedBytes() {
      return client.bufferedAmount;
    },
    send: (bytes) => {
      if (client.readyState === client.OPEN) client.send(bytes, { binary: true });
    },
    close: (code, reason) => client.close(code, reason),
    destroy: () => client.terminate(),
    onClose: (listener) => client.once('close', listener),
  };
}

function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}
