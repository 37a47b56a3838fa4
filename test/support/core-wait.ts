/** How long the machine has let a process wait although it could have run: whether slowness was its own. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';

const LOOK_MS = 200;
/** Looks within which a wait counts as one. */
const LOOKS = 5;

/** Of one thread, since it began; the main one unless told otherwise. The second figure of `schedstat`, in nanoseconds. */
export function waitedForCoreMs(pid: number, thread = pid): number {
  const [, waitedNanoseconds] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
  return Number(waitedNanoseconds) / 1e6;
}

/** Watches all threads of a program until told to stop. */
export class CoreWait {
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;
  /** By thread: what it had waited at each of the latest looks. */
  readonly #looks = new Map<string, number[]>();
  #longestMs = 0;

  constructor(pid: number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** How long any thread had to wait within one second, at most. */
  stop(): number {
    clearInterval(this.#timer);
    return this.#longestMs;
  }

  #look(): void {
    for (const thread of threadsOf(this.#pid)) {
      const waits = this.#looks.get(thread) ?? [];
      this.#looks.set(thread, waits);
      try {
        waits.push(waitedForCoreMs(this.#pid, Number(thread)));
      } catch {
        // It has ended meanwhile.
        continue;
      }
      if (waits.length > LOOKS + 1) waits.shift();
      this.#longestMs = Math.max(this.#longestMs, (waits.at(-1) ?? 0) - (waits[0] ?? 0));
    }
  }
}

function threadsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}
