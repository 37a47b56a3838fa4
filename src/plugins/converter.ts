/**
 * One conversion of a channel by ffmpeg, on demand: it runs while somebody needs it and a little longer, and starts again with back-off if it dies.
 */
import { FfmpegPipe } from '../io/programs/ffmpeg-pipe.js';
import { systemClock } from '../io/system-clock.js';
import { type Malformed, ShoalError } from '../kernel/errors.js';
import type { Log } from '../kernel/ports.js';
import type { Milliseconds } from '../kernel/units.js';

export interface ConverterOptions {
  /** For messages: `the conversion of "News" to FLV`. */
  readonly name: string;
  /** Address of an endpoint of this process to read from. */
  readonly input: () => string;
  readonly inputOptions: string;
  /** Asked for at each start. */
  readonly outputOptions: () => string;
  /** How many players need it right now. */
  readonly demand: () => number;
  readonly log: Log;
  /** A fault ends the run: what a parser lost its place in is read afresh from a new one. */
  readonly onBytes: (bytes: Uint8Array) => Malformed | undefined;
  /** Bytes that follow come from a new run. */
  readonly onStart: () => void;
}

const POLL_MS: Milliseconds = 250;
/** A player that reconnects finds it still running. */
const LINGER_MS: Milliseconds = 10_000;
const RETRY_MIN_MS: Milliseconds = 1_000;
const RETRY_MAX_MS: Milliseconds = 30_000;

export class Converter {
  readonly #options: ConverterOptions;
  readonly #poll: NodeJS.Timeout;
  #pipe: Promise<FfmpegPipe | undefined> | undefined;
  #neededMs = Number.NEGATIVE_INFINITY;
  #notBeforeMs: Milliseconds = 0;
  #retryMs: Milliseconds = RETRY_MIN_MS;
  #stopped = false;
  /** Which run may still speak: a run that was ended may have bytes and an exit on their way. */
  #run = 0;

  constructor(options: ConverterOptions) {
    this.#options = options;
    this.#poll = setInterval(() => this.#check(), POLL_MS);
  }

  get running(): boolean {
    return this.#pipe !== undefined;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#poll);
    await this.#end();
  }

  #check(): void {
    const nowMs = systemClock.nowMs();
    if (this.#options.demand() > 0) this.#neededMs = nowMs;
    const needed = nowMs - this.#neededMs < LINGER_MS;
    if (needed && !this.#pipe && nowMs >= this.#notBeforeMs) this.#pipe = this.#start();
    if (!needed && this.#pipe) void this.#end();
  }

  async #start(): Promise<FfmpegPipe | undefined> {
    const { name, input, inputOptions, outputOptions, log } = this.#options;
    this.#run += 1;
    const run = this.#run;
    this.#options.onStart();
    try {
      const pipe = await FfmpegPipe.start({
        input: input(),
        inputOptions,
        outputOptions: outputOptions(),
        purpose: `${name} needs it`,
        log,
        onBytes: (bytes) => this.#take(run, bytes),
        onEnd: (reason) => this.#failed(run, reason),
      });
      log.info(`${name} has begun`);
      return pipe;
    } catch (error) {
      this.#failed(run, error instanceof ShoalError ? error.message : String(error));
      return undefined;
    }
  }

  #take(run: number, bytes: Uint8Array): void {
    if (run !== this.#run) return;
    const fault = this.#options.onBytes(bytes);
    if (!fault) {
      this.#retryMs = RETRY_MIN_MS;
      return;
    }
    const pipe = this.#pipe;
    this.#failed(run, `ffmpeg's output is unreadable: ${fault.reason}`);
    void pipe?.then((started) => started?.stop());
  }

  #failed(run: number, reason: string): void {
    if (this.#stopped || run !== this.#run) return;
    this.#run += 1;
    this.#options.log.warn(`${this.#options.name} has ended: ${reason}`, { retryMs: this.#retryMs });
    this.#notBeforeMs = systemClock.nowMs() + this.#retryMs;
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
    this.#pipe = undefined;
  }

  async #end(): Promise<void> {
    const pipe = this.#pipe;
    this.#pipe = undefined;
    this.#run += 1;
    await (await pipe)?.stop();
  }
}
