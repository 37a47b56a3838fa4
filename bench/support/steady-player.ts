/**
 * A player of constant bit rate over HTTP: reads ahead up to a limit, shows after a start-up buffer, stalls when it runs dry and goes on once the buffer stands
 * again. It checks every byte against the file.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { type ClientRequest, get, type IncomingMessage } from 'node:http';

export interface SteadyPlayerOptions {
  readonly url: string;
  /** What should come. */
  readonly path: string;
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
  readonly startBufferMs: number;
  readonly readAheadMs: number;
}

export interface PlayedFigures {
  readonly startUpMs: number;
  readonly stalls: number;
  readonly stalledMs: number;
  /** The least that lay ahead of the picture while it ran, before the end was there. */
  readonly leastBufferMs: number;
  readonly wrongBytes: number;
}

const TICK_MS = 20;

export class SteadyPlayer {
  readonly #options: SteadyPlayerOptions;
  readonly #file: number;
  readonly #request: ClientRequest;
  readonly #beganMs = performance.now();
  readonly #done: Promise<PlayedFigures>;
  #response: IncomingMessage | undefined;
  #hadBytes = 0;
  #shownBytes = 0;
  #isShowing = false;
  #tickMs = performance.now();
  #startUpMs = Number.NaN;
  #stalls = 0;
  #stalledMs = 0;
  #leastBufferMs = Number.POSITIVE_INFINITY;
  #wrongBytes = 0;

  constructor(options: SteadyPlayerOptions) {
    this.#options = options;
    this.#file = openSync(options.path, 'r');
    this.#request = get(options.url, { agent: false, headers: { range: 'bytes=0-' } });
    this.#done = new Promise((resolve, reject) => {
      this.#request.on('error', reject);
      this.#request.on('response', (response) => {
        this.#response = response;
        response.on('data', (bytes: Buffer) => this.#take(bytes));
        response.on('error', reject);
      });
      const timer = setInterval(() => {
        this.#tick();
        if (this.#shownBytes < options.totalBytes) return;
        clearInterval(timer);
        this.stop();
        resolve(this.#figures());
      }, TICK_MS);
    });
  }

  /** When the last picture has been shown. */
  get done(): Promise<PlayedFigures> {
    return this.#done;
  }

  /** For how long it has been showing pictures. */
  get shownMs(): number {
    return (this.#shownBytes * 1000) / this.#options.bytesPerSecond;
  }

  get figures(): PlayedFigures {
    return this.#figures();
  }

  stop(): void {
    this.#request.destroy();
    closeSync(this.#file);
  }

  #take(bytes: Buffer): void {
    const expected = Buffer.alloc(bytes.length);
    readSync(this.#file, expected, 0, bytes.length, this.#hadBytes);
    if (!expected.equals(bytes)) this.#wrongBytes += bytes.length;
    this.#hadBytes += bytes.length;
    this.#pace();
  }

  #pace(): void {
    const { readAheadMs, bytesPerSecond } = this.#options;
    const isFull = this.#hadBytes - this.#shownBytes > (readAheadMs * bytesPerSecond) / 1000;
    if (isFull) this.#response?.pause();
    else this.#response?.resume();
  }

  #tick(): void {
    const { bytesPerSecond, startBufferMs, totalBytes } = this.#options;
    const nowMs = performance.now();
    const tookMs = nowMs - this.#tickMs;
    this.#tickMs = nowMs;
    const isWhole = this.#hadBytes >= totalBytes;
    const bufferMs = ((this.#hadBytes - this.#shownBytes) * 1000) / bytesPerSecond;
    if (!this.#isShowing) {
      if (!Number.isNaN(this.#startUpMs)) this.#stalledMs += tookMs;
      if (bufferMs < startBufferMs && !isWhole) return;
      this.#isShowing = true;
      if (Number.isNaN(this.#startUpMs)) this.#startUpMs = nowMs - this.#beganMs;
      return;
    }
    if (!isWhole) this.#leastBufferMs = Math.min(this.#leastBufferMs, bufferMs);
    this.#shownBytes = Math.min(totalBytes, this.#hadBytes, this.#shownBytes + (tookMs * bytesPerSecond) / 1000);
    this.#pace();
    if (isWhole || this.#shownBytes < this.#hadBytes) return;
    this.#isShowing = false;
    this.#stalls += 1;
  }

  #figures(): PlayedFigures {
    return {
      startUpMs: this.#startUpMs,
      stalls: this.#stalls,
      stalledMs: this.#stalledMs,
      leastBufferMs: this.#leastBufferMs,
      wrongBytes: this.#wrongBytes,
    };
  }
}
