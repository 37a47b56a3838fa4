/**
 * A set of pieces of one title that can be met with another set 32 pieces at a time: what "the next piece that I lack and you have" costs.
 *
 * Bits lie lowest first in 32-bit words, unlike BEP 3's bitfields, which are read and written here too.
 */

const NO_PIECE = -1;

export class PieceSet {
  readonly length: number;
  readonly #words: Int32Array;
  #count = 0;

  constructor(length: number) {
    this.length = length;
    this.#words = new Int32Array((length + 31) >>> 5);
  }

  /** @param bytes in BEP 3's bit order; bits beyond the length are ignored, missing bytes count as zeros. */
  static fromBitfield(length: number, bytes: Uint8Array): PieceSet {
    const set = new PieceSet(length);
    const count = Math.min(length, bytes.length * 8);
    for (let piece = 0; piece < count; piece++) {
      const byte = bytes[piece >> 3] as number;
      if (byte === 0) piece |= 7;
      else if ((byte & (0x80 >> (piece & 7))) !== 0) set.add(piece);
    }
    return set;
  }

  static full(length: number): PieceSet {
    const set = new PieceSet(length);
    set.#words.fill(-1);
    const spare = length & 31;
    if (spare !== 0) set.#words[set.#words.length - 1] = 2 ** spare - 1;
    set.#count = length;
    return set;
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.length;
  }

  has(piece: number): boolean {
    return ((this.#words[piece >>> 5] as number) & (1 << (piece & 31))) !== 0;
  }

  /** @returns whether the piece is new. It must be one of the title. */
  add(piece: number): boolean {
    if (this.has(piece)) return false;
    this.#words[piece >>> 5] = (this.#words[piece >>> 5] as number) | (1 << (piece & 31));
    this.#count += 1;
    return true;
  }

  /** @returns whether the piece was in. */
  delete(piece: number): boolean {
    if (!this.has(piece)) return false;
    this.#words[piece >>> 5] = (this.#words[piece >>> 5] as number) & ~(1 << (piece & 31));
    this.#count -= 1;
    return true;
  }

  /** Adds or removes. @returns whether that changed anything. */
  set(piece: number, isIn: boolean): boolean {
    return isIn ? this.add(piece) : this.delete(piece);
  }

  /** The first piece from `from` to `to` (both included) that is in this set and in `other`, if there is one; −1 when there is none. */
  next(other: PieceSet | null, from: number, to: number): number {
    const last = Math.min(to, this.length - 1);
    if (from > last) return NO_PIECE;
    const mine = this.#words;
    const theirs = other === null ? mine : other.#words;
    const lastWord = last >>> 5;
    let at = from >>> 5;
    let word = (mine[at] as number) & (theirs[at] as number) & (-1 << (from & 31));
    while (word === 0) {
      if (++at > lastWord) return NO_PIECE;
      word = (mine[at] as number) & (theirs[at] as number);
    }
    const piece = (at << 5) + (31 - Math.clz32(word & -word));
    return piece > last ? NO_PIECE : piece;
  }

  /** How many pieces are in both. */
  countCommon(other: PieceSet): number {
    let count = 0;
    for (let at = 0; at < this.#words.length; at++) count += onesIn((this.#words[at] as number) & (other.#words[at] as number));
    return count;
  }

  *[Symbol.iterator](): IterableIterator<number> {
    for (let piece = this.next(null, 0, this.length - 1); piece !== NO_PIECE; piece = this.next(null, piece + 1, this.length - 1))
      yield piece;
  }

  /** As BEP 3 wants it, spare bits zero. */
  toBitfield(): Uint8Array {
    const bytes = new Uint8Array((this.length + 7) >>> 3);
    for (const piece of this) bytes[piece >> 3] = (bytes[piece >> 3] as number) | (0x80 >> (piece & 7));
    return bytes;
  }
}

/** How many bits of a 32-bit word are set. */
function onesIn(word: number): number {
  const pairs = word - ((word >>> 1) & 0x5555_5555);
  const nibbles = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333);
  return (Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24) & 0x3f;
}
