/**
 * The machine's own monotonic clock and timers: the real world's `Clock`.
 *
 * Only `io/` and above use it; cores are handed a `Clock` or a `nowMs`. Never goes back and never jumps with the wall clock.
 */
import type { Clock } from '../kernel/ports.js';

/** The longest delay a Node timer takes; anything above would fire at once. */
const LONGEST_TIMER_MS = 0x7fff_ffff;

/** Monotonic milliseconds since the process started. A pending timer keeps the process alive until it fires or is cancelled. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  schedule(task, delayMs) {
    const timer = setTimeout(task, Math.min(LONGEST_TIMER_MS, Math.max(0, delayMs)));
    return () => clearTimeout(timer);
  },
};
