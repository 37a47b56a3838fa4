/**
 * What the peers of one swarm speak: the part in which live channels and torrents differ, as the swarm sees it.
 *
 * The swarm finds peers, keeps connections and exchanges metadata for either; the dialect names the extensions and frames and decides when
 * a peer is ready for the core.
 */
import type { Malformed } from '../../kernel/errors.js';
import type { Milliseconds } from '../../kernel/units.js';
import type { ExtendedHandshake } from './extended-handshake.js';
import type { FrameRules } from './frame-guard.js';
import type { MetadataLimits } from './metadata-exchange.js';
import type { PeerConnection } from './peer-connection.js';

/** What is known of a peer when it is to be judged. */
export interface PeerBearing {
  /** Whether it speaks BEP 10. */
  readonly extended: boolean;
  /** Its extended handshake, or a frame, has come. */
  readonly heard: boolean;
  /** The extensions it maps now. */
  supports(extension: string): boolean;
  /** Since its handshake. */
  readonly ageMs: Milliseconds;
}

/** `wait` for more of it, hand it over as soon as the metadata is known, or let it go. */
export type PeerVerdict = 'wait' | 'ready' | { readonly refused: string };

export interface SwarmDialect {
  /** Our extensions beside metadata and peer exchange, in the order of their ids. */
  readonly extensions: readonly string[];
  readonly metadataLimits: MetadataLimits;
  /** Whether we offer the fast extension. */
  readonly fast: boolean;
  /** Whether peers may be found by other means than the tracker (BEP 27). */
  readonly isPrivate: boolean;
  /** What the extended handshake says beside port, name and metadata. */
  introduction(): Pick<ExtendedHandshake, 'publisher' | 'uploadOnly' | 'requestQueueCount'>;
  frameRules(fast: boolean): FrameRules;
  judge(peer: PeerBearing): PeerVerdict;
  /** How the core's messages go onto this wire. */
  readonly carriage: 'frames' | { readonly extension: string };
  /** The metadata has been fetched and hashes rightly; `Malformed` when it is of no use all the same. */
  learn(metadata: Uint8Array): Malformed | undefined;
  /** The metadata is known: judges what a peer has sent before. A text says what is wrong. */
  judgeWaiting(connection: PeerConnection): string | undefined;
}
