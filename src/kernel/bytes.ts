/**
 * Reading and writing fixed-width big-endian fields, with the end of the buffer checked once and remembered.
 *
 * A reader that runs past the end returns zeros and reports `ok === false`; decoders check it once at the end instead of at each field.
 */
import type { Bytes } from './units.js';

export class ByteReader {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  #offset: Bytes = 0;
  #ok = true;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** False once any read went past the end. */
  get ok(): boolean {
    return this.#ok;
  }

  get remainingBytes(): Bytes {
    return this.#bytes.length - this.#offset;
  }

  uint8(): number {
    return this.#has(1) ? this.#view.getUint8(this.#advance(1)) : 0;
  }

  uint16(): number {
    return this.#has(2) ? this.#view.getUint16(this.#advance(2)) : 0;
  }

  uint32(): number {
    return this.#has(4) ? this.#view.getUint32(this.#advance(4)) : 0;
  }

  /** 48 bits: milliseconds of a timeline for 8900 years. */
  uint48(): number {
    return this.uint16() * 0x1_0000_0000 + this.uint32();
  }

  /** A view of the next `count` bytes; empty when they are not there. */
  bytes(count: Bytes): Uint8Array {
    return this.#has(count) ? this.#bytes.subarray(this.#offset, this.#advance(count) + count) : new Uint8Array(0);
  }

  rest(): Uint8Array {
    return this.bytes(this.remainingBytes);
  }

  #has(count: Bytes): boolean {
    if (this.#offset + count > this.#bytes.length) this.#ok = false;
    return this.#ok;
  }

  #advance(count: Bytes): Bytes {
    const at = this.#offset;
    this.#offset += count;
    return at;
  }
}

export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length: Bytes = 0;

  constructor(capacityBytes: Bytes = 64) {
    this.#bytes = new Uint8Array(capacityBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  uint8(value: number): this {
    const at = this.#grow(1);
    this.#view.setUint8(at, value);
    return this;
  }

  uint16(value: number): this {
    const at = this.#grow(2);
    this.#view.setUint16(at, value);
    return this;
  }

  uint32(value: number): this {
    const at = this.#grow(4);
    this.#view.setUint32(at, value);
    return this;
  }

  uint48(value: number): this {
    return this.uint16(Math.floor(value / 0x1_0000_0000)).uint32(value % 0x1_0000_0000);
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** What has been written, without a copy. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(count: Bytes): Bytes {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
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
