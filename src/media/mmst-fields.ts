/**
 * The fields of MMST commands: little-endian numbers and UTF-16LE texts, written in order or read at their offsets.
 *
 * Reading never fails: what lies beyond the message reads as 0 or as an empty text, because real clients leave fields out.
 * Source: MS-MMSP 2.2.4; protocols sheet 3.3.
 */
import type { Bytes } from '../kernel/units.js';

/** Longest text that is read, in bytes: addresses and names, never documents (protocols sheet 6.3, row 9). */
export const MMST_TEXT_BYTES_MAX: Bytes = 1024;

const F64_BYTES = 8;

export class MmstFieldWriter {
  readonly #bytes: number[] = [];

  u16(...values: readonly number[]): this {
    for (const value of values) this.#bytes.push(value & 0xff, (value >>> 8) & 0xff);
    return this;
  }

  u32(...values: readonly number[]): this {
    for (const value of values) this.#bytes.push(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff);
    return this;
  }

  f64(value: number): this {
    const view = new DataView(new ArrayBuffer(F64_BYTES));
    view.setFloat64(0, value, true);
    for (let index = 0; index < F64_BYTES; index++) this.#bytes.push(view.getUint8(index));
    return this;
  }

  zeros(count: Bytes): this {
    for (let index = 0; index < count; index++) this.#bytes.push(0);
    return this;
  }

  bytes(value: Uint8Array): this {
    for (const byte of value) this.#bytes.push(byte);
    return this;
  }

  /** The text with its NUL. */
  text(value: string): this {
    for (let index = 0; index < value.length; index++) this.u16(value.charCodeAt(index));
    return this.u16(0);
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

export function u16At(fields: Uint8Array, offset: Bytes): number {
  return (fields[offset] ?? 0) | ((fields[offset + 1] ?? 0) << 8);
}

export function u32At(fields: Uint8Array, offset: Bytes): number {
  return (u16At(fields, offset) | (u16At(fields, offset + 2) << 16)) >>> 0;
}

/** A text up to its NUL or the end of the message, at most 512 characters; half surrogates become U+FFFD. */
export function textAt(fields: Uint8Array, offset: Bytes, bytesMax: Bytes = MMST_TEXT_BYTES_MAX): string {
  const endOffset = Math.min(fields.length - 1, offset + Math.min(bytesMax, MMST_TEXT_BYTES_MAX));
  let text = '';
  for (let at = offset; at < endOffset; at += 2) {
    const unit = u16At(fields, at);
    if (unit === 0) break;
    text += String.fromCharCode(unit);
  }
  return text.replace(/\p{Cs}/gu, '\ufffd');
}
