/**
 * One channel as the endpoints of this machine see it: where it is, how it does, and the feed that players are served from.
 */
import type { InfoHash } from '../../kernel/units.js';
import type { ChannelStatus } from './channel-status.js';
import type { TagFeed } from './tag-feed.js';

/** Addresses that a player on this machine opens; null where the channel cannot be had in that form. */
export interface WatchAddresses {
  readonly flv: string | null;
  readonly wsFlv: string | null;
  readonly rtmp: string | null;
  readonly hls: string | null;
  readonly mms: string | null;
}

export interface LocalChannel {
  /** Its name in addresses: `[A-Za-z0-9_-]+`, unique in this process. */
  readonly slug: string;
  readonly id: InfoHash;
  /** For people. */
  readonly name: string;
  /** Magnet form. */
  readonly link: string;
  /** The same for the operating system: `shoal:…`. */
  readonly shoalLink: string;
  readonly container: 'flv' | 'asf';
  readonly feed: TagFeed;
  status(): ChannelStatus;
  watch(): WatchAddresses;
}
