/**
 * A window of which something is missing, and what a container makes of it: the shapes that menders of all containers share.
 */
import type { Bytes } from '../kernel/units.js';

/** A run of missing bytes; never empty. */
export interface Gap {
  readonly offsetBytes: Bytes;
  readonly lengthBytes: Bytes;
}

export interface HoledWindow {
  /** Of the window's full size, with zeros in the gaps. */
  readonly bytes: Uint8Array;
  /** In ascending order; no two touch. */
  readonly gaps: readonly Gap[];
  /** Where key frames begin (for ASF: the packets in which they do), ascending. */
  readonly keyOffsets: readonly Bytes[];
}

/** A window that players can take: shorter by what was lost. */
export interface MendedWindow {
  readonly bytes: Uint8Array;
  /** The same key frames, where they begin now. */
  readonly keyOffsets: readonly Bytes[];
  /** Where in `bytes` something is missing right before; its length when that is at the end. Ascending. */
  readonly lossOffsets: readonly Bytes[];
}

/** @returns undefined where the window is worth nothing with these gaps: a codec's header or a key frame lies in one. */
export type WindowMender = (window: HoledWindow) => MendedWindow | undefined;

/** A run of bytes that stays; `end` is exclusive. */
export interface KeptRun {
  readonly start: Bytes;
  readonly end: Bytes;
}

/** The first gap that reaches beyond `offset`; undefined when all from there on is here. */
export function gapFrom(gaps: readonly Gap[], offset: Bytes): Gap | undefined {
  return gaps.find(({ offsetBytes, lengthBytes }) => offsetBytes + lengthBytes > offset);
}

/** Whether every byte of [start, end) is here. */
export function isWhole(gaps: readonly Gap[], start: Bytes, end: Bytes): boolean {
  const gap = gapFrom(gaps, start);
  return gap === undefined || gap.offsetBytes >= end;
}

/** Puts the runs together. Every key offset has to be the start of a run. */
export function joinRuns(window: HoledWindow, runs: readonly KeptRun[]): MendedWindow {
  const bytes = new Uint8Array(runs.reduce((sum, { start, end }) => sum + end - start, 0));
  const keyOffsets: Bytes[] = [];
  const lossOffsets: Bytes[] = [];
  const keys = new Set(window.keyOffsets);
  let offset = 0;
  let read = 0;
  for (const { start, end } of runs) {
    if (start > read) lossOffsets.push(offset);
    if (keys.has(start)) keyOffsets.push(offset);
    bytes.set(window.bytes.subarray(start, end), offset);
    offset += end - start;
    read = end;
  }
  if (read < window.bytes.length) lossOffsets.push(offset);
  return { bytes, keyOffsets, lossOffsets };
}
