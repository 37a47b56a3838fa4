/**
 * A fixed-size set of small indices, in BEP 3's bit order: index 0 is the highest bit of the first byte.
 */
export class Bitfield {
  readonly length: number;
  readonly bytes: Uint8Array;
  #count = 0;

  /** @param bytes what is in at first; missing bytes count as zeros, bits beyond the length are ignored. */
  constructor(length: number, bytes?: Uint8Array) {
    this.length = length;
    this.bytes = new Uint8Array(Math.ceil(length / 8));
    if (bytes) this.#unite(bytes);
  }

  /** How many indices are in. */
  get count(): number {
    return this.#count;
  }

  get full(): boolean {
    return this.#count === this.length;
  }

  has(index: number): boolean {
    return ((this.bytes[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0 && index < this.length;
  }

  /** @returns whether the index is new. Indices outside the field are ignored. */
  add(index: number): boolean {
    if (index < 0 || index >= this.length || this.has(index)) return false;
    this.bytes[index >> 3] = (this.bytes[index >> 3] ?? 0) | (0x80 >> (index & 7));
    this.#count += 1;
    return true;
  }

  /** Adds every index. */
  fill(): void {
    if (!this.full) this.#unite(new Uint8Array(this.bytes.length).fill(0xff));
  }

  /** Adds all of another field, as far as this one reaches; a byte at a time, whatever it holds. */
  addAll(other: Bitfield): void {
    this.#unite(other.bytes);
  }

  #unite(bytes: Uint8Array): void {
    const sizeBytes = this.bytes.length;
    for (let at = 0; at < sizeBytes; at++) this.bytes[at] = (this.bytes[at] ?? 0) | (bytes[at] ?? 0);
    const spareBits = sizeBytes * 8 - this.length;
    if (spareBits > 0) this.bytes[sizeBytes - 1] = (this.bytes[sizeBytes - 1] ?? 0) & (0xff << spareBits);
    this.#count = this.bytes.reduce((sum, byte) => sum + onesIn(byte), 0);
  }
}

/** How many bits of a byte are set. */
function onesIn(byte: number): number {
  const pairs = byte - ((byte >> 1) & 0x55);
  const nibbles = (pairs & 0x33) + ((pairs >> 2) & 0x33);
  return (nibbles + (nibbles >> 4)) & 0x0f;
}
