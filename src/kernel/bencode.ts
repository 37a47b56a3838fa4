/**
 * Bencode, both ways: canonical out, strict in (BEP 3, "bencoding").
 *
 * Decoded shapes: an integer is a `number` (whole, safe), a byte string a fresh `Uint8Array` (empty ones share one), a list an array, a dictionary a `Map`.
 * Dictionary keys are byte strings too; in a `Map` each is a string of one character per byte (U+0000 to U+00FF), so that no key is
 * lost or merged and the order of strings is the order of raw bytes. ASCII keys read as themselves. No object is ever built from
 * remote keys, so no prototype can be set.
 *
 * Decoding never throws and is iterative: depth, tokens and bytes are bounded by the limits. The npm package decodes by recursion,
 * accepts trailing bytes, leading zeros, `-0`, floats and duplicate keys, lets `__proto__` set a prototype and turns a key that is
 * no UTF-8 into hex, where it may collide with another. Its result can't be made safe afterwards, so it is used for encoding
 * integers and byte strings only: its dictionaries sort keys as text and write a byte above 127 as two.
 */
import bencode from 'bencode';
import { invariant, Malformed } from './errors.js';
import type { Bytes } from './units.js';

/** What decoding gives. */
export type BencodeValue = number | Uint8Array | readonly BencodeValue[] | ReadonlyMap<string, BencodeValue>;

/** A decoded dictionary; see the file header for its keys. */
export type BencodeDictionary = ReadonlyMap<string, BencodeValue>;

/** What encoding takes: every `BencodeValue`, text (written as UTF-8) and records (whose keys follow the rule of `Map` keys). */
export type BencodeInput =
  | number
  | string
  | Uint8Array
  | readonly BencodeInput[]
  | ReadonlyMap<string, BencodeInput>
  | { readonly [key: string]: BencodeInput };

/** Bounds of one decoding; what passes them is `Malformed`. */
export interface BencodeLimits {
  /** Longest encoding accepted. Default 1 MiB, what libtorrent takes from a tracker. */
  readonly maxBytes?: Bytes;
  /** Lists and dictionaries within each other. Default 32; honest messages need 4. */
  readonly maxDepth?: number;
  /** Integers, strings, keys, lists and dictionaries together. Default 65536. */
  readonly maxTokens?: number;
  /** Whether dictionary keys must ascend by raw bytes. Default false; a key that comes twice is refused in either case. */
  readonly canonical?: boolean;
}

const DEFAULT_LIMITS = { maxBytes: 1_048_576, maxDepth: 32, maxTokens: 65_536, canonical: false } as const;

const DICTIONARY = 0x64;
const LIST = 0x6c;
const INTEGER = 0x69;
const END = 0x65;
const COLON = 0x3a;
const MINUS = 0x2d;
const ZERO = 0x30;
/** Digits of 2^53 − 1. */
const SAFE_DIGITS_COUNT = 16;
const KEY_RUN_BYTES = 1024;
/** Every empty byte string: a message made of nothing else would cost a hundred times its length. */
const NO_BYTES = new Uint8Array(0);

/**
 * The one canonical encoding of `value`: keys ascend by raw bytes, integers have no superfluous sign or zero.
 *
 * A number that is no safe integer, or a key with a character above U+00FF, is our bug and throws `INVARIANT`.
 */
export function encodeBencode(value: BencodeInput): Uint8Array {
  const chunks: Uint8Array[] = [];
  write(value, chunks);
  return concatenate(chunks);
}

/** Decodes exactly one value that fills `bytes` to the end. */
export function decodeBencode(bytes: Uint8Array, limits: BencodeLimits = {}): BencodeValue | Malformed {
  const maxBytes = limits.maxBytes ?? DEFAULT_LIMITS.maxBytes;
  if (bytes.length > maxBytes) return new Malformed(`bencode: ${bytes.length} bytes, at most ${maxBytes} are accepted`);
  const decoded = decodeBencodePrefix(bytes, limits);
  if (decoded instanceof Malformed) return decoded;
  const restBytes = bytes.length - decoded.bytesUsed;
  return restBytes === 0 ? decoded.value : new Malformed(`bencode: ${restBytes} bytes follow the value's end at byte ${decoded.bytesUsed}`);
}

/**
 * Decodes the one value that `bytes` begins with and says how long it is; what follows is the caller's (BEP 9 puts raw data there).
 * The value must end within the first `maxBytes` bytes.
 */
export function decodeBencodePrefix(
  bytes: Uint8Array,
  limits: BencodeLimits = {},
): { readonly value: BencodeValue; readonly bytesUsed: Bytes } | Malformed {
  const bounds = { ...DEFAULT_LIMITS, ...limits };
  const decoder = new Decoder(bytes.subarray(0, bounds.maxBytes), bounds);
  const value = decoder.run();
  return value instanceof Malformed ? value : { value, bytesUsed: decoder.positionBytes };
}

/** Where a value lies: from `startBytes` up to, not including, `endBytes`. */
export interface BencodeSpan {
  readonly startBytes: Bytes;
  readonly endBytes: Bytes;
}

/**
 * Decodes one dictionary that fills `bytes` to the end, and says where each of its own values lies.
 *
 * Whoever hashes a value needs the bytes as they came: written again they could differ, for the keys of foreign dictionaries need not be
 * in order (BEP 52 forbids the round trip for just that).
 */
export function decodeBencodeDictionary(
  bytes: Uint8Array,
  limits: BencodeLimits = {},
): { readonly dictionary: BencodeDictionary; readonly spans: ReadonlyMap<string, BencodeSpan> } | Malformed {
  const bounds = { ...DEFAULT_LIMITS, ...limits };
  if (bytes.length > bounds.maxBytes) return new Malformed(`bencode: ${bytes.length} bytes, at most ${bounds.maxBytes} are accepted`);
  const decoder = new Decoder(bytes, bounds);
  const dictionary = decoder.run();
  if (dictionary instanceof Malformed) return dictionary;
  if (!(dictionary instanceof Map)) return new Malformed('bencode: no dictionary, at byte 0');
  const restBytes = bytes.length - decoder.positionBytes;
  if (restBytes > 0) return new Malformed(`bencode: ${restBytes} bytes follow the value's end at byte ${decoder.positionBytes}`);
  return { dictionary, spans: decoder.spans };
}

/** The byte string as text; undefined for any other kind of value and for bytes that are no UTF-8. */
export function bencodeText(value: BencodeValue | undefined): string | undefined {
  if (!(value instanceof Uint8Array)) return undefined;
  try {
    return strictUtf8.decode(value);
  } catch {
    return undefined;
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf8 = new TextEncoder();

function write(value: BencodeInput, chunks: Uint8Array[]): void {
  if (typeof value === 'number') {
    invariant(Number.isSafeInteger(value), `Bencode holds whole numbers only, not ${value}.`);
    chunks.push(bencode.encode(value === 0 ? 0 : value));
  } else if (typeof value === 'string') chunks.push(bencode.encode(utf8.encode(value)));
  else if (value instanceof Uint8Array) chunks.push(bencode.encode(value));
  else if (Array.isArray(value)) writeList(value, chunks);
  else writeDictionary(value instanceof Map ? [...value] : Object.entries(value), chunks);
}

function writeList(items: readonly BencodeInput[], chunks: Uint8Array[]): void {
  chunks.push(Uint8Array.of(LIST));
  for (const item of items) write(item, chunks);
  chunks.push(Uint8Array.of(END));
}

function writeDictionary(entries: [string, BencodeInput][], chunks: Uint8Array[]): void {
  chunks.push(Uint8Array.of(DICTIONARY));
  for (const [key, item] of entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
    chunks.push(bencode.encode(keyBytes(key)));
    write(item, chunks);
  }
  chunks.push(Uint8Array.of(END));
}

function keyBytes(key: string): Uint8Array {
  return Uint8Array.from(key, (character) => {
    const byte = character.charCodeAt(0);
    invariant(byte <= 0xff && character.length === 1, `A bencode key has one character per byte; "${key}" does not.`);
    return byte;
  });
}

function concatenate(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}

/** A list or dictionary whose end has not come yet. */
type Frame =
  | { readonly kind: 'list'; readonly items: BencodeValue[] }
  | { readonly kind: 'dictionary'; readonly entries: Map<string, BencodeValue>; key: string | undefined; lastKey: string | undefined };

/** One pass over the bytes, with its own stack instead of recursion. */
class Decoder {
  readonly #bytes: Uint8Array;
  readonly #limits: Required<BencodeLimits>;
  readonly #open: Frame[] = [];
  #tokenCount = 0;
  #startBytes: Bytes = 0;
  positionBytes: Bytes = 0;
  /** Of the values of the outermost dictionary. */
  readonly spans = new Map<string, BencodeSpan>();

  constructor(bytes: Uint8Array, limits: Required<BencodeLimits>) {
    this.#bytes = bytes;
    this.#limits = limits;
  }

  run(): BencodeValue | Malformed {
    for (;;) {
      const frame = this.#open.at(-1);
      const step = frame !== undefined && this.#bytes[this.positionBytes] === END ? this.#close(frame) : this.#next(frame);
      if (step instanceof Malformed) return step;
      if (step !== undefined && this.#open.length === 0) return step;
    }
  }

  /** Reads a key, a scalar or the start of a list or dictionary; a finished value is stored in `frame` and returned. */
  #next(frame: Frame | undefined): BencodeValue | Malformed | undefined {
    this.#tokenCount++;
    if (this.#tokenCount > this.#limits.maxTokens) return this.#malformed(`more than ${this.#limits.maxTokens} tokens`);
    if (frame?.kind === 'dictionary' && frame.key === undefined) return this.#readKey(frame);
    const byte = this.#bytes[this.positionBytes];
    if (byte === DICTIONARY || byte === LIST) return this.#descend(byte);
    const value = byte === INTEGER ? this.#readInteger() : this.#readString();
    return value instanceof Malformed ? value : this.#store(frame, value);
  }

  #descend(byte: number): Malformed | undefined {
    if (this.#open.length >= this.#limits.maxDepth) return this.#malformed(`nested deeper than ${this.#limits.maxDepth}`);
    this.positionBytes++;
    this.#open.push(
      byte === LIST ? { kind: 'list', items: [] } : { kind: 'dictionary', entries: new Map(), key: undefined, lastKey: undefined },
    );
    return undefined;
  }

  #close(frame: Frame): BencodeValue | Malformed {
    if (frame.kind === 'dictionary' && frame.key !== undefined) return this.#malformed('a key without a value');
    this.positionBytes++;
    this.#open.pop();
    return this.#store(this.#open.at(-1), frame.kind === 'list' ? frame.items : frame.entries);
  }

  #store(frame: Frame | undefined, value: BencodeValue): BencodeValue {
    if (frame?.kind === 'list') frame.items.push(value);
    else if (frame?.key !== undefined) {
      frame.entries.set(frame.key, value);
      if (this.#open.length === 1) this.spans.set(frame.key, { startBytes: this.#startBytes, endBytes: this.positionBytes });
      frame.key = undefined;
    }
    return value;
  }

  #readKey(frame: Extract<Frame, { kind: 'dictionary' }>): Malformed | undefined {
    const startBytes = this.positionBytes;
    const bytes = this.#readString();
    if (bytes instanceof Malformed) return bytes;
    const key = keyOf(bytes);
    if (frame.entries.has(key)) return malformedAt(startBytes, 'a key that the dictionary already has');
    const isSorted = frame.lastKey === undefined || frame.lastKey < key;
    if (this.#limits.canonical && !isSorted) return malformedAt(startBytes, 'a key out of order');
    frame.key = key;
    frame.lastKey = key;
    if (this.#open.length === 1) this.#startBytes = this.positionBytes;
    return undefined;
  }

  #readInteger(): number | Malformed {
    const startBytes = this.positionBytes;
    this.positionBytes++;
    const isNegative = this.#bytes[this.positionBytes] === MINUS;
    if (isNegative) this.positionBytes++;
    const magnitude = this.#readDigits(END, 'an integer');
    if (magnitude instanceof Malformed) return magnitude;
    if (isNegative && magnitude === 0) return malformedAt(startBytes, 'the integer -0');
    return isNegative ? -magnitude : magnitude;
  }

  #readString(): Uint8Array | Malformed {
    const startBytes = this.positionBytes;
    const sizeBytes = this.#readDigits(COLON, 'a string length');
    if (sizeBytes instanceof Malformed) return sizeBytes;
    const restBytes = this.#bytes.length - this.positionBytes;
    if (sizeBytes > restBytes) return malformedAt(startBytes, `a string of ${sizeBytes} bytes where ${restBytes} are left`);
    if (sizeBytes === 0) return NO_BYTES;
    // The constructor copies; `slice` of a Buffer would share its memory with the socket's.
    const value = new Uint8Array(this.#bytes.subarray(this.positionBytes, this.positionBytes + sizeBytes));
    this.positionBytes += sizeBytes;
    return value;
  }

  /** Decimal digits up to and including `end`: at least one, none superfluous, at most 2^53 − 1. */
  #readDigits(end: number, what: string): number | Malformed {
    const startBytes = this.positionBytes;
    let number = 0;
    for (;;) {
      const byte = this.#bytes[this.positionBytes];
      if (byte === undefined) return this.#malformed(`the end within ${what}`);
      const digitCount = this.positionBytes - startBytes;
      if (byte === end && digitCount > 0) break;
      if (byte < ZERO || byte > ZERO + 9) return this.#malformed(`${describe(byte)} where ${what} should be`);
      if (digitCount === 1 && number === 0) return this.#malformed(`a leading zero in ${what}`);
      number = number * 10 + (byte - ZERO);
      if (digitCount >= SAFE_DIGITS_COUNT || number > Number.MAX_SAFE_INTEGER) return this.#malformed(`${what} above 2^53 - 1`);
      this.positionBytes++;
    }
    this.positionBytes++;
    return number;
  }

  #malformed(what: string): Malformed {
    return malformedAt(this.positionBytes, what);
  }
}

/** One character per byte. In runs, since a key of megabytes would else become as many strings on the way. */
function keyOf(bytes: Uint8Array): string {
  let key = '';
  for (let at = 0; at < bytes.length; at += KEY_RUN_BYTES) key += String.fromCharCode(...bytes.subarray(at, at + KEY_RUN_BYTES));
  return key;
}

function malformedAt(offsetBytes: Bytes, what: string): Malformed {
  return new Malformed(`bencode: ${what}, at byte ${offsetBytes}`);
}

function describe(byte: number): string {
  return byte > 0x20 && byte < 0x7f ? `"${String.fromCharCode(byte)}"` : `byte 0x${byte.toString(16).padStart(2, '0')}`;
}
