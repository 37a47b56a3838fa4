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
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import { type BodyFault, BodyReader } from './request-body.js';
import { contentTypeOf, isFormType, isFromForeignPage, isFromThisMachine } from './request-source.js';

/** What a handler learns of a request. */
export interface WebRequest {
  readonly method: string;
  /** Path as it was sent, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Values of the route's `:name` parts. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  /** Sent from this machine, and not through a proxy. */
  readonly isFromThisMachine: boolean;
}

/** A request that changes something, with its body. It comes from a page of ours or from a program, never from another page. */
export interface WebChange extends WebRequest {
  /** One of those the route takes; empty on a route that takes no body. */
  readonly contentType: string;
  readonly body: Uint8Array;
}

/** What a handler answers; 200 when it gives no status. */
export interface WebReply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export type WebHandler = (request: WebRequest) => WebReply | Promise<WebReply>;
export type ChangeHandler = (request: WebChange) => WebReply | Promise<WebReply>;
/** Content types that a route takes, and how many bytes of each. Empty: it needs no body and looks at none. */
export type BodyTypes = Readonly<Record<string, Bytes>>;
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
/** Of all bodies that are being read at one time: a few large ones. Who comes then is asked to come again. */
const BODIES_BYTES_MAX: Bytes = 64 * 1024 * 1024;
/** Programs send `{}` where nothing is wanted. */
const IGNORED_BYTES_MAX: Bytes = 1024;

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
  readonly #bodies = new BodyReader(BODIES_BYTES_MAX);

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
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') refuse(socket, 408, 'The request did not arrive in time.');
      else refuse(socket, 400, 'This is not a request that this server understands.');
    });
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
      answer(context, await handler(describe(context)));
    });
  }

  /**
   * Answers requests that change something. Refused before `handler`: other web pages (403), content types that are not in `types`
   * (415), bodies that are larger than `types` allows (413), and bodies when too many are under way (503).
   */
  change(methods: readonly string[], path: string, types: BodyTypes, handler: ChangeHandler): void {
    this.#router.register(path, [...methods], async (context) => {
      const contentType = contentTypeOf(context.headers);
      const refusal = changeRefusal(context.headers, contentType, types);
      if (refusal !== undefined) return fail(context, ...refusal);
      const isKnown = Object.hasOwn(types, contentType);
      const bytesMax = (isKnown ? types[contentType] : undefined) ?? IGNORED_BYTES_MAX;
      const reply = await this.#bodies.withBody(context.req, bytesMax, async (body) =>
        handler({ ...describe(context), contentType: isKnown ? contentType : '', body }),
      );
      if (typeof reply === 'string') failBody(context, reply, bytesMax);
      else answer(context, reply);
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
  const { method, path, querystring, headers } = context;
  return {
    method,
    path,
    query: new URLSearchParams(querystring),
    parameters: context.params ?? {},
    headers,
    isFromThisMachine: isFromThisMachine(headers, context.req.socket.remoteAddress),
  };
}

function answer(context: Koa.Context, { status, headers, body }: WebReply): void {
  context.status = status ?? 200;
  context.set({ ...headers });
  if (body !== undefined) context.body = typeof body === 'string' ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}

/** Status, code and words for a change that is not even looked at. */
function changeRefusal(headers: IncomingHttpHeaders, contentType: string, types: BodyTypes): [number, string, string] | undefined {
  if (isFromForeignPage(headers))
    return [403, 'FOREIGN_PAGE', 'Another web page sent this request. Only the page of Shoal itself, and programs, can change something.'];
  if ((headers['content-encoding'] ?? 'identity') !== 'identity')
    return [415, 'CONTENT_ENCODING', 'The body is compressed. Send it as it is, without Content-Encoding.'];
  const known = Object.keys(types);
  if (known.length === 0 ? !isFormType(contentType) : Object.hasOwn(types, contentType)) return undefined;
  const shown = contentType === '' ? 'no content type' : `the content type ${contentType.replace(/[^\w.+/-]/g, '?').slice(0, 80)}`;
  const right = known.length === 0 ? 'Send no body' : `Send ${known.join(' or ')}`;
  return [415, 'CONTENT_TYPE', `The request has ${shown}. ${right}.`];
}

function failBody(context: Koa.Context, fault: BodyFault, bytesMax: Bytes): void {
  const limit = bytesMax >= 1024 * 1024 ? `${Math.floor(bytesMax / 1024 / 1024)} MiB` : `${Math.floor(bytesMax / 1024)} KiB`;
  if (fault === 'too-large') return fail(context, 413, 'BODY_TOO_LARGE', `The body is too large: at most ${limit} here.`);
  if (fault === 'cut') return fail(context, 400, 'BODY_CUT', 'The request ended before its body was complete.');
  context.set('Retry-After', '2');
  return fail(context, 503, 'BUSY', 'Too much is being sent at the moment. Try again in a few seconds.');
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
function refuse(socket: Duplex, status: 400 | 403 | 404 | 408, text: string): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const reason = { 400: 'Bad Request', 403: 'Forbidden', 404: 'Not Found', 408: 'Request Timeout' }[status];
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
