/** How long the machine has let a process wait although it could have run: whether slowness was its own. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';

/** Of one thread, since it began; the main one unless told otherwise. The second figure of `schedstat`, in nanoseconds. */
export function waitedForCoreMs(pid: number, thread = pid): number {
  const [, waitedNanoseconds] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
  return Number(waitedNanoseconds) / 1e6;
}

/** Watches all threads of a program that will end by itself. */
export class CoreWait {
  readonly #timer: NodeJS.Timeout;
  #longestMs = 0;

  constructor(pid: number) {
    this.#timer = setInterval(() => this.#look(pid), 200);
  }

  /** How long the thread has waited that waited longest. Ends the watch. */
  longestMs(): number {
    clearInterval(this.#timer);
    return this.#longestMs;
  }

  #look(pid: number): void {
    try {
      for (const thread of readdirSync(`/proc/${pid}/task`))
        this.#longestMs = Math.max(this.#longestMs, waitedForCoreMs(pid, Number(thread)));
    } catch {
      // It has ended, or this thread of it has.
    }
  }
}
