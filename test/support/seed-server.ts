/** A web server with the files of a title, honest by default: what a test sets decides how it misbehaves. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  readonly path: string;
  readonly range: string | undefined;
  /** Counts connections; the same number is the same connection. */
  readonly connection: number;
}

export class SeedServer {
  readonly seen: SeenRequest[] = [];
  /** Set by tests; true when it has answered. */
  behave: (request: IncomingMessage, response: ServerResponse) => boolean = () => false;
  openCount = 0;
  readonly #server: Server;
  readonly #files: ReadonlyMap<string, Uint8Array>;
  #connectionCount = 0;

  private constructor(files: ReadonlyMap<string, Uint8Array>) {
    this.#files = files;
    this.#server = createServer((request, response) => this.#answer(request, response));
    this.#server.on('connection', (socket) => {
      this.openCount++;
      Object.assign(socket, { seedConnection: ++this.#connectionCount });
      socket.on('close', () => this.openCount--);
      socket.on('error', () => undefined);
    });
  }

  /** By decoded path, as `/folder/a b.mkv`. */
  static async start(files: ReadonlyMap<string, Uint8Array>, host = '127.0.0.1'): Promise<SeedServer> {
    const server = new SeedServer(files);
    await new Promise<void>((resolve) => server.#server.listen(0, host, resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname);
    const { seedConnection } = request.socket as unknown as { seedConnection: number };
    this.seen.push({ path, range: request.headers.range, connection: seedConnection });
    if (this.behave(request, response)) return;
    const file = this.#files.get(path);
    if (file === undefined) return void response.writeHead(404).end();
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    if (first === undefined) return void response.writeHead(200, { 'content-length': file.length }).end(file);
    const part = file.subarray(Number(first), Number(last) + 1);
    const range = `bytes ${first}-${Number(first) + part.length - 1}/${file.length}`;
    response.writeHead(206, { 'content-length': part.length, 'content-range': range }).end(part);
  }
}
