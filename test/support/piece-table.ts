/**
 * How far publishers of one channel agree, by what each said of the windows it made: pieces made, compared and equal, per pair.
 *
 * A window of one counts as compared when it came while the other was at work, wherever the other's numbers were: so a publisher that numbers the
 * same media otherwise counts as unequal, not as incomparable. At work means between a margin after its first window of a run and a margin before
 * its last one. Equal means: the other has a piece with the same hash at the same place of the window of the same number.
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

function comparePair(one: number, ofOne: readonly MadeWindow[], other: number, ofOther: readonly MadeWindow[]): PairCount {
  const there = compareOneWay(ofOne, ofOther);
  const back = compareOneWay(ofOther, ofOne);
  const differing = [...new Set([...there.differing, ...back.differing])].sort((a, b) => a - b).slice(0, DIFFERING_MAX);
  return { one, other, compared: there.compared + back.compared, equal: there.equal + back.equal, differing };
}

function compareOneWay(
  windows: readonly MadeWindow[],
  others: readonly MadeWindow[],
): PieceCount & { readonly differing: readonly number[] } {
  const spans = workingSpans(others);
  const known = new Map(others.map((window) => [window.number, window]));
  const comparable = windows.filter(({ arrivedMs }) => spans.some(([startMs, endMs]) => arrivedMs >= startMs && arrivedMs <= endMs));
  const equalOf = ({ number, pieces }: MadeWindow): number =>
    pieces.filter((hash, index) => known.get(number)?.pieces[index] === hash).length;
  return {
    compared: countPieces(comparable),
    equal: comparable.reduce((sum, window) => sum + equalOf(window), 0),
    differing: comparable.filter((window) => equalOf(window) < window.pieces.length).map(({ number }) => number),
  };
}

/** From when to when each run of the publisher was surely at work. */
function workingSpans(windows: readonly MadeWindow[]): readonly (readonly [startMs: number, endMs: number])[] {
  const runs = new Map<number, number[]>();
  for (const { run, arrivedMs } of windows) runs.set(run, [...(runs.get(run) ?? []), arrivedMs]);
  return [...runs.values()].map((times) => [(times[0] ?? 0) + MARGIN_MS, (times.at(-1) ?? 0) - MARGIN_MS]);
}
