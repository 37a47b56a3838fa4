/** A Shoal process whose event loop and memory are measured while others do their worst to it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitedForCoreMs } from './core-wait.js';
import type { LoopMeasure } from './loop-meter.js';
import { temporaryFolder } from './program.js';
import { ShoalProcess, type ShoalProcessOptions } from './shoal-process.js';
import { until } from './until.js';

const METER = fileURLToPath(new URL('./loop-meter.js', import.meta.url));

export class MeasuredProcess {
  readonly shoal: ShoalProcess;
  readonly #file = join(temporaryFolder('meter'), 'measures.jsonl');

  #sinceMs = performance.now();
  #waitedBeforeMs = 0;

  constructor(words: readonly string[], options: ShoalProcessOptions = {}) {
    const env = { ...options.env, NODE_OPTIONS: `--import=${METER}`, LOOP_METER_FILE: this.#file };
    const settings = { 'log.level': 'debug', 'log.format': 'json', ...options.settings };
    this.shoal = new ShoalProcess(words, { ...options, env, settings });
  }

  /** Resolves when the next measure will be of so long at least: a hundredth of few turns is none. */
  async whenMeasuredFor(windowMs: number): Promise<void> {
    await until('the window is over', () => performance.now() - this.#sinceMs >= windowMs, windowMs + 5_000);
  }

  /** What was measured since the last time, and for how long the machine let the process wait meanwhile although it could have run. */
  async measure(): Promise<LoopMeasure & { readonly waitedMs: number }> {
    const before = this.#measures().length;
    this.shoal.signal('SIGUSR2');
    await until('the process answers the signal', () => this.#measures().length > before, 20_000);
    this.#sinceMs = performance.now();
    const waitedMs = waitedForCoreMs(this.shoal.program.pid);
    const waitedSinceMs = waitedMs - this.#waitedBeforeMs;
    this.#waitedBeforeMs = waitedMs;
    return { ...(this.#measures().at(-1) as LoopMeasure), waitedMs: waitedSinceMs };
  }

  #measures(): readonly LoopMeasure[] {
    let text = '';
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch {
      // Not written yet.
    }
    return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as LoopMeasure]));
  }
}
