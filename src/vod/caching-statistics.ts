/**
 * What caching one title, several, and several with bandwidth control are worth to whoever watches: kept apart by mode, to be compared.
 *
 * Measures of the algorithm sheet, section 6: share ratio, source load, start-up, jump delay, stalls. Bounded: the last thousand delays of each kind.
 */
import type { Bytes, Milliseconds } from '../kernel/units.js';
import type { CachingMode } from './transfer-budget.js';

const DELAYS_MAX = 1_000;

export interface CachingFigures {
  readonly startUps: number;
  readonly startUpMs: Milliseconds | null;
  readonly jumps: number;
  readonly jumpMs: Milliseconds | null;
  readonly stalls: number;
  readonly stalledMs: Milliseconds;
  /** Sent by received; null before anything was received. */
  readonly shareRatio: number | null;
  /** The part of what was received that came from seeders. */
  readonly sourceRatio: number | null;
  /** The part of what was read that had been here before it was needed; null before anything was read. */
  readonly hitRatio: number | null;
}

/** Bytes moved or read since the last report. */
export interface CachingTraffic {
  readonly upBytes?: Bytes;
  readonly downBytes?: Bytes;
  readonly fromSeedersBytes?: Bytes;
  readonly readBytes?: Bytes;
  readonly readHereBytes?: Bytes;
}

class ModeRecord {
  readonly delaysMs = { 'start-up': [] as Milliseconds[], jump: [] as Milliseconds[] };
  readonly counts = { 'start-up': 0, jump: 0, stalls: 0 };
  readonly bytes = { upBytes: 0, downBytes: 0, fromSeedersBytes: 0, readBytes: 0, readHereBytes: 0 };
  stalledMs: Milliseconds = 0;
}

export class CachingStatistics {
  readonly #records = new Map<CachingMode, ModeRecord>();

  /** The first byte came so long after it was asked for: at the start of a title, or after a jump. */
  delayed(mode: CachingMode, kind: 'start-up' | 'jump', delayMs: Milliseconds): void {
    const { delaysMs, counts } = this.#of(mode);
    counts[kind] += 1;
    delaysMs[kind].push(delayMs);
    if (delaysMs[kind].length > DELAYS_MAX) delaysMs[kind].shift();
  }

  /** A reader ran dry for so long. */
  stalled(mode: CachingMode, forMs: Milliseconds): void {
    const record = this.#of(mode);
    record.counts.stalls += 1;
    record.stalledMs += forMs;
  }

  moved(mode: CachingMode, traffic: CachingTraffic): void {
    const { bytes } = this.#of(mode);
    for (const key of Object.keys(bytes) as (keyof CachingTraffic)[]) bytes[key] += traffic[key] ?? 0;
  }

  figures(mode: CachingMode): CachingFigures {
    const { delaysMs, counts, bytes, stalledMs } = this.#of(mode);
    return {
      startUps: counts['start-up'],
      startUpMs: median(delaysMs['start-up']),
      jumps: counts.jump,
      jumpMs: median(delaysMs.jump),
      stalls: counts.stalls,
      stalledMs,
      shareRatio: ratio(bytes.upBytes, bytes.downBytes),
      sourceRatio: ratio(bytes.fromSeedersBytes, bytes.downBytes),
      hitRatio: ratio(bytes.readHereBytes, bytes.readBytes),
    };
  }

  #of(mode: CachingMode): ModeRecord {
    const record = this.#records.get(mode) ?? new ModeRecord();
    this.#records.set(mode, record);
    return record;
  }
}

function ratio(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}

function median(values: readonly number[]): number | null {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? null;
}
