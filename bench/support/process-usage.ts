/**
 * What a process costs, read from Linux's `/proc`: processor time and resident memory.
 */
import { readdir, readFile } from 'node:fs/promises';

/** Linux has counted in hundredths of a second on every platform that Node runs on since 2.6. */
const TICKS_PER_SECOND = 100;
const PARENT = 1;
const UTIME = 11;
const STIME = 12;
const WAITED_UTIME = 13;
const WAITED_STIME = 14;

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

/** Processor time of a process, of all that it has started and that runs, and of those that have ended and were waited for. */
export async function treeCpuSeconds(pid: number): Promise<number> {
  const processes = await Promise.all((await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(timesOf));
  const tree = new Set([pid]);
  for (let grown = true; grown; ) {
    const children = processes.filter((one) => tree.has(one.parent) && !tree.has(one.pid));
    for (const child of children) tree.add(child.pid);
    grown = children.length > 0;
  }
  return processes.filter((one) => tree.has(one.pid)).reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_PER_SECOND;
}

interface ProcessTimes {
  readonly pid: number;
  readonly parent: number;
  readonly ticks: number;
}

/** Of a process that has just gone: nothing. */
async function timesOf(pid: string): Promise<ProcessTimes> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = [UTIME, STIME, WAITED_UTIME, WAITED_STIME].reduce((sum, field) => sum + Number(fields[field] ?? 0), 0);
  return { pid: Number(pid), parent: Number(fields[PARENT] ?? 0), ticks };
}

/** The most that a process ever held, mapped files included, in 10^6 bytes. */
export async function peakResidentMb(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  return (Number(/^VmHWM:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN) * 1024) / 1e6;
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
