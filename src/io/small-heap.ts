/**
 * A small heap for processes whose payload passes by outside of it.
 *
 * A title goes through by the gigabyte in memory that is used again (`block-memory.ts`); what litter lies around it on the heap is small but lives for
 * milliseconds, and V8's own bounds (16 MiB for what is young, half as much again before it looks at what is old) would let it pile up to 40 MB. V8
 * heeds these two at any time, the young generation only as long as it has not grown: so this is called before anything else is loaded. The
 * price is a tenth of the processor time of a transfer.
 */
import { setFlagsFromString } from 'node:v8';

let isWanted = false;

/** From now on, for the rest of the process. */
export function keepHeapSmall(): void {
  isWanted = true;
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=10');
}

/** A thread has started: V8 puts the bound of the young generation right for the whole process then, to its own liking. */
export function keepHeapSmallAgain(): void {
  if (isWanted) keepHeapSmall();
}
