/**
 * The numbers of a title's session: each with its unit, its reason and its source.
 */
import type { Bytes, Milliseconds } from '../../kernel/units.js';

/** In which order pieces are fetched. The simulator compares them; the product is `needed-first`. */
export type PickStrategy = 'needed-first' | 'rarest-first' | 'sequential';

export interface TransferParameters {
  readonly strategy: PickStrategy;
  /** What a reader needs within this time is urgent. Class "urgent" of the algorithm sheet, section 9: 10 s. */
  readonly urgentMs: Milliseconds;
  /** An urgent zone is never longer than this: what is held in flight and re-requested must stay small. */
  readonly urgentBytesMax: Bytes;
  /** A reader of unknown speed: a film of 4 Mbit/s. */
  readonly readerBytesPerSecond: number;
  /** A player that takes nothing has so much in hand, at least: what browsers keep of a paused film. */
  readonly idleMs: Milliseconds;
  /** How much of the future is asked of a neighbour at once beyond the round trip, while nobody reads. */
  readonly bulkQueueMs: Milliseconds;
  /** The same while somebody reads: what is on its way can't be called back, and the next seek waits behind it. */
  readonly watchedQueueMs: Milliseconds;
  /** So long after the last reader another is expected. */
  readonly watchedMs: Milliseconds;
  /** Requests in flight to one neighbour: libtorrent's `max_out_request_queue`. */
  readonly requestsMax: number;
  /** Blocks handed to the store and not written yet. Above it nothing more is asked for. */
  readonly unstoredBytesMax: Bytes;
  /** The same, with what is asked for and may come at any moment: below what the store takes at once (four times 16 MiB). */
  readonly heldBytesMax: Bytes;
  /** Pieces begun for later beyond one for each neighbour. */
  readonly spareRows: number;
  /** How often stalled requests are looked for. */
  readonly watchMs: Milliseconds;
  /** HAVE messages leave together after this time at the latest. */
  readonly newsMs: Milliseconds;
  /** Priorities, choking and seeding limits are reviewed this often. */
  readonly reviewMs: Milliseconds;
  /** Copies that were asked for and came twice, as a share of all blocks: with what is free at the beginning, and late ones, at most 3 % (issue). */
  readonly duplicateRatio: number;
  /** Connections wished for. */
  readonly neighboursWanted: number;
}

export const TRANSFER_PARAMETERS: TransferParameters = {
  strategy: 'needed-first',
  urgentMs: 10_000,
  urgentBytesMax: 64 * 1024 * 1024,
  readerBytesPerSecond: 512 * 1024,
  idleMs: 10_000,
  bulkQueueMs: 300,
  watchedQueueMs: 80,
  watchedMs: 60_000,
  requestsMax: 500,
  unstoredBytesMax: 4 * 1024 * 1024,
  heldBytesMax: 48 * 1024 * 1024,
  spareRows: 4,
  watchMs: 100,
  newsMs: 100,
  reviewMs: 2_000,
  duplicateRatio: 0.01,
  neighboursWanted: 40,
};
