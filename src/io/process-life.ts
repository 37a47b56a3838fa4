/**
 * The life of the process: one clean stop, whoever asks for it, bounded in time; a second signal ends it at once.
 */
import process, { exit } from 'node:process';
import type { Log } from '../kernel/ports.js';

/** What is stopped at the end. */
interface Stoppable {
  stop(): Promise<void>;
}

/** npm passes on the Ctrl+C that the terminal has sent already: two signals this close are one. */
const SAME_SIGNAL_MS = 300;
/** A stop that takes longer than this is cut short. */
const STOP_MS = 2_800;

export class ProcessLife {
  #carried: Stoppable | undefined;
  #stopping = false;
  #code = 0;
  #firstSignalMs = 0;
  readonly #ending = new AbortController();
  #unfinished: () => string | undefined = () => undefined;

  constructor(log: Log) {
    process.on('SIGINT', () => this.#onSignal());
    process.on('SIGTERM', () => this.#onSignal());
    // Nothing remote may end the process; what reaches here is our own bug, and is logged as one.
    process.on('uncaughtException', (error) => log.error('internal error', { error: error.stack ?? error.message }));
    process.on('unhandledRejection', (reason) =>
      log.error('internal error', { error: reason instanceof Error ? reason.stack : String(reason) }),
    );
  }

  /** Stops it at the end. False when the end has come already. */
  carry(stoppable: Stoppable): boolean {
    this.#carried = stoppable;
    // It came up after the signal, or after the work was done.
    if (this.#stopping) void stoppable.stop().then(() => exit(this.#code));
    return !this.#stopping;
  }

  /** Aborted when the end begins. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** Asked when a signal comes: what is not done by then, in words. It is said, and the exit code is 1. */
  whenStopped(unfinished: () => string | undefined): void {
    this.#unfinished = unfinished;
  }

  /** Stops what is carried and ends the process with this code. */
  end(code: number): void {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#code = code;
    this.#ending.abort();
    this.#firstSignalMs = performance.now();
    setTimeout(() => exit(1), STOP_MS).unref();
    if (this.#carried) void this.#carried.stop().then(() => exit(code));
    else setImmediate(() => this.#carried === undefined && exit(code));
  }

  #onSignal(): void {
    if (this.#stopping && performance.now() - this.#firstSignalMs > SAME_SIGNAL_MS) exit(130);
    if (this.#stopping) return;
    const unfinished = this.#unfinished();
    if (unfinished !== undefined) process.stderr.write(`shoal: ${unfinished}\n`);
    this.end(unfinished === undefined ? 0 : 1);
  }
}
