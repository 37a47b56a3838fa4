/**
 * The HTTP listener for players and browsers: routes, limits, and the headers that keep a local service safe in a browser.
 *
 * It promises: no request with a foreign Host header reaches a route (DNS rebinding: a web page anywhere could otherwise point
 * its own name at 127.0.0.1 and read this service); no handler's fault ends the process; `stop` ends every stream within a second.
 * Routes are given by others; this file knows no channel. The only importer of koa and @koa/router.
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import Router from '@koa/router';
import Koa from 'koa';
import { ShoalError } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import type { Milliseconds } from '../../kernel/units.js';

/** What a handler learns of a request. */
export interface WebRequest {
  readonly method: string;
  /** Decoded path without the query. */
  readonly path: string;
  /** Values of the route's `:name` parts. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
}

/** What a handler answers; 200 when it gives no status. */
export interface WebReply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export type WebHandler = (request: WebRequest) => WebReply | Promise<WebReply>;
/** Takes the response over and ends it some day. Called for every method. */
export type StreamHandler = (request: WebRequest, response: ServerResponse) => void;
/** Takes the socket over and returns true, or leaves it alone and returns false. */
export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean;

export interface HttpServerOptions {
  /** Address to bind, such as `127.0.0.1`. On a wildcard address, Host headers that are IP addresses are accepted too. */
  readonly host: string;
  /** 0 means any free port. */
  readonly port: number;
  /** Host names beyond 127.0.0.1, localhost, [::1] and the bound one, without ports. */
  readonly allowedHosts?: readonly string[];
  readonly log: Log;
  /** Default 2048: far more players than one machine has, and fewer than its file descriptors. */
  readonly connectionsMax?: number;
}

/** A request head must be complete in this time (protocols sheet, section 6). */
const HEAD_TIMEOUT_MS: Milliseconds = 10_000;
/** The same section: 16 KiB and 64 lines. */
const HEAD_BYTES_MAX = 16 * 1024;
const HEAD_LINES_MAX = 64;
const CONNECTIONS_MAX = 2048;
/** Streams get this long to say goodbye before their sockets are closed under them. */
const STOP_GRACE_MS: Milliseconds = 500;

/**
 * `blob:` for the media that mpegts.js and hls.js build, and for the worker that hls.js makes of itself. A page served here can neither
 * be framed nor load anything from elsewhere.
 */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
};

export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #router = new Router();
  readonly #server: Server;
  readonly #upgradeHandlers: UpgradeHandler[] = [];
  readonly #upgraded = new Set<Duplex>();

  private constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#server = createServer(
      {
        maxHeaderSize: HEAD_BYTES_MAX,
        headersTimeout: HEAD_TIMEOUT_MS,
        requestTimeout: HEAD_TIMEOUT_MS,
        connectionsCheckingInterval: 2_000,
      },
      this.#makeApp().callback(),
    );
    this.#server.maxHeadersCount = HEAD_LINES_MAX;
    this.#server.maxConnections = options.connectionsMax ?? CONNECTIONS_MAX;
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#server.on('clientError', (_error, socket) => refuse(socket, 400, 'This is not a request that this server understands.'));
  }

  /**
   * Listens, and is ready for routes.
   *
   * @throws ShoalError `PORT_TAKEN` or `ADDRESS_UNUSABLE`.
   */
  static async start(options: HttpServerOptions): Promise<HttpServer> {
    const server = new HttpServer(options);
    await server.#listen();
    return server;
  }

  /** The port listened on, also when 0 was asked for. */
  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? this.#options.port;
  }

  /** Where a browser on this machine finds the server, with a trailing slash. */
  get url(): string {
    const { host } = this.#options;
    const name = isWildcard(host) ? '127.0.0.1' : isIP(host) === 6 ? `[${host}]` : host;
    return `http://${name}:${this.port}/`;
  }

  /** Answers GET and HEAD. Paths follow koa-router: `/api/channels/:id`. */
  get(path: string, handler: WebHandler): void {
    this.route(['GET'], path, handler);
  }

  route(methods: readonly string[], path: string, handler: WebHandler): void {
    this.#router.register(path, [...methods], async (context) => {
      const reply = await handler(describe(context));
      context.status = reply.status ?? 200;
      context.set({ ...reply.headers });
      if (reply.body !== undefined)
        context.body =
          typeof reply.body === 'string' ? reply.body : Buffer.from(reply.body.buffer, reply.body.byteOffset, reply.body.byteLength);
    });
  }

  /** Hands the response of every method over to `handler`. */
  stream(path: string, handler: StreamHandler): void {
    this.#router.all(path, (context) => {
      context.respond = false;
      handler(describe(context), context.res);
    });
  }

  /** Offers WebSocket upgrades; the first handler that returns true has it. */
  onUpgrade(handler: UpgradeHandler): void {
    this.#upgradeHandlers.push(handler);
  }

  /** Stops listening and ends what is open: politely at first, by force after half a second. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const force = setTimeout(() => {
      this.#server.closeAllConnections();
      for (const socket of this.#upgraded) socket.destroy();
    }, STOP_GRACE_MS);
    await closed;
    clearTimeout(force);
  }

  #listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
      this.#server.listen({ host, port }, () => {
        this.#server.removeAllListeners('error');
        this.#server.on('error', (error) => this.#options.log.error('HTTP listener failed', { reason: error.message }));
        resolve();
      });
    });
  }

  #makeApp(): Koa {
    const app = new Koa();
    app.on('error', (error: Error) => this.#options.log.debug('HTTP connection failed', { reason: error.message }));
    app.use(async (context, next) => {
      context.set(SECURITY_HEADERS);
      if (!this.#isAllowedHost(context.get('Host'))) {
        context.status = 403;
        context.body = foreignHostText(context.get('Host'));
        return;
      }
      await this.#guard(context, next);
    });
    app.use(this.#router.routes());
    app.use(this.#router.allowedMethods());
    return app;
  }

  async #guard(context: Koa.Context, next: Koa.Next): Promise<void> {
    try {
      await next();
      if (context.status === 404 && context.body === undefined && context.respond !== false)
        fail(context, 404, 'NOT_FOUND', 'There is nothing at this address.');
      else if (context.status === 405) fail(context, 405, 'METHOD_NOT_ALLOWED', `${context.method} is not possible here.`);
    } catch (error) {
      this.#options.log.error('HTTP handler failed', {
        path: context.path,
        reason: error instanceof Error ? error.message : String(error),
      });
      if (!context.headerSent) fail(context, 500, 'INTERNAL', 'The server failed on this request; its log says why.');
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    if (!this.#isAllowedHost(request.headers.host ?? '')) return refuse(socket, 403, foreignHostText(request.headers.host ?? ''));
    this.#upgraded.add(socket);
    socket.once('close', () => this.#upgraded.delete(socket));
    if (this.#upgradeHandlers.some((handler) => handler(request, socket, head))) return;
    refuse(socket, 404, 'There is no WebSocket at this address.');
  }

  #isAllowedHost(header: string): boolean {
    const name = hostName(header);
    if (name === undefined) return false;
    if (isIP(name) !== 0 && isWildcard(this.#options.host)) return true;
    const allowed = ['127.0.0.1', 'localhost', '::1', this.#options.host, ...(this.#options.allowedHosts ?? [])];
    return allowed.some((candidate) => candidate.toLowerCase() === name);
  }
}

function describe(context: Koa.Context & { params?: Record<string, string> }): WebRequest {
  return { method: context.method, path: context.path, parameters: context.params ?? {}, headers: context.headers };
}

/** JSON for programs under `/api/`, a sentence for people everywhere else. */
function fail(context: Koa.Context, status: number, code: string, message: string): void {
  context.status = status;
  context.body = context.path.startsWith('/api/') ? { error: { code, message } } : `${message}\n`;
}

/** The name in a Host header without its port and brackets, in lower case; `undefined` for what is no name. */
function hostName(header: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(header);
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

function foreignHostText(header: string): string {
  const shown = header.replace(/[^\w.:[\]-]/g, '?').slice(0, 80);
  return `This server does not answer to the name "${shown}". Open it as 127.0.0.1 or localhost, or add the name to relay.http.allowedHosts.\n`;
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** An answer on a bare socket, for requests that never become one of koa's. */
function refuse(socket: Duplex, status: 400 | 403 | 404, text: string): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const reason = { 400: 'Bad Request', 403: 'Forbidden', 404: 'Not Found' }[status];
  const body = Buffer.from(text.endsWith('\n') ? text : `${text}\n`);
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    const message = `port ${port} on ${host} is taken: set relay.http.port to a free port, or to 0 for any free one`;
    return new ShoalError('PORT_TAKEN', message, { host, port, key: 'relay.http.port' }, { cause: error });
  }
  const message = `cannot listen on ${host}, port ${port} (${error.code ?? error.message}): check relay.http.host and relay.http.port`;
  return new ShoalError('ADDRESS_UNUSABLE', message, { host, port, key: 'relay.http.host' }, { cause: error });
}
