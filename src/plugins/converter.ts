/**
 * One conversion of a channel by ffmpeg, on demand: it runs while somebody needs it and a little longer, and starts again with back-off if it dies.
 */
import { FfmpegPipe } from '../io/programs/ffmpeg-pipe.js';
import { systemClock } from '../io/system-clock.js';
import { ShoalError } from '../kernel/errors.js';
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
  readonly onBytes: (bytes: Uint8Array) => void;
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
    const { name, input, inputOptions, outputOptions, log, onBytes } = this.#options;
    this.#options.onStart();
    try {
      const pipe = await FfmpegPipe.start({
        input: input(),
        inputOptions,
        outputOptions: outputOptions(),
        purpose: `${name} needs it`,
        log,
        onBytes: (bytes) => {
          this.#retryMs = RETRY_MIN_MS;
          onBytes(bytes);
        },
        onEnd: (reason) => this.#failed(reason),
      });
      log.info(`${name} has begun`);
      return pipe;
    } catch (error) {
      this.#failed(error instanceof ShoalError ? error.message : String(error));
      return undefined;
    }
  }

  #failed(reason: string): void {
    if (this.#stopped) return;
    this.#options.log.warn(`${this.#options.name} has ended: ${reason}`, { retryMs: this.#retryMs });
    this.#notBeforeMs = systemClock.nowMs() + this.#retryMs;
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
    this.#pipe = undefined;
  }

  async #end(): Promise<void> {
    const pipe = this.#pipe;
    this.#pipe = undefined;
    await (await pipe)?.stop();
  }
}
