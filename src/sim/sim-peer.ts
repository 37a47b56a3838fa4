/**
 * One peer of a simulated swarm: the shipped exchange and engine on a virtual host, and what a person would have seen of it.
 */
import type { Connection } from '../kernel/connection.js';
import type { Engine } from '../kernel/engine.js';
import type { Clock } from '../kernel/ports.js';
import type { Bytes, Milliseconds, WindowNumber } from '../kernel/units.js';
import type { LiveCommand, LiveEvent, LiveExchange, LiveTimer } from '../relay/exchange/live-exchange.js';
import type { LiveMessage } from '../relay/exchange/live-message.js';
import { FRAME_OVERHEAD_BYTES, type Host } from './network.js';

export type LiveEngine = Engine<LiveMessage, LiveCommand, LiveEvent, LiveTimer>;

/** One window as a viewer got it. */
export interface Delivery {
  readonly number: WindowNumber;
  readonly atMs: Milliseconds;
  /** Delivery minus the moment the publisher cut the window, by the world's own clock. */
  readonly afterCutMs: Milliseconds;
  /** Its bytes are those that a publisher cut. */
  readonly intact: boolean;
  /** The publisher that cut these bytes; the first one where several cut the same. */
  readonly source: string | undefined;
  readonly discontinuity: boolean;
  /** What was missing of the window when it was delivered. */
  readonly missedBytes: Bytes;
  /** Key of the publisher that signed it; null: the owner itself. */
  readonly signer: Uint8Array | null;
}

/** Traffic in one direction. */
export class Tally {
  #mapBytes: Bytes = 0;
  #requestBytes: Bytes = 0;
  #manifestBytes: Bytes = 0;
  #mediaBytes: Bytes = 0;
  #controlBytes: Bytes = 0;
  /** Payload of pieces. */
  payloadBytes: Bytes = 0;
  /** All else: every other message with its headers down to IP, and what a piece's message and frame add to its payload. */
  overheadBytes: Bytes = 0;
  /** The same as a socket sees it: with frames, without the headers of TCP and IP. */
  socketOverheadBytes: Bytes = 0;
  requestMessages = 0;

  /** Encoded messages by kind (`TRAFFIC_KIND`), without frames and headers of lower layers. */
  get bytesByKind(): Readonly<Record<string, Bytes>> {
    const counts = {
      map: this.#mapBytes,
      manifest: this.#manifestBytes,
      request: this.#requestBytes,
      media: this.#mediaBytes,
      control: this.#controlBytes,
    };
    return Object.fromEntries(Object.entries(counts).filter(([, sizeBytes]) => sizeBytes > 0));
  }

  count(message: LiveMessage, sizeBytes: Bytes): void {
    this.#countKind(message.kind, sizeBytes);
    const payloadBytes = message.kind === 'piece' ? message.payload.length : 0;
    this.payloadBytes += payloadBytes;
    this.socketOverheadBytes += sizeBytes - payloadBytes + BEP_10_FRAME_BYTES;
    // Media goes in full segments, whose headers any transport pays; a small message is taken to travel alone.
    this.overheadBytes += sizeBytes - payloadBytes + (message.kind === 'piece' ? BEP_10_FRAME_BYTES : FRAME_OVERHEAD_BYTES);
    if (message.kind === 'request') this.requestMessages += 1;
  }

  /** A switch, because a look into a table by the name of the kind took 2 % of all time in a swarm of hundreds. */
  #countKind(kind: LiveMessage['kind'], sizeBytes: Bytes): void {
    switch (kind) {
      case 'map':
      case 'have':
        this.#mapBytes += sizeBytes;
        return;
      case 'subscribe':
      case 'feeding':
      case 'request':
      case 'cancel':
      case 'refuse':
        this.#requestBytes += sizeBytes;
        return;
      case 'manifest':
        this.#manifestBytes += sizeBytes;
        return;
      case 'piece':
        this.#mediaBytes += sizeBytes;
        return;
      default:
        this.#controlBytes += sizeBytes;
    }
  }
}

const BEP_10_FRAME_BYTES: Bytes = 6;

export interface SimPeerOptions {
  readonly name: string;
  readonly host: Host;
  readonly exchange: LiveExchange;
  readonly engine: LiveEngine;
  readonly joinedMs: Milliseconds;
  /** It runs the shipped code and nothing else. */
  readonly honest: boolean;
  readonly clock: Clock;
}

export class SimPeer {
  readonly name: string;
  readonly host: Host;
  readonly exchange: LiveExchange;
  readonly engine: LiveEngine;
  readonly joinedMs: Milliseconds;
  readonly honest: boolean;
  readonly #clock: Clock;
  readonly deliveries: Delivery[] = [];
  readonly links: Connection[] = [];
  readonly up = new Tally();
  readonly down = new Tally();
  /** Windows of which another publisher's different content was proven. */
  readonly conflicts: WindowNumber[] = [];
  /** The next delivery lies behind a jump. */
  hasSkipped = false;
  /** Windows jumped over. */
  skipped = 0;
  /** Names of peers this one has banned, with the reason. */
  readonly bans: { readonly name: string; readonly detail: string }[] = [];

  constructor(options: SimPeerOptions) {
    this.name = options.name;
    this.host = options.host;
    this.exchange = options.exchange;
    this.engine = options.engine;
    this.joinedMs = options.joinedMs;
    this.honest = options.honest;
    this.#clock = options.clock;
  }

  /** The exchange's own counters. */
  figures(): ReturnType<LiveExchange['figures']> {
    return this.exchange.figures(this.#clock.nowMs());
  }
}
