/**
 * What peers of a live channel speak: one BEP 10 extension that carries everything, and nothing of BitTorrent's own exchange.
 *
 * A peer without BEP 10 is let go at once, one that does not map the extension within 30 s.
 */
import type { Milliseconds } from '../../kernel/units.js';
import { type FrameRules, LIVE_FRAME_RULES } from './frame-guard.js';
import { LIVE_METADATA_LIMITS } from './metadata-exchange.js';
import type { PeerBearing, PeerVerdict, SwarmDialect } from './swarm-dialect.js';

/** Requests we would queue; libtorrent's default. Live swarms have none. */
const REQUEST_QUEUE_COUNT = 250;

export class LiveDialect implements SwarmDialect {
  readonly extensions: readonly string[];
  readonly metadataLimits = LIVE_METADATA_LIMITS;
  readonly fast = false;
  readonly isPrivate = false;
  readonly carriage: { readonly extension: string };
  readonly #publisher: boolean;
  readonly #unmappedMs: Milliseconds;
  readonly #onMetadata: (bytes: Uint8Array) => void;

  constructor(options: {
    readonly extension: string;
    readonly publisher: boolean;
    readonly unmappedMs: Milliseconds;
    readonly onMetadata: (bytes: Uint8Array) => void;
  }) {
    this.extensions = [options.extension];
    this.carriage = { extension: options.extension };
    this.#publisher = options.publisher;
    this.#unmappedMs = options.unmappedMs;
    this.#onMetadata = options.onMetadata;
  }

  introduction(): { readonly publisher: boolean; readonly requestQueueCount: number } {
    return { publisher: this.#publisher, requestQueueCount: REQUEST_QUEUE_COUNT };
  }

  frameRules(): FrameRules {
    return LIVE_FRAME_RULES;
  }

  judge(peer: PeerBearing): PeerVerdict {
    if (!peer.extended) return { refused: 'speaks no extensions' };
    if (peer.supports(this.carriage.extension)) return 'ready';
    return peer.ageMs >= this.#unmappedMs ? { refused: `does not speak ${this.carriage.extension}` } : 'wait';
  }

  learn(metadata: Uint8Array): undefined {
    this.#onMetadata(metadata);
    return undefined;
  }

  judgeWaiting(): undefined {
    return undefined;
  }
}
