/**
 * What a process costs, read from Linux's `/proc`: processor time and resident memory.
 */
import { readFile } from 'node:fs/promises';

/** Linux has counted in hundredths of a second on every platform that Node runs on since 2.6. */
const TICKS_PER_SECOND = 100;
const UTIME = 11;
const STIME = 12;

export interface Usage {
  /** Percent of one core. */
  readonly cpuPercent: number;
  /** At the end of the span, mebibytes. */
  readonly residentMib: number;
}

/** Measures one process from `begin` to `end`. */
export class UsageMeter {
  readonly #pid: number;
  #cpuSeconds = 0;
  #beganMs = 0;

  constructor(pid: number) {
    this.#pid = pid;
  }

  async begin(): Promise<void> {
    this.#cpuSeconds = await cpuSeconds(this.#pid);
    this.#beganMs = performance.now();
  }

  async end(): Promise<Usage> {
    const spentSeconds = (await cpuSeconds(this.#pid)) - this.#cpuSeconds;
    const elapsedSeconds = (performance.now() - this.#beganMs) / 1000;
    return { cpuPercent: (spentSeconds / elapsedSeconds) * 100, residentMib: await residentMib(this.#pid) };
  }
}

async function cpuSeconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The second field is the program's name in brackets and may hold spaces.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[UTIME]) + Number(fields[STIME])) / TICKS_PER_SECOND;
}

async function residentMib(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN) / 1024;
}

/**
 * Time that one core spends in interrupts, from `begin` to `end`, in percent: there the kernel carries packets over loopback, and counts that for no
 * process. Other processes' packets are in it too.
 */
export class InterruptMeter {
  readonly #core: number;
  #began: CoreTimes = { interrupts: 0, all: 0 };

  constructor(core: number) {
    this.#core = core;
  }

  async begin(): Promise<void> {
    this.#began = await coreTimes(this.#core);
  }

  async end(): Promise<number> {
    const { interrupts, all } = await coreTimes(this.#core);
    return ((interrupts - this.#began.interrupts) / (all - this.#began.all)) * 100;
  }
}

interface CoreTimes {
  readonly interrupts: number;
  readonly all: number;
}

/** Of `user nice system idle iowait irq softirq steal`. */
async function coreTimes(core: number): Promise<CoreTimes> {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(await readFile('/proc/stat', 'utf8'))?.[1] ?? '';
  const times = line.trim().split(/\s+/).slice(0, 8).map(Number);
  const [, , , , , hard = 0, soft = 0] = times;
  return { interrupts: hard + soft, all: times.reduce((sum, ticks) => sum + ticks, 0) };
}
