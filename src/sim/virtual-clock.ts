/**
 * Time that only moves when told: the `Clock` of the simulator. Tasks run by time, then by the order they were scheduled in.
 *
 * A binary heap of its own, of plain numbers: in a world of a thousand peers ten thousand tasks wait, and to look at each one that is compared would cost more than
 * most of them do when they run.
 */
import type { Clock } from '../kernel/ports.js';
import type { Milliseconds } from '../kernel/units.js';

const FIRST_CAPACITY = 1_024;

/** Something to be done at a time. A thing that waits for its time may be the task itself, so that a world of many messages makes one object of each. */
export abstract class Task {
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
  /** The heap: when, in which order among equals, and the place of each task in `#tasks`. */
  #times = new Float64Array(FIRST_CAPACITY);
  #orders = new Float64Array(FIRST_CAPACITY);
  #places = new Int32Array(FIRST_CAPACITY);
  #size = 0;
  readonly #tasks: (Task | undefined)[] = [];
  readonly #freePlaces: number[] = [];
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
    const place = this.#freePlaces.pop() ?? this.#tasks.length;
    this.#tasks[place] = task;
    this.#push(this.#nowMs + Math.max(0, delayMs), this.#sequence++, place);
  }

  /** Runs everything due up to and including `untilMs`. */
  runUntil(untilMs: Milliseconds): void {
    while (this.#size > 0) {
      const atMs = this.#times[0] as Milliseconds;
      if (atMs > untilMs) break;
      const place = this.#places[0] as number;
      const task = this.#tasks[place];
      this.#tasks[place] = undefined;
      this.#freePlaces.push(place);
      this.#dropFirst();
      if (atMs > this.#nowMs) this.#nowMs = atMs;
      this.tasksRun += 1;
      task?.run();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #push(atMs: Milliseconds, order: number, place: number): void {
    if (this.#size === this.#times.length) this.#grow();
    const times = this.#times;
    let at = this.#size++;
    while (at > 0) {
      const above = (at - 1) >> 1;
      // It is the newest, so it comes after its equals.
      if (atMs >= (times[above] as Milliseconds)) break;
      this.#move(above, at);
      at = above;
    }
    this.#set(at, atMs, order, place);
  }

  #dropFirst(): void {
    const size = --this.#size;
    if (size === 0) return;
    const [times, orders] = [this.#times, this.#orders];
    const [atMs, order, place] = [times[size] as Milliseconds, orders[size] as number, this.#places[size] as number];
    let at = 0;
    for (let below = 1; below < size; below = 2 * at + 1) {
      if (below + 1 < size && this.#isBefore(below + 1, times[below] as Milliseconds, orders[below] as number)) below += 1;
      if (!this.#isBefore(below, atMs, order)) break;
      this.#move(below, at);
      at = below;
    }
    this.#set(at, atMs, order, place);
  }

  #isBefore(at: number, otherMs: Milliseconds, otherOrder: number): boolean {
    const atMs = this.#times[at] as Milliseconds;
    return atMs < otherMs || (atMs === otherMs && (this.#orders[at] as number) < otherOrder);
  }

  #move(from: number, to: number): void {
    this.#set(to, this.#times[from] as Milliseconds, this.#orders[from] as number, this.#places[from] as number);
  }

  #set(at: number, atMs: Milliseconds, order: number, place: number): void {
    this.#times[at] = atMs;
    this.#orders[at] = order;
    this.#places[at] = place;
  }

  #grow(): void {
    const capacity = 2 * this.#times.length;
    const [times, orders, places] = [this.#times, this.#orders, this.#places];
    this.#times = new Float64Array(capacity);
    this.#orders = new Float64Array(capacity);
    this.#places = new Int32Array(capacity);
    this.#times.set(times);
    this.#orders.set(orders);
    this.#places.set(places);
  }
}
