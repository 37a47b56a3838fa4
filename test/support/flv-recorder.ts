/** Reads FLV as a player gets it and keeps what was in it and when it came; and compares it with what a publisher sent. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { get } from 'node:http';
import { WebSocket } from 'ws';
import { Malformed } from '../../src/kernel/errors.js';
import { classifyTag, FlvParser, type FlvTag, type TagClass } from '../../src/media/flv.js';
import { until } from './until.js';

/** A tag without its bytes. */
export interface RecordedTag {
  readonly type: FlvTag['type'];
  readonly timestampMs: number;
  readonly kind: TagClass['kind'];
  readonly key: boolean;
  readonly bodyBytes: number;
  /** Of the body. */
  readonly hash: string;
  /** Time on `performance`'s clock. */
  readonly arrivedMs: number;
}

export class FlvRecorder {
  /** Everything, headers and metadata too. */
  readonly tags: RecordedTag[] = [];
  /** Coded media alone. */
  readonly frames: RecordedTag[] = [];
  readonly openedMs = performance.now();
  readonly #parser = new FlvParser();
  readonly #close: () => void;
  #fault: string | undefined;
  #isStopped = false;

  constructor(url: string) {
    this.#close = url.startsWith('ws') ? this.#openSocket(url) : this.#openHttp(url);
  }

  /** Why it ended although nobody stopped it; undefined while it goes on. */
  get fault(): string | undefined {
    return this.#fault;
  }

  async whenFrames(count: number, timeoutMs = 15_000): Promise<void> {
    const enough = (): boolean => this.frames.length >= count || this.#fault !== undefined;
    await until(`${count} frames, and there are ${this.frames.length}`, enough, timeoutMs);
    if (this.frames.length < count) throw new Error(`only ${this.frames.length} frames came: ${this.#fault}`);
  }

  stop(): void {
    this.#isStopped = true;
    this.#close();
  }

  #openHttp(url: string): () => void {
    const request = get(url, { agent: false }, (response) => {
      if (response.statusCode !== 200) this.#end(`HTTP status ${response.statusCode}`);
      response.on('data', (chunk: Buffer) => this.#take(chunk));
      response.on('close', () => this.#end('the connection was closed'));
      response.on('error', (error) => this.#end(error.message));
    });
    request.on('error', (error) => this.#end(error.message));
    return () => request.destroy();
  }

  #openSocket(url: string): () => void {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    socket.on('message', (data: Buffer) => this.#take(data));
    socket.on('close', (code, reason) => this.#end(`the socket was closed: ${code} ${reason.toString()}`));
    socket.on('error', (error) => this.#end(error.message));
    return () => socket.terminate();
  }

  #end(reason: string): void {
    if (!this.#isStopped) this.#fault ??= reason;
  }

  #take(chunk: Uint8Array): void {
    const tags = this.#parser.push(chunk);
    if (tags instanceof Malformed) {
      this.#end(tags.reason);
      return this.#close();
    }
    const arrivedMs = performance.now();
    for (const tag of tags) {
      const recorded = recordTag(tag, arrivedMs);
      this.tags.push(recorded);
      if (recorded.kind === 'frame') this.frames.push(recorded);
    }
  }
}

/** The coded media of a file. */
export async function framesOfFile(path: string): Promise<readonly RecordedTag[]> {
  const tags = new FlvParser().push(await readFile(path));
  if (tags instanceof Malformed) throw new Error(tags.reason);
  return tags.map((tag) => recordTag(tag, 0)).filter(({ kind }) => kind === 'frame');
}

/** What is kept of a tag. */
export function recordTag(tag: FlvTag, arrivedMs: number): RecordedTag {
  const { type, timestampMs, body } = tag;
  const { kind, key } = classifyTag(tag);
  return { type, timestampMs, kind, key, bodyBytes: body.length, hash: createHash('sha256').update(body).digest('hex'), arrivedMs };
}

/**
 * How the received frames differ from the published ones, in bodies, order and times, from the first received one to the last published one;
 * null when they do not.
 */
export function differenceFrom(published: readonly RecordedTag[], received: readonly RecordedTag[]): string | null {
  const [first] = received;
  if (first === undefined) return 'nothing was received';
  if (!first.key) return 'the first frame is no key frame';
  const start = published.findIndex((frame) => isSame(frame, first));
  if (start === -1) return 'the first frame was not published';
  const wanted = published.slice(start);
  const at = wanted.findIndex((frame, index) => !isSame(frame, received[index]));
  if (at !== -1) return `frame ${at} of ${wanted.length} is ${describe(received[at])}, published was ${describe(wanted[at])}`;
  return received.length === wanted.length ? null : `${received.length} frames were received, ${wanted.length} published`;
}

/** As `differenceFrom`, for a part that may end before the publisher did, and whose times may be shifted by one constant. */
export function differenceWithin(published: readonly RecordedTag[], received: readonly RecordedTag[]): string | null {
  const [first] = received;
  if (first === undefined) return 'nothing was received';
  const start = published.findIndex((frame) => frame.hash === first.hash && frame.type === first.type);
  const origin = published[start];
  if (origin === undefined) return 'the first frame was not published';
  const shiftMs = first.timestampMs - origin.timestampMs;
  const shifted = received.map((frame) => ({ ...frame, timestampMs: frame.timestampMs - shiftMs }));
  const at = shifted.findIndex((frame, index) => !isSame(frame, published[start + index]));
  return at === -1
    ? null
    : `frame ${at} of ${received.length} is ${describe(shifted[at])}, published was ${describe(published[start + at])}`;
}

/** The longest time without an arrival, from the first frame to the last. */
export function longestGapMs(frames: readonly RecordedTag[]): number {
  return frames.reduce((longest, frame, index) => Math.max(longest, frame.arrivedMs - (frames[index - 1] ?? frame).arrivedMs), 0);
}

/** How long a player that started at the first frame and never stops would have stood still: how far the feed fell behind real time since. */
export function fallenBehindMs(frames: readonly RecordedTag[]): number {
  const [first] = frames;
  if (first === undefined) return 0;
  const lagMs = (frame: RecordedTag): number => frame.arrivedMs - frame.timestampMs;
  return frames.reduce((most, frame) => Math.max(most, lagMs(frame) - lagMs(first)), 0);
}

/** The largest step back in time within a track. */
export function largestStepBackMs(frames: readonly RecordedTag[]): number {
  const latestMs = new Map<number, number>();
  let stepMs = 0;
  for (const { type, timestampMs } of frames) {
    const beforeMs = latestMs.get(type) ?? timestampMs;
    stepMs = Math.max(stepMs, beforeMs - timestampMs);
    latestMs.set(type, Math.max(beforeMs, timestampMs));
  }
  return stepMs;
}

function isSame(one: RecordedTag, other: RecordedTag | undefined): boolean {
  return other !== undefined && one.hash === other.hash && one.type === other.type && one.timestampMs === other.timestampMs;
}

function describe(frame: RecordedTag | undefined): string {
  if (frame === undefined) return 'missing';
  const track = frame.type === 9 ? 'video' : 'audio';
  return `${track}${frame.key ? ' key' : ''} at ${frame.timestampMs} ms, ${frame.bodyBytes} bytes, ${frame.hash.slice(0, 8)}`;
}
