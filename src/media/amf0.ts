/**
 * AMF0: the values in RTMP commands and script tags, decoded for whoever must understand them, and encoded for commands of our own.
 *
 * For hostile bytes: depth and number of values are bounded, objects become `Map`s (so a key named `__proto__` is only a key), strings
 * are cut where the body ends and bad UTF-8 is replaced. Source: Adobe "Action Message Format – AMF 0"; protocols sheet 6.4, rows 12 to 14.
 *
 * | marker    | bytes behind it                                        |
 * |-----------|--------------------------------------------------------|
 * | 00        | 8: double, big-endian                                  |
 * | 01        | 1: boolean                                             |
 * | 02        | u16 length, UTF-8                                      |
 * | 03        | (u16 length, key, value)*, 00 00 09                    |
 * | 05 06 0d  | none: null, undefined, unsupported                     |
 * | 07        | u16 reference, which nobody sends; read as undefined   |
 * | 08        | u32 count, which is only a hint, then as 03            |
 * | 0a        | u32 count, that many values                            |
 * | 0b        | 8: double, milliseconds; 2: time zone                  |
 * | 0c 0f     | u32 length, UTF-8                                      |
 * | 10        | u16 length, class name, then as 03                     |
 */
import { ByteWriter } from '../kernel/bytes.js';
import { Malformed } from '../kernel/errors.js';

export type AmfValue = number | boolean | string | null | undefined | readonly AmfValue[] | ReadonlyMap<string, AmfValue>;

/** How deep values may nest. Real commands and metadata use 2; protocols sheet 6 proposes 16. */
const DEPTH_MAX = 16;
/** How many values one body may hold. Metadata of a real encoder holds about 20; key-frame indexes of files do not occur live. */
const VALUE_COUNT_MAX = 4096;

const text = new TextDecoder();

/** All values of a body, in order; `Malformed` when one of them is not AMF0 or a bound is passed. */
export function decodeAmf0(bytes: Uint8Array): readonly AmfValue[] | Malformed {
  const reader = new Amf0Reader(bytes);
  const values: AmfValue[] = [];
  while (reader.hasMore()) values.push(reader.readValue(0));
  return reader.failure === undefined ? values : new Malformed(`AMF0: ${reader.failure}`);
}

/** Values as a command carries them. Texts beyond 65,535 bytes become long strings; keys must be shorter, as all of ours are. */
export function encodeAmf0(values: readonly AmfValue[]): Uint8Array {
  const writer = new ByteWriter(256);
  for (const value of values) writeValue(writer, value);
  return writer.finish();
}

function writeValue(writer: ByteWriter, value: AmfValue): void {
  if (value === null) writer.uint8(0x05);
  else if (value === undefined) writer.uint8(0x06);
  else if (typeof value === 'number') writer.uint8(0x00).bytes(doubleBytes(value));
  else if (typeof value === 'boolean') writer.uint8(0x01).uint8(value ? 1 : 0);
  else if (typeof value === 'string') writeText(writer, value);
  else if (value instanceof Map) writeObject(writer, value);
  else writeArray(writer, value as readonly AmfValue[]);
}

function writeText(writer: ByteWriter, value: string): void {
  const bytes = new TextEncoder().encode(value);
  if (bytes.length > 0xffff) writer.uint8(0x0c).uint32(bytes.length).bytes(bytes);
  else writer.uint8(0x02).uint16(bytes.length).bytes(bytes);
}

function writeObject(writer: ByteWriter, members: ReadonlyMap<string, AmfValue>): void {
  writer.uint8(0x03);
  for (const [key, value] of members) {
    const bytes = new TextEncoder().encode(key);
    writer.uint16(bytes.length).bytes(bytes);
    writeValue(writer, value);
  }
  writer.uint16(0).uint8(0x09);
}

function writeArray(writer: ByteWriter, values: readonly AmfValue[]): void {
  writer.uint8(0x0a).uint32(values.length);
  for (const value of values) writeValue(writer, value);
}

function doubleBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  return bytes;
}

/** A cursor that remembers the first thing that went wrong, and reads zeros from there on. */
class Amf0Reader {
  failure: string | undefined;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;
  #valueCount = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  hasMore(): boolean {
    return this.failure === undefined && this.#offset < this.#bytes.length;
  }

  readValue(depth: number): AmfValue {
    if (depth > DEPTH_MAX) return this.#fail(`nested deeper than ${DEPTH_MAX}`);
    this.#valueCount += 1;
    if (this.#valueCount > VALUE_COUNT_MAX) return this.#fail(`more than ${VALUE_COUNT_MAX} values`);
    const marker = this.#uint(1);
    switch (marker) {
      case 0x00:
        return this.#double();
      case 0x01:
        return this.#uint(1) !== 0;
      case 0x02:
        return this.#string(2);
      case 0x03:
        return this.#object(depth);
      case 0x05:
        return null;
      case 0x06:
      case 0x0d:
        return undefined;
      default:
        return this.#readRareValue(marker, depth);
    }
  }

  #readRareValue(marker: number, depth: number): AmfValue {
    switch (marker) {
      case 0x07:
        this.#uint(2);
        return undefined;
      case 0x08:
        this.#uint(4);
        return this.#object(depth);
      case 0x0a:
        return this.#array(depth);
      case 0x0b: {
        const atMs = this.#double();
        this.#uint(2);
        return atMs;
      }
      case 0x0c:
      case 0x0f:
        return this.#string(4);
      case 0x10:
        this.#string(2);
        return this.#object(depth);
      default:
        return this.#fail(`unknown marker ${marker}`);
    }
  }

  /** Some encoders leave the end marker out at the very end of a body; that is taken as the end too. */
  #object(depth: number): ReadonlyMap<string, AmfValue> {
    const members = new Map<string, AmfValue>();
    while (this.hasMore()) {
      const key = this.#string(2);
      if (key === '') {
        if (this.hasMore() && this.#uint(1) !== 0x09) this.#fail('an empty key that ends no object');
        break;
      }
      members.set(key, this.readValue(depth + 1));
    }
    return members;
  }

  #array(depth: number): readonly AmfValue[] {
    const valueCount = this.#uint(4);
    const values: AmfValue[] = [];
    for (let i = 0; i < valueCount && this.hasMore(); i++) values.push(this.readValue(depth + 1));
    return values;
  }

  #string(lengthBytes: 2 | 4): string {
    const start = this.#offset + lengthBytes;
    const end = Math.min(this.#uint(lengthBytes) + start, this.#bytes.length);
    if (this.failure !== undefined) return '';
    this.#offset = end;
    return text.decode(this.#bytes.subarray(start, end));
  }

  #double(): number {
    if (!this.#has(8)) return 0;
    this.#offset += 8;
    return this.#view.getFloat64(this.#offset - 8);
  }

  #uint(sizeBytes: 1 | 2 | 4): number {
    if (!this.#has(sizeBytes)) return 0;
    const at = this.#offset;
    this.#offset += sizeBytes;
    if (sizeBytes === 1) return this.#view.getUint8(at);
    return sizeBytes === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  #has(sizeBytes: number): boolean {
    if (this.failure === undefined && this.#offset + sizeBytes > this.#bytes.length) this.#fail(`cut off at byte ${this.#offset}`);
    return this.failure === undefined;
  }

  #fail(reason: string): undefined {
    this.failure ??= reason;
    return undefined;
  }
}
