/** What all titles of a process share. */
import type { PeerNetwork } from '../../io/peers/peer-network.js';
import type { TitleShelf } from '../../io/titles/title-shelf.js';
import type { Log } from '../../kernel/ports.js';
import type { Rng } from '../../kernel/rng.js';
import type { TokenBucket } from '../../kernel/token-bucket.js';
import type { Line } from '../../vod/transfer/line.js';
import type { ShoalConfig } from '../config.js';
import type { PeerFinding } from './peer-finding.js';
import type { TitleEntry } from './title-entry.js';

export interface TitlesContext {
  readonly config: ShoalConfig;
  readonly log: Log;
  readonly network: PeerNetwork;
  readonly uplink: TokenBucket;
  readonly downlink: TokenBucket;
  /** What is asked for, of all titles together. */
  readonly line: Line;
  readonly shelf: TitleShelf<TitleEntry>;
  readonly rng: Rng;
  /** Announce URLs of this process's own tracker and of the configured ones. */
  readonly trackers: readonly string[];
  /** Where others reach this process, `host:port`, for links. */
  readonly peerAddresses: readonly string[];
  /** Where other machines fetch published files by HTTP, `http://192.0.2.7:8080/seed/`; null when they cannot reach the web server. */
  readonly seedBase: string | null;
  /** This process's tracker may tell of the title. */
  readonly onTitle: (id: string) => void;
  /** It has been removed: the tracker tells of it no more. */
  readonly onTitleGone: (id: string) => void;
  /** Peers of public titles beside those of the trackers. */
  readonly finding: PeerFinding;
}
