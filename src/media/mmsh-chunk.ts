/**
 * The chunks of MMS over HTTP: `$H` header, `$D` data, `$E` end, `$C` change, `$M` metadata, `$P` packet pair.
 *
 * Reading accepts what real servers send (B bit, 12-byte `$E`, unknown letters, headers in parts); writing uses only what every open
 * client understands. Source: MS-WMSP 2.2.3; protocols sheet 2.3 and 6.2. All integers are little-endian.
 *
 * | offset | size | field                                                                             |
 * |--------|------|-----------------------------------------------------------------------------------|
 * | 0      | 1    | 0x24 `$`, or 0xA4 when more follows at once (B bit)                               |
 * | 1      | 1    | type letter                                                                       |
 * | 2      | 2    | bytes that follow (not so for `$P`)                                               |
 * | 4      | 4    | `$H $D $M`: LocationId. `$E $C $P`: reason                                        |
 * | 8      | 1    | `$H $D $M`: Incarnation, of one connection only                                   |
 * | 9      | 1    | `$H $D $M`: AFFlags: part flags of a header, a rolling counter of data            |
 * | 10     | 2    | `$H $D $M`: PacketSize, equal to the field at 2                                   |
 * | 12     | …    | `$H $D $M`: payload                                                               |
 */
import { Malformed } from '../kernel/errors.js';
import type { Bytes } from '../kernel/units.js';
import { ByteQueue } from './byte-queue.js';

/** A chunk that carries a payload under a number. */
export interface MmshPacketChunk {
  readonly kind: 'header' | 'data' | 'metadata';
  /** `$D`: the packet's number in the ASF file, the same for all clients. `$H`: 0 for the first part, one more for each further one. */
  readonly locationId: number;
  readonly incarnation: number;
  readonly afFlags: number;
  /** Belongs to the receiver. */
  readonly payload: Uint8Array;
  /** Whether PacketSize contradicts the length; the length was used. */
  readonly sizeDiffers: boolean;
}

export type MmshChunk =
  | MmshPacketChunk
  /** `end`: 0 for good, 1 more will come, else an HRESULT. `change`: 0 normally; a new header follows. */
  | { readonly kind: 'end' | 'change'; readonly reasonCode: number }
  | { readonly kind: 'packet-pair' }
  | { readonly kind: 'unknown'; readonly letter: number };

/** AFFlags of header parts; a header in one piece has both. */
export const FIRST_PART = 0x04;
export const LAST_PART = 0x08;
/** What fits behind the 8-byte sub-header: the largest header that open clients take, as they fail on several parts. */
export const MMSH_PAYLOAD_BYTES_MAX: Bytes = 65_527;

const SIGN = 0x24;
const B_BIT = 0x80;
const LETTERS = { header: 0x48, data: 0x44, metadata: 0x4d, end: 0x45, change: 0x43, packetPair: 0x50 } as const;
const FRAME_BYTES: Bytes = 4;
const SUB_HEADER_BYTES: Bytes = 8;
const REASON_BYTES: Bytes = 4;
/** Payloads of the three `$P` in a row; the reason moves bytes from the first to the third. */
const PACKET_PAIR_BYTES: readonly Bytes[] = [504, 504, 1048];

/** Whether bytes can be the beginning of a chunk stream; a HTML or ASX page is not. */
export function startsLikeMmsh(first: number, second: number): boolean {
  return (first & ~B_BIT) === SIGN && second >= 0x41 && second <= 0x5a;
}

/** A `$D` chunk. The payload must not be longer than `MMSH_PAYLOAD_BYTES_MAX`. */
export function encodeMmshData(locationId: number, afFlags: number, payload: Uint8Array): Uint8Array {
  return encodePacketChunk(LETTERS.data, locationId, afFlags, payload);
}

/** The one `$H` chunk, whole. The header must not be longer than `MMSH_PAYLOAD_BYTES_MAX`. */
export function encodeMmshHeader(header: Uint8Array): Uint8Array {
  return encodePacketChunk(LETTERS.header, 0, FIRST_PART | LAST_PART, header);
}

/** An `$E` chunk: 0 for good, 1 when more will come. */
export function encodeMmshEnd(reasonCode: number): Uint8Array {
  return encodeReason(LETTERS.end, reasonCode);
}

/** A `$C` chunk, which must be followed by a new header. Only for tests: open clients die of it. */
export function encodeMmshChange(reasonCode: number): Uint8Array {
  return encodeReason(LETTERS.change, reasonCode);
}

/** Any chunk with a sub-header, for senders that split headers or send metadata. */
export function encodePacketChunk(letter: number, locationId: number, afFlags: number, payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(FRAME_BYTES + SUB_HEADER_BYTES + payload.length);
  const view = new DataView(out.buffer);
  const lengthBytes = SUB_HEADER_BYTES + payload.length;
  out[0] = SIGN;
  out[1] = letter;
  view.setUint16(2, lengthBytes, true);
  view.setUint32(4, locationId, true);
  out[9] = afFlags;
  view.setUint16(10, lengthBytes, true);
  out.set(payload, 12);
  return out;
}

function encodeReason(letter: number, reasonCode: number): Uint8Array {
  const out = new Uint8Array(FRAME_BYTES + REASON_BYTES);
  const view = new DataView(out.buffer);
  out[0] = SIGN;
  out[1] = letter;
  view.setUint16(2, REASON_BYTES, true);
  view.setUint32(4, reasonCode, true);
  return out;
}

/**
 * Reads chunks out of a byte stream. Holds at most one chunk (64 KiB). After the first fault it stays silent and gives the same fault
 * again: there is no way to find the next chunk.
 */
export class MmshChunkReader {
  readonly #queue = new ByteQueue();
  #skipBytes: Bytes = 0;
  #packetPairCount = 0;
  #fault: Malformed | undefined;

  /** Hands over every chunk that is complete, in order. */
  push(bytes: Uint8Array, onChunk: (chunk: MmshChunk) => void): Malformed | undefined {
    if (this.#fault !== undefined) return this.#fault;
    this.#queue.push(bytes);
    for (let chunk = this.#next(); chunk !== undefined; chunk = this.#next()) {
      if (chunk instanceof Malformed) {
        this.#fault = chunk;
        this.#queue.takeAll();
        return chunk;
      }
      onChunk(chunk);
    }
    return undefined;
  }

  #next(): MmshChunk | Malformed | undefined {
    this.#skipBytes -= this.#queue.skip(this.#skipBytes);
    const frame = this.#skipBytes > 0 ? undefined : this.#queue.peek(FRAME_BYTES);
    if (frame === undefined) return undefined;
    const [sign = 0, letter = 0, low = 0, high = 0] = frame;
    if ((sign & ~B_BIT) !== SIGN) return new Malformed(`byte 0x${sign.toString(16)} where an MMSH chunk should begin`);
    return this.#readChunk(letter, low | (high << 8));
  }

  #readChunk(letter: number, lengthBytes: Bytes): MmshChunk | Malformed | undefined {
    if (letter !== LETTERS.packetPair) this.#packetPairCount = 0;
    switch (letter) {
      case LETTERS.header:
        return this.#readPacket('header', lengthBytes);
      case LETTERS.data:
        return this.#readPacket('data', lengthBytes);
      case LETTERS.metadata:
        return this.#readPacket('metadata', lengthBytes);
      case LETTERS.end:
        return this.#readReason('end', lengthBytes);
      case LETTERS.change:
        return this.#readReason('change', lengthBytes);
      case LETTERS.packetPair:
        return this.#readPacketPair();
      default:
        this.#skipBytes = FRAME_BYTES + lengthBytes;
        return { kind: 'unknown', letter };
    }
  }

  #readPacket(kind: MmshPacketChunk['kind'], lengthBytes: Bytes): MmshChunk | Malformed | undefined {
    if (lengthBytes < SUB_HEADER_BYTES)
      return new Malformed(`MMSH ${kind} chunk of ${lengthBytes} bytes, expected ${SUB_HEADER_BYTES} or more`);
    const bytes = this.#queue.take(FRAME_BYTES + lengthBytes);
    if (bytes === undefined) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    return {
      kind,
      locationId: view.getUint32(4, true),
      incarnation: view.getUint8(8),
      afFlags: view.getUint8(9),
      payload: bytes.subarray(FRAME_BYTES + SUB_HEADER_BYTES),
      sizeDiffers: view.getUint16(10, true) !== lengthBytes,
    };
  }

  #readReason(kind: 'end' | 'change', lengthBytes: Bytes): MmshChunk | Malformed | undefined {
    if (lengthBytes < REASON_BYTES) return new Malformed(`MMSH ${kind} chunk of ${lengthBytes} bytes, expected ${REASON_BYTES} or more`);
    const head = this.#queue.peek(FRAME_BYTES + REASON_BYTES);
    if (head === undefined) return undefined;
    this.#skipBytes = FRAME_BYTES + lengthBytes;
    return { kind, reasonCode: new DataView(head.buffer, head.byteOffset).getUint32(4, true) };
  }

  /** The length field of `$P` lies by design; the sizes follow from its place among three and from the reason. */
  #readPacketPair(): MmshChunk | Malformed | undefined {
    const head = this.#queue.peek(FRAME_BYTES + REASON_BYTES);
    if (head === undefined) return undefined;
    const reason = new DataView(head.buffer, head.byteOffset).getUint32(4, true);
    const place = this.#packetPairCount % PACKET_PAIR_BYTES.length;
    const [firstBytes = 0] = PACKET_PAIR_BYTES;
    if (reason > firstBytes) return new Malformed(`MMSH packet pair with reason ${reason}, expected 0 to ${firstBytes}`);
    this.#packetPairCount += 1;
    const movedBytes = [-reason, 0, reason][place] ?? 0;
    this.#skipBytes = FRAME_BYTES + REASON_BYTES + (PACKET_PAIR_BYTES[place] ?? 0) + movedBytes;
    return { kind: 'packet-pair' };
  }
}
