/**
 * Sends one feed to all MMS players of a channel: packets are framed once for each kind of player and written together.
 *
 * It promises: a joiner gets the prelude and then every packet, none twice; a player that does not read costs at most `queueBytesMax`, or what
 * the channel sent in 10 s if that is less, loses whole packets, and is sent away when it does not recover; the others never notice.
 * A new header or the end of the feed ends every player, because no open player survives a stream change. One write per packet and
 * player is most of what such a server costs, so packets wait `flushMs` for company.
 */
import type { Log } from '../../kernel/ports.js';
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import { encodeMmsPacket, type Framing, type MmsChannel } from '../../relay/endpoints/mms-player.js';

/** A packet for players. */
export interface MmsFeedPacket {
  /** Grows by 1 and wraps at 2^32: what players see as LocationId. */
  readonly number: number;
  readonly payload: Uint8Array;
}

/** What a channel must offer to be served; `AsfFeed` does. */
export interface MmsFeed {
  /** Undefined until it is known. */
  readonly header: { readonly bytes: Uint8Array } | undefined;
  /** What a joiner gets first, the newest packet included. */
  prelude(): { readonly packets: readonly MmsFeedPacket[] } | undefined;
  subscribe(listener: { onPacket(packet: MmsFeedPacket): void; onHeader?(): void; onEnd?(): void }): () => void;
}

/** The face of one player's connection. */
export interface MmsOutlet {
  /** Undefined while it may not be sent packets. */
  readonly framing: Framing | undefined;
  readonly queuedBytes: Bytes;
  write(bytes: Uint8Array): void;
  /** The stream is over: says so in the player's protocol, and closes. */
  end(): void;
  destroy(): void;
}

export interface MmsBroadcastOptions {
  readonly log: Log;
  readonly flushMs: Milliseconds;
  readonly queueBytesMax: Bytes;
  /** A player that does not read for this long is closed. */
  readonly overfullMsMax: Milliseconds;
}

/** Cumulative figures of one channel. */
export interface MmsBroadcastCounts {
  readonly players: number;
  /** Times that a player lost packets for not reading. */
  readonly drops: number;
  /** Players closed for not reading. */
  readonly closedSlow: number;
}

interface Player {
  /** Since when its queue is over the bound; null while it is not. */
  overfullSinceMs: Milliseconds | null;
  /** Whether it gets packets; an overfull one gets none until half of its queue is gone. */
  isLive: boolean;
  /** Added to the bound until the prelude, which comes all at once, has left. */
  startBytes: Bytes;
}

/** The age that a queue may reach, counted as bytes that the channel sent in this time. */
const QUEUE_MS_MAX: Milliseconds = 10_000;
const QUEUE_BYTES_MIN: Bytes = 256 * 1024;
/** A player that has asked for the header comes back for the stream within this. */
const ASKED_MS: Milliseconds = 2_000;
const TICK_MS: Milliseconds = 1_000;
/** What framing adds to a packet at most. */
const FRAMING_BYTES: Bytes = 12;

export class MmsBroadcast implements MmsChannel {
  readonly #feed: MmsFeed;
  readonly #options: MmsBroadcastOptions;
  readonly #players = new Map<MmsOutlet, Player>();
  #unsubscribe: (() => void) | undefined;
  #pending: MmsFeedPacket[] = [];
  #flushTimer: NodeJS.Timeout | undefined;
  #tickTimer: NodeJS.Timeout | undefined;
  /** Bytes sent in each of the last ten seconds, the current one last. */
  #sentBytes: Bytes[] = [0];
  #askedMs = Number.NEGATIVE_INFINITY;
  #drops = 0;
  #closedSlow = 0;

  constructor(feed: MmsFeed, options: MmsBroadcastOptions) {
    this.#feed = feed;
    this.#options = options;
  }

  get counts(): MmsBroadcastCounts {
    return { players: this.#players.size, drops: this.#drops, closedSlow: this.#closedSlow };
  }

  header(): Uint8Array | null {
    const bytes = this.#feed.header?.bytes ?? null;
    this.#askedMs = performance.now();
    return bytes;
  }

  /** Somebody plays, or has just asked for the header in order to play. */
  get wanted(): boolean {
    return this.#players.size > 0 || performance.now() - this.#askedMs < ASKED_MS;
  }

  /** Lets a player in, or starts it over: prelude first. Must not be called from inside the feed's `onPacket`. */
  admit(outlet: MmsOutlet): void {
    this.#begin();
    // Or the prelude would bring pending packets a second time.
    this.#flush();
    const player: Player = { overfullSinceMs: null, isLive: true, startBytes: 0 };
    this.#players.set(outlet, player);
    const { framing } = outlet;
    const packets = this.#feed.prelude()?.packets ?? [];
    if (framing === undefined || packets.length === 0) return;
    const bytes = encodePackets(framing, packets);
    player.startBytes = outlet.queuedBytes + bytes.length;
    outlet.write(bytes);
  }

  leave(outlet: MmsOutlet): void {
    if (this.#players.delete(outlet) && this.#players.size === 0) this.#pause();
  }

  /** Ends every player and lets go of the feed. */
  stop(): void {
    this.#flush();
    for (const outlet of [...this.#players.keys()]) outlet.end();
    this.#players.clear();
    this.#pause();
  }

  #begin(): void {
    this.#unsubscribe ??= this.#feed.subscribe({
      onPacket: (packet) => this.#take(packet),
      onHeader: () => this.stop(),
      onEnd: () => this.stop(),
    });
    this.#tickTimer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  #pause(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    clearTimeout(this.#flushTimer);
    clearInterval(this.#tickTimer);
    this.#flushTimer = undefined;
    this.#tickTimer = undefined;
    this.#pending = [];
    this.#sentBytes = [0];
  }

  #take(packet: MmsFeedPacket): void {
    this.#pending.push(packet);
    this.#flushTimer ??= setTimeout(() => this.#flush(), this.#options.flushMs);
  }

  #flush(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    const packets = this.#pending;
    if (packets.length === 0) return;
    this.#pending = [];
    this.#countSent(packets);
    const queueBytesMax = this.#queueBytesMax();
    const byFraming = new Map<Framing, Uint8Array>();
    for (const [outlet, player] of this.#players) {
      const { framing } = outlet;
      if (framing === undefined) continue;
      const bytes = byFraming.get(framing) ?? encodePackets(framing, packets);
      byFraming.set(framing, bytes);
      this.#send(outlet, player, bytes, queueBytesMax);
    }
  }

  #send(outlet: MmsOutlet, player: Player, bytes: Uint8Array, queueBytesMax: Bytes): void {
    const { queuedBytes } = outlet;
    if (queuedBytes === 0) player.startBytes = 0;
    const boundBytes = queueBytesMax + player.startBytes;
    // Once over the bound it must get well below it: a hole of a second is less of a nuisance than ten of a tenth.
    if (!player.isLive && queuedBytes <= boundBytes / 2) player.isLive = true;
    if (player.isLive && queuedBytes + bytes.length <= boundBytes) {
      player.overfullSinceMs = null;
      outlet.write(bytes);
      return;
    }
    if (player.isLive) this.#drops += 1;
    player.isLive = false;
    player.overfullSinceMs ??= performance.now();
  }

  /** What the channel sends in ten seconds, within bounds. */
  #queueBytesMax(): Bytes {
    const recentBytes = this.#sentBytes.reduce((sum, bytes) => sum + bytes, 0);
    const perSecond = recentBytes / this.#sentBytes.length;
    const allowedBytes = (perSecond * QUEUE_MS_MAX) / 1000;
    return Math.min(this.#options.queueBytesMax, Math.max(QUEUE_BYTES_MIN, allowedBytes));
  }

  #countSent(packets: readonly MmsFeedPacket[]): void {
    const bytes = packets.reduce((sum, { payload }) => sum + FRAMING_BYTES + payload.length, 0);
    this.#sentBytes[this.#sentBytes.length - 1] = (this.#sentBytes.at(-1) ?? 0) + bytes;
  }

  #tick(): void {
    this.#sentBytes.push(0);
    if (this.#sentBytes.length > QUEUE_MS_MAX / TICK_MS) this.#sentBytes.shift();
    const { overfullMsMax } = this.#options;
    const nowMs = performance.now();
    for (const [outlet, { overfullSinceMs }] of this.#players) {
      if (overfullSinceMs === null || nowMs - overfullSinceMs < overfullMsMax) continue;
      this.#closedSlow += 1;
      this.#options.log.info('MMS player closed: it did not read for too long', { queuedBytes: outlet.queuedBytes });
      outlet.destroy();
    }
  }
}

function encodePackets(framing: Framing, packets: readonly MmsFeedPacket[]): Uint8Array {
  return Buffer.concat(packets.map(({ number, payload }) => encodeMmsPacket(framing, number, payload)));
}
