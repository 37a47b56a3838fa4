/**
 * How far publishers of one channel agree, by what each said of the windows it made: pieces made, compared and equal, per pair.
 *
 * A window that either made is compared when it came while the other was at work, wherever the other's numbers were: so a publisher that numbers the
 * same media otherwise counts as unequal, not as incomparable. At work means between a margin after its first window of a run and a margin before
 * its last one. A piece is equal when both have it with the same hash at the same place of the window of the same number.
 */
import type { MadeWindow } from './piece-collector.js';

export interface PieceCount {
  readonly compared: number;
  readonly equal: number;
}

export interface PairCount extends PieceCount {
  readonly one: number;
  readonly other: number;
  /** Numbers of windows, of either, with a piece that the other lacks or has otherwise; the first few. */
  readonly differing: readonly number[];
}

/** Two publishers of one source are this far apart at most when they announce the same window, whatever they do in between. */
const MARGIN_MS = 2_500;
const DIFFERING_MAX = 12;

/** Every pair once. */
export function compareAll(publishers: readonly (readonly MadeWindow[])[]): readonly PairCount[] {
  return publishers.flatMap((windows, one) =>
    publishers.slice(one + 1).map((others, index) => comparePair(one, windows, one + 1 + index, others)),
  );
}

export function sumOfPairs(pairs: readonly PieceCount[]): PieceCount {
  const add = (sum: PieceCount, { compared, equal }: PieceCount): PieceCount => ({
    compared: sum.compared + compared,
    equal: sum.equal + equal,
  });
  return pairs.reduce(add, { compared: 0, equal: 0 });
}

/** Pieces in all windows, of all runs. */
export function countPieces(windows: readonly MadeWindow[]): number {
  return windows.reduce((sum, { pieces }) => sum + pieces.length, 0);
}

export function comparePair(one: number, ofOne: readonly MadeWindow[], other: number, ofOther: readonly MadeWindow[]): PairCount {
  const [mine, theirs] = [byNumber(ofOne), byNumber(ofOther)];
  const numbers = new Set([...comparable(ofOne, ofOther), ...comparable(ofOther, ofOne)].map(({ number }) => number));
  const differing: number[] = [];
  let [compared, equal] = [0, 0];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const [pieces, others] = [mine.get(number)?.pieces ?? [], theirs.get(number)?.pieces ?? []];
    const same = pieces.filter((hash, index) => hash === others[index]).length;
    const most = Math.max(pieces.length, others.length);
    compared += most;
    equal += same;
    if (same < most) differing.push(number);
  }
  return { one, other, compared, equal, differing: differing.slice(0, DIFFERING_MAX) };
}

function byNumber(windows: readonly MadeWindow[]): ReadonlyMap<number, MadeWindow> {
  return new Map(windows.map((window) => [window.number, window]));
}

/** What one made while the other was at work. */
function comparable(windows: readonly MadeWindow[], others: readonly MadeWindow[]): readonly MadeWindow[] {
  const spans = workingSpans(others);
  return windows.filter(({ arrivedMs }) => spans.some(([startMs, endMs]) => arrivedMs >= startMs && arrivedMs <= endMs));
}

/** From when to when each run of the publisher was surely at work. */
function workingSpans(windows: readonly MadeWindow[]): readonly (readonly [startMs: number, endMs: number])[] {
  const runs = new Map<number, number[]>();
  for (const { run, arrivedMs } of windows) runs.set(run, [...(runs.get(run) ?? []), arrivedMs]);
  return [...runs.values()].map((times) => [(times[0] ?? 0) + MARGIN_MS, (times.at(-1) ?? 0) - MARGIN_MS]);
}
