/**
 * A virtual network: links with latency, jitter and loss between hosts whose uplink and downlink pass a limited number of bytes per second.
 *
 * Reliable and in order, like TCP: a message waits until the uplink has sent those of the same link before it, taking turns with the other
 * links of its host; it travels, later by its retransmissions where segments are lost, and then passes the receiver's downlink. Closing a
 * link is seen by the other side after all that was sent before. Each fault is an option with a unit. Not modelled: slow start, a limit of a
 * single flow, acknowledgements, and the queue of a shared line between hosts.
 */
import type { Connection, ConnectionEvents } from '../kernel/connection.js';
import type { Clock } from '../kernel/ports.js';
import type { DisconnectReason } from '../kernel/protocol.js';
import type { Rng } from '../kernel/rng.js';
import type { Bytes, BytesPerSecond, ConnectionId, Milliseconds } from '../kernel/units.js';
import { namedRng } from './chance.js';
import { Task, type VirtualClock } from './virtual-clock.js';

/** Bytes that TCP, IP and the BEP 10 frame add to a message in one segment. */
export const FRAME_OVERHEAD_BYTES: Bytes = 46;
/** A lost segment is sent again after two ways, but not before this: the least timer of Linux (RFC 6298 asks for more). */
const RETRANSMIT_MIN_MS: Milliseconds = 200;
const SEGMENT_BYTES: Bytes = 1_448;
/** Each loss in a row doubles the wait; beyond this many the connection would be taken for dead. */
const RETRANSMITS_MAX = 8;

export interface HostOptions {
  readonly name: string;
  /** As a `Connection` to it says; absent: it means nothing. */
  readonly addressBlock?: string | undefined;
  /** 0: no limit. */
  readonly upBytesPerSecond: BytesPerSecond;
  readonly downBytesPerSecond: BytesPerSecond;
}

/** One machine: it passes one message at a time in each direction, and can be stopped and continued. */
export class Host {
  readonly options: HostOptions;
  sentBytes: Bytes = 0;
  receivedBytes: Bytes = 0;
  /** What every message to or from this host takes longer than its link says. */
  extraLatencyMs: Milliseconds = 0;
  /** Chance of a segment to or from this host to be lost, beside that of the network: for as long as a burst of losses lasts. */
  extraLossRatio = 0;
  readonly #backlog: (() => void)[] = [];
  #frozen = false;
  /** Links that have something to send, in turn. */
  readonly #turns: LinkEnd[] = [];
  #sending = false;
  #downFreeMs: Milliseconds = 0;

  constructor(options: HostOptions) {
    this.options = options;
  }

  /** A frozen host runs nothing, neither timers nor messages (SIGSTOP); when it goes on, all that was due runs at once, in order. */
  get frozen(): boolean {
    return this.#frozen;
  }

  set frozen(frozen: boolean) {
    this.#frozen = frozen;
    if (!frozen) for (const task of this.#backlog.splice(0)) task();
  }

  /** Runs a task of this host, now or when it goes on. */
  run(task: () => void): void {
    if (this.#frozen) this.#backlog.push(task);
    else task();
  }

  /** The world's clock as this host sees it. */
  clock(clock: VirtualClock): Clock {
    return {
      nowMs: () => clock.nowMs(),
      schedule: (task, delayMs) => {
        const timer = new HostTimer(this, task);
        clock.put(timer, delayMs);
        return () => timer.cancel();
      },
    };
  }

  /** A link has a message: it gets its turn. */
  transmit(end: LinkEnd, clock: VirtualClock): void {
    this.#turns.push(end);
    if (!this.#sending) this.#sendNext(clock);
  }

  #sendNext(clock: VirtualClock): void {
    const end = this.#turns.shift();
    this.#sending = end !== undefined;
    if (!end) return;
    const parcel = end.next();
    if (end.hasNext) this.#turns.push(end);
    clock.after((parcel.sizeBytes * 1000) / this.options.upBytesPerSecond, () => {
      this.sentBytes += parcel.sizeBytes;
      end.depart(parcel);
      this.#sendNext(clock);
    });
  }

  /** When a message of this size has been received, if its last byte reaches the downlink at `nowMs`. */
  arriveMs(sizeBytes: Bytes, nowMs: Milliseconds): Milliseconds {
    this.receivedBytes += sizeBytes;
    const tookMs = this.options.downBytesPerSecond === 0 ? 0 : (sizeBytes * 1000) / this.options.downBytesPerSecond;
    this.#downFreeMs = Math.max(this.#downFreeMs, nowMs) + tookMs;
    return this.#downFreeMs;
  }
}

/** Something on its way: a message, or the end of the link. */
class Parcel extends Task {
  readonly message: Uint8Array | null;
  readonly reason: string;
  /** With headers. */
  readonly sizeBytes: Bytes;
  readonly #to: LinkEnd;
  /** It has been received, and waits for the downlink to have passed its last byte. */
  isReceived = false;

  constructor(to: LinkEnd, message: Uint8Array | null, sizeBytes: Bytes, reason = '') {
    super();
    this.#to = to;
    this.message = message;
    this.sizeBytes = sizeBytes;
    this.reason = reason;
  }

  run(): void {
    if (this.isReceived) this.#to.deliver(this);
    else this.#to.reach(this);
  }
}

/** A timer of a host, which does not fire while the host stands still. */
class HostTimer extends Task {
  readonly #host: Host;
  #task: (() => void) | undefined;

  constructor(host: Host, task: () => void) {
    super();
    this.#host = host;
    this.#task = task;
  }

  cancel(): void {
    this.#task = undefined;
  }

  run(): void {
    if (this.#host.frozen) this.#host.run(() => this.#task?.());
    else this.#task?.();
  }
}

/** What all links of a network share. */
interface LinkContext {
  readonly clock: VirtualClock;
  readonly options: NetworkOptions;
  isCut(a: Host, b: Host): boolean;
  /** Links on which something waits for the network to heal. */
  readonly held: Set<LinkEnd>;
}

/** One end of a link. */
class LinkEnd implements Connection {
  readonly id: ConnectionId;
  readonly peerId: string;
  readonly address: string;
  readonly addressBlock?: string;
  readonly #context: LinkContext;
  readonly host: Host;
  readonly remoteHost: Host;
  readonly #latencyMs: Milliseconds;
  /** Only where chance has a say, or has had. */
  #rng: Rng | undefined;
  remote: LinkEnd | undefined;
  bufferedBytes: Bytes = 0;
  readonly #queue: Parcel[] = [];
  /** What has come to a network that is cut, and waits for it to heal. */
  readonly #held: Parcel[] = [];
  #lastReachMs: Milliseconds = 0;
  #events: ConnectionEvents | undefined;
  #open = true;

  constructor(id: ConnectionId, context: LinkContext, host: Host, remoteHost: Host, latencyMs: Milliseconds) {
    this.id = id;
    this.peerId = remoteHost.options.name;
    this.address = remoteHost.options.name;
    if (remoteHost.options.addressBlock !== undefined) this.addressBlock = remoteHost.options.addressBlock;
    this.#context = context;
    this.host = host;
    this.remoteHost = remoteHost;
    this.#latencyMs = latencyMs;
  }

  get hasNext(): boolean {
    return this.#queue.length > 0;
  }

  next(): Parcel {
    return this.#queue.shift() as Parcel;
  }

  listen(events: ConnectionEvents): void {
    this.#events = events;
  }

  send(message: Uint8Array): void {
    if (!this.#open) return;
    const sizeBytes = (this.#context.options.sizeOf?.(message) ?? message.length) + FRAME_OVERHEAD_BYTES;
    if (this.remote) this.#hand(new Parcel(this.remote, message, sizeBytes));
  }

  close(reason: DisconnectReason): void {
    if (this.#open && this.remote) this.#hand(new Parcel(this.remote, null, 0, reason.detail));
    this.closed(reason.detail);
  }

  #hand(parcel: Parcel): void {
    if (this.host.options.upBytesPerSecond === 0) {
      this.host.sentBytes += parcel.sizeBytes;
      return this.#travel(parcel);
    }
    this.bufferedBytes += parcel.sizeBytes;
    this.#queue.push(parcel);
    if (this.#queue.length === 1) this.host.transmit(this, this.#context.clock);
  }

  /** The uplink has sent it. */
  depart(parcel: Parcel): void {
    this.bufferedBytes -= parcel.sizeBytes;
    if (this.bufferedBytes === 0) this.host.run(() => this.#open && this.bufferedBytes === 0 && this.#events?.onDrain());
    this.#travel(parcel);
  }

  #travel(parcel: Parcel): void {
    const { clock } = this.#context;
    const nowMs = clock.nowMs();
    const latencyMs = this.#latencyMs + this.host.extraLatencyMs + this.remoteHost.extraLatencyMs;
    const waitMs = this.#misfortuneMs(parcel.sizeBytes, latencyMs);
    // A link never lets one message overtake another, also when its latency falls.
    this.#lastReachMs = Math.max(this.#lastReachMs, nowMs + latencyMs + waitMs);
    clock.put(parcel, this.#lastReachMs - nowMs);
  }

  /** What jitter and lost segments cost. */
  #misfortuneMs(sizeBytes: Bytes, latencyMs: Milliseconds): Milliseconds {
    const { jitterMs = 0, seed = 0 } = this.#context.options;
    const lossRatio = this.#lossRatio;
    if (lossRatio + jitterMs === 0) return 0;
    this.#rng ??= namedRng(seed, `link ${this.host.options.name} ${this.remoteHost.options.name}`);
    const rng = this.#rng;
    let waitMs = jitterMs * rng.float();
    if (lossRatio === 0) return waitMs;
    let arrivesRatio = 1;
    for (let segment = 0; segment * SEGMENT_BYTES < sizeBytes; segment++) arrivesRatio *= 1 - lossRatio;
    let againMs = Math.max(RETRANSMIT_MIN_MS, 2 * latencyMs);
    for (let round = 0; round < RETRANSMITS_MAX && rng.float() > (round === 0 ? arrivesRatio : 1 - lossRatio); round++) {
      waitMs += againMs;
      againMs *= 2;
    }
    return waitMs;
  }

  get #lossRatio(): number {
    const { lossRatio = 0 } = this.#context.options;
    const [one, other] = [this.host.extraLossRatio, this.remoteHost.extraLossRatio];
    return one + other === 0 ? lossRatio : 1 - (1 - lossRatio) * (1 - one) * (1 - other);
  }

  reach(parcel: Parcel): void {
    if (!this.#context.isCut(this.host, this.remoteHost)) return this.#receive(parcel);
    this.#held.push(parcel);
    this.#context.held.add(this);
  }

  /** The network is whole again. */
  release(): void {
    for (const parcel of this.#held.splice(0)) this.#receive(parcel);
  }

  #receive(parcel: Parcel): void {
    const { clock } = this.#context;
    const waitMs = this.host.arriveMs(parcel.sizeBytes, clock.nowMs()) - clock.nowMs();
    parcel.isReceived = true;
    if (waitMs > 0) clock.put(parcel, waitMs);
    else this.deliver(parcel);
  }

  /** All of it has been received. */
  deliver(parcel: Parcel): void {
    if (this.host.frozen) return this.host.run(() => this.deliver(parcel));
    if (!this.#open) return;
    if (parcel.message) this.#events?.onMessage(parcel.message);
    else this.closed(parcel.reason);
  }

  closed(reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#events?.onClose(reason);
  }
}

export interface NetworkOptions {
  /** Of the world: chance on a link depends on it and on the names of the two hosts. */
  readonly seed?: number;
  /** Chance of a segment to be lost. */
  readonly lossRatio?: number;
  /** What a message takes longer, at most. */
  readonly jitterMs?: Milliseconds;
  /** Size of a message, where it is not its length; without headers. */
  readonly sizeOf?: (message: Uint8Array) => Bytes;
}

export class Network {
  readonly #context: LinkContext;
  /** Hosts on the far side of a cut. */
  readonly #severed = new Set<Host>();
  #links = 0;

  constructor(clock: VirtualClock, options: NetworkOptions = {}) {
    const isCut = (a: Host, b: Host): boolean => this.#severed.size > 0 && this.#severed.has(a) !== this.#severed.has(b);
    this.#context = { clock, options, isCut, held: new Set() };
  }

  /** Whether nothing passes between two hosts at the moment. */
  isCut(a: Host, b: Host): boolean {
    return this.#context.isCut(a, b);
  }

  /** Connects two hosts; both ends exist at once. */
  link(a: Host, b: Host, latencyMs: Milliseconds): readonly [Connection, Connection] {
    const id = this.#links++;
    const one = new LinkEnd(`${id}a`, this.#context, a, b, latencyMs);
    const other = new LinkEnd(`${id}b`, this.#context, b, a, latencyMs);
    one.remote = other;
    other.remote = one;
    return [one, other];
  }

  /** From now on nothing passes between these hosts and the others; it arrives once the network heals. */
  partition(hosts: Iterable<Host>): void {
    for (const host of hosts) this.#severed.add(host);
  }

  heal(): void {
    this.#severed.clear();
    for (const end of this.#context.held) end.release();
    this.#context.held.clear();
  }
}
