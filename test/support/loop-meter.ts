/**
 * Loaded into a Shoal process by `--import`: measures how late its event loop runs, and how much memory the process takes.
 *
 * At SIGUSR2 a line goes to the file named by LOOP_METER_FILE, with what was measured since the last one.
 */
import { appendFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 1;
const file = process.env['LOOP_METER_FILE'];

export interface LoopMeasure {
  /** 99 of 100 turns came less late than this. */
  readonly p99Ms: number;
  readonly mostMs: number;
  readonly turns: number;
  readonly rssBytes: number;
}

if (file !== undefined) {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  process.on('SIGUSR2', () => {
    const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
    const measure: LoopMeasure = {
      p99Ms: late(delays.percentile(99)),
      mostMs: late(delays.max),
      turns: delays.count,
      rssBytes: process.memoryUsage.rss(),
    };
    delays.reset();
    appendFileSync(file, `${JSON.stringify(measure)}\n`);
  });
}
