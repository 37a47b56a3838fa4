/**
 * Shares line and disk among all titles of the library, once a second: reports what is to the `TransferBudget`, does what it answers, and keeps the
 * statistics of what that is worth to whoever watches.
 */
import type { Log } from '../../kernel/ports.js';
import type { Bytes, BytesPerSecond, InfoHash, Milliseconds } from '../../kernel/units.js';
import { CachingStatistics } from '../../vod/caching-statistics.js';
import { type CachingMode, TransferBudget } from '../../vod/transfer-budget.js';
import type { Title } from './title.js';
import type { ReadingObservation } from './title-reading.js';
import type { CachingView } from './title-view.js';

export interface TitleBudgetOptions {
  readonly caching: CachingMode;
  readonly quotaBytes: Bytes;
}

/** What a reader will want within this time has its place on the disk kept. */
const AWAITED_MS: Milliseconds = 10_000;
const AWAITED_BYTES_MAX: Bytes = 64 * 1024 * 1024;
const AWAITED_PIECES_MIN = 2;
/** A limit is said again when it falls, or has grown by so much. */
const GROWTH = 1.1;
/** A player that waits less than this for more bytes lives on what it has. */
const STALL_MS: Milliseconds = 500;

interface Account {
  readonly downBytes: Bytes;
  readonly upBytes: Bytes;
  readonly fromSeedersBytes: Bytes;
  readonly atMs: Milliseconds;
}

export class TitleBudget {
  readonly #options: TitleBudgetOptions;
  readonly #log: Log;
  readonly #budget: TransferBudget;
  readonly #statistics = new CachingStatistics();
  /** As of the last review; gone with the session it counts. */
  readonly #accounts = new WeakMap<object, Account>();
  readonly #allowed = new WeakMap<object, BytesPerSecond | null>();
  readonly #evicting = new Set<InfoHash>();

  constructor(options: TitleBudgetOptions, log: Log) {
    this.#options = options;
    this.#log = log;
    const { caching, quotaBytes } = options;
    this.#budget = new TransferBudget({ mode: caching, marginBytesPerSecond: 0, quotaBytes });
  }

  get figures(): CachingView {
    const { caching } = this.#options;
    return { mode: caching, ...this.#statistics.figures(caching) };
  }

  /** A player got its first bytes, had to wait, or got bytes. */
  observe(observation: ReadingObservation, isFirst: boolean): void {
    const { caching } = this.#options;
    switch (observation.kind) {
      case 'first-bytes':
        return this.#statistics.delayed(caching, isFirst ? 'start-up' : 'jump', observation.delayMs);
      case 'waited':
        if (observation.forMs >= STALL_MS) this.#statistics.stalled(caching, observation.forMs);
        return;
      case 'gave':
        return this.#statistics.moved(caching, {
          readBytes: observation.bytes,
          readHereBytes: observation.wasHere ? observation.bytes : 0,
        });
    }
  }

  /** About once a second. */
  review(titles: readonly Title[], nowMs: Milliseconds): void {
    const active = titles.filter(({ transfer }) => transfer !== undefined);
    const states = active.map((title) => this.#stateOf(title, nowMs));
    this.#makeRoom(titles);
    const allowances = this.#budget.allot(states, nowMs);
    for (const title of active) this.#allow(title, allowances.get(title.infoHash) ?? null);
  }

  #stateOf(title: Title, nowMs: Milliseconds): Parameters<TransferBudget['allot']>[0][number] {
    const figures = title.transfer?.session.figures();
    const { bytesPerSecond, bufferMs } = title.playing;
    return {
      title: title.infoHash,
      isWatched: title.readerCount > 0,
      readBytesPerSecond: bytesPerSecond,
      bufferMs,
      isSeeking: figures?.isSeeking ?? false,
      isFetching: (figures?.piecesMissing ?? 0) > 0,
      downBytesPerSecond: this.#book(title, nowMs),
    };
  }

  /** @returns how fast it came since the last review. */
  #book(title: Title, nowMs: Milliseconds): BytesPerSecond {
    const session = title.transfer?.session;
    if (session === undefined) return 0;
    const { downBytes, upBytes, fromSeedersBytes } = session.figures();
    const before = this.#accounts.get(session);
    this.#accounts.set(session, { downBytes, upBytes, fromSeedersBytes, atMs: nowMs });
    const grownBytes = downBytes - (before?.downBytes ?? 0);
    this.#statistics.moved(this.#options.caching, {
      downBytes: grownBytes,
      upBytes: upBytes - (before?.upBytes ?? 0),
      fromSeedersBytes: fromSeedersBytes - (before?.fromSeedersBytes ?? 0),
    });
    return before === undefined ? 0 : (grownBytes * 1000) / Math.max(1, nowMs - before.atMs);
  }

  #allow(title: Title, bulkBytesPerSecond: BytesPerSecond | null): void {
    const { transfer } = title;
    if (transfer === undefined) return;
    const said = this.#allowed.get(transfer) ?? null;
    const isSettled = said !== null && bulkBytesPerSecond !== null && bulkBytesPerSecond <= said * GROWTH && bulkBytesPerSecond >= said;
    if (said === bulkBytesPerSecond || isSettled) return;
    this.#allowed.set(transfer, bulkBytesPerSecond);
    transfer.command({ kind: 'allow', bulkBytesPerSecond });
  }

  #makeRoom(titles: readonly Title[]): void {
    if (this.#options.quotaBytes === 0) return;
    const holdings = titles.flatMap((title) => holdingOf(title) ?? []);
    const awaitedBytes = titles.reduce((sum, title) => sum + awaitedBytesOf(title), 0);
    for (const { title: id, pieces } of this.#budget.evict(holdings, awaitedBytes)) {
      const title = titles.find(({ infoHash }) => infoHash === id);
      if (title) void this.#evict(title, pieces);
    }
  }

  async #evict(title: Title, pieces: readonly number[]): Promise<void> {
    if (this.#evicting.has(title.infoHash)) return;
    this.#evicting.add(title.infoHash);
    try {
      await title.evict(pieces);
      this.#log.debug('pieces gave way to what is watched', { title: title.infoHash, pieces: pieces.length });
    } catch (error) {
      this.#log.warn('pieces could not be removed to make room', { title: title.infoHash, reason: String(error) });
    } finally {
      this.#evicting.delete(title.infoHash);
    }
  }
}

function holdingOf(title: Title): Parameters<TransferBudget['evict']>[0][number] | undefined {
  const { metainfo, have, transfer, entry } = title;
  if (metainfo === undefined || have === undefined) return undefined;
  // What is published lies where its owner put it, and is no part of what Shoal takes for itself.
  if (entry.published) return undefined;
  const figures = transfer?.session.figures();
  const pieces = have.count + (figures?.piecesBegun ?? 0);
  return {
    title: title.infoHash,
    heldBytes: Math.min(metainfo.totalBytes, pieces * metainfo.pieceLengthBytes),
    pieceLengthBytes: metainfo.pieceLengthBytes,
    isWatched: title.readerCount > 0,
    seeders: figures?.seeders ?? 0,
    lastReadMs: Date.parse(entry.usedAt),
    isKept: !entry.cached || entry.pinned,
    dispensable: (count) => title.dispensable(count),
  };
}

/** What its readers will want soon, whether or not it is here: the room is kept. */
function awaitedBytesOf(title: Title): Bytes {
  const { metainfo, transfer, readerCount } = title;
  if (metainfo === undefined || transfer === undefined || readerCount === 0) return 0;
  const missingBytes = transfer.session.figures().piecesMissing * metainfo.pieceLengthBytes;
  const soonBytes = Math.max(
    AWAITED_PIECES_MIN * readerCount * metainfo.pieceLengthBytes,
    (title.playing.bytesPerSecond * AWAITED_MS) / 1000,
  );
  return Math.min(missingBytes, soonBytes, AWAITED_BYTES_MAX);
}
