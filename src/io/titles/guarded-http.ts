/**
 * HTTP requests to servers that foreign data names, kept from reaching where it has no business.
 *
 * A name is resolved once, every address is judged, and the connection goes to a judged address: no second lookup can bring another.
 * Addresses of this machine and of private networks are reached only where `mayReachPrivate` says so, and are then kept apart from others'
 * connections. Response heads are at most 16 KiB. Nothing here throws synchronously.
 *
 * Source: libtorrent's `ssrf_mitigation`; RFC 9110.
 */
import type { LookupAddress, LookupOptions } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { addressScope, normaliseHost } from '../../kernel/peer-address.js';
import type { Milliseconds } from '../../kernel/units.js';

export interface GuardedRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Whether private and loopback addresses are allowed for this request. */
  readonly mayReachPrivate: boolean;
  /** From now to the response's head. */
  readonly headWithinMs: Milliseconds;
  readonly signal?: AbortSignal | undefined;
}

export interface GuardedResponse {
  /** Whoever gets it reads it to the end or destroys it. */
  readonly message: IncomingMessage;
  /** Whether it came from a private or loopback address. */
  readonly isPrivate: boolean;
}

const HEAD_BYTES_MAX = 16_384;
const KEEP_ALIVE_MS: Milliseconds = 30_000;
const SOCKETS_PER_HOST_COUNT = 8;

interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

export class GuardedHttp {
  readonly #agents = { open: makeAgents(), private: makeAgents() };

  /** The response's head has come. Rejects with the network's error, with a refusal, or with the signal's reason. */
  async get(options: GuardedRequest): Promise<GuardedResponse> {
    const host = options.url.hostname.replace(/^\[(.*)\]$/, '$1');
    // Literal addresses are never looked up, so they are judged here.
    if (isIP(host) !== 0 && !isAllowed(host, options.mayReachPrivate)) throw new RefusedAddress(host);
    try {
      return await this.#once(options);
    } catch (error) {
      // A kept connection may be closed by the server while the request is on its way: that says nothing of the server.
      if (!(error instanceof StaleConnection)) throw error;
      return await this.#once(options);
    }
  }

  /** Closes every connection, those in use too. */
  close(): void {
    for (const { http, https } of Object.values(this.#agents)) {
      http.destroy();
      https.destroy();
    }
  }

  #once(options: GuardedRequest): Promise<GuardedResponse> {
    const { url, signal } = options;
    return new Promise((resolve, reject) => {
      const isSecure = url.protocol === 'https:';
      const agents = options.mayReachPrivate ? this.#agents.private : this.#agents.open;
      const request = (isSecure ? httpsRequest : httpRequest)(url, {
        agent: isSecure ? agents.https : agents.http,
        headers: options.headers,
        maxHeaderSize: HEAD_BYTES_MAX,
        lookup: judgedLookup(options.mayReachPrivate),
      } satisfies RequestOptions);
      const timer = setTimeout(() => request.destroy(new Error(`no answer within ${options.headWithinMs} ms`)), options.headWithinMs);
      const abort = (): void => void request.destroy(abortReason(signal));
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
      };
      request.once('response', (message) => {
        settle();
        resolve({ message, isPrivate: isPrivateAddress(message.socket.remoteAddress) });
      });
      request.on('error', (error) => {
        settle();
        reject(isStale(request, error) ? new StaleConnection() : error);
      });
      if (signal?.aborted) abort();
      else signal?.addEventListener('abort', abort, { once: true });
      request.end();
    });
  }
}

/** An address that foreign data must not make this machine dial. */
export class RefusedAddress extends Error {
  constructor(host: string) {
    super(`${host} is an address of this machine or of a private network, which foreign addresses may not name`);
    this.name = 'RefusedAddress';
  }
}

class StaleConnection extends Error {}

function makeAgents(): Agents {
  const options = {
    keepAlive: true,
    keepAliveMsecs: KEEP_ALIVE_MS,
    maxSockets: SOCKETS_PER_HOST_COUNT,
    maxFreeSockets: SOCKETS_PER_HOST_COUNT,
  };
  return { http: new HttpAgent(options), https: new HttpsAgent(options) };
}

function isStale(request: ClientRequest, error: NodeJS.ErrnoException): boolean {
  return request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}

function abortReason(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('aborted');
}

/** The lookup of one request: only addresses that may be reached are handed to the connection. */
function judgedLookup(mayReachPrivate: boolean): LookupFunction {
  return (host, options: LookupOptions, done) => {
    judge(host, options, mayReachPrivate).then(
      (addresses) => (options.all ? done(null, addresses) : done(null, addresses[0]?.address ?? '', addresses[0]?.family)),
      (error: NodeJS.ErrnoException) => done(error, ''),
    );
  };
}

async function judge(host: string, options: LookupOptions, mayReachPrivate: boolean): Promise<LookupAddress[]> {
  const found = await lookup(host, { ...options, all: true });
  const usable = found.filter(({ address }) => isAllowed(address, mayReachPrivate));
  if (usable.length === 0) throw new RefusedAddress(found[0]?.address ?? host);
  return usable;
}

function isAllowed(address: string, mayReachPrivate: boolean): boolean {
  const scope = addressScope(normaliseHost(address) ?? '');
  return scope === 'public' || (mayReachPrivate && (scope === 'private' || scope === 'loopback'));
}

/** An address that is gone already counts as public, which allows less. */
function isPrivateAddress(address: string | undefined): boolean {
  return address !== undefined && !isAllowed(address, false);
}
