/**
 * Whether the machine was fast enough for what was measured on it: what the measurement took of its cores, what others took, and how long its processes waited for one.
 */
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { mean } from './figures.js';
import { treeCpuSeconds } from './process-usage.js';

const TICKS_PER_SECOND = 100;
const SAMPLE_MS = 2_000;
/** Who was looked at for less says little. */
const JUDGED_MS = 5_000;

export interface MachineShare {
  /** Of all cores, 0 to 1: this process and all it started, ended ones included. */
  readonly own: number;
  /** Everything else that ran, interrupts included. */
  readonly others: number;
  /** Part of the time that the main thread of a process was ready to run and had no core, 0 to 1: mean of all processes, and the greatest. */
  readonly waiting: number;
  readonly worstWaiting: number;
}

export class MachineMeter {
  readonly #pids: () => readonly number[];
  #beganMs = 0;
  #ownSeconds = 0;
  #busySeconds = 0;
  #sampler: NodeJS.Timeout | undefined;
  #sampledMs = 0;
  #before: ReadonlyMap<number, number> = new Map();
  /** By process: how long it waited, of how long it was looked at. */
  readonly #waits = new Map<number, { waitedMs: number; ofMs: number }>();

  /** @param pids whose waiting is looked at, as long as they run. */
  constructor(pids: () => readonly number[]) {
    this.#pids = pids;
  }

  async begin(): Promise<void> {
    this.#beganMs = performance.now();
    [this.#ownSeconds, this.#busySeconds] = await Promise.all([treeCpuSeconds(process.pid), busySeconds()]);
    this.#sampledMs = performance.now();
    this.#before = await waitedMs(this.#pids());
    this.#sampler = setInterval(() => void this.#sample(), SAMPLE_MS);
  }

  async end(): Promise<MachineShare> {
    clearInterval(this.#sampler);
    await this.#sample();
    const all = ((performance.now() - this.#beganMs) / 1000) * cpus().length;
    const own = ((await treeCpuSeconds(process.pid)) - this.#ownSeconds) / all;
    const busy = ((await busySeconds()) - this.#busySeconds) / all;
    const shares = [...this.#waits.values()].filter(({ ofMs }) => ofMs >= JUDGED_MS).map(({ waitedMs, ofMs }) => waitedMs / ofMs);
    return { own, others: Math.max(0, busy - own), waiting: mean(shares), worstWaiting: Math.max(...shares) };
  }

  async #sample(): Promise<void> {
    const nowMs = performance.now();
    const [before, ofMs] = [this.#before, nowMs - this.#sampledMs];
    this.#sampledMs = nowMs;
    const now = await waitedMs(this.#pids());
    this.#before = now;
    for (const [pid, ms] of now) {
      const earlier = before.get(pid);
      if (earlier === undefined) continue;
      const wait = this.#waits.get(pid) ?? { waitedMs: 0, ofMs: 0 };
      this.#waits.set(pid, { waitedMs: wait.waitedMs + ms - earlier, ofMs: wait.ofMs + ofMs });
    }
  }
}

/** Of those that run: how long each has been ready without a core. The second figure of `schedstat`, in nanoseconds. */
async function waitedMs(pids: readonly number[]): Promise<ReadonlyMap<number, number>> {
  const texts = await Promise.all(
    pids.map(async (pid) => [pid, await readFile(`/proc/${pid}/schedstat`, 'utf8').catch(() => '')] as const),
  );
  return new Map(texts.filter(([, text]) => text !== '').map(([pid, text]) => [pid, Number(text.split(' ')[1]) / 1e6]));
}

/** Of all cores, since the machine started: `user nice system idle iowait irq softirq steal`, without idle and waiting. */
async function busySeconds(): Promise<number> {
  const [, line = ''] = /^cpu +(.*)$/m.exec(await readFile('/proc/stat', 'utf8')) ?? [];
  const [user = 0, nice = 0, system = 0, , , hard = 0, soft = 0, stolen = 0] = line.split(/\s+/).map(Number);
  return (user + nice + system + hard + soft + stolen) / TICKS_PER_SECOND;
}
