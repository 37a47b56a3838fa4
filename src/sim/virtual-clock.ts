/**
 * Time that only moves when told: the `Clock` of the simulator. Tasks run by time, then by the order they were scheduled in.
 *
 * A binary heap of its own, because the comparison is where a world of a thousand peers would spend its time.
 */
import type { Clock } from '../kernel/ports.js';
import type { Milliseconds } from '../kernel/units.js';

/** Something to be done at a time. A thing that waits for its time may be the task itself, so that a world of many messages makes one object of each. */
export abstract class Task {
  /** Set by the clock. */
  atMs: Milliseconds = 0;
  sequence = 0;
  abstract run(): void;
}

class Call extends Task {
  task: (() => void) | undefined;

  constructor(task: () => void) {
    super();
    this.task = task;
  }

  run(): void {
    this.task?.();
  }
}

export class VirtualClock implements Clock {
  readonly #heap: Task[] = [];
  #nowMs: Milliseconds = 0;
  #sequence = 0;
  /** Tasks whose time has come: the simulator's measure of work. */
  tasksRun = 0;

  nowMs(): Milliseconds {
    return this.#nowMs;
  }

  schedule(run: () => void, delayMs: Milliseconds): () => void {
    const call = new Call(run);
    this.put(call, delayMs);
    return () => {
      call.task = undefined;
    };
  }

  /** Like `schedule`, for what is never cancelled. */
  after(delayMs: Milliseconds, run: () => void): void {
    this.put(new Call(run), delayMs);
  }

  /** Like `after`, for what is a task itself; it must not wait for anything else meanwhile. */
  put(task: Task, delayMs: Milliseconds): void {
    task.atMs = this.#nowMs + Math.max(0, delayMs);
    task.sequence = this.#sequence++;
    this.#push(task);
  }

  /** Runs everything due up to and including `untilMs`. */
  runUntil(untilMs: Milliseconds): void {
    for (let task = this.#heap[0]; task !== undefined && task.atMs <= untilMs; task = this.#heap[0]) {
      this.#pop();
      if (task.atMs > this.#nowMs) this.#nowMs = task.atMs;
      this.tasksRun += 1;
      task.run();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #push(task: Task): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(task);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Task;
      if (!isBefore(task, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = task;
  }

  #pop(): void {
    const heap = this.#heap;
    const task = heap.pop() as Task;
    const size = heap.length;
    if (size === 0) return;
    let at = 0;
    for (let below = 1; below < size; below = 2 * at + 1) {
      if (below + 1 < size && isBefore(heap[below + 1] as Task, heap[below] as Task)) below += 1;
      const child = heap[below] as Task;
      if (!isBefore(child, task)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = task;
  }
}

function isBefore(a: Task, b: Task): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}
