/**
 * A fixed-size set of small indices, in BEP 3's bit order: index 0 is the highest bit of the first byte.
 */
export class Bitfield {
  readonly length: number;
  readonly bytes: Uint8Array;
  #count = 0;

  constructor(length: number, bytes?: Uint8Array) {
    this.length = length;
    this.bytes = new Uint8Array(Math.ceil(length / 8));
    if (bytes) for (let index = 0; index < length; index++) if (((bytes[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0) this.add(index);
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

  fill(): void {
    for (let index = 0; index < this.length; index++) this.add(index);
  }
}
