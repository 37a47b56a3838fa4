/**
 * One announce to one tracker, over HTTP or UDP: what is asked, and what its answer says, as events.
 *
 * UDP is that of the npm package bittorrent-tracker, loaded when the first UDP tracker is asked. Its HTTP is not taken: of it nothing was left but the names of
 * the parameters, since its request is no good (`tracker-http.ts`). Nor is its client, which loads WebRTC with a native library for trackers that we
 * do not use; together that cost every start 28 MB and 90 ms. So the package is entered past its index; the version is pinned, and the contract tests of
 * the tracker client would notice a change. The only importer of the client's side of bittorrent-tracker.
 *
 * Source: BEP 3, BEP 7, BEP 15, BEP 23.
 */
import { EventEmitter } from 'node:events';
import { normaliseHost } from '../../kernel/peer-address.js';
import type { InfoHash } from '../../kernel/units.js';
import type { AnnounceResponse } from './tracker-http.js';

/** The figures of an announce. */
export interface AnnounceOptions {
  readonly uploaded: number;
  readonly downloaded: number;
  readonly left: number;
  readonly numwant: number;
}

type AnnounceWords = AnnounceOptions & { readonly event?: string };

/** Asks by HTTP, and ends with one call of `done`, unless one of `AnnounceWire.cleanupFns`, to which it adds its own, was called before. */
export type HttpRequest = (
  url: string,
  parameters: Readonly<Record<string, string | number>>,
  done: (error: Error | null, response?: AnnounceResponse) => void,
) => void;

/** What a tracker is asked through; the names are the package's. */
export interface AnnounceWire {
  /** End the requests under way. */
  cleanupFns: (() => void)[];
  announce(words: AnnounceWords): void;
  /** Called with the interval that the tracker names. */
  setInterval(intervalMs?: number): void;
  destroy(callback: () => void): void;
}

type WireClass = new (client: AnnounceClient, url: string) => AnnounceWire;

/** Emits `update` with the response, `peer` with `host:port` for each peer, `warning` and `error`, as the package's client does. */
export class AnnounceClient extends EventEmitter {
  readonly wire: AnnounceWire;
  readonly infoHash: InfoHash;
  readonly _infoHashBuffer: Uint8Array;
  readonly _peerIdBuffer: Uint8Array;
  readonly _port: number;

  /** @param options `url` is an http, https or udp address, `peerId` 20 bytes in hex. */
  constructor(options: { url: string; infoHash: InfoHash; peerId: string; port: number; requestHttp: HttpRequest }) {
    super();
    const { url, infoHash, peerId, port, requestHttp } = options;
    this.infoHash = infoHash;
    this._infoHashBuffer = Buffer.from(infoHash, 'hex');
    this._peerIdBuffer = Buffer.from(peerId, 'hex');
    this._port = port;
    this.wire = /^udp:/i.test(url) ? new UdpWire(this, url) : new HttpWire(this, url.replace(/\/$/, ''), requestHttp);
  }

  start(options: AnnounceOptions): void {
    this.wire.announce({ ...options, event: 'started' });
  }

  update(options: AnnounceOptions): void {
    this.wire.announce(options);
  }

  complete(options: AnnounceOptions): void {
    this.wire.announce({ ...options, event: 'completed' });
  }

  stop(options: AnnounceOptions): void {
    this.wire.announce({ ...options, event: 'stopped' });
  }

  destroy(callback: () => void): void {
    this.wire.destroy(callback);
  }
}

class HttpWire implements AnnounceWire {
  cleanupFns: (() => void)[] = [];
  readonly #client: AnnounceClient;
  readonly #url: string;
  readonly #request: HttpRequest;
  #trackerId: string | undefined;

  constructor(client: AnnounceClient, url: string, request: HttpRequest) {
    this.#client = client;
    this.#url = url;
    this.#request = request;
  }

  announce(words: AnnounceWords): void {
    const parameters = {
      ...words,
      compact: 1,
      info_hash: latin1(this.#client._infoHashBuffer),
      peer_id: latin1(this.#client._peerIdBuffer),
      port: this.#client._port,
      ...(this.#trackerId === undefined ? {} : { trackerid: this.#trackerId }),
    };
    this.#request(this.#url, parameters, (error, response) => {
      if (error || response === undefined) this.#client.emit('warning', error);
      else this.#onResponse(response);
    });
  }

  setInterval(): void {}

  destroy(callback: () => void): void {
    for (const cleanup of this.cleanupFns.splice(0)) cleanup();
    callback();
  }

  #onResponse(response: AnnounceResponse): void {
    const intervalS = response.interval ?? response['min interval'];
    if (intervalS !== undefined) (this as AnnounceWire).setInterval(intervalS * 1000);
    this.#trackerId = response['tracker id'] ?? this.#trackerId;
    this.#client.emit('update', response);
    for (const peer of compactPeers(response.peers, 4)) this.#client.emit('peer', peer);
    for (const peer of compactPeers(response.peers6 ?? new Uint8Array(0), 16)) this.#client.emit('peer', peer);
  }
}

/** The package's UDP tracker, as soon as it is loaded. */
class UdpWire implements AnnounceWire {
  readonly #client: AnnounceClient;
  readonly #url: string;
  #wire: AnnounceWire | undefined;
  #isDestroyed = false;

  constructor(client: AnnounceClient, url: string) {
    this.#client = client;
    this.#url = url;
  }

  get cleanupFns(): (() => void)[] {
    return this.#wire?.cleanupFns ?? [];
  }

  set cleanupFns(cleanups: (() => void)[]) {
    if (this.#wire) this.#wire.cleanupFns = cleanups;
  }

  announce(words: AnnounceWords): void {
    if (this.#wire) this.#wire.announce(words);
    else
      void udpClass().then((Udp) => {
        if (this.#isDestroyed) return;
        this.#wire ??= this.#make(Udp);
        this.#wire.announce(words);
      });
  }

  setInterval(): void {}

  destroy(callback: () => void): void {
    this.#isDestroyed = true;
    if (this.#wire) this.#wire.destroy(callback);
    else callback();
  }

  #make(Udp: WireClass): AnnounceWire {
    const wire = new Udp(this.#client, this.#url);
    wire.setInterval = (intervalMs) => (this as AnnounceWire).setInterval(intervalMs);
    return wire;
  }
}

async function udpClass(): Promise<WireClass> {
  const index = import.meta.resolve('bittorrent-tracker/client');
  const module = (await import(new URL('./lib/client/udp-tracker.js', index).href)) as { readonly default: WireClass };
  return module.default;
}

/** Addresses of so many bytes, each with its port in two more. */
function* compactPeers(bytes: Uint8Array, addressBytes: 4 | 16): Generator<string> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + addressBytes + 2 <= bytes.length; at += addressBytes + 2) {
    const port = view.getUint16(at + addressBytes);
    if (addressBytes === 4) yield `${bytes.subarray(at, at + 4).join('.')}:${port}`;
    else {
      const groups = Array.from({ length: 8 }, (_, group) => view.getUint16(at + 2 * group).toString(16)).join(':');
      yield `[${normaliseHost(groups) ?? groups}]:${port}`;
    }
  }
}

/** One character per byte. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
