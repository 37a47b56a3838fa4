/**
 * Finds peers of public titles without a tracker: the one DHT node of the process, and announces to the local network.
 *
 * Both begin with the first public title, so a process without titles asks nobody. The node takes the number of the swarm port where it can, its
 * table is kept in the data folder, and peers of torrents name it further nodes. Where one of the two cannot be had, a line in the log says so, and
 * titles go without. A private title must never come here (BEP 27): who asks for it has checked that.
 */
import { isIPv4 } from 'node:net';
import { loadState, saveState } from '../../io/files/state-file.js';
import { Dht } from '../../io/peers/dht.js';
import { LocalDiscovery } from '../../io/peers/local-discovery.js';
import type { PeerNetwork } from '../../io/peers/peer-network.js';
import { addressScope, formatAddress, makeAddress, type PeerAddress } from '../../kernel/peer-address.js';
import type { Log } from '../../kernel/ports.js';
import type { InfoHash } from '../../kernel/units.js';
import type { ShoalConfig } from '../config.js';

/** Called for each address; the source is the one of the connection pool. */
export type OnFoundPeer = (peer: PeerAddress, source: 'dht' | 'lsd') => void;

export interface PeerFindingOptions {
  readonly config: ShoalConfig;
  readonly network: PeerNetwork;
  readonly log: Log;
}

const STATE_NAME = 'dht';
/** More than the node itself keeps is no table of ours. */
const SAVED_NODES_MAX = 1_000;

export class PeerFinding {
  readonly #options: PeerFindingOptions;
  readonly #joined = new Map<InfoHash, OnFoundPeer>();
  /** Nodes that torrents named before there was a node of our own. */
  readonly #early: PeerAddress[] = [];
  #starting: Promise<void> | undefined;
  #dht: Dht | undefined;
  #local: LocalDiscovery | undefined;
  #hasStarted = false;
  #isStopped = false;

  constructor(options: PeerFindingOptions) {
    this.#options = options;
  }

  /** UDP port of the DHT node; undefined while there is none. */
  get dhtPort(): number | undefined {
    return this.#dht?.port;
  }

  /** Looks for peers of a public title and announces it, until it is left. Without effect while it is joined. */
  join(infoHash: InfoHash, onPeer: OnFoundPeer): void {
    if (this.#isStopped || this.#joined.has(infoHash)) return;
    this.#joined.set(infoHash, onPeer);
    this.#starting ??= this.#start();
    // Until both are there, one may be without the other: all that joined by then begin together.
    if (this.#hasStarted) this.#begin(infoHash, onPeer);
  }

  leave(infoHash: InfoHash): void {
    if (!this.#joined.delete(infoHash)) return;
    this.#dht?.leave(infoHash);
    this.#local?.leave(infoHash);
  }

  /** A torrent names a node of the DHT. */
  addNode(node: PeerAddress): void {
    if (this.#dht) this.#dht.addNode(node);
    else if (this.#early.length < SAVED_NODES_MAX) this.#early.push(node);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#joined.clear();
    await this.#starting;
    await Promise.all([this.#dht?.stop(), this.#local?.stop()]);
  }

  async #start(): Promise<void> {
    const { dht, localDiscovery } = this.#options.config.titles;
    await Promise.all([dht ? this.#startDht() : undefined, localDiscovery ? this.#startLocal() : undefined]);
    if (this.#isStopped) return;
    this.#hasStarted = true;
    for (const node of this.#early.splice(0)) this.addNode(node);
    for (const [infoHash, onPeer] of this.#joined) this.#begin(infoHash, onPeer);
  }

  #begin(infoHash: InfoHash, onPeer: OnFoundPeer): void {
    this.#dht?.join(infoHash, (peer) => onPeer(peer, 'dht'));
    this.#local?.join(infoHash, (peer) => onPeer(peer, 'lsd'));
  }

  /** Never rejects. */
  async #startDht(): Promise<void> {
    const { config, network, log } = this.#options;
    const host = ipv4Host(config.swarm.host);
    if (host === undefined) {
      log.warn('no DHT: it needs an IPv4 address, and swarm.host is none', { host: config.swarm.host });
      return;
    }
    const named = config.titles.dhtBootstrap;
    const options = {
      host,
      peerPort: network.port,
      // A node on loopback reaches nothing else.
      bootstrap: isLocal(host) ? named.filter(isLocal) : named,
      saved: this.#savedNodes(),
      allowsLocal: isLocal(host) || named.some(isLocal),
      log,
      onSave: (nodes: readonly PeerAddress[]) => this.#save(nodes),
    };
    try {
      this.#dht = await Dht.start({ ...options, port: network.port }).catch(() => Dht.start({ ...options, port: 0 }));
    } catch (error) {
      log.warn('no DHT', { reason: error instanceof Error ? error.message : String(error) });
      return;
    }
    const started = this.#dht;
    network.useDht({ port: started.port, addNode: (address) => started.addNode(address) });
  }

  async #startLocal(): Promise<void> {
    const { config, network, log } = this.#options;
    const host = ipv4Host(config.swarm.host);
    const interfaces = host === '0.0.0.0' ? {} : { interfaces: host === undefined ? [] : [host] };
    this.#local = await LocalDiscovery.start({ peerPort: network.port, log, ...interfaces });
  }

  #savedNodes(): PeerAddress[] {
    const { config, log } = this.#options;
    const state = loadState(config.dataDir, STATE_NAME, log);
    const nodes: unknown = (state as { readonly nodes?: unknown } | undefined)?.nodes;
    if (!Array.isArray(nodes)) return [];
    return nodes.slice(0, SAVED_NODES_MAX).flatMap((text: unknown) => {
      const [, host = '', port = ''] = /^([0-9.]+):(\d{1,5})$/.exec(String(text)) ?? [];
      return makeAddress(host, Number(port)) ?? [];
    });
  }

  /** A table that was empty at the end is no better than the one before. */
  #save(nodes: readonly PeerAddress[]): void {
    const { config, log } = this.#options;
    if (nodes.length === 0) return;
    try {
      saveState(config.dataDir, STATE_NAME, { version: 1, nodes: nodes.map(formatAddress) });
    } catch (error) {
      log.warn('the nodes of the DHT could not be kept', { reason: String(error) });
    }
  }
}

/** What an IPv4 socket listens on for this host; undefined where there is nothing. */
function ipv4Host(host: string): string | undefined {
  if (host === '::' || host === '') return '0.0.0.0';
  if (host === 'localhost') return '127.0.0.1';
  return isIPv4(host) ? host : undefined;
}

/** Whether a host, or a `host:port`, lies on this machine or in its network. */
function isLocal(address: string): boolean {
  return ['loopback', 'private'].includes(addressScope(address.replace(/:\d+$/, '')));
}
