/**
 * The only random source a core may use: seeded, forkable, equal on every platform.
 *
 * sfc32 (Chris Doty-Humphrey, PractRand, public domain), seeded through splitmix32. Not for secrets.
 */
export class Rng {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    let state = seed >>> 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return (z ^ (z >>> 15)) >>> 0;
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    for (let i = 0; i < 12; i++) this.uint32();
  }

  /** A whole number, 0 to 2^32 − 1. */
  uint32(): number {
    const t = (this.#a + this.#b + this.#counter) >>> 0;
    this.#counter = (this.#counter + 1) >>> 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) >>> 0;
    this.#c = (this.#c + t) >>> 0;
    return t;
  }

  /** Uniform in [0, 1). */
  float(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  /** A whole number in [0, limit); 0 when `limit` is 0 or less. */
  below(limit: number): number {
    return limit <= 0 ? 0 : Math.floor(this.float() * limit);
  }

  /** An independent generator; forking in a fixed order keeps nodes from disturbing each other. */
  fork(): Rng {
    return new Rng(this.uint32());
  }
}
