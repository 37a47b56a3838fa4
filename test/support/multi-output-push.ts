/**
 * One encoder pushed to several stations by outputs that each have a clock of their own, as OBS with several outputs: an output begins at a key frame
 * and subtracts its own first video time, so the same tag has another time at every station, and another one after every reconnect.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { classifyTag, type FlvTag, SCRIPT, VIDEO } from '../../src/media/flv.js';
import { FlvEncoder } from './flv-encoder.js';
import { type RecordedTag, recordTag } from './flv-recorder.js';
import { RtmpClient } from './rtmp-client.js';

export interface MultiOutputPushOptions {
  readonly urls: readonly string[];
  /**
   * What audio times lose: `video`: what video loses; `own`: the first audio time of the output, as OBS does, so that the tracks are shifted against
   * each other by up to a frame, otherwise at each output. Default `video`.
   */
  readonly audioOffset?: 'video' | 'own';
}

const RETRY_MS = 1_000;

export class MultiOutputPush {
  readonly #outputs: readonly Output[];
  readonly #sent: RecordedTag[] = [];
  #encoder: FlvEncoder;

  constructor(options: MultiOutputPushOptions) {
    this.#outputs = options.urls.map((url) => new Output(url, options.audioOffset ?? 'video'));
    this.#encoder = this.#startEncoder();
  }

  /** As the encoder stamped it. */
  async sentFrames(): Promise<readonly RecordedTag[]> {
    return this.#sent;
  }

  /** All outputs begin anew with it, as when the operator stops streaming and starts again. */
  async restartEncoder(): Promise<void> {
    await this.#encoder.kill();
    for (const output of this.#outputs) output.disconnect();
    this.#encoder = this.#startEncoder();
  }

  async stop(): Promise<void> {
    for (const output of this.#outputs) output.stop();
    await this.#encoder.stop();
  }

  #startEncoder(): FlvEncoder {
    const headers = new Map<string, FlvTag>();
    return new FlvEncoder({
      onTag: (tag) => {
        const { kind } = classifyTag(tag);
        if (kind === 'frame') this.#sent.push(recordTag(tag, performance.now()));
        else if (kind === 'header' || kind === 'metadata') headers.set(`${kind} ${tag.type}`, tag);
        if (kind === 'frame') for (const output of this.#outputs) output.send(tag, [...headers.values()]);
      },
    });
  }
}

class Output {
  readonly #url: URL;
  readonly #audioOffset: 'video' | 'own';
  #client: RtmpClient | undefined;
  /** Subtracted from the times of each track; undefined until the first video frame, which is a key frame, went out. */
  #videoMs: number | undefined;
  #audioMs: number | undefined;
  #isStopped = false;

  constructor(url: string, audioOffset: 'video' | 'own') {
    this.#url = new URL(url);
    this.#audioOffset = audioOffset;
    void this.#connect();
  }

  send(tag: FlvTag, headers: readonly FlvTag[]): void {
    const client = this.#client;
    if (client === undefined) return;
    if (this.#videoMs === undefined) {
      if (!classifyTag(tag).key) return;
      this.#videoMs = tag.timestampMs;
      for (const header of headers) client.tag({ ...header, timestampMs: 0 });
    }
    client.tag({ ...tag, timestampMs: Math.max(0, tag.timestampMs - this.#offsetOf(tag, this.#videoMs)) });
  }

  /** It comes back by itself. */
  disconnect(): void {
    this.#client?.destroy();
  }

  stop(): void {
    this.#isStopped = true;
    this.disconnect();
  }

  #offsetOf({ type, timestampMs }: FlvTag, videoMs: number): number {
    if (type === VIDEO || type === SCRIPT || this.#audioOffset === 'video') return videoMs;
    this.#audioMs ??= timestampMs;
    return this.#audioMs;
  }

  async #connect(): Promise<void> {
    while (!this.#isStopped) {
      const client = await this.#open().catch(() => undefined);
      if (client !== undefined) {
        this.#videoMs = this.#audioMs = undefined;
        this.#client = client;
        while (!client.isClosed) await delay(20);
        this.#client = undefined;
      }
      await delay(RETRY_MS);
    }
  }

  async #open(): Promise<RtmpClient> {
    const client = await RtmpClient.open(Number(this.#url.port));
    const code = await client.publish(this.#url.pathname.split('/').at(-1) ?? '');
    if (code === 'NetStream.Publish.Start') return client;
    client.destroy();
    throw new Error(`publishing was answered with ${code}`);
  }
}
