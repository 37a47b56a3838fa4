/**
 * Which peers a swarm is connected to: whom to dial next, whom to let in, and who is banned.
 *
 * Pure: time and randomness come from the caller, who owns the sockets and does what the pool answers. Everything is bounded:
 * 500 candidates, 10 dials a second, 8 of them unanswered, 1000 bans. A quarter of the places is kept for peers that dial us, so
 * that newcomers always find somebody.
 */
import { addressScope, formatAddress, makeAddress, normaliseHost, type PeerAddress } from './peer-address.js';
import type { Rng } from './rng.js';
import type { ConnectionId, Milliseconds } from './units.js';

/** Who named an address. Earlier ones are trusted more. */
export type CandidateSource = 'link' | 'tracker' | 'incoming' | 'pex';

/** Addresses known at once. A tracker names 50 to 200; beyond 500 a swarm gains nothing. */
export const CANDIDATES_MAX = 500;
/** Peers can invent addresses at no cost, so what they name fills at most this part of the candidates. */
export const HEARSAY_CANDIDATES_MAX = 300;
/** Addresses on one host that is not this machine: enough for a household, too few to make the swarm attack a host. */
export const CANDIDATES_PER_HOST_MAX = 8;
/** New dials in any second (anacrolix/torrent's limit). */
export const DIALS_PER_SECOND_MAX = 10;
/** Dials not answered yet: home routers keep small tables. */
export const HALF_OPEN_MAX = 8;
export const FIRST_BACK_OFF_MS: Milliseconds = 2_000;
export const LONGEST_BACK_OFF_MS: Milliseconds = 60_000;
/** Failures in a row after which an address is forgotten, unless it came with the link. */
export const FAILURES_MAX = 8;
export const BAN_MS: Milliseconds = 3_600_000;
export const BANS_MAX = 1000;
/** The share of places that dialled connections may take. */
export const OUTGOING_SHARE_RATIO = 0.75;
/**
 * Two peers that dial each other at once settle on one connection by their ids. An older connection stands instead: a peer id is no
 * secret, and whoever copies one must not be able to push its owner out.
 */
export const SIMULTANEOUS_DIAL_MS: Milliseconds = 10_000;
/** A connection that lasts less counts as a failed dial. */
const SHORT_LIVED_MS: Milliseconds = 10_000;
const OWN_ADDRESSES_MAX = 32;
const SOURCE_RANK: Readonly<Record<CandidateSource, number>> = { link: 0, tracker: 1, incoming: 2, pex: 3 };

export interface ConnectionPoolOptions {
  /** 40 hex digits. */
  readonly ownPeerId: string;
  /** Connections in both directions. */
  readonly maxConnections: number;
  /** Connections to reach by dialling; `want` changes it. */
  readonly targetConnections: number;
  readonly rng: Rng;
  /** Addresses of this machine beyond loopback; a peer there is never banned together with its neighbours. */
  readonly ownHosts?: ReadonlySet<string>;
}

/** A connection whose BitTorrent handshake has come. */
export interface Arrival {
  readonly id: ConnectionId;
  readonly peerId: string;
  /** The remote end's own IP address, whatever name was dialled. */
  readonly host: string;
  /** The address as `dial` gave it; absent for a connection that came in. */
  readonly dialled?: PeerAddress;
}

/** What to do with an arrival: keep it (and close the one it replaces), or close it. */
export type Admission =
  | { readonly kind: 'admitted'; readonly replaces?: ConnectionId }
  | { readonly kind: 'refused'; readonly reason: 'self' | 'banned' | 'duplicate' | 'full' };

/** Who is to be banned: as much as is known. The port is where the peer listens. */
export interface BanTarget {
  readonly peerId: string;
  readonly host?: string;
  readonly port?: number;
}

interface Candidate {
  readonly address: PeerAddress;
  readonly source: CandidateSource;
  failureCount: number;
  notBeforeMs: Milliseconds;
}

interface Member {
  readonly peerId: string;
  readonly outgoing: boolean;
  readonly host: string;
  readonly sinceMs: Milliseconds;
  /** Where the peer listens, as far as known: several names may lead to one peer. */
  readonly listenKeys: Set<string>;
}

export class ConnectionPool {
  readonly #options: ConnectionPoolOptions;
  readonly #candidates = new Map<string, Candidate>();
  readonly #dialling = new Set<string>();
  readonly #members = new Map<ConnectionId, Member>();
  readonly #ownAddresses = new Set<string>();
  /** Banned peer ids, addresses and hosts, each with the time the ban ends; the oldest first. */
  readonly #bans = {
    peers: new Map<string, Milliseconds>(),
    addresses: new Map<string, Milliseconds>(),
    hosts: new Map<string, Milliseconds>(),
  };
  readonly #dialTimesMs: Milliseconds[] = [];
  #targetConnections: number;

  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
    this.#targetConnections = options.targetConnections;
  }

  get connectionCount(): number {
    return this.#members.size;
  }

  get candidateCount(): number {
    return this.#candidates.size;
  }

  get diallingCount(): number {
    return this.#dialling.size;
  }

  /** Sets how many connections dialling should reach; never above the limit. */
  want(count: number): void {
    this.#targetConnections = Math.max(0, Math.min(count, this.#options.maxConnections));
  }

  /** Remembers an address to try. False when it is unusable, ours, banned, or there is no room for it. */
  addCandidate(host: string, port: number, source: CandidateSource, nowMs: Milliseconds): boolean {
    const address = makeAddress(host, port);
    if (address === undefined) return false;
    const key = formatAddress(address);
    const known = this.#candidates.get(key);
    if (known !== undefined) {
      // A better source lifts the address; its back-off stays.
      if (SOURCE_RANK[source] < SOURCE_RANK[known.source]) this.#candidates.set(key, { ...known, source });
      return true;
    }
    if (this.#ownAddresses.has(key) || this.#isAddressBanned(address, nowMs) || !this.#makeRoom(address, source)) return false;
    this.#candidates.set(key, { address, source, failureCount: 0, notBeforeMs: nowMs });
    return true;
  }

  /** The addresses to dial now. Each counts as being dialled until `dialFailed` or `admit`. */
  dial(nowMs: Milliseconds): PeerAddress[] {
    const chosen: PeerAddress[] = [];
    while (this.#mayDial(nowMs)) {
      const candidate = this.#choose(nowMs);
      if (candidate === undefined) break;
      this.#dialling.add(formatAddress(candidate.address));
      this.#dialTimesMs.push(nowMs);
      if (this.#dialTimesMs.length > DIALS_PER_SECOND_MAX) this.#dialTimesMs.shift();
      chosen.push(candidate.address);
    }
    return chosen;
  }

  /** A dial came to nothing before a handshake. */
  dialFailed(address: PeerAddress, nowMs: Milliseconds): void {
    const key = formatAddress(address);
    this.#dialling.delete(key);
    this.#backOff(key, nowMs);
  }

  /** Judges a connection by its handshake. An admitted one stays a member until `released`. */
  admit(arrival: Arrival, nowMs: Milliseconds): Admission {
    const key = arrival.dialled === undefined ? undefined : formatAddress(arrival.dialled);
    if (key !== undefined) this.#dialling.delete(key);
    if (arrival.peerId === this.#options.ownPeerId) return this.#refuseSelf(key);
    if (this.#isArrivalBanned(arrival, nowMs)) return this.#refuse('banned', key, nowMs);
    const twin = this.#findByPeerId(arrival.peerId);
    if (twin !== undefined) return this.#settle(arrival, twin, key, nowMs);
    if (this.#members.size >= this.#options.maxConnections) return this.#refuse('full', key, nowMs);
    this.#enter(arrival, nowMs);
    return { kind: 'admitted' };
  }

  /** A member's connection has ended. Its listening address is tried again later. */
  released(id: ConnectionId, nowMs: Milliseconds): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    this.#members.delete(id);
    for (const key of member.listenKeys) {
      const candidate = this.#candidates.get(key);
      if (candidate === undefined) continue;
      if (nowMs - member.sinceMs >= SHORT_LIVED_MS) candidate.failureCount = 0;
      this.#backOff(key, nowMs);
    }
  }

  /** A member has said on which port it listens: an address to tell others, and to come back to. */
  learnListenPort(id: ConnectionId, port: number, nowMs: Milliseconds): void {
    const member = this.#members.get(id);
    const address = member === undefined ? undefined : makeAddress(member.host, port);
    if (member === undefined || address === undefined) return;
    // The first claim stands: a peer that changes its mind would make us remember address after address.
    if (member.listenKeys.size > 0) return;
    member.listenKeys.add(formatAddress(address));
    this.addCandidate(address.host, address.port, 'incoming', nowMs);
  }

  /** Bans for an hour: by peer id, by listening address, and by host unless it is this machine. Returns the connections to close. */
  ban(target: BanTarget, nowMs: Milliseconds): ConnectionId[] {
    const host = normaliseHost(target.host ?? '');
    const address = host === undefined || target.port === undefined ? undefined : makeAddress(host, target.port);
    remember(this.#bans.peers, target.peerId, nowMs + BAN_MS);
    if (address !== undefined) remember(this.#bans.addresses, formatAddress(address), nowMs + BAN_MS);
    if (host !== undefined && !this.#isThisMachine(host)) remember(this.#bans.hosts, host, nowMs + BAN_MS);
    for (const [key, candidate] of this.#candidates) {
      if (this.#isAddressBanned(candidate.address, nowMs)) this.#candidates.delete(key);
    }
    return [...this.#members].filter(([, member]) => this.#isMemberBanned(member, nowMs)).map(([id]) => id);
  }

  /** Whether a peer with this id, or on this host, or listening at this port of it, is banned now. */
  isBanned(target: BanTarget, nowMs: Milliseconds): boolean {
    const host = normaliseHost(target.host ?? '') ?? '';
    if (isListed(this.#bans.peers, target.peerId, nowMs) || isListed(this.#bans.hosts, host, nowMs)) return true;
    return target.port !== undefined && this.#isAddressBanned({ host, port: target.port }, nowMs);
  }

  /** The number of peer ids banned and not yet forgotten. */
  get banCount(): number {
    return this.#bans.peers.size;
  }

  #isAddressBanned(address: PeerAddress, nowMs: Milliseconds): boolean {
    return isListed(this.#bans.hosts, address.host, nowMs) || isListed(this.#bans.addresses, formatAddress(address), nowMs);
  }

  #isArrivalBanned({ peerId, host, dialled }: Arrival, nowMs: Milliseconds): boolean {
    const target: BanTarget = dialled === undefined ? { peerId, host } : { peerId, host, port: dialled.port };
    return this.isBanned(target, nowMs) || (dialled !== undefined && this.#isAddressBanned(dialled, nowMs));
  }

  #isMemberBanned(member: Member, nowMs: Milliseconds): boolean {
    if (isListed(this.#bans.peers, member.peerId, nowMs) || isListed(this.#bans.hosts, member.host, nowMs)) return true;
    return [...member.listenKeys].some((key) => isListed(this.#bans.addresses, key, nowMs));
  }

  #mayDial(nowMs: Milliseconds): boolean {
    const { maxConnections } = this.#options;
    const total = this.#members.size + this.#dialling.size;
    if (total >= Math.min(this.#targetConnections, maxConnections) || this.#dialling.size >= HALF_OPEN_MAX) return false;
    const outgoing = [...this.#members.values()].filter((member) => member.outgoing).length + this.#dialling.size;
    if (outgoing >= Math.max(1, Math.floor(maxConnections * OUTGOING_SHARE_RATIO))) return false;
    const oldestMs = this.#dialTimesMs[this.#dialTimesMs.length - DIALS_PER_SECOND_MAX];
    return oldestMs === undefined || nowMs - oldestMs >= 1000;
  }

  /** Among the candidates that are due: fewest failures, then best source, then by lot. */
  #choose(nowMs: Milliseconds): Candidate | undefined {
    const connected = new Set([...this.#members.values()].flatMap((member) => [...member.listenKeys]));
    let best: Candidate[] = [];
    for (const [key, candidate] of this.#candidates) {
      if (candidate.notBeforeMs > nowMs || connected.has(key) || this.#dialling.has(key)) continue;
      const order = best[0] === undefined ? -1 : compare(candidate, best[0]);
      if (order < 0) best = [candidate];
      else if (order === 0) best.push(candidate);
    }
    return best[this.#options.rng.below(best.length)];
  }

  /** Many peers may run on one machine, and on this one they are told apart by port alone. */
  #isThisMachine(host: string): boolean {
    return addressScope(host) === 'loopback' || this.#options.ownHosts?.has(host) === true;
  }

  #makeRoom(address: PeerAddress, source: CandidateSource): boolean {
    const all = [...this.#candidates.values()];
    const sameHost = all.filter((candidate) => candidate.address.host === address.host).length;
    if (sameHost >= CANDIDATES_PER_HOST_MAX && !this.#isThisMachine(address.host)) return false;
    const isHearsay = (of: CandidateSource): boolean => of === 'pex' || of === 'incoming';
    if (isHearsay(source) && all.filter((candidate) => isHearsay(candidate.source)).length >= HEARSAY_CANDIDATES_MAX) return false;
    if (all.length < CANDIDATES_MAX) return true;
    const worst = all.reduce((a, b) => (compare(b, a) > 0 ? b : a));
    if (worst.failureCount === 0 && SOURCE_RANK[source] >= SOURCE_RANK[worst.source]) return false;
    return this.#candidates.delete(formatAddress(worst.address));
  }

  #backOff(key: string, nowMs: Milliseconds): void {
    const candidate = this.#candidates.get(key);
    if (candidate === undefined) return;
    candidate.failureCount++;
    candidate.notBeforeMs = nowMs + Math.min(LONGEST_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** (candidate.failureCount - 1));
    if (candidate.failureCount >= FAILURES_MAX && candidate.source !== 'link') this.#candidates.delete(key);
  }

  #refuse(reason: 'banned' | 'full', key: string | undefined, nowMs: Milliseconds): Admission {
    if (key !== undefined) this.#backOff(key, nowMs);
    return { kind: 'refused', reason };
  }

  #refuseSelf(key: string | undefined): Admission {
    if (key !== undefined) {
      this.#candidates.delete(key);
      if (this.#ownAddresses.size < OWN_ADDRESSES_MAX) this.#ownAddresses.add(key);
    }
    return { kind: 'refused', reason: 'self' };
  }

  #findByPeerId(peerId: string): [ConnectionId, Member] | undefined {
    return [...this.#members].find(([, member]) => member.peerId === peerId);
  }

  /** Two connections to one peer: both ends must drop the same one. */
  #settle(arrival: Arrival, [twinId, twin]: [ConnectionId, Member], key: string | undefined, nowMs: Milliseconds): Admission {
    const outgoing = arrival.dialled !== undefined;
    const simultaneous = nowMs - twin.sinceMs < SIMULTANEOUS_DIAL_MS && twin.outgoing !== outgoing;
    const oursStands = this.#options.ownPeerId < arrival.peerId;
    if (!simultaneous || outgoing !== oursStands) {
      // The dialled address leads to a peer we have: no need to dial it again while it stays.
      if (key !== undefined && twin.host === normaliseHost(arrival.host)) twin.listenKeys.add(key);
      else if (key !== undefined) this.#backOff(key, nowMs);
      return { kind: 'refused', reason: 'duplicate' };
    }
    this.#members.delete(twinId);
    const member = this.#enter(arrival, nowMs);
    for (const known of twin.listenKeys) member.listenKeys.add(known);
    return { kind: 'admitted', replaces: twinId };
  }

  #enter({ id, peerId, host: remoteHost, dialled }: Arrival, nowMs: Milliseconds): Member {
    const host = normaliseHost(remoteHost) ?? remoteHost;
    const listening = dialled === undefined ? [] : [dialled, { host, port: dialled.port }];
    const member = { peerId, outgoing: dialled !== undefined, host, sinceMs: nowMs, listenKeys: new Set(listening.map(formatAddress)) };
    this.#members.set(id, member);
    return member;
  }
}

function compare(a: Candidate, b: Candidate): number {
  return a.failureCount - b.failureCount || SOURCE_RANK[a.source] - SOURCE_RANK[b.source];
}

/** Notes a ban as the newest; the oldest leaves when there are too many. */
function remember(bans: Map<string, Milliseconds>, key: string, untilMs: Milliseconds): void {
  bans.delete(key);
  bans.set(key, untilMs);
  for (const oldest of bans.keys()) {
    if (bans.size <= BANS_MAX) break;
    bans.delete(oldest);
  }
}

function isListed(bans: Map<string, Milliseconds>, key: string, nowMs: Milliseconds): boolean {
  const untilMs = bans.get(key);
  if (untilMs === undefined) return false;
  if (nowMs < untilMs) return true;
  bans.delete(key);
  return false;
}
