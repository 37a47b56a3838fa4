/**
 * One ASF data packet, as it arrives: padded to the packet size, or with its padding stripped by the server.
 *
 * | part             | bytes | field                                                                                    |
 * |------------------|-------|------------------------------------------------------------------------------------------|
 * | error correction | 1 + n | only if bit 7 of the first byte is set; bits 0-3 n, bit 4 opaque, bits 5-6 length type 0   |
 * | length types     | 1     | bit 0 multiple payloads; bits 1-2 sequence, 3-4 padding length, 5-6 packet length          |
 * | property types   | 1     | bits 0-1 replicated length, 2-3 offset, 4-5 object number, 6-7 stream number (1)           |
 * | lengths          | 0-12  | packet length, sequence, padding length, each 0, 1, 2 or 4 bytes by its type               |
 * | times            | 6     | send time u32 ms, duration u16 ms                                                         |
 * | payload count    | 1     | only with multiple payloads: bits 0-5 count, 6-7 type of the payload length                |
 * | each payload     |       | stream u8 (bit 7 key), object number, offset, replicated length R, R bytes, [length], data |
 *
 * R ≥ 8: object size u32 and presentation time u32 come first. R = 1: compressed payload; the offset field is the presentation time, the
 * replicated byte the step, the data a list of [u8 length, bytes], each a whole object. R = 0: nothing is known.
 *
 * Little-endian. Never throws; a packet gives at most one payload per byte pair. Packets pass through Shoal whatever this file thinks of
 * them: `Malformed` means "not understood", not "drop". Sources: protocols sheet 1.2 and 6.1; ASF specification 01.20.03, section 5.
 */
import { Malformed } from '../kernel/errors.js';
import type { Bytes, Milliseconds } from '../kernel/units.js';

/** A piece of a media object (frame). */
export interface AsfPayload {
  /** 0 to 127. */
  readonly stream: number;
  /** The key bit as it stands; what it is worth, `AsfKeyDetector` knows. */
  readonly key: boolean;
  /** Counts the stream's objects and wraps, at 256 with the usual width. */
  readonly objectNumber: number;
  readonly offsetBytes: Bytes;
  /** Size of the whole object as claimed; undefined when the packet does not say. Never allocate by it. */
  readonly objectBytes: Bytes | undefined;
  /** Preroll included; undefined when the packet does not say. */
  readonly presentationMs: Milliseconds | undefined;
  /** A view into the packet. */
  readonly data: Uint8Array;
}

export interface AsfPacket {
  /** The server's clock, 32 bits; goes back and jumps, so it orders nothing. */
  readonly sendMs: Milliseconds;
  readonly durationMs: Milliseconds;
  readonly payloads: readonly AsfPayload[];
  /** Why reading stopped before the end; the payloads before that point are good. */
  readonly fault: string | undefined;
}

/** No encoder makes larger frames: 8 MiB, as for FLV. Claims beyond it are not believed. */
export const ASF_OBJECT_BYTES_MAX: Bytes = 8 * 1024 * 1024;

/** Bytes of a field by its two type bits. */
const WIDTHS = [0, 1, 2, 4] as const;

/** Reads the packet in `bytes`, which the header says has at most `packetBytes`. */
export function parseAsfPacket(bytes: Uint8Array, packetBytes: Bytes): AsfPacket | Malformed {
  if (bytes.length > packetBytes) return new Malformed(`ASF packet of ${bytes.length} bytes, at most ${packetBytes} expected`);
  if (bytes.length < 2) return new Malformed(`ASF packet of ${bytes.length} bytes`);
  return new PacketParser(bytes).parse(packetBytes);
}

/** The packet with zero bytes up to the packet size, which is what every client makes of a stripped one; itself when it has that size. */
export function padAsfPacket(bytes: Uint8Array, packetBytes: Bytes): Uint8Array {
  if (bytes.length >= packetBytes) return bytes;
  const out = new Uint8Array(packetBytes);
  out.set(bytes);
  return out;
}

/** A cursor; reading past the end gives zeros and clears `ok`. */
class PacketParser {
  readonly #bytes: Uint8Array;
  readonly #payloads: AsfPayload[] = [];
  #offset = 0;
  #end: number;
  #ok = true;
  #propertyTypes = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#end = bytes.length;
  }

  parse(packetBytes: Bytes): AsfPacket | Malformed {
    const refused = this.#skipErrorCorrection();
    if (refused !== undefined) return new Malformed(`ASF packet: ${refused}`);
    const lengthTypes = this.#read(1);
    this.#propertyTypes = this.#read(1);
    if (lengthTypes & 0x80) return new Malformed('ASF packet: error correction twice');
    if (this.#propertyTypes >> 6 !== 1) return new Malformed('ASF packet: stream numbers are not one byte wide');
    const packetLength = this.#typed(lengthTypes >> 5);
    this.#typed(lengthTypes >> 1);
    const paddingBytes = this.#typed(lengthTypes >> 3);
    const sendMs = this.#read(4);
    const durationMs = this.#read(2);
    if (!this.#ok) return new Malformed('ASF packet: cut off in its header');
    const wholeBytes = packetLength === 0 ? packetBytes : packetLength;
    if (wholeBytes > packetBytes) return new Malformed(`ASF packet: says it has ${wholeBytes} bytes, more than ${packetBytes}`);
    if (paddingBytes >= wholeBytes) return new Malformed(`ASF packet: ${paddingBytes} bytes of padding in ${wholeBytes}`);
    this.#end = Math.min(this.#bytes.length, wholeBytes - paddingBytes);
    if (this.#offset > this.#end) return new Malformed('ASF packet: the padding covers its header');
    const fault = (lengthTypes & 1) === 0 ? this.#payload(undefined) : this.#payloadList();
    return { sendMs, durationMs, payloads: this.#payloads, fault };
  }

  #skipErrorCorrection(): string | undefined {
    const flags = this.#bytes[0] ?? 0;
    if ((flags & 0x80) === 0) return undefined;
    if ((flags & 0x70) !== 0) return 'error correction of an unknown kind';
    this.#offset = 1 + (flags & 0x0f);
    return undefined;
  }

  #payloadList(): string | undefined {
    const flags = this.#read(1);
    const count = flags & 0x3f;
    if (!this.#ok) return 'cut off before its payloads';
    if (count === 0) return 'a list of 0 payloads';
    if (flags >> 6 === 0) return 'payloads without a length';
    for (let index = 0; index < count; index++) {
      const fault = this.#payload(flags >> 6);
      if (fault !== undefined) return `payload ${index}: ${fault}`;
    }
    return undefined;
  }

  /** Reads one payload; without a type for its length it takes all that remains. */
  #payload(lengthType: number | undefined): string | undefined {
    const types = this.#propertyTypes;
    const streamByte = this.#read(1);
    const objectNumber = this.#typed(types >> 4);
    const offsetBytes = this.#typed(types >> 2);
    const replicatedBytes = this.#typed(types);
    if (!this.#ok) return 'cut off';
    if (replicatedBytes > 1 && replicatedBytes < 8) return `${replicatedBytes} bytes of replicated data, expected 0, 1, or 8 and more`;
    if (replicatedBytes > this.#end - this.#offset) return 'replicated data beyond the packet';
    const replicatedAt = this.#offset;
    this.#offset += replicatedBytes;
    const dataBytes = lengthType === undefined ? this.#end - this.#offset : this.#typed(lengthType);
    if (!this.#ok || dataBytes > this.#end - this.#offset) return 'data beyond the packet';
    const data = this.#bytes.subarray(this.#offset, this.#offset + dataBytes);
    this.#offset += dataBytes;
    const head = { stream: streamByte & 0x7f, key: (streamByte & 0x80) !== 0, objectNumber };
    if (replicatedBytes === 1) return this.#compressed(head, offsetBytes, this.#bytes[replicatedAt] ?? 0, data);
    const known = replicatedBytes >= 8;
    const objectBytes = known ? this.#uint32At(replicatedAt) : undefined;
    const presentationMs = known ? this.#uint32At(replicatedAt + 4) : undefined;
    this.#payloads.push({ ...head, offsetBytes, objectBytes, presentationMs, data });
    return undefined;
  }

  #compressed(
    head: Pick<AsfPayload, 'stream' | 'key' | 'objectNumber'>,
    firstMs: Milliseconds,
    stepMs: number,
    data: Uint8Array,
  ): string | undefined {
    // Object numbers wrap at the width of their field.
    const modulus = 256 ** (WIDTHS[(this.#propertyTypes >> 4) & 3] ?? 0);
    let index = 0;
    for (let at = 0; at < data.length; index++) {
      const objectBytes = data[at] ?? 0;
      if (objectBytes === 0) return 'an empty part in a compressed payload';
      if (objectBytes > data.length - at - 1) return 'a part of a compressed payload beyond its end';
      this.#payloads.push({
        ...head,
        objectNumber: (head.objectNumber + index) % modulus,
        offsetBytes: 0,
        objectBytes,
        presentationMs: (firstMs + index * stepMs) % 0x1_0000_0000,
        data: data.subarray(at + 1, at + 1 + objectBytes),
      });
      at += 1 + objectBytes;
    }
    return undefined;
  }

  #typed(type: number): number {
    return this.#read(WIDTHS[type & 3] ?? 0);
  }

  #read(width: number): number {
    if (this.#offset + width > this.#end) {
      this.#ok = false;
      return 0;
    }
    let value = 0;
    for (let index = width - 1; index >= 0; index--) value = value * 256 + (this.#bytes[this.#offset + index] ?? 0);
    this.#offset += width;
    return value;
  }

  #uint32At(offset: number): number {
    const bytes = this.#bytes;
    return (
      ((bytes[offset] ?? 0) | ((bytes[offset + 1] ?? 0) << 8) | ((bytes[offset + 2] ?? 0) << 16) | ((bytes[offset + 3] ?? 0) << 24)) >>> 0
    );
  }
}
