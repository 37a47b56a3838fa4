/**
 * The machine's own monotonic clock and timers: the real world's `Clock`.
 *
 * Only `io/` and above use it; cores are handed a `Clock` or a `nowMs`. Never goes back and never jumps with the wall clock. What has arrived is read before a timer that is
 * late: whoever was kept from running would else give up answers that lie here already.
 */
import type { Clock } from '../kernel/ports.js';
import type { Milliseconds } from '../kernel/units.js';

/** The longest delay a Node timer takes; anything above would fire at once. */
const LONGEST_TIMER_MS: Milliseconds = 0x7fff_ffff;
/** So late a timer is only when something kept the whole process from running. In time they are late by 1 to 2 ms. */
const LATE_MS: Milliseconds = 10;

/** Monotonic milliseconds since the process started. A pending timer keeps the process alive until it fires or is cancelled. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  schedule(task, delayMs) {
    const waitMs = Math.min(LONGEST_TIMER_MS, Math.max(0, delayMs));
    const dueMs = performance.now() + waitMs;
    let afterReading: NodeJS.Immediate | undefined;
    const timer = setTimeout(() => {
      // Node runs all timers that are due before it looks at any socket, and immediates after that.
      if (performance.now() - dueMs > LATE_MS) afterReading = setImmediate(task);
      else task();
    }, waitMs);
    return () => {
      clearTimeout(timer);
      clearImmediate(afterReading);
    };
  },
};
