/**
 * Reading and writing fixed-width big-endian fields, with the end of the buffer checked once and remembered.
 *
 * A reader that runs past the end returns zeros and reports `ok === false`; decoders check it once at the end instead of at each field.
 */
import type { Bytes } from './units.js';

/** Up to this size a copy is cheaper than a view: the memory of so small an array lies in the heap, and has to be moved out of it before anything can share it. */
const COPIED_BYTES_MAX: Bytes = 64;

export class ByteReader {
  readonly #bytes: Uint8Array;
  #offset: Bytes = 0;
  #ok = true;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** False once any read went past the end. */
  get ok(): boolean {
    return this.#ok;
  }

  get remainingBytes(): Bytes {
    return this.#bytes.length - this.#offset;
  }

  uint8(): number {
    return this.#has(1) ? this.#next() : 0;
  }

  uint16(): number {
    return this.#has(2) ? (this.#next() << 8) | this.#next() : 0;
  }

  uint32(): number {
    return this.#has(4) ? ((this.#next() << 24) | (this.#next() << 16) | (this.#next() << 8) | this.#next()) >>> 0 : 0;
  }

  /** 48 bits: milliseconds of a timeline for 8900 years. */
  uint48(): number {
    return this.uint16() * 0x1_0000_0000 + this.uint32();
  }

  /** IEEE 754, 64 bits. */
  float64(): number {
    const bytes = this.bytes(8);
    return bytes.length === 8 ? new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0) : 0;
  }

  /** A view of the next `count` bytes; empty when they are not there. */
  bytes(count: Bytes): Uint8Array {
    if (!this.#has(count)) return new Uint8Array(0);
    const from = this.#offset;
    this.#offset += count;
    return this.#bytes.subarray(from, this.#offset);
  }

  rest(): Uint8Array {
    return this.bytes(this.remainingBytes);
  }

  #has(count: Bytes): boolean {
    if (this.#offset + count > this.#bytes.length) this.#ok = false;
    return this.#ok;
  }

  #next(): number {
    return this.#bytes[this.#offset++] as number;
  }
}

export class ByteWriter {
  #bytes: Uint8Array;
  #length: Bytes = 0;

  constructor(capacityBytes: Bytes = 64) {
    this.#bytes = new Uint8Array(capacityBytes);
  }

  uint8(value: number): this {
    const at = this.#grow(1);
    this.#bytes[at] = value;
    return this;
  }

  uint16(value: number): this {
    const at = this.#grow(2);
    const bytes = this.#bytes;
    bytes[at] = value >>> 8;
    bytes[at + 1] = value;
    return this;
  }

  uint32(value: number): this {
    const at = this.#grow(4);
    const bytes = this.#bytes;
    bytes[at] = value >>> 24;
    bytes[at + 1] = value >>> 16;
    bytes[at + 2] = value >>> 8;
    bytes[at + 3] = value;
    return this;
  }

  uint48(value: number): this {
    return this.uint16(Math.floor(value / 0x1_0000_0000)).uint32(value % 0x1_0000_0000);
  }

  float64(value: number): this {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value);
    return this.bytes(bytes);
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** What has been written; not changed by what is written afterwards. */
  finish(): Uint8Array {
    const length = this.#length;
    if (length === this.#bytes.length) return this.#bytes;
    return length <= COPIED_BYTES_MAX ? this.#bytes.slice(0, length) : this.#bytes.subarray(0, length);
  }

  #grow(count: Bytes): Bytes {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
    }
    return at;
  }
}

/** Whether two byte strings are equal. Not for secrets: it stops at the first difference. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** A copy with memory of its own. `slice` is none where a runtime's own kind of byte array shares memory in it, as Node's does. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}
