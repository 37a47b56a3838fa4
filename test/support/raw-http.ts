/** HTTP by hand: for what real clients never send, and for seeing an answer byte by byte. */
import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** One connection whose bytes are kept. */
export class RawClient {
  readonly socket: Socket;
  readonly #chunks: Buffer[] = [];
  #receivedBytes = 0;
  closed = false;

  constructor(port: number, text: string | Uint8Array) {
    this.socket = connect(port, '127.0.0.1', () => this.socket.write(text));
    this.socket.on('data', (chunk) => {
      this.#chunks.push(chunk);
      this.#receivedBytes += chunk.length;
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.closed = true;
    });
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** Stops reading, as a player does that has been suspended. */
  freeze(): void {
    this.socket.pause();
  }

  thaw(): void {
    this.socket.resume();
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** The answer as far as it has come. */
  answer(): RawAnswer {
    const bytes = this.received;
    const end = bytes.indexOf('\r\n\r\n');
    const [start = '', ...lines] = bytes
      .subarray(0, end < 0 ? bytes.length : end)
      .toString('latin1')
      .split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    return { status: Number(start.split(' ')[1] ?? 0), headers, body: end < 0 ? Buffer.alloc(0) : bytes.subarray(end + 4) };
  }
}

/** A request in text form. */
export function request(path: string, { method = 'GET', host = '127.0.0.1', headers = [] as readonly string[] } = {}): string {
  return [`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...headers, '', ''].join('\r\n');
}

/** Sends one request and waits for the server to close, or for `timeoutMs`. */
export async function ask(port: number, text: string | Uint8Array, timeoutMs = 5000): Promise<RawAnswer> {
  const client = new RawClient(port, text);
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, timeoutMs);
    client.socket.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
  client.destroy();
  return client.answer();
}
