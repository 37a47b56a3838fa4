/**
 * A tiny RTMP client for tests, ordinary by default and as rude as a test wants it to be.
 *
 * It can be stopped at any step: a bare connection, a handshake, a session. `send` takes any bytes at all.
 */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Malformed } from '../../src/kernel/errors.js';
import { type AmfValue, decodeAmf0 } from '../../src/media/amf0.js';
import type { FlvTag } from '../../src/media/flv.js';
import { RtmpChunkReader, type RtmpMessage } from '../../src/media/rtmp-chunk-reader.js';

/** A message as a test writes it down. Defaults: chunk stream 3, message stream 1, time 0. */
export interface OutgoingMessage {
  readonly type: number;
  readonly body: Uint8Array;
  readonly timestampMs?: number;
  readonly chunkStream?: number;
  readonly streamId?: number;
  /** Data in one chunk; the receiver must have been told of another one than the default, 128. */
  readonly chunkBytes?: number;
}

const HANDSHAKE_BYTES = 1 + 1536 + 1536;
const WAIT_MS = 5000;
const COMMAND = 20;
const CHUNK_STREAM = 3;
const CHUNK_BYTES = 128;

export class RtmpClient {
  /** Whole messages received, in order. */
  readonly messages: RtmpMessage[] = [];
  isClosed = false;
  receivedBytes = 0;
  readonly #socket: Socket;
  readonly #reader = new RtmpChunkReader({ messageBytesMax: 16 * 1024 * 1024, memoryBytesMax: 64 * 1024 * 1024 });

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => this.#onData(bytes));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isClosed = true;
    });
  }

  /** A TCP connection, and nothing said. */
  static async connect(port: number): Promise<RtmpClient> {
    const socket = createConnection({ host: '127.0.0.1', port });
    await once(socket, 'connect');
    return new RtmpClient(socket);
  }

  /** Handshake done, nothing else. */
  static async shake(port: number): Promise<RtmpClient> {
    const client = await RtmpClient.connect(port);
    client.send(handshakeBytes());
    await client.waitUntil(() => client.receivedBytes >= HANDSHAKE_BYTES, 'the handshake');
    return client;
  }

  /** Connected to an app, with a stream to publish on or to play. */
  static async open(port: number, app = 'live'): Promise<RtmpClient> {
    const client = await RtmpClient.shake(port);
    client.command('connect', 1, connectOptions(app));
    client.command('createStream', 2, null);
    await client.waitUntil(() => client.commands('_result').length === 2, 'connect and createStream');
    return client;
  }

  /** Publishes and waits for the answer, whose code it returns. */
  publish(name: string): Promise<string> {
    this.command('publish', 3, null, name, 'live');
    return this.status();
  }

  play(name: string): Promise<string> {
    this.command('play', 3, null, name);
    return this.status((code) => code !== 'NetStream.Play.Reset');
  }

  send(bytes: Uint8Array): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }

  message(message: OutgoingMessage): void {
    this.send(encodeMessage(message));
  }

  command(...values: readonly AmfValue[]): void {
    this.message({ type: COMMAND, body: encodeAmf0(values) });
  }

  tag(tag: FlvTag): void {
    this.message({ type: tag.type, timestampMs: tag.timestampMs, body: tag.body, chunkStream: 4 + (tag.type === 9 ? 1 : 0) });
  }

  /** Commands received by name, decoded. */
  commands(name: string): readonly (readonly AmfValue[])[] {
    return this.messages
      .filter(({ type }) => type === COMMAND)
      .map(({ body }) => decodeAmf0(body))
      .filter((values): values is readonly AmfValue[] => !(values instanceof Malformed) && values[0] === name);
  }

  /** The code of the first `onStatus` that `accepts` it. */
  async status(accepts: (code: string) => boolean = () => true): Promise<string> {
    const codes = (): readonly string[] =>
      this.commands('onStatus')
        .map((values) => statusCode(values[3]))
        .filter(accepts);
    await this.waitUntil(() => codes().length > 0, 'a status');
    return codes()[0] ?? '';
  }

  /** Media received: types 8, 9 and 18, without the access message that every player gets. */
  get tags(): readonly RtmpMessage[] {
    return this.messages.filter(
      ({ type, body }) => type === 8 || type === 9 || (type === 18 && !Buffer.from(body).includes('SampleAccess')),
    );
  }

  async waitUntil(condition: () => boolean, what: string): Promise<void> {
    await waitUntil(() => condition() || this.isClosed, what);
    if (!condition()) throw new Error(`the connection closed while waiting for ${what}`);
  }

  waitClosed(): Promise<void> {
    return waitUntil(() => this.isClosed, 'the connection to close');
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #onData(bytes: Buffer): void {
    const shakenBytes = Math.min(bytes.length, Math.max(0, HANDSHAKE_BYTES - this.receivedBytes));
    this.receivedBytes += bytes.length;
    const malformed = this.#reader.push(bytes.subarray(shakenBytes), (message) => {
      this.messages.push(message);
      return undefined;
    });
    if (malformed !== undefined) throw new Error(`the server sent malformed chunks: ${malformed.reason}`);
  }
}

/** Polls a condition; fails with its name when it stays false. */
export async function waitUntil(condition: () => boolean, what: string, timeoutMs = WAIT_MS): Promise<void> {
  for (const endMs = performance.now() + timeoutMs; !condition(); await delay(5)) {
    if (performance.now() > endMs) throw new Error(`waited ${timeoutMs} ms for ${what}`);
  }
}

/** C0, C1 and C2 in one piece. */
export function handshakeBytes(): Uint8Array {
  const bytes = new Uint8Array(HANDSHAKE_BYTES).fill(7);
  bytes[0] = 3;
  return bytes;
}

export function connectOptions(app: string): AmfValue {
  return new Map([
    ['app', app],
    ['tcUrl', `rtmp://127.0.0.1/${app}`],
  ]);
}

function statusCode(info: AmfValue): string {
  const code = info instanceof Map ? info.get('code') : undefined;
  return typeof code === 'string' ? code : '';
}

/** One message as a format-0 chunk and the format-3 chunks that it needs. */
export function encodeMessage(message: OutgoingMessage): Uint8Array {
  const { type, body, timestampMs = 0, chunkStream = CHUNK_STREAM, streamId = 1, chunkBytes = CHUNK_BYTES } = message;
  const header = Buffer.alloc(12);
  header[0] = chunkStream;
  header.writeUIntBE(Math.min(timestampMs, 0xffffff), 1, 3);
  header.writeUIntBE(body.length, 4, 3);
  header[7] = type;
  header.writeUInt32LE(streamId, 8);
  const extended = Buffer.alloc(timestampMs >= 0xffffff ? 4 : 0);
  if (extended.length > 0) extended.writeUInt32BE(timestampMs);
  const parts: Uint8Array[] = [header, extended, body.subarray(0, chunkBytes)];
  for (let offset = chunkBytes; offset < body.length; offset += chunkBytes) {
    parts.push(Uint8Array.of(0xc0 | chunkStream), extended, body.subarray(offset, offset + chunkBytes));
  }
  return Buffer.concat(parts);
}

/** AMF0 for numbers, booleans, strings, null, objects (`Map`) and strict arrays. */
export function encodeAmf0(values: readonly AmfValue[]): Uint8Array {
  return Buffer.concat(values.map(encodeValue));
}

function encodeValue(value: AmfValue): Uint8Array {
  if (value === null) return Uint8Array.of(5);
  if (value === undefined) return Uint8Array.of(6);
  if (typeof value === 'boolean') return Uint8Array.of(1, value ? 1 : 0);
  if (typeof value === 'string') return Buffer.concat([Uint8Array.of(2), encodeText(value)]);
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(9);
    bytes.writeDoubleBE(value, 1);
    return bytes;
  }
  if (value instanceof Map) {
    const members = [...value].flatMap(([key, member]) => [encodeText(key), encodeValue(member)]);
    return Buffer.concat([Uint8Array.of(3), ...members, Uint8Array.of(0, 0, 9)]);
  }
  const items = value as readonly AmfValue[];
  return Buffer.concat([Uint8Array.of(0x0a, 0, 0, items.length >> 8, items.length & 0xff), ...items.map(encodeValue)]);
}

function encodeText(text: string): Uint8Array {
  const bytes = Buffer.from(text);
  return Buffer.concat([Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
}
