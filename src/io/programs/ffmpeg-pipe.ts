/**
 * One running conversion: ffmpeg reads an address on this machine and its output comes back as bytes.
 *
 * For players that cannot take a channel as it is: started by the first such player, stopped after the last. Only loopback addresses are
 * given to ffmpeg, and it is told to open no other protocol than the one it needs.
 */
import { finished, type PassThrough } from 'node:stream';
import type { Log } from '../../kernel/ports.js';
import type { Milliseconds } from '../../kernel/units.js';
import { createFfmpeg, type FfmpegCommand, requireFfmpeg, words } from './ffmpeg.js';

export interface FfmpegPipeOptions {
  /** Address of an endpoint of this process. */
  readonly input: string;
  /** Options before the input, as one line of words. */
  readonly inputOptions: string;
  /** Codecs and container, as one line of words. */
  readonly outputOptions: string;
  /** What it is for: `the conversion to FLV needs it`. */
  readonly purpose: string;
  readonly log: Log;
  onBytes(bytes: Uint8Array): void;
  /** ffmpeg has ended although nobody stopped it, and all its bytes have been handed over. `isComplete`: without a complaint. */
  onEnd(reason: string, isComplete: boolean): void;
}

const QUIET = '-hide_banner -nostats -loglevel error';
const STOP_GRACE_MS: Milliseconds = 500;

export class FfmpegPipe {
  readonly #command: FfmpegCommand;
  readonly #output: PassThrough;
  readonly #ended: Promise<void>;
  #stopped = false;

  /** @throws ShoalError `FFMPEG_MISSING`, with the command that installs it. */
  static async start(options: FfmpegPipeOptions): Promise<FfmpegPipe> {
    return new FfmpegPipe(await requireFfmpeg(options.purpose), options);
  }

  private constructor(path: string, options: FfmpegPipeOptions) {
    this.#command = createFfmpeg(path)
      .input(options.input)
      .inputOptions(words(options.inputOptions))
      .outputOptions([...words(QUIET), ...words(options.outputOptions)]);
    this.#ended = new Promise((ended) => {
      const end = (reason: string, isComplete: boolean): void => {
        ended();
        if (!this.#stopped) options.onEnd(reason, isComplete);
      };
      // Bytes may wait to be read although ffmpeg is gone.
      this.#command.on('end', () => finished(this.#output, () => end('it came to its end', true)));
      this.#command.on('error', (error: Error) => end(error.message.slice(0, 300), false));
    });
    this.#command.on('start', () => {
      // A stop that came while fluent-ffmpeg was still asking for capabilities found nothing to kill.
      if (this.#stopped) this.#command.kill('SIGKILL');
    });
    this.#output = this.#command.pipe() as PassThrough;
    this.#output.on('data', (bytes: Buffer) => {
      if (!this.#stopped) options.onBytes(bytes);
    });
    this.#output.on('error', (error) => options.log.debug('ffmpeg output', { error: error.message }));
  }

  /** Takes no more bytes: ffmpeg stands still as soon as its pipe is full, and reads no further. */
  pause(): void {
    this.#output.pause();
  }

  resume(): void {
    this.#output.resume();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#output.resume();
    this.#command.kill('SIGTERM');
    const force = setTimeout(() => this.#command.kill('SIGKILL'), STOP_GRACE_MS);
    await this.#ended;
    clearTimeout(force);
  }
}
