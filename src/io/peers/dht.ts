/**
 * The mainline DHT (BEP 5) of the process: finds peers of torrents without a tracker, and is found.
 *
 * The only file that knows the package bittorrent-dht, which is IPv4 only. It keeps the routing table and runs the look-ups; what reaches
 * it from the network has been rewritten by `DhtSocket`. Announcing looks up first, so one round does both; it is repeated every
 * fifteen minutes, and sooner while no peers are found. The table is handed to the owner for the disk now and then and taken from there
 * at the start; nodes of configuration come on top. A private torrent must not be joined here (BEP 27), which is its owner's duty.
 *
 * Source: BEP 5.
 */
import { Resolver } from 'node:dns/promises';
import { isIPv4 } from 'node:net';
import { Client, type DhtNode } from 'bittorrent-dht';
import { invariant, ShoalError } from '../../kernel/errors.js';
import { addressScope, makeAddress, type PeerAddress } from '../../kernel/peer-address.js';
import type { Clock, Log } from '../../kernel/ports.js';
import type { InfoHash, Milliseconds } from '../../kernel/units.js';
import { systemClock } from '../system-clock.js';
import { DhtSocket } from './dht-socket.js';

export interface DhtOptions {
  readonly host: string;
  /** UDP; best the number of the swarm port, so that routers which keep ports let both through. 0 for any free one. */
  readonly port: number;
  /** Where peers are listened for, to be announced. */
  readonly peerPort: number;
  /** `host:port` of nodes to begin with. Empty: only those saved, and those that peers and torrents name. */
  readonly bootstrap: readonly string[];
  /** The table of the last run. */
  readonly saved: readonly PeerAddress[];
  /** Nodes on loopback and private addresses are asked too. Default false; where it is false, none of them is believed. */
  readonly allowsLocal?: boolean;
  readonly log: Log;
  readonly clock?: Clock;
  /** To be kept for the next run: called every `DHT_TIMINGS.saveMs`, and at the stop. */
  onSave?(nodes: readonly PeerAddress[]): void;
  /** Only tests change them. */
  readonly timings?: Partial<DhtTimings>;
}

export interface DhtTimings {
  /** Between announces of a torrent (libtorrent's `dht_announce_interval`). */
  readonly announceMs: Milliseconds;
  /** After the first round that found nobody; doubles up to `announceMs`. */
  readonly firstRetryMs: Milliseconds;
  readonly saveMs: Milliseconds;
}

export const DHT_TIMINGS: DhtTimings = { announceMs: 900_000, firstRetryMs: 15_000, saveMs: 600_000 };

/** Saved nodes taken at the start and kept at the end: enough to find the way back. */
const SAVED_NODES_MAX = 100;
/** Saved nodes that are asked at once, as those of the configuration are. */
const BOOTSTRAP_NODES_MAX = 16;
/** Nodes that peers and torrents may name in a minute; each costs a ping. */
const NAMED_NODES_PER_MINUTE_MAX = 60;
/** Torrents announced at once; further ones wait. */
const ROUNDS_MAX = 4;
const TABLES_MAX = 200;
const PEERS_MAX = 10_000;
/** A peer that does not announce again is forgotten. */
const PEER_AGE_MS: Milliseconds = 2_700_000;
const QUERY_TIMEOUT_MS: Milliseconds = 2_000;
/** From the first node to the round: others may come with it. */
const STRANDED_PAUSE_MS: Milliseconds = 100;
/** Of one try to find a node by its name. */
const RESOLVE_TIMEOUT_MS: Milliseconds = 2_000;
/** Peers of one round. */
const PEERS_PER_ROUND_MAX = 200;

interface Membership {
  readonly onPeer: (peer: PeerAddress) => void;
  /** The last round had nobody to ask. */
  isStranded: boolean;
  foundCount: number;
  emptyRounds: number;
  cancel: () => void;
}

export class Dht {
  readonly port: number;
  readonly #client: Client;
  readonly #options: DhtOptions;
  readonly #clock: Clock;
  readonly #timings: DhtTimings;
  readonly #memberships = new Map<InfoHash, Membership>();
  #waiting: readonly InfoHash[] = [];
  /** Of nodes to begin with, not resolved yet. */
  #names: readonly string[];
  #resolving: Promise<void> | undefined;
  readonly #resolver = new Resolver({ timeout: RESOLVE_TIMEOUT_MS, tries: 2 });
  #roundCount = 0;
  #cancelSave: () => void;
  #named = { minuteMs: 0, count: 0 };
  #stopping: Promise<void> | undefined;

  private constructor(options: DhtOptions, client: Client) {
    this.#options = options;
    this.#client = client;
    this.#clock = options.clock ?? systemClock;
    this.#timings = { ...DHT_TIMINGS, ...options.timings };
    this.port = client.address().port;
    this.#names = options.bootstrap.filter((node) => !isNumeric(node));
    client.on('peer', (peer: DhtNode, infoHash: Uint8Array) => this.#onPeer(peer, Buffer.from(infoHash).toString('hex')));
    client.on('error', (error: Error) => options.log.warn('the DHT has failed', { reason: error.message }));
    client.on('warning', () => {});
    client.on('node', () => this.#onNode());
    this.#announceImplied();
    for (const node of options.saved.slice(BOOTSTRAP_NODES_MAX, SAVED_NODES_MAX)) client.addNode({ host: node.host, port: node.port });
    this.#cancelSave = this.#clock.schedule(() => this.#save(), this.#timings.saveMs);
  }

  /** @throws ShoalError `PORT_TAKEN` or `ADDRESS_UNUSABLE`. */
  static async start(options: DhtOptions): Promise<Dht> {
    const clock = options.clock ?? systemClock;
    const onTrouble = (reason: string): void => options.log.debug('a DHT message was not taken', { reason });
    const socket = new DhtSocket({ clock, allowsLocal: options.allowsLocal === true, onTrouble });
    const saved = options.saved.slice(0, BOOTSTRAP_NODES_MAX).map(({ host, port }) => `${host}:${port}`);
    const bootstrap = [...options.bootstrap.filter(isNumeric), ...saved];
    const client = new Client({
      socket,
      bootstrap: bootstrap.length === 0 ? false : bootstrap,
      maxTables: TABLES_MAX,
      maxValues: 1,
      maxPeers: PEERS_MAX,
      maxAge: PEER_AGE_MS,
      timeout: QUERY_TIMEOUT_MS,
    });
    await listen(client, options);
    return new Dht(options, client);
  }

  /** Nodes in the routing table. */
  get nodeCount(): number {
    return this.#client.nodes.count();
  }

  /** Looks up and announces a torrent, now and as long as it is not left. */
  join(infoHash: InfoHash, onPeer: (peer: PeerAddress) => void): void {
    invariant(!this.#memberships.has(infoHash), `The DHT has joined ${infoHash} already.`);
    if (this.#stopping !== undefined) return;
    this.#memberships.set(infoHash, { onPeer, isStranded: false, foundCount: 0, emptyRounds: 0, cancel: () => {} });
    this.#begin(infoHash);
  }

  leave(infoHash: InfoHash): void {
    this.#memberships.get(infoHash)?.cancel();
    this.#memberships.delete(infoHash);
    this.#waiting = this.#waiting.filter((other) => other !== infoHash);
  }

  /** A torrent, or a peer by its port message, names a node. */
  addNode(address: PeerAddress): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#named.minuteMs >= 60_000) this.#named = { minuteMs: nowMs, count: 0 };
    if (this.#stopping !== undefined || ++this.#named.count > NAMED_NODES_PER_MINUTE_MAX) return;
    this.#client.addNode({ host: address.host, port: address.port });
  }

  /** Good nodes, for the disk. */
  nodes(): PeerAddress[] {
    const all = this.#client.toJSON().nodes.map(({ host, port }) => makeAddress(host, port));
    return all.filter((address) => address !== undefined).slice(0, SAVED_NODES_MAX);
  }

  stop(): Promise<void> {
    this.#stopping ??= new Promise((resolve) => {
      this.#cancelSave();
      this.#resolver.cancel();
      for (const infoHash of [...this.#memberships.keys()]) this.leave(infoHash);
      this.#options.onSave?.(this.nodes());
      this.#client.destroy(() => resolve());
    });
    return this.#stopping;
  }

  /** Where both ports are one number, the port that a router has put in place of ours is right for both (BEP 5, `implied_port`). */
  #announceImplied(): void {
    if (this.port !== this.#options.peerPort) return;
    const rpc = this.#client._rpc;
    const queryAll = rpc.queryAll.bind(rpc);
    rpc.queryAll = (nodes, message, visit, done) => {
      // The package leaves the port itself out when it sets this; nodes that do not know it need both.
      if (message.q === 'announce_peer') message.a.implied_port = 1;
      queryAll(nodes, message, visit, done);
    };
  }

  #save(): void {
    this.#cancelSave = this.#clock.schedule(() => this.#save(), this.#timings.saveMs);
    this.#options.onSave?.(this.nodes());
  }

  #begin(infoHash: InfoHash): void {
    const membership = this.#memberships.get(infoHash);
    if (membership === undefined || this.#stopping !== undefined) return;
    if (this.#roundCount >= ROUNDS_MAX) {
      this.#waiting = [...this.#waiting, infoHash];
      return;
    }
    this.#roundCount++;
    membership.foundCount = 0;
    if (this.#names.length === 0 || this.nodeCount > 0) this.#ask(infoHash, membership);
    else void this.#resolve().then(() => this.#ask(infoHash, membership));
  }

  #ask(infoHash: InfoHash, membership: Membership): void {
    if (this.#stopping !== undefined) return;
    const isLeft = (): boolean => this.#memberships.get(infoHash) !== membership;
    const end = (): void => this.#onRoundOver(infoHash, membership);
    if (isLeft()) return end();
    // The look-up of an announce is skipped by the package while its table is fresh, but peers come with look-ups alone. What was left
    // meanwhile may have turned out to be private.
    this.#client.lookup(infoHash, () => (isLeft() ? end() : this.#client.announce(infoHash, this.#options.peerPort, end)));
  }

  /**
   * Finds the addresses of the nodes that are configured by name; those that fail are tried again with the next round. The package would ask
   * the system's resolver, in threads that disk and trackers wait for. Never rejects.
   */
  #resolve(): Promise<void> {
    this.#resolving ??= this.#resolveAll().finally(() => {
      this.#resolving = undefined;
    });
    return this.#resolving;
  }

  async #resolveAll(): Promise<void> {
    const failed: string[] = [];
    await Promise.all(
      this.#names.map(async (node) => {
        const [, name = '', port = ''] = /^(.*):(\d+)$/.exec(node) ?? [];
        const hosts = name === 'localhost' ? ['127.0.0.1'] : await this.#resolver.resolve4(name).catch(() => []);
        const [host] = hosts;
        if (host === undefined) failed.push(node);
        else this.#client._rpc.bootstrap.push({ host, port: Number(port) });
      }),
    );
    this.#names = failed;
    if (failed.length > 0) this.#options.log.debug('nodes of the DHT that are not found by name', { nodes: failed.join(' ') });
  }

  /** Whoever left and joined again during the round has a round of its own. */
  #onRoundOver(infoHash: InfoHash, membership: Membership): void {
    this.#roundCount--;
    if (this.#memberships.get(infoHash) === membership && this.#stopping === undefined) {
      membership.isStranded = this.nodeCount === 0;
      membership.emptyRounds = membership.foundCount > 0 ? 0 : membership.emptyRounds + 1;
      const { announceMs, firstRetryMs } = this.#timings;
      const delayMs = membership.foundCount > 0 ? announceMs : Math.min(announceMs, firstRetryMs * 2 ** (membership.emptyRounds - 1));
      membership.cancel = this.#clock.schedule(() => this.#begin(infoHash), delayMs);
    }
    const [next] = this.#waiting;
    this.#waiting = this.#waiting.slice(1);
    if (next !== undefined) this.#begin(next);
  }

  /** Who had nobody to ask need not wait any longer. */
  #onNode(): void {
    for (const [infoHash, membership] of this.#memberships) {
      if (!membership.isStranded) continue;
      membership.isStranded = false;
      membership.cancel();
      membership.cancel = this.#clock.schedule(() => this.#begin(infoHash), STRANDED_PAUSE_MS);
    }
  }

  #onPeer({ host, port }: DhtNode, infoHash: InfoHash): void {
    const membership = this.#memberships.get(infoHash);
    const address = makeAddress(host, port);
    if (membership === undefined || address === undefined || membership.foundCount >= PEERS_PER_ROUND_MAX) return;
    // Whoever announces names itself, but a node in between may lie: nobody on the Internet sends us to our own network.
    if (this.#options.allowsLocal !== true && addressScope(address.host) !== 'public') return;
    membership.foundCount++;
    membership.onPeer(address);
  }
}

/** Whether a `host:port` needs no resolver. */
function isNumeric(node: string): boolean {
  return isIPv4(node.replace(/:\d+$/, ''));
}

function listen(client: Client, { host, port }: DhtOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      client.destroy(() => {});
      reject(explain(error, host, port));
    };
    client.once('error', onError);
    client.once('listening', () => {
      client.removeListener('error', onError);
      resolve();
    });
    client.listen(port, host);
  });
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): ShoalError {
  if (error.code === 'EADDRINUSE') {
    const message = `dht.port: UDP port ${port} on ${host} is taken by another program. Choose another one, or 0 for any free port.`;
    return new ShoalError('PORT_TAKEN', message, { host, port }, { cause: error });
  }
  const message = `dht.host, dht.port: cannot listen on ${host} UDP port ${port} (${error.message}). Choose an address of this machine.`;
  return new ShoalError('ADDRESS_UNUSABLE', message, { host, port }, { cause: error });
}
