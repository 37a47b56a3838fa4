/**
 * The figures one channel reports, once a second, to the page, to `--json` and to the progress line: one shape for all three.
 */
import type { Bytes, BytesPerSecond, Milliseconds } from '../../kernel/units.js';
import type { Pacing } from '../exchange/viewing-mode.js';

/** Bytes on the peer wire by what they carried. `media` is piece payload alone; everything else is overhead. */
export interface TrafficByKind {
  readonly media: Bytes;
  readonly manifest: Bytes;
  readonly map: Bytes;
  readonly request: Bytes;
  readonly control: Bytes;
  readonly total: Bytes;
}

/** A publisher of the channel, as the windows that were played say. */
export interface PublisherStatus {
  /** Its public key, 64 hex digits. */
  readonly key: string;
  /** Windows played that it had signed. Equal windows of several publishers count for whoever's signature came first. */
  readonly windows: number;
  /** Since the last of them. */
  readonly lastSeconds: number;
}

/** Two authorised publishers that show different content. */
export interface ConflictStatus {
  /** Public keys in hex; the first one is followed. */
  readonly publishers: readonly [string, string];
  /** The newest window of which that is known. */
  readonly window: number;
}

/** Where a station's source stands among the publishers of its channel. */
export interface AlignmentStatus {
  readonly state: 'waiting' | 'looking' | 'leading' | 'aligned' | 'standby';
  /** In words. */
  readonly detail: string;
  /** How far the source's times are moved to be those of the channel. */
  readonly offsetMs: Milliseconds;
}
/**
 * `owner`: holds the owner's key, or the channel is open. `delegated`: has a certificate that is in force. `expired`, `withdrawn`: had one, and
 * publishes no more. `none`: has none yet, or none that is valid already; a viewer needs none.
 */
export type PublishingRight = 'owner' | 'delegated' | 'expired' | 'withdrawn' | 'none';

export interface ChannelStatus {
  /** `publisher`: this process holds the source. `viewer`: it takes the channel from the swarm. */
  readonly role: 'publisher' | 'viewer';
  /** Media arrived within the last few seconds. */
  readonly live: boolean;
  /** Connected neighbours. */
  readonly peers: number;
  /**
   * For a viewer: how long a player that opened the channel at the first window could go on if nothing more came. For a publisher: media kept for
   * upload. Seconds.
   */
  readonly bufferSeconds: number;
  /** Since the start of the process. */
  readonly upBytes: TrafficByKind;
  readonly downBytes: TrafficByKind;
  readonly upBytesPerSecond: BytesPerSecond;
  readonly downBytesPerSecond: BytesPerSecond;
  /** What this process's line has been found to carry upwards, by what neighbours say of it; null while nothing speaks for a limit, and where one is configured. */
  readonly lineBytesPerSecond: BytesPerSecond | null;
  /** Part of the received media that came from peers that are not publishers, 0 to 1; null before the first piece and for a publisher. */
  readonly shareFromPeers: number | null;
  /** How far the oldest media of the newest delivered window lies behind the publisher; null for a publisher or before the first window. */
  readonly delayMs: Milliseconds | null;
  /** Windows handed to the local endpoints, or, for a publisher, windows signed. */
  readonly windowsDelivered: number;
  /** Windows given up and jumped over. */
  readonly holes: number;
  /** Windows that lacked something when they were handed on. */
  readonly inPart: number;
  /** What players that can change their speed should aim at. */
  readonly pacing: Pacing;
  /** Requests that ran into the one-shot timeout. */
  readonly timeouts: number;
  /** Local players of all kinds right now. */
  readonly players: number;
  /** Those whose signatures the played windows carried; empty for a station. */
  readonly publishers: readonly PublisherStatus[];
  /** Null while all publishers agree. */
  readonly conflict: ConflictStatus | null;
  /** Null for a viewer. */
  readonly alignment: AlignmentStatus | null;
  /** By what right this process publishes the channel. */
  readonly authority: PublishingRight;
  /** The key that windows are signed with here, 64 hex digits; null for a viewer and for an open channel. */
  readonly publisherKey: string | null;
  /** When its certificate ends, UTC, ISO 8601; null without one. */
  readonly certificateUntil: string | null;
}
