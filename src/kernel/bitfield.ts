/**
 * A fixed-size set of small indices, in BEP 3's bit order: index 0 is the highest bit of the first byte.
 *
 * A short one, such as the pieces of a live window, lies in one number: a viewer handles hundreds a second, and an array for each would cost more than all that is
 * done with it.
 */

/** Longer ones lie in an array. V8 keeps whole numbers of 31 bits without a box. */
const SHORT_LENGTH_MAX = 30;

export class Bitfield {
  readonly length: number;
  /** Of a short one: index 0 is bit 0. */
  #word = 0;
  readonly #long: Uint8Array | undefined;
  #count = 0;

  /** @param bytes what is in at first; missing bytes count as zeros, bits beyond the length are ignored. */
  constructor(length: number, bytes?: Uint8Array) {
    this.length = length;
    this.#long = length > SHORT_LENGTH_MAX ? new Uint8Array(Math.ceil(length / 8)) : undefined;
    if (bytes) this.#unite(bytes);
  }

  /** How many indices are in. */
  get count(): number {
    return this.#count;
  }

  get full(): boolean {
    return this.#count === this.length;
  }

  /** As it travels; of a short one a copy. */
  get bytes(): Uint8Array {
    if (this.#long) return this.#long;
    const bytes = new Uint8Array(Math.ceil(this.length / 8));
    for (let index = 0; index < this.length; index++) if (this.has(index)) bytes[index >> 3] = (bytes[index >> 3] ?? 0) | maskOf(index);
    return bytes;
  }

  has(index: number): boolean {
    if (index < 0 || index >= this.length) return false;
    return (this.#long ? (this.#long[index >> 3] ?? 0) & maskOf(index) : this.#word & (1 << index)) !== 0;
  }

  /** @returns whether the index is new. Indices outside the field are ignored. */
  add(index: number): boolean {
    if (index < 0 || index >= this.length || this.has(index)) return false;
    if (this.#long) this.#long[index >> 3] = (this.#long[index >> 3] ?? 0) | maskOf(index);
    else this.#word |= 1 << index;
    this.#count += 1;
    return true;
  }

  /** Adds every index. */
  fill(): void {
    if (this.full) return;
    if (this.#long) return this.#unite(new Uint8Array(this.#long.length).fill(0xff));
    this.#word = 2 ** this.length - 1;
    this.#count = this.length;
  }

  /** Adds all of another field, as far as this one reaches; a word or a byte at a time, whatever it holds. */
  addAll(other: Bitfield): void {
    if (this.#long || other.#long) return this.#unite(other.bytes);
    this.#word |= other.#word & (2 ** this.length - 1);
    this.#count = onesInWord(this.#word);
  }

  /** Whether each of its indices is in that other field as well. */
  isWithin(other: Bitfield): boolean {
    if (!this.#long && !other.#long) return (this.#word & ~other.#word) === 0;
    for (let index = 0; index < this.length; index++) if (this.has(index) && !other.has(index)) return false;
    return true;
  }

  #unite(bytes: Uint8Array): void {
    const long = this.#long;
    if (!long) {
      for (let index = 0; index < this.length; index++) if (((bytes[index >> 3] ?? 0) & maskOf(index)) !== 0) this.add(index);
      return;
    }
    const spareBits = long.length * 8 - this.length;
    let count = 0;
    for (let at = 0; at < long.length; at++) {
      const isLast = at === long.length - 1;
      const byte = ((long[at] ?? 0) | (bytes[at] ?? 0)) & (isLast ? 0xff << spareBits : 0xff);
      long[at] = byte;
      count += onesInByte(byte);
    }
    this.#count = count;
  }
}

function maskOf(index: number): number {
  return 0x80 >> (index & 7);
}

/** How many bits of a byte are set. */
function onesInByte(byte: number): number {
  const pairs = byte - ((byte >> 1) & 0x55);
  const nibbles = (pairs & 0x33) + ((pairs >> 2) & 0x33);
  return (nibbles + (nibbles >> 4)) & 0x0f;
}

function onesInWord(word: number): number {
  return onesInByte(word & 0xff) + onesInByte((word >> 8) & 0xff) + onesInByte((word >> 16) & 0xff) + onesInByte((word >> 24) & 0xff);
}
