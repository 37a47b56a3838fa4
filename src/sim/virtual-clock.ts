/**
 * Time that only moves when told: the `Clock` of the simulator. Tasks run by time, then by the order they were scheduled in.
 */
import { Heap } from '../kernel/heap.js';
import type { Clock } from '../kernel/ports.js';
import type { Milliseconds } from '../kernel/units.js';

interface Task {
  readonly atMs: Milliseconds;
  readonly sequence: number;
  run: (() => void) | undefined;
}

export class VirtualClock implements Clock {
  readonly #tasks = new Heap<Task>((a, b) => a.atMs - b.atMs || a.sequence - b.sequence);
  #nowMs: Milliseconds = 0;
  #sequence = 0;

  nowMs(): Milliseconds {
    return this.#nowMs;
  }

  schedule(run: () => void, delayMs: Milliseconds): () => void {
    const task: Task = { atMs: this.#nowMs + Math.max(0, delayMs), sequence: this.#sequence++, run };
    this.#tasks.push(task);
    return () => {
      task.run = undefined;
    };
  }

  /** Runs everything due up to and including `untilMs`. */
  runUntil(untilMs: Milliseconds): void {
    for (let task = this.#tasks.peek(); task && task.atMs <= untilMs; task = this.#tasks.peek()) {
      this.#tasks.pop();
      this.#nowMs = Math.max(this.#nowMs, task.atMs);
      task.run?.();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }
}
