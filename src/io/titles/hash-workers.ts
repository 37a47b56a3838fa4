/**
 * SHA-1 of pieces in worker threads, so that hashing gigabytes never holds up the event loop.
 *
 * For re-checks, for making torrents, and for large pieces that have to be read back. The workers read the files themselves, so no payload
 * crosses threads. Threads start with the first job and end when idle; they keep no process alive that has nothing else to do. What goes
 * wrong with a file is a value, not a throw.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Milliseconds } from '../../kernel/units.js';
import { keepHeapSmallAgain } from '../small-heap.js';
import type { FileSpan, HashAnswer, HashFailure, HashJob } from './hashing-thread.js';

export type { FileSpan, HashFailure } from './hashing-thread.js';

export interface HashWorkersOptions {
  /** Threads at most, 1 or more. Default: 2, or 1 on two cores and less; more would only fight for the disk, and each holds 10 MB. */
  readonly workerCount?: number;
  /** How long a thread without work stays. Default: 5 s, which bridges the gaps of a download. */
  readonly idleMs?: Milliseconds;
}

interface Job extends HashJob {
  readonly settle: (outcome: Uint8Array | HashFailure) => void;
}

interface Thread {
  readonly worker: Worker;
  /** Jobs handed over and not answered. */
  readonly jobs: Map<number, Job>;
  idleTimer: NodeJS.Timeout | undefined;
}

const WORKERS_MAX_COUNT = 2;
const IDLE_MS = 5000;
/** Of a thread's heap: one buffer, which lies outside of it, and next to nothing else. */
const LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 32 };
/** One in work and one in wait: the thread never idles between two jobs, and a cancelled job is at most one too many. */
const JOBS_PER_THREAD = 2;

export class HashWorkers {
  readonly #workerCount: number;
  readonly #idleMs: Milliseconds;
  readonly #waiting: Job[] = [];
  readonly #threads = new Set<Thread>();
  #jobCount = 0;
  #isClosed = false;

  constructor({ workerCount = Math.min(WORKERS_MAX_COUNT, availableParallelism() - 1), idleMs = IDLE_MS }: HashWorkersOptions = {}) {
    this.#workerCount = Math.max(1, workerCount);
    this.#idleMs = idleMs;
  }

  /** How many jobs are worth having in the queue at once: more bring nothing, fewer leave threads idle. */
  get depth(): number {
    return this.#workerCount * JOBS_PER_THREAD;
  }

  get threadCount(): number {
    return this.#threads.size;
  }

  /** 20 bytes: the SHA-1 of the spans one after another; or why there is none. Jobs are taken in the order they came. Never rejects. */
  hashSpans(spans: readonly FileSpan[], signal?: AbortSignal): Promise<Uint8Array | HashFailure> {
    if (this.#isClosed || signal?.aborted) return Promise.resolve(cancelled(spans));
    return new Promise((resolve) => {
      const onAbort = (): void => this.#drop(job);
      const settle = (outcome: Uint8Array | HashFailure): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve(outcome);
      };
      const job: Job = { id: ++this.#jobCount, spans, settle };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(job);
      this.#handOut();
    });
  }

  /** Ends the threads; what was not hashed yet comes back as `cancelled`, and so does all that is asked later. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const job of this.#waiting.splice(0)) job.settle(cancelled(job.spans));
    await Promise.all([...this.#threads].map((thread) => this.#end(thread)));
  }

  /** A waiting job is not started; one that is being hashed goes on, but nobody hears of it. */
  #drop(job: Job): void {
    const place = this.#waiting.indexOf(job);
    if (place >= 0) this.#waiting.splice(place, 1);
    job.settle(cancelled(job.spans));
  }

  #handOut(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#freeThread();
      const job = thread && this.#waiting.shift();
      if (!job) return;
      clearTimeout(thread.idleTimer);
      thread.worker.ref();
      thread.jobs.set(job.id, job);
      thread.worker.postMessage({ id: job.id, spans: job.spans } satisfies HashJob);
    }
  }

  #freeThread(): Thread | undefined {
    const [least] = [...this.#threads].sort((a, b) => a.jobs.size - b.jobs.size);
    if (least && least.jobs.size === 0) return least;
    if (this.#threads.size < this.#workerCount) return this.#start();
    return least && least.jobs.size < JOBS_PER_THREAD ? least : undefined;
  }

  #start(): Thread {
    const worker = new Worker(new URL('./hashing-thread.js', import.meta.url), { resourceLimits: LIMITS });
    const thread: Thread = { worker, jobs: new Map(), idleTimer: undefined };
    this.#threads.add(thread);
    worker.on('online', keepHeapSmallAgain);
    worker.on('message', (answer: HashAnswer) => this.#onAnswer(thread, answer));
    worker.on('error', (error) => this.#onDeath(thread, error.message));
    worker.on('exit', () => this.#onDeath(thread, 'the hashing thread ended'));
    return thread;
  }

  #onAnswer(thread: Thread, { id, outcome }: HashAnswer): void {
    thread.jobs.get(id)?.settle(outcome);
    thread.jobs.delete(id);
    this.#handOut();
    // One that is being ended answers once more, perhaps: it must go on keeping the process alive until it has ended.
    if (thread.jobs.size > 0 || !this.#threads.has(thread)) return;
    thread.worker.unref();
    thread.idleTimer = setTimeout(() => void this.#end(thread), this.#idleMs);
    thread.idleTimer.unref();
  }

  #onDeath(thread: Thread, detail: string): void {
    clearTimeout(thread.idleTimer);
    this.#threads.delete(thread);
    for (const { spans, settle } of thread.jobs.values()) settle({ why: 'thread', path: pathOf(spans), detail });
    thread.jobs.clear();
    if (!this.#isClosed) this.#handOut();
  }

  async #end(thread: Thread): Promise<void> {
    clearTimeout(thread.idleTimer);
    this.#threads.delete(thread);
    for (const { spans, settle } of thread.jobs.values()) settle(cancelled(spans));
    thread.jobs.clear();
    // A thread that keeps no process alive would let this one end before the rest of its own end.
    thread.worker.ref();
    await thread.worker.terminate();
  }
}

/** The threads that all titles of the process share. */
export const sharedHashWorkers = new HashWorkers();

function cancelled(spans: readonly FileSpan[]): HashFailure {
  return { why: 'cancelled', path: pathOf(spans), detail: '' };
}

function pathOf(spans: readonly FileSpan[]): string {
  return spans.find(({ path }) => path !== null)?.path ?? '';
}
