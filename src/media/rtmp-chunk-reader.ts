/**
 * Reads RTMP messages out of a chunk stream, as one side receives it after the handshake.
 *
 * For hostile bytes: message length, number of chunk streams and the memory of all unfinished messages are bounded, and memory grows with the
 * bytes that really arrive, not with the length that a header claims. Timestamps wrap modulo 2^32. Set Chunk Size and Abort are obeyed here;
 * everything else is handed over. Source: RTMP 1.0, section 5.3; protocols sheet 4.3 and 6.4.
 *
 * | chunk    | size        | field                                                                          |
 * |----------|-------------|--------------------------------------------------------------------------------|
 * | basic    | 1, 2, 3     | format (2 bits), chunk stream: 2 to 63, or 0: u8 + 64, or 1: u16 LE + 64        |
 * | message  | 11, 7, 3, 0 | u24 time or step [0 1 2], u24 length and u8 type [0 1], u32 LE stream id [0]    |
 * | extended | 0, 4        | u32, when the u24 time is 0xffffff, also in the format-3 chunks that follow     |
 * | data     | n           | at most a chunk size of the message                                             |
 */
import { Malformed } from '../kernel/errors.js';
import type { Bytes, Milliseconds } from '../kernel/units.js';

/** One whole message. `body` belongs to the receiver. */
export interface RtmpMessage {
  readonly type: number;
  /** 0 to 2^32 − 1. */
  readonly timestampMs: Milliseconds;
  readonly streamId: number;
  readonly body: Uint8Array;
}

/** Takes a message; what it returns was wrong with it, and ends the reading. */
export type OnMessage = (message: RtmpMessage) => Malformed | undefined;

/** What one sender may make us hold. */
export interface ChunkLimits {
  readonly messageBytesMax: Bytes;
  /** Over the unfinished messages of all chunk streams. */
  readonly memoryBytesMax: Bytes;
}

interface ChunkStream {
  timestampMs: Milliseconds;
  /** What a format-3 chunk that starts a message adds; after format 0 that is the timestamp itself, as the specification implies. */
  stepMs: Milliseconds;
  /** The value in the last extended timestamp field, when there was one. */
  extendedMs: Milliseconds | undefined;
  lengthBytes: Bytes;
  type: number;
  streamId: number;
  /** Bytes received so far of the message under way, in a buffer that grows. */
  buffer: Uint8Array;
  receivedBytes: Bytes;
}

const CHUNK_STREAM_COUNT_MAX = 64;
/** Protocol control messages travel here. */
const CONTROL_CHUNK_STREAM = 2;
const CHUNK_BYTES_DEFAULT: Bytes = 128;
const CHUNK_BYTES_MAX: Bytes = 16 * 1024 * 1024;
/** Room that a message gets at once; the rest as it arrives. Most frames fit, so most are never copied. */
const FIRST_ALLOCATION_BYTES: Bytes = 32 * 1024;
const MESSAGE_HEADER_BYTES = [11, 7, 3, 0] as const;
const EXTENDED = 0xffffff;
const SET_CHUNK_SIZE = 1;
const ABORT = 2;
const NOTHING = new Uint8Array(0);

export class RtmpChunkReader {
  /** May be changed at any time; holds for the messages that start afterwards. */
  limits: ChunkLimits;
  readonly #streams = new Map<number, ChunkStream>();
  readonly #header = new Uint8Array(18);
  readonly #headerView = new DataView(this.#header.buffer);
  #headerBytes = 0;
  #chunkBytes = CHUNK_BYTES_DEFAULT;
  /** The stream whose data is being read, and how much of its chunk is still to come. */
  #current: ChunkStream | undefined;
  #chunkLeftBytes = 0;
  #heldBytes = 0;
  #failure: Malformed | undefined;

  constructor(limits: ChunkLimits) {
    this.limits = limits;
  }

  /** Hands over the messages that became whole, until one is wrong. After `Malformed` the reader is of no more use, and says so again. */
  push(bytes: Uint8Array, onMessage: OnMessage): Malformed | undefined {
    let offset = 0;
    while (offset < bytes.length && this.#failure === undefined) {
      if (this.#current !== undefined) {
        offset += this.#readData(this.#current, bytes.subarray(offset), onMessage);
        continue;
      }
      this.#header[this.#headerBytes] = bytes[offset] ?? 0;
      this.#headerBytes += 1;
      offset += 1;
      if (this.#headerBytes >= this.#headerNeedBytes()) this.#endHeader(onMessage);
    }
    return this.#failure;
  }

  /** How long this chunk's header is, as far as the bytes of it that are here can tell. */
  #headerNeedBytes(): Bytes {
    const basicBytes = this.#basicBytes();
    if (this.#headerBytes < basicBytes) return basicBytes;
    const needBytes = basicBytes + this.#messageHeaderBytes();
    if (this.#headerBytes < needBytes) return needBytes;
    return needBytes + (this.#isExtended(basicBytes) ? 4 : 0);
  }

  #basicBytes(): 1 | 2 | 3 {
    const low = (this.#header[0] ?? 0) & 0x3f;
    if (low === 0) return 2;
    return low === 1 ? 3 : 1;
  }

  #format(): 0 | 1 | 2 | 3 {
    return ((this.#header[0] ?? 0) >> 6) as 0 | 1 | 2 | 3;
  }

  #messageHeaderBytes(): Bytes {
    return MESSAGE_HEADER_BYTES[this.#format()];
  }

  #chunkStreamId(): number {
    const first = this.#header[1] ?? 0;
    const basicBytes = this.#basicBytes();
    if (basicBytes === 1) return (this.#header[0] ?? 0) & 0x3f;
    return basicBytes === 2 ? 64 + first : 64 + first + 256 * (this.#header[2] ?? 0);
  }

  #isExtended(basicBytes: Bytes): boolean {
    if (this.#format() === 3) return this.#streams.get(this.#chunkStreamId())?.extendedMs !== undefined;
    return this.#uint24(basicBytes) === EXTENDED;
  }

  #uint24(offset: number): number {
    return this.#headerView.getUint32(offset) >>> 8;
  }

  #endHeader(onMessage: OnMessage): void {
    const format = this.#format();
    const basicBytes = this.#basicBytes();
    const headerBytes = this.#headerBytes;
    const stream = this.#stream(this.#chunkStreamId(), format);
    this.#headerBytes = 0;
    if (stream === undefined) return;
    const mayContinue = format === 3 && stream.receivedBytes > 0;
    let surplus: Uint8Array = NOTHING;
    if (format === 3) surplus = this.#checkRepeatedTime(stream, headerBytes - 4);
    else this.#readMessageHeader(stream, format, basicBytes);
    if (!mayContinue) this.#startMessage(stream, format);
    if (this.#failure !== undefined) return;
    this.#current = stream;
    this.#chunkLeftBytes = Math.min(this.#chunkBytes, stream.lengthBytes - stream.receivedBytes);
    if (this.#chunkLeftBytes === 0) this.#endChunk(stream, onMessage);
    if (surplus.length > 0) this.push(surplus, onMessage);
  }

  #stream(id: number, format: number): ChunkStream | undefined {
    const known = this.#streams.get(id);
    if (known !== undefined) return known;
    // librtmp starts the control channel with format 1; nobody has an honest reason to start another one so.
    if (format !== 0 && !(format === 1 && id === CONTROL_CHUNK_STREAM))
      return this.#fail(`chunk stream ${id} starts with format ${format}`);
    if (this.#streams.size >= CHUNK_STREAM_COUNT_MAX) return this.#fail(`more than ${CHUNK_STREAM_COUNT_MAX} chunk streams`);
    const stream = {
      timestampMs: 0,
      stepMs: 0,
      extendedMs: undefined,
      lengthBytes: 0,
      type: 0,
      streamId: 0,
      buffer: NOTHING,
      receivedBytes: 0,
    };
    this.#streams.set(id, stream);
    return stream;
  }

  /**
   * Some old encoders leave the extended timestamp out of format-3 chunks. Then the four bytes that we took for it are data: they are returned.
   */
  #checkRepeatedTime(stream: ChunkStream, offset: number): Uint8Array {
    if (stream.extendedMs === undefined) return NOTHING;
    const value = this.#headerView.getUint32(offset);
    if (value === stream.extendedMs || value === stream.timestampMs) return NOTHING;
    return this.#header.slice(offset, offset + 4);
  }

  #readMessageHeader(stream: ChunkStream, format: 0 | 1 | 2, offset: number): void {
    const time = this.#uint24(offset);
    if (format <= 1) {
      stream.lengthBytes = this.#uint24(offset + 3);
      stream.type = this.#header[offset + 6] ?? 0;
    }
    if (format === 0) stream.streamId = this.#headerView.getUint32(offset + 7, true);
    stream.extendedMs = time === EXTENDED ? this.#headerView.getUint32(offset + MESSAGE_HEADER_BYTES[format]) : undefined;
    stream.stepMs = stream.extendedMs ?? time;
  }

  /** A header in the middle of a message drops what was there of it (protocols sheet 6.4, row 6). */
  #startMessage(stream: ChunkStream, format: number): void {
    this.#release(stream);
    stream.timestampMs = format === 0 ? stream.stepMs : (stream.timestampMs + stream.stepMs) >>> 0;
    if (stream.lengthBytes > this.limits.messageBytesMax) {
      this.#fail(`message of ${stream.lengthBytes} bytes, at most ${this.limits.messageBytesMax} accepted`);
    }
  }

  #readData(stream: ChunkStream, bytes: Uint8Array, onMessage: OnMessage): Bytes {
    const part = bytes.length > this.#chunkLeftBytes ? bytes.subarray(0, this.#chunkLeftBytes) : bytes;
    this.#reserve(stream, stream.receivedBytes + part.length);
    if (this.#failure !== undefined) return part.length;
    stream.buffer.set(part, stream.receivedBytes);
    stream.receivedBytes += part.length;
    this.#chunkLeftBytes -= part.length;
    if (this.#chunkLeftBytes === 0) this.#endChunk(stream, onMessage);
    return part.length;
  }

  /** Doubles up to the message's length, so that a finished message fills its buffer exactly. */
  #reserve(stream: ChunkStream, needBytes: Bytes): void {
    const hadBytes = stream.buffer.length;
    if (needBytes <= hadBytes) return;
    const sizeBytes = Math.min(stream.lengthBytes, Math.max(needBytes, 2 * hadBytes, FIRST_ALLOCATION_BYTES));
    this.#heldBytes += sizeBytes - hadBytes;
    if (this.#heldBytes > this.limits.memoryBytesMax) {
      this.#fail(`unfinished messages of more than ${this.limits.memoryBytesMax} bytes`);
      return;
    }
    const grown = new Uint8Array(sizeBytes);
    grown.set(stream.buffer);
    stream.buffer = grown;
  }

  #endChunk(stream: ChunkStream, onMessage: OnMessage): void {
    this.#current = undefined;
    if (stream.receivedBytes < stream.lengthBytes) return;
    const message = { type: stream.type, timestampMs: stream.timestampMs, streamId: stream.streamId, body: stream.buffer };
    this.#release(stream);
    if (message.type === SET_CHUNK_SIZE) this.#setChunkSize(message.body);
    else if (message.type === ABORT) this.#abort(message.body);
    else this.#failure ??= onMessage(message);
  }

  #release(stream: ChunkStream): void {
    this.#heldBytes -= stream.buffer.length;
    stream.buffer = NOTHING;
    stream.receivedBytes = 0;
  }

  #setChunkSize(body: Uint8Array): void {
    const sizeBytes = readUint32(body);
    if (sizeBytes === undefined || sizeBytes < 1 || sizeBytes > CHUNK_BYTES_MAX) {
      this.#fail(`chunk size ${sizeBytes ?? 'cut off'}, expected 1 to ${CHUNK_BYTES_MAX}`);
      return;
    }
    this.#chunkBytes = sizeBytes;
  }

  #abort(body: Uint8Array): void {
    const stream = this.#streams.get(readUint32(body) ?? -1);
    if (stream !== undefined) this.#release(stream);
  }

  #fail(reason: string): undefined {
    this.#failure ??= new Malformed(reason);
    return undefined;
  }
}

/** The big-endian number a control message starts with. */
export function readUint32(body: Uint8Array): number | undefined {
  return body.length < 4 ? undefined : new DataView(body.buffer, body.byteOffset).getUint32(0);
}
