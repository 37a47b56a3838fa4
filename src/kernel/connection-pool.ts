/**
 * Which peers a swarm is connected to: whom to dial next, whom to let in, and who is banned.
 *
 * Pure: time and randomness come from the caller, who owns the sockets and does what the pool answers. Everything is bounded:
 * 500 candidates, 10 dials a second, 8 of them unanswered, 1000 bans. A quarter of the places is kept for peers that dial us, so
 * that newcomers always find somebody. No more than half of those wanted are of one block of addresses while others are known: further ones of it,
 * however they came, do not keep others from being dialled. With whom there is nothing to exchange for now is set aside, and dialled again when there is.
 */
import { addressBlock, addressGroup, addressScope, formatAddress, makeAddress, normaliseHost, type PeerAddress } from './peer-address.js';
import type { Rng } from './rng.js';
import type { ConnectionId, Milliseconds } from './units.js';

/** Who named an address; `lsd` is our own network, `dht` and `pex` are strangers. `SOURCE_RANK` says who is trusted more. */
export type CandidateSource = 'link' | 'tracker' | 'lsd' | 'incoming' | 'dht' | 'pex';

/** Addresses known at once. A tracker names 50 to 200; beyond 500 a swarm gains nothing. */
export const CANDIDATES_MAX = 500;
/** Strangers can invent addresses at no cost, so what they name fills at most this part of the candidates. */
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
/** Whoever was let go for want of room is neither dialled nor taken back for so long, unless few are left: four reviews of the neighbourhood. */
const REST_MS: Milliseconds = 120_000;
/** The same for one that was turned away as soon as it came: in a swarm where nobody has room, it must not knock in vain for minutes. One review. */
const TURNED_AWAY_REST_MS: Milliseconds = 30_000;
/** How long somebody stays set aside, twice as long each time in a row. */
const FIRST_ASIDE_MS: Milliseconds = 60_000;
const LONGEST_ASIDE_MS: Milliseconds = 1_800_000;
/** Of those dialled, so many may come from one block of addresses while others are known. */
export const BLOCK_SHARE_MAX = 1 / 2;
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
const SOURCE_RANK: Readonly<Record<CandidateSource, number>> = { link: 0, tracker: 1, lsd: 2, incoming: 3, dht: 4, pex: 5 };

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
  | { readonly kind: 'refused'; readonly reason: 'self' | 'banned' | 'resting' | 'duplicate' | 'full' };

/** Who is to be banned: as much as is known. The port is where the peer listens. */
export interface BanTarget {
  readonly peerId: string;
  readonly host?: string;
  readonly port?: number;
}

interface Candidate {
  readonly address: PeerAddress;
  readonly block: string;
  readonly source: CandidateSource;
  failureCount: number;
  notBeforeMs: Milliseconds;
  /** Nothing was wanted of it, nor by it, when it went: it is dialled at once after `recall`, and else once in a while. */
  isAside: boolean;
  /** How often in a row. */
  asideCount: number;
}

interface Member {
  readonly peerId: string;
  readonly outgoing: boolean;
  readonly host: string;
  readonly block: string;
  readonly sinceMs: Milliseconds;
  /** Who had named the address that was dialled; undefined for who came in. */
  readonly source: CandidateSource | undefined;
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
  /** Peer ids and addresses of those let go for want of room, each with the time until which they rest; the oldest first. */
  readonly #resting = new Map<string, Milliseconds>();
  readonly #dialTimesMs: Milliseconds[] = [];
  /** Networks of the latest dials to addresses that strangers named. */
  readonly #strangeDials: { readonly atMs: Milliseconds; readonly group: string }[] = [];
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
    this.#candidates.set(key, {
      address,
      block: addressBlock(address.host),
      source,
      failureCount: 0,
      notBeforeMs: nowMs,
      isAside: false,
      asideCount: 0,
    });
    return true;
  }

  /** The addresses to dial now. Each counts as being dialled until `dialFailed` or `admit`. */
  dial(nowMs: Milliseconds): PeerAddress[] {
    const chosen: PeerAddress[] = [];
    while (this.#mayDial(nowMs)) {
      const crowded = this.#crowdedBlocks();
      const candidate = this.#choose(nowMs, crowded);
      // There are as many as are wanted, but too many of one block.
      if (candidate !== undefined && this.#hasEnough && crowded.has(candidate.block)) break;
      if (candidate === undefined) break;
      this.#dialling.add(formatAddress(candidate.address));
      this.#dialTimesMs.push(nowMs);
      if (this.#dialTimesMs.length > DIALS_PER_SECOND_MAX) this.#dialTimesMs.shift();
      this.#noteStrange(candidate, nowMs);
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
    if (this.#isResting(arrival.peerId, nowMs)) return this.#refuse('resting', key, nowMs);
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
      if (nowMs - member.sinceMs >= SHORT_LIVED_MS || candidate.isAside) candidate.failureCount = 0;
      if (!candidate.isAside) this.#backOff(key, nowMs);
    }
  }

  /** A member is let go for want of room: its turn comes again later. */
  rest(id: ConnectionId, nowMs: Milliseconds): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    const untilMs = nowMs + restMs(nowMs - member.sinceMs);
    for (const key of [member.peerId, ...member.listenKeys]) remember(this.#resting, key, untilMs);
  }

  /** Neither side wants anything of the other at the moment. That the connection ends now counts as no failure. */
  setAside(id: ConnectionId, nowMs: Milliseconds): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    for (const key of member.listenKeys) {
      const candidate = this.#candidates.get(key);
      if (candidate === undefined || candidate.isAside) continue;
      candidate.isAside = true;
      candidate.asideCount = nowMs - member.sinceMs >= SHORT_LIVED_MS ? 1 : candidate.asideCount + 1;
      // What the other side wants may change as well, and it may not be able to reach us.
      candidate.notBeforeMs = nowMs + Math.min(LONGEST_ASIDE_MS, FIRST_ASIDE_MS * 2 ** (candidate.asideCount - 1));
    }
  }

  /** Something is wanted again: whoever was set aside may be dialled at once. */
  recall(nowMs: Milliseconds): void {
    for (const candidate of this.#candidates.values()) {
      if (candidate.isAside) candidate.notBeforeMs = nowMs;
      candidate.asideCount = 0;
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
    this.#noteThere(member);
  }

  /** Forgets the addresses that these sources have named, as a private torrent must. Returns the connections dialled for them, to close. */
  forget(sources: readonly CandidateSource[]): ConnectionId[] {
    for (const [key, candidate] of this.#candidates) {
      if (sources.includes(candidate.source)) this.#candidates.delete(key);
    }
    return [...this.#members].filter(([, { source }]) => source !== undefined && sources.includes(source)).map(([id]) => id);
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
    if (total >= maxConnections || this.#dialling.size >= HALF_OPEN_MAX) return false;
    if (this.#hasEnough && this.#variedCount() >= this.#targetConnections) return false;
    const outgoing = [...this.#members.values()].filter((member) => member.outgoing).length + this.#dialling.size;
    if (outgoing >= Math.max(1, Math.floor(maxConnections * OUTGOING_SHARE_RATIO))) return false;
    const oldestMs = this.#dialTimesMs[this.#dialTimesMs.length - DIALS_PER_SECOND_MAX];
    return oldestMs === undefined || nowMs - oldestMs >= 1000;
  }

  /** Among the candidates that are due: fewest failures, then of a block that is not crowded, then best source, then by lot. */
  #choose(nowMs: Milliseconds, crowded: ReadonlySet<string>): Candidate | undefined {
    const connected = new Set([...this.#members.values()].flatMap((member) => [...member.listenKeys]));
    const crowd = ({ block }: Candidate): number => (crowded.has(block) ? 1 : 0);
    let best: Candidate[] = [];
    for (const [key, candidate] of this.#candidates) {
      if (candidate.notBeforeMs > nowMs || connected.has(key) || this.#dialling.has(key)) continue;
      if (this.#isBurst(candidate, nowMs) || this.#isResting(key, nowMs)) continue;
      const order = best[0] === undefined ? -1 : compare(candidate, best[0], crowd);
      if (order < 0) best = [candidate];
      else if (order === 0) best.push(candidate);
    }
    return best[this.#options.rng.below(best.length)];
  }

  /** As many as are wanted are connected or being dialled. */
  get #hasEnough(): boolean {
    return this.#members.size + this.#dialling.size >= this.#targetConnections;
  }

  /** Of one block, so many count. */
  get #blockPlaces(): number {
    return Math.max(1, Math.floor(this.#targetConnections * BLOCK_SHARE_MAX));
  }

  /** How many are connected or being dialled, of each block. */
  #blockCounts(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    const dialled = [...this.#dialling].map((key) => this.#candidates.get(key)?.block ?? key);
    for (const block of [...[...this.#members.values()].map((member) => member.block), ...dialled])
      counts.set(block, (counts.get(block) ?? 0) + 1);
    return counts;
  }

  /** How many there are if those of one block that are one too many do not count. */
  #variedCount(): number {
    return [...this.#blockCounts().values()].reduce((sum, count) => sum + Math.min(count, this.#blockPlaces), 0);
  }

  /** Blocks of which there are so many that others come first. */
  #crowdedBlocks(): ReadonlySet<string> {
    return new Set([...this.#blockCounts()].flatMap(([block, count]) => (count >= this.#blockPlaces ? [block] : [])));
  }

  /** With fewer than half of those wanted, nobody is turned away for having been one too many before. */
  #isResting(key: string, nowMs: Milliseconds): boolean {
    return isListed(this.#resting, key, nowMs) && this.#members.size * 2 >= this.#targetConnections;
  }

  #noteStrange({ source, address }: Candidate, nowMs: Milliseconds): void {
    if (!isStranger(source)) return;
    this.#strangeDials.push({ atMs: nowMs, group: addressGroup(address.host) });
    if (this.#strangeDials.length > DIALS_PER_SECOND_MAX) this.#strangeDials.shift();
  }

  /** Strangers must not make us knock at one network all at once: one of its addresses in a second, unless it is our own network. */
  #isBurst({ source, address }: Candidate, nowMs: Milliseconds): boolean {
    if (!isStranger(source) || addressScope(address.host) !== 'public') return false;
    const group = addressGroup(address.host);
    return this.#strangeDials.some((dial) => dial.group === group && nowMs - dial.atMs < 1000);
  }

  /** Many peers may run on one machine, and on this one they are told apart by port alone. */
  #isThisMachine(host: string): boolean {
    return addressScope(host) === 'loopback' || this.#options.ownHosts?.has(host) === true;
  }

  #makeRoom(address: PeerAddress, source: CandidateSource): boolean {
    const all = [...this.#candidates.values()];
    const sameHost = all.filter((candidate) => candidate.address.host === address.host).length;
    if (sameHost >= CANDIDATES_PER_HOST_MAX && !this.#isThisMachine(address.host)) return false;
    const isHearsay = (of: CandidateSource): boolean => of !== 'link' && of !== 'tracker';
    if (isHearsay(source) && all.filter((candidate) => isHearsay(candidate.source)).length >= HEARSAY_CANDIDATES_MAX) return false;
    if (all.length < CANDIDATES_MAX) return true;
    const worst = all.reduce((a, b) => (isWorse(b, a) ? b : a));
    const isAsGood = SOURCE_RANK[source] === SOURCE_RANK[worst.source];
    const mayReplace = SOURCE_RANK[source] < SOURCE_RANK[worst.source] || (isAsGood && worst.isAside);
    if (worst.failureCount === 0 && !mayReplace) return false;
    return this.#candidates.delete(formatAddress(worst.address));
  }

  #backOff(key: string, nowMs: Milliseconds): void {
    const candidate = this.#candidates.get(key);
    if (candidate === undefined) return;
    candidate.failureCount++;
    candidate.notBeforeMs = nowMs + Math.min(LONGEST_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** (candidate.failureCount - 1));
    if (candidate.failureCount >= FAILURES_MAX && candidate.source !== 'link') this.#candidates.delete(key);
  }

  #refuse(reason: 'banned' | 'resting' | 'full', key: string | undefined, nowMs: Milliseconds): Admission {
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
    const source = dialled === undefined ? undefined : this.#candidates.get(formatAddress(dialled))?.source;
    const listening = dialled === undefined ? [] : [dialled, { host, port: dialled.port }];
    const member = {
      peerId,
      outgoing: dialled !== undefined,
      host,
      block: addressBlock(host),
      sinceMs: nowMs,
      source,
      listenKeys: new Set(listening.map(formatAddress)),
    };
    this.#members.set(id, member);
    this.#noteThere(member);
    return member;
  }

  /** It is connected, so it is not aside. */
  #noteThere({ listenKeys }: Member): void {
    for (const key of listenKeys) {
      const candidate = this.#candidates.get(key);
      if (candidate !== undefined) candidate.isAside = false;
    }
  }
}

function isStranger(source: CandidateSource): boolean {
  return source === 'dht' || source === 'pex';
}

/** Which of two to forget: more failures, then the worse source, then whoever is set aside. */
function isWorse(a: Candidate, b: Candidate): boolean {
  const bySource = SOURCE_RANK[a.source] - SOURCE_RANK[b.source];
  return (a.failureCount - b.failureCount || bySource || Number(a.isAside) - Number(b.isAside)) > 0;
}

/** Who was set aside comes after those with whom there may be something to exchange. */
function failuresOf({ failureCount, isAside }: Candidate): number {
  return failureCount + (isAside ? 1 : 0);
}

function compare(a: Candidate, b: Candidate, crowd: (candidate: Candidate) => number = () => 0): number {
  return failuresOf(a) - failuresOf(b) || crowd(a) - crowd(b) || SOURCE_RANK[a.source] - SOURCE_RANK[b.source];
}

/** How long two peers keep apart of which one had no room for the other, by how long they knew each other. */
export function restMs(knownMs: Milliseconds): Milliseconds {
  return knownMs < SHORT_LIVED_MS ? TURNED_AWAY_REST_MS : REST_MS;
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
