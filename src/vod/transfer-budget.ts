/**
 * What several titles may have of one line and one disk: what is watched comes first, everything else gets what is left.
 *
 * Line: titles that nobody watches share `max(0, min(0.5 · D, D − 1.3 · S − margin))`, with D the download over the last 10 s and S the bit rates of what is watched. They
 * get nothing at all while a watched title has less than 20 s ahead of its reader or a reader has just jumped, and afterwards come back by a tenth
 * of their share each second (algorithm sheet, section 6; the "bandwidth control" of multi-task downloading).
 *
 * Disk: only what is watched may drive something out. Pieces leave by how little they are needed: of titles nobody watches before others, of those with
 * the most seeders first, then of those longest untouched; never what a reader waits for, never of a title that is pinned or published here. What nobody
 * waits for is fetched only into room that is there, so a title larger than the quota plays within it, its urgent zone at a time.
 *
 * Pure: whoever drives it reports what is, about once a second, and does what it answers.
 */
import type { Bytes, BytesPerSecond, InfoHash, Milliseconds } from '../kernel/units.js';

/** How titles share the line; the first two are there to compare. */
export type CachingMode = 'single-task' | 'multi-task' | 'multi-task-with-control';

export interface TransferBudgetOptions {
  readonly mode: CachingMode;
  /** Left free for everything else on the line. */
  readonly marginBytesPerSecond: BytesPerSecond;
  /** Over all titles; 0: no limit. */
  readonly quotaBytes: Bytes;
}

/** One title as it is now. */
export interface TitleState {
  readonly title: InfoHash;
  /** Somebody reads it. */
  readonly isWatched: boolean;
  /** Of its readers together; 0 when unknown or nobody reads. */
  readonly readBytesPerSecond: BytesPerSecond;
  /** Ahead of the reader that has least; infinite when it has all that it will need. */
  readonly bufferMs: Milliseconds;
  /** A reader jumped and what it needs is not here yet. */
  readonly isSeeking: boolean;
  /** It has not got all that is wanted of it. */
  readonly isFetching: boolean;
  readonly downBytesPerSecond: BytesPerSecond;
}

/** One title on the disk. */
export interface TitleHolding {
  readonly title: InfoHash;
  readonly heldBytes: Bytes;
  readonly pieceLengthBytes: Bytes;
  /** Somebody reads it: it gives way last. */
  readonly isWatched: boolean;
  /** Of the whole swarm, as far as known. */
  readonly seeders: number;
  /** When somebody last read of it. */
  readonly lastReadMs: Milliseconds;
  /** Pinned by its owner, or published here: nothing of it ever leaves. */
  readonly isKept: boolean;
  /** Pieces that nobody here needs, the most dispensable first; at most `count` of them. Asked only when something has to leave. */
  dispensable(count: number): readonly number[];
}

export interface Eviction {
  readonly title: InfoHash;
  readonly pieces: readonly number[];
}

/** How fast each title may fetch what no reader waits for; null: no limit. */
export type Allowances = ReadonlyMap<InfoHash, BytesPerSecond | null>;

const DOWNLOAD_SHARE = 0.5;
const READ_FACTOR = 1.3;
const BUFFER_MIN_MS: Milliseconds = 20_000;
const REFILL_PER_SECOND = 0.1;
/** Reports come about once a second; room is dealt out as if the next were late. */
const REPORT_S = 2;
/** What is measured of the line is smoothed over this time. */
const MEASURE_MS: Milliseconds = 10_000;

export class TransferBudget {
  readonly #options: TransferBudgetOptions;
  /** How much of their share the others get: 0 after a pause, 1 when all is well. */
  #openness = 1;
  #updatedMs: Milliseconds | undefined;
  #downBytesPerSecond = 0;
  /** Under the quota, once what is awaited lies on the disk. */
  #roomBytes = Number.POSITIVE_INFINITY;

  constructor(options: TransferBudgetOptions) {
    this.#options = options;
  }

  /** Download over the last 10 s, all titles together. */
  get downBytesPerSecond(): BytesPerSecond {
    return this.#downBytesPerSecond;
  }

  /** What each title may do until the next report. */
  allot(titles: readonly TitleState[], nowMs: Milliseconds): Allowances {
    const elapsedMs = Math.max(0, nowMs - (this.#updatedMs ?? nowMs));
    this.#measure(titles, elapsedMs);
    this.#updatedMs = nowMs;
    const watched = titles.filter(({ isWatched }) => isWatched);
    const share = this.#backgroundShare(titles, watched, elapsedMs);
    const room = this.#roomFor(titles);
    return new Map(titles.map(({ title, isWatched }) => [title, isWatched ? room : lesser(share, room)]));
  }

  /** Pieces that must leave so that `incomingBytes` more, which readers wait for, fit under the quota. */
  evict(holdings: readonly TitleHolding[], incomingBytes: Bytes = 0): readonly Eviction[] {
    const { quotaBytes } = this.#options;
    if (quotaBytes === 0) return [];
    const heldBytes = holdings.reduce((sum, holding) => sum + holding.heldBytes, 0);
    let excessBytes = heldBytes + incomingBytes - quotaBytes;
    this.#roomBytes = Math.max(0, -excessBytes);
    const evictions: Eviction[] = [];
    for (const holding of holdings.filter(({ isKept }) => !isKept).sort(byNeed)) {
      if (excessBytes <= 0) return evictions;
      const pieces = holding.dispensable(Math.ceil(excessBytes / holding.pieceLengthBytes));
      if (pieces.length === 0) continue;
      evictions.push({ title: holding.title, pieces });
      excessBytes -= pieces.length * holding.pieceLengthBytes;
    }
    return evictions;
  }

  /** For each title that fetches, so that all of them together stay within the room until the next report; null: no quota. */
  #roomFor(titles: readonly TitleState[]): BytesPerSecond | null {
    if (this.#roomBytes === Number.POSITIVE_INFINITY) return null;
    return Math.floor(this.#roomBytes / Math.max(1, titles.filter(({ isFetching }) => isFetching).length) / REPORT_S);
  }

  /** For each title that nobody watches; null: as much as it can get. */
  #backgroundShare(titles: readonly TitleState[], watched: readonly TitleState[], elapsedMs: Milliseconds): BytesPerSecond | null {
    const { mode, marginBytesPerSecond } = this.#options;
    const hungry = watched.filter(({ isFetching, bufferMs }) => isFetching && bufferMs !== Number.POSITIVE_INFINITY);
    if (mode === 'multi-task') return null;
    if (mode === 'single-task') return watched.length > 0 ? 0 : null;
    const mustPause = watched.some(({ isSeeking }) => isSeeking) || hungry.some(({ bufferMs }) => bufferMs < BUFFER_MIN_MS);
    this.#openness = mustPause ? 0 : Math.min(1, this.#openness + (REFILL_PER_SECOND * elapsedMs) / 1000);
    if (mustPause) return 0;
    if (hungry.length === 0 && this.#openness === 1) return null;
    const down = this.#downBytesPerSecond;
    const read = hungry.reduce((sum, { readBytesPerSecond }) => sum + readBytesPerSecond, 0);
    const left = Math.max(0, Math.min(DOWNLOAD_SHARE * down, down - READ_FACTOR * read - marginBytesPerSecond));
    const others = titles.filter(({ isWatched, isFetching }) => !isWatched && isFetching).length;
    return Math.floor((left * this.#openness) / Math.max(1, others));
  }

  #measure(titles: readonly TitleState[], elapsedMs: Milliseconds): void {
    const now = titles.reduce((sum, { downBytesPerSecond }) => sum + downBytesPerSecond, 0);
    if (this.#updatedMs === undefined) this.#downBytesPerSecond = now;
    else this.#downBytesPerSecond += (now - this.#downBytesPerSecond) * Math.min(1, elapsedMs / MEASURE_MS);
  }
}

function lesser(a: BytesPerSecond | null, b: BytesPerSecond | null): BytesPerSecond | null {
  if (a === null) return b;
  return b === null ? a : Math.min(a, b);
}

/** What would be missed least goes first: unwatched, most seeders, longest untouched. */
function byNeed(a: TitleHolding, b: TitleHolding): number {
  return Number(a.isWatched) - Number(b.isWatched) || b.seeders - a.seeders || a.lastReadMs - b.lastReadMs || (a.title < b.title ? -1 : 1);
}
