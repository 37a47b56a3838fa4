/**
 * The stream in substreams: every piece belongs to one, and a viewer can have each fed to it by another neighbour, unasked.
 *
 * As in GridMedia and in CoolStreaming after its first version. Neighbouring pieces of a window fall into different ones, and so do the first pieces of
 * windows that follow each other, so each carries about as much as the others, whatever the number of pieces in a window.
 */
import type { PieceIndex, WindowNumber } from '../../kernel/units.js';

/** With fewer a lost feeder is missed more; with more each has so few pieces that it is found out late. */
export const SUBSTREAMS = 6;

/** A set of substreams, a bit for each. */
export type SubstreamSet = number;

export const NO_SUBSTREAMS: SubstreamSet = 0;
export const ALL_SUBSTREAMS: SubstreamSet = (1 << SUBSTREAMS) - 1;

/** 0 to `SUBSTREAMS` - 1. */
export function substreamOf(window: WindowNumber, piece: PieceIndex): number {
  return (window + piece) % SUBSTREAMS;
}

export function hasSubstream(set: SubstreamSet, substream: number): boolean {
  return (set & (1 << substream)) !== 0;
}

export function countSubstreams(set: SubstreamSet): number {
  let count = 0;
  for (let substream = 0; substream < SUBSTREAMS; substream++) if (hasSubstream(set, substream)) count += 1;
  return count;
}

/** What a peer says of its part in feeding. */
export interface FeedStatus {
  /** It would feed these to the neighbour that it tells this. */
  readonly offered: SubstreamSet;
  /** These are fed to it. */
  readonly fed: SubstreamSet;
  /** How many feeders, one feeding the next, lie between it and a publisher, by substream, the publisher counted; `DEPTH_UNKNOWN` where it is pulled somewhere on the way. */
  readonly depths: readonly number[];
}

/** Depths travel in half a byte each. */
export const DEPTH_UNKNOWN = 15;

export const NO_FEED: FeedStatus = {
  offered: NO_SUBSTREAMS,
  fed: NO_SUBSTREAMS,
  depths: new Array<number>(SUBSTREAMS).fill(DEPTH_UNKNOWN),
};

/** Of a publisher. */
export const SOURCE_DEPTHS: readonly number[] = new Array<number>(SUBSTREAMS).fill(0);
