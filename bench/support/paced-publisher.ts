/**
 * Publishes a recording over RTMP in its own time, to several servers at once, and remembers when each tag left.
 *
 * Like an encoder it sends chunks of 4096 bytes, so that the servers' cost of reading is what it is with OBS.
 */
import { encodedTagBytes, type FlvTag } from '../../src/media/flv.js';
import { RtmpClient } from '../../test/support/rtmp-client.js';
import { bodyKey, type Recording } from './recording.js';

export interface PublishTarget {
  readonly port: number;
  /** Stream name in the application `live`. */
  readonly key: string;
}

const STEP_MS = 5;
const CHUNK_BYTES = 4_096;
const SET_CHUNK_SIZE = 1;
const VIDEO = 9;

export class PacedPublisher {
  readonly #recording: Recording;
  readonly #clients: readonly RtmpClient[];
  readonly #sentMs = new Map<string, number>();
  /** A tag with the timestamp t leaves at this time plus t, within a few milliseconds; `performance`'s clock. */
  readonly startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #keys: readonly string[];
  #next = 0;
  /** Of coded media as whole FLV tags, to each server. */
  sentBytes = 0;

  private constructor(recording: Recording, clients: readonly RtmpClient[]) {
    this.#recording = recording;
    this.#clients = clients;
    this.#keys = recording.frames.map(({ body }) => bodyKey(body));
    for (const tag of recording.headers) this.#send(tag, 0);
    this.#timer = setInterval(() => this.#step(), STEP_MS);
  }

  static async start(recording: Recording, targets: readonly PublishTarget[]): Promise<PacedPublisher> {
    const clients = await Promise.all(targets.map(openTarget));
    return new PacedPublisher(recording, clients);
  }

  /** When the newest tag with this body left; undefined for a body that is not told apart. `performance.now()` time. */
  sentMs(key: string): number | undefined {
    return this.#sentMs.get(key);
  }

  /** False once a server has hung up. */
  get isConnected(): boolean {
    return this.#clients.every((client) => !client.isClosed);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const client of this.#clients) client.destroy();
  }

  #step(): void {
    const { frames, lengthMs, timesByBody } = this.#recording;
    const mediaMs = performance.now() - this.startedMs;
    for (;;) {
      const index = this.#next % frames.length;
      const frame = frames[index];
      const key = this.#keys[index];
      if (!frame || !key) return;
      const timestampMs = frame.timestampMs + Math.floor(this.#next / frames.length) * lengthMs;
      if (timestampMs > mediaMs) return;
      if (timesByBody.has(key)) this.#sentMs.set(key, performance.now());
      this.#send(frame, timestampMs);
      this.sentBytes += encodedTagBytes(frame);
      this.#next += 1;
    }
  }

  #send(tag: FlvTag, timestampMs: number): void {
    const bytes = encodeChunks(tag, timestampMs);
    for (const client of this.#clients) client.send(bytes);
  }
}

async function openTarget({ port, key }: PublishTarget): Promise<RtmpClient> {
  const client = await RtmpClient.open(port);
  const code = await client.publish(key);
  if (code !== 'NetStream.Publish.Start') throw new Error(`publishing was answered with ${code}`);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(CHUNK_BYTES);
  client.message({ type: SET_CHUNK_SIZE, body: size, chunkStream: 2, streamId: 0 });
  return client;
}

/** A format-0 chunk and the format-3 chunks behind it. Measurements are shorter than the 4.6 hours after which a time needs more room. */
function encodeChunks({ type, body }: FlvTag, timestampMs: number): Buffer {
  const chunkStream = type === VIDEO ? 5 : 4;
  const header = Buffer.alloc(12);
  header[0] = chunkStream;
  header.writeUIntBE(timestampMs, 1, 3);
  header.writeUIntBE(body.length, 4, 3);
  header[7] = type;
  header.writeUInt32LE(1, 8);
  const parts: Uint8Array[] = [header, body.subarray(0, CHUNK_BYTES)];
  for (let offset = CHUNK_BYTES; offset < body.length; offset += CHUNK_BYTES) {
    parts.push(Uint8Array.of(0xc0 | chunkStream), body.subarray(offset, offset + CHUNK_BYTES));
  }
  return Buffer.concat(parts);
}
