/**
 * The parameters of the live exchange. Defaults live in `config/default.json5`; here is what each one means to the core.
 *
 * Sources: algorithm sheet 5.3 to 5.6 unless a field says otherwise; what we measured is in docs/decisions/0002-windows.md.
 */
import type { Bytes, Milliseconds } from '../../kernel/units.js';

/** Memory for one channel's buffer: 30 s at 17 Mbit/s; at higher rates the buffer gets shorter, not larger. */
export const BUFFER_BYTES: Bytes = 64 * 1024 * 1024;
/** A neighbour that says or reads nothing for this long is dropped: half a dozen whole maps are missing by then. */
export const SILENT_MS: Milliseconds = 15_000;
/** A window that is this much overdue is jumped over: a few times what the slowest neighbour may take for one piece. */
export const GIVE_UP_MS: Milliseconds = 4_000;

/** The second stage of the timeout acts once in this time (algorithm sheet 5.7). */
export const SECOND_STAGE_MS: Milliseconds = 10_000;
/** Between two reviews of the neighbours, and between two that are let go for others: a few hundred pieces tell one from another. */
export const REVIEW_MS: Milliseconds = 30_000;
/** A window may be delivered without this share of its pieces (algorithm sheet 5.8). */
export const MISSING_SHARE_MAX = 1 / 2;

export interface LiveParameters {
  /** Length of a window on the source's timeline; part of the channel's descriptor, equal for all peers. */
  readonly windowMs: Milliseconds;
  /** Size of a piece; part of the channel's descriptor, equal for all peers. */
  readonly pieceBytes: Bytes;
  /** How many windows are kept for upload and for catching up. */
  readonly bufferWindows: number;
  /** Bound on the buffer's memory, whatever the bit rate. */
  readonly bufferBytes: Bytes;
  /** Period of the scheduler when nothing happens. */
  readonly tickMs: Milliseconds;
  /** Period of the whole buffer map; announcements in between carry the changes. */
  readonly mapPeriodMs: Milliseconds;
  /** Announcements to one neighbour are gathered this long. */
  readonly haveBatchMs: Milliseconds;
  /** How many other holders are asked when a request runs into the one-shot timeout; `Infinity` asks all, as CoolFish did (`all` in a configuration). */
  readonly hedge: number;
  /** Bounds of the wait for one piece. */
  readonly waitMinMs: Milliseconds;
  readonly waitMaxMs: Milliseconds;
  /** Start this far behind the newest media if a key frame allows, so that the first hiccup does not stop the player. */
  readonly startLagMs: Milliseconds;
  /** A publisher tells each neighbour of its own share of a new window first, and of the rest after this time. */
  readonly revealMs: Milliseconds;
  /** Neighbours the core asks for. */
  readonly targetNeighbours: number;
  /** Viewers that a viewer has as neighbours at most; what publishers there are comes on top. */
  readonly maxNeighbours: number;
  /** Viewers that a publisher has as neighbours at most. */
  readonly maxViewers: number;
  /** A neighbour that says nothing for this long is dropped. */
  readonly silentMs: Milliseconds;
  /** A window that is this much overdue is jumped over if a key frame lies ahead. */
  readonly giveUpMs: Milliseconds;
  /** The second stage of the timeout acts at most once in this time; 0: never, to see what it is good for. */
  readonly secondStageMs: Milliseconds;
  /** What neighbours are good for is looked at so often; 0: never, and nobody is let go for others. */
  readonly reviewMs: Milliseconds;
  /** A window may be delivered without this share of its pieces; 0: only whole. */
  readonly missingShareMax: number;
  /**
   * Viewers whose uplink has at least this many times the bit rate send neighbours that subscribe to it what is new, unasked (decision 0014); a publisher with half of that, because it deals out one copy anyway.
   * 0: never, everything is pulled.
   */
  readonly pushRatio: number;
  /** Every request is waited for so long, whatever the neighbour's past says; 0: by its past. To see what the estimate is good for. */
  readonly fixedWaitMs: Milliseconds;
  /**
   * A deadline hedge in place of the wait times, as CDNs with peers have it: viewers are waited for until a publisher could only just send the piece in time,
   * with this margin; then a publisher is asked as well. 0: the wait times. To see what they are good for.
   */
  readonly deadlineHedgeMs: Milliseconds;
}
