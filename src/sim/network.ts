/**
 * A virtual network: links with latency, and hosts whose uplink and downlink pass a limited number of bytes per second.
 *
 * Reliable and in order, like TCP without loss: a message leaves when the uplink has finished those before it, travels, and then passes the
 * receiver's downlink. Closing a link is seen by the other side after the latency. Each fault is a call with a unit.
 */
import type { Connection, ConnectionEvents } from '../kernel/connection.js';
import type { Clock } from '../kernel/ports.js';
import type { DisconnectReason } from '../kernel/protocol.js';
import type { Bytes, BytesPerSecond, ConnectionId, Milliseconds } from '../kernel/units.js';
import type { VirtualClock } from './virtual-clock.js';

/** Bytes that TCP, IP and the BEP 10 frame add to a message in one segment. */
export const FRAME_OVERHEAD_BYTES: Bytes = 46;

export interface HostOptions {
  readonly name: string;
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
  readonly #backlog: (() => void)[] = [];
  #frozen = false;
  #upFreeMs: Milliseconds = 0;
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
        let cancelled = false;
        const cancel = clock.schedule(() => this.run(() => cancelled || task()), delayMs);
        return () => {
          cancelled = true;
          cancel();
        };
      },
    };
  }

  /** When a message of this size has left, if handed over now. */
  departMs(sizeBytes: Bytes, nowMs: Milliseconds): Milliseconds {
    this.sentBytes += sizeBytes;
    const tookMs = this.options.upBytesPerSecond === 0 ? 0 : (sizeBytes * 1000) / this.options.upBytesPerSecond;
    this.#upFreeMs = Math.max(this.#upFreeMs, nowMs) + tookMs;
    return this.#upFreeMs;
  }

  /** When a message of this size has been received, if its last byte reaches the downlink at `nowMs`. */
  arriveMs(sizeBytes: Bytes, nowMs: Milliseconds): Milliseconds {
    this.receivedBytes += sizeBytes;
    const tookMs = this.options.downBytesPerSecond === 0 ? 0 : (sizeBytes * 1000) / this.options.downBytesPerSecond;
    this.#downFreeMs = Math.max(this.#downFreeMs, nowMs) + tookMs;
    return this.#downFreeMs;
  }
}

/** One end of a link. */
class LinkEnd implements Connection {
  readonly id: ConnectionId;
  readonly peerId: string;
  readonly address: string;
  readonly #clock: VirtualClock;
  readonly #host: Host;
  readonly #remoteHost: Host;
  readonly #latencyMs: Milliseconds;
  remote: LinkEnd | undefined;
  bufferedBytes: Bytes = 0;
  #lastReachMs: Milliseconds = 0;
  #events: ConnectionEvents | undefined;
  #open = true;

  constructor(id: ConnectionId, clock: VirtualClock, host: Host, remoteHost: Host, latencyMs: Milliseconds) {
    this.id = id;
    this.peerId = remoteHost.options.name;
    this.address = remoteHost.options.name;
    this.#clock = clock;
    this.#host = host;
    this.#remoteHost = remoteHost;
    this.#latencyMs = latencyMs;
  }

  listen(events: ConnectionEvents): void {
    this.#events = events;
  }

  send(message: Uint8Array): void {
    if (!this.#open) return;
    const sizeBytes = message.length + FRAME_OVERHEAD_BYTES;
    const nowMs = this.#clock.nowMs();
    const departMs = this.#host.departMs(sizeBytes, nowMs);
    this.bufferedBytes += sizeBytes;
    this.#clock.schedule(() => this.#host.run(() => this.#departed(sizeBytes)), departMs - nowMs);
    this.#clock.schedule(() => this.remote?.reach(message, sizeBytes), this.#reachMs(departMs) - nowMs);
  }

  /** A link never lets one message overtake another, also when its latency falls. */
  #reachMs(departMs: Milliseconds): Milliseconds {
    const latencyMs = this.#latencyMs + this.#host.extraLatencyMs + this.#remoteHost.extraLatencyMs;
    this.#lastReachMs = Math.max(this.#lastReachMs, departMs + latencyMs);
    return this.#lastReachMs;
  }

  #departed(sizeBytes: Bytes): void {
    this.bufferedBytes -= sizeBytes;
    if (this.#open && this.bufferedBytes === 0) this.#events?.onDrain();
  }

  reach(message: Uint8Array, sizeBytes: Bytes): void {
    const nowMs = this.#clock.nowMs();
    this.#clock.schedule(() => this.#host.run(() => this.#deliver(message)), this.#host.arriveMs(sizeBytes, nowMs) - nowMs);
  }

  #deliver(message: Uint8Array): void {
    if (this.#open) this.#events?.onMessage(message);
  }

  close(reason: DisconnectReason): void {
    this.closed(reason.detail);
    const nowMs = this.#clock.nowMs();
    this.#clock.schedule(() => this.remote?.closeBehindAll(reason.detail), this.#reachMs(nowMs) - nowMs);
  }

  /** The other side has closed: everything it sent before is read first. */
  closeBehindAll(reason: string): void {
    const nowMs = this.#clock.nowMs();
    this.#clock.schedule(() => this.#host.run(() => this.closed(reason)), this.#host.arriveMs(0, nowMs) - nowMs);
  }

  closed(reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#events?.onClose(reason);
  }
}

export class Network {
  readonly #clock: VirtualClock;
  #links = 0;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  /** Connects two hosts; both ends exist at once. */
  link(a: Host, b: Host, latencyMs: Milliseconds): readonly [Connection, Connection] {
    const id = this.#links++;
    const one = new LinkEnd(`${id}a`, this.#clock, a, b, latencyMs);
    const other = new LinkEnd(`${id}b`, this.#clock, b, a, latencyMs);
    one.remote = other;
    other.remote = one;
    return [one, other];
  }
}
