/**
 * Stands between a player and the playback endpoint, and compares every byte that passes with the file the title was made of.
 *
 * Whatever the player asks for goes on as it is, and hanging up does so in the same turn. At `/` there is a page with one video element, so that a
 * browser's player has an origin of its own. Single ranges and whole answers are compared; anything else counts as unchecked.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One answer to the player. */
export interface ProxiedAnswer {
  readonly status: number;
  readonly fromByte: number;
  /** Bytes passed on so far. */
  bytes: number;
  /** From the request to the first byte of the body; NaN before. */
  firstByteMs: number;
}

const PAGE = '<!doctype html><title>player</title><video muted style="width:320px"></video>';

export class CheckingProxy {
  readonly answers: ProxiedAnswer[] = [];
  /** Bytes that were equal. */
  equalBytes = 0;
  /** Bytes that were not, or could not be compared. */
  otherBytes = 0;
  readonly #server = createServer((request, response) => this.#pass(request, response));
  readonly #target: URL;
  readonly #file: number;

  /** @param target an address of the endpoint: where the proxy passes everything on to. @param path the file behind it. */
  static async start(target: string, path: string): Promise<CheckingProxy> {
    const proxy = new CheckingProxy(target, path);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  private constructor(target: string, path: string) {
    this.#target = new URL(target);
    this.#file = openSync(path, 'r');
  }

  /** The page. */
  get page(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** The endpoint's address, through the proxy. */
  get url(): string {
    return this.page.slice(0, -1) + this.#target.pathname + this.#target.search;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    closeSync(this.#file);
  }

  #pass(request: IncomingMessage, response: ServerResponse): void {
    // Browsers ask for a picture of the page.
    if (request.url === '/favicon.ico') return void response.writeHead(204).end();
    if (request.url === '/') return void response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE);
    const beganMs = performance.now();
    const { host } = this.#target;
    const onward = get({
      host: this.#target.hostname,
      port: this.#target.port,
      path: request.url,
      method: request.method,
      headers: { ...request.headers, host },
      agent: false,
    });
    onward.on('response', (answer) => this.#answer(answer, response, beganMs));
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
  }

  #answer(answer: IncomingMessage, response: ServerResponse, beganMs: number): void {
    const { statusCode: status = 0, headers } = answer;
    const range = /^bytes (\d+)-/.exec(headers['content-range'] ?? '')?.[1];
    const noted: ProxiedAnswer = { status, fromByte: Number(range ?? 0), bytes: 0, firstByteMs: Number.NaN };
    this.answers.push(noted);
    const isOfFile = status === 200 || (status === 206 && range !== undefined);
    response.writeHead(status, headers).flushHeaders();
    answer.on('data', (bytes: Buffer) => {
      if (noted.bytes === 0) noted.firstByteMs = performance.now() - beganMs;
      if (isOfFile && this.#isEqual(bytes, noted.fromByte + noted.bytes)) this.equalBytes += bytes.length;
      else this.otherBytes += bytes.length;
      noted.bytes += bytes.length;
    });
    answer.on('error', () => response.destroy());
    answer.pipe(response);
  }

  #isEqual(bytes: Buffer, fromByte: number): boolean {
    const expected = Buffer.alloc(bytes.length);
    return readSync(this.#file, expected, 0, bytes.length, fromByte) === bytes.length && expected.equals(bytes);
  }
}
