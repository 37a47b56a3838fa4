/**
 * Header and packets of one ASF channel for the MMS players of this machine: one subscription to the swarm, any number of players.
 *
 * It promises every player whole packets as the source sent them, numbered without gaps, and a joiner a burst to fill its buffer with,
 * from a key frame on where the packets tell. A new header ends the epoch: players cannot take one in mid-stream (protocols sheet, fact 15),
 * so whoever serves them must end their connections. Memory is bounded by `historyBytes`. Source: protocols sheet 1.6.
 */
import { sameBytes } from '../../kernel/bytes.js';
import { Malformed } from '../../kernel/errors.js';
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import { type AsfHeader, parseAsfHeader, servableAsfHeader } from '../../media/asf-header.js';
import { parseAsfPacket } from '../../media/asf-packet.js';

/** A packet as it goes to players. */
export interface AsfFeedPacket {
  /** For players: counts up by 1 from 0 over the life of the feed and wraps at 2^32, whatever was lost on the way here. */
  readonly number: number;
  /** The packet's number in the source. */
  readonly locationId: number;
  /** As received, short if its padding was stripped. */
  readonly payload: Uint8Array;
  readonly key: boolean;
  /** Time on the feed's own clock: grows with the send times, stands still where those go back or jump. */
  readonly timeMs: Milliseconds;
}

/** The header in force. */
export interface AsfFeedHeader {
  /** Mended for players; what an MMS session sends. */
  readonly bytes: Uint8Array;
  readonly parsed: AsfHeader;
}

/** Called in order and at once, from inside `push` and `setHeader`. A listener may unsubscribe at any time. */
export interface AsfFeedListener {
  onPacket(packet: AsfFeedPacket): void;
  /** Another epoch: nothing that comes now can be played with the header before. */
  onHeader?(header: AsfFeedHeader): void;
  /** Nothing more comes. */
  onEnd?(): void;
}

/** What a joiner gets first. */
export interface AsfPrelude {
  readonly header: AsfFeedHeader;
  readonly packets: readonly AsfFeedPacket[];
}

export interface AsfFeedOptions {
  /** Media kept for joiners. Default 12 s: a burst of 5 s behind a key frame in a 5 s group of pictures, and some. */
  readonly historyMs?: Milliseconds;
  /** Default 8 MiB: 12 s at 5 Mbit/s. */
  readonly historyBytes?: Bytes;
}

const HISTORY_MS: Milliseconds = 12_000;
const HISTORY_BYTES: Bytes = 8 * 1024 * 1024;
/** What a held packet costs beyond its payload, roughly; keeps a flood of empty ones inside the bound. */
const PACKET_COST_BYTES: Bytes = 160;
/** A burst is as long as the preroll, within these. */
const BURST_MIN_MS: Milliseconds = 2_000;
const BURST_MAX_MS: Milliseconds = 5_000;
/** A key frame this much farther back than the burst needs is still worth the delay it adds. */
const KEY_DETOUR_MS: Milliseconds = 3_000;
/** A larger step of the send time is no passing of time. */
const STEP_MAX_MS: Milliseconds = 10_000;

export class AsfFeed {
  readonly #historyMs: Milliseconds;
  readonly #historyBytes: Bytes;
  readonly #listeners = new Set<AsfFeedListener>();
  #source: Uint8Array | undefined;
  #header: AsfFeedHeader | undefined;
  #held: AsfFeedPacket[] = [];
  #heldBytes: Bytes = 0;
  #nextNumber = 0;
  #packetCount = 0;
  #mediaBytes: Bytes = 0;
  #timeMs: Milliseconds = 0;
  #highestSendMs: Milliseconds | undefined;

  constructor(options: AsfFeedOptions = {}) {
    this.#historyMs = options.historyMs ?? HISTORY_MS;
    this.#historyBytes = options.historyBytes ?? HISTORY_BYTES;
  }

  /** Undefined until the channel's header is known; no player can be served before. */
  get header(): AsfFeedHeader | undefined {
    return this.#header;
  }

  /** Packets handed out since the start. */
  get packetCount(): number {
    return this.#packetCount;
  }

  /** Bytes of packets handed out since the start. */
  get mediaBytes(): Bytes {
    return this.#mediaBytes;
  }

  /** How much media is held, in time. */
  get heldMs(): Milliseconds {
    const oldest = this.#held[0];
    return oldest === undefined ? 0 : this.#timeMs - oldest.timeMs;
  }

  subscribe(listener: AsfFeedListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begins an epoch. The same bytes again change nothing; `Malformed` leaves everything as it was. */
  setHeader(bytes: Uint8Array): Malformed | undefined {
    if (this.#source !== undefined && sameBytes(this.#source, bytes)) return undefined;
    const source = new Uint8Array(bytes);
    const parsed = parseAsfHeader(source);
    if (parsed instanceof Malformed) return parsed;
    this.#source = source;
    this.#header = { bytes: servableAsfHeader(bytes, parsed), parsed };
    this.#held = [];
    this.#heldBytes = 0;
    this.#highestSendMs = undefined;
    for (const listener of [...this.#listeners]) listener.onHeader?.(this.#header);
    return undefined;
  }

  /** Takes the next packet of the epoch. `isKey`: it holds the beginning of a key frame, as the window's marks say. */
  push(locationId: number, payload: Uint8Array, isKey: boolean): void {
    if (this.#header === undefined) return;
    const { packetBytes } = this.#header.parsed;
    // Every client takes a longer packet for a fatal fault.
    if (payload.length > packetBytes) return;
    this.#advance(payload, packetBytes);
    const packet: AsfFeedPacket = { number: this.#nextNumber, locationId, payload, key: isKey, timeMs: this.#timeMs };
    this.#nextNumber = (this.#nextNumber + 1) >>> 0;
    this.#packetCount += 1;
    this.#mediaBytes += payload.length;
    this.#held.push(packet);
    this.#heldBytes += payload.length + PACKET_COST_BYTES;
    this.#trim();
    for (const listener of [...this.#listeners]) listener.onPacket(packet);
  }

  /** Says that nothing more comes; the players are sent away. */
  end(): void {
    for (const listener of [...this.#listeners]) listener.onEnd?.();
  }

  /**
   * What a joiner gets first: the header, and the newest packets from a key packet on that lies about a preroll (2 to 5 s) back, so that its
   * buffer is full at once. Where none lies near, from a newer or else an older one; without any, from any packet that far back.
   * Undefined before the first header.
   */
  prelude(): AsfPrelude | undefined {
    if (this.#header === undefined) return undefined;
    return { header: this.#header, packets: this.#held.slice(this.#startIndex(this.#header.parsed.prerollMs)) };
  }

  #startIndex(prerollMs: Milliseconds): number {
    const burstMs = Math.min(BURST_MAX_MS, Math.max(BURST_MIN_MS, prerollMs));
    const wantedMs = this.#timeMs - burstMs;
    const before = this.#held.findLastIndex((packet) => packet.key && packet.timeMs <= wantedMs);
    if (before >= 0 && (this.#held[before]?.timeMs ?? 0) >= wantedMs - KEY_DETOUR_MS) return before;
    const after = this.#held.findIndex((packet) => packet.key && packet.timeMs > wantedMs);
    if (after >= 0) return after;
    const any = this.#held.findLastIndex((packet) => packet.timeMs <= wantedMs);
    return before >= 0 ? before : Math.max(0, any);
  }

  #advance(payload: Uint8Array, packetBytes: Bytes): void {
    const packet = parseAsfPacket(payload, packetBytes);
    if (packet instanceof Malformed) return;
    const { sendMs } = packet;
    const highest = this.#highestSendMs ?? sendMs;
    const stepMs = sendMs - highest;
    // Interleaved tracks make send times swing to and fro (VLC), so only a new highest one lets time pass.
    if (stepMs > 0 && stepMs <= STEP_MAX_MS) this.#timeMs += stepMs;
    this.#highestSendMs = Math.abs(stepMs) > STEP_MAX_MS ? sendMs : Math.max(highest, sendMs);
  }

  #trim(): void {
    let count = 0;
    while (count < this.#held.length - 1 && (this.#heldBytes > this.#historyBytes || this.#isTooOld(count))) {
      this.#heldBytes -= (this.#held[count]?.payload.length ?? 0) + PACKET_COST_BYTES;
      count += 1;
    }
    if (count > 0) this.#held.splice(0, count);
  }

  #isTooOld(index: number): boolean {
    return this.#timeMs - (this.#held[index]?.timeMs ?? 0) > this.#historyMs;
  }
}
