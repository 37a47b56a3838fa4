/**
 * What happened in a world, as one word: two runs with the same seed give the same, on every machine (invariant M5).
 *
 * Lines are for events that a person would name, `mix` is for the many that only count together. Time goes in as whole microseconds.
 */
import { createHash } from 'node:crypto';
import type { Milliseconds } from '../kernel/units.js';

const DIGEST_CHARACTERS = 16;

export class EventLog {
  readonly #hash = createHash('sha256');
  readonly #onLine: ((line: string) => void) | undefined;
  #low = 0x2545f491;
  #high = 0x9e3779b9;
  /** Events of both kinds. */
  count = 0;

  /** @param onLine is given every line, for a file in which two runs can be compared. */
  constructor(onLine?: (line: string) => void) {
    this.#onLine = onLine;
  }

  line(nowMs: Milliseconds, text: string): void {
    const line = `${Math.round(nowMs * 1000)} ${text}`;
    this.count += 1;
    this.#hash.update(`${line}\n`);
    this.#onLine?.(line);
  }

  /** Up to three whole numbers of 32 bits. */
  mix(nowMs: Milliseconds, a: number, b = 0, c = 0): void {
    this.count += 1;
    this.#low = Math.imul(this.#low ^ Math.round(nowMs * 1000), 0x85ebca6b) ^ a;
    this.#high = Math.imul(this.#high ^ (this.#low >>> 13) ^ b, 0xc2b2ae35);
    this.#low = (this.#low ^ Math.imul(c + 1, 0x27d4eb2f) ^ (this.#high >>> 16)) | 0;
  }

  /** 16 hex digits; the log may go on afterwards. */
  digest(): string {
    const lanes = new Uint32Array([this.#low, this.#high, this.count]);
    return this.#hash.copy().update(lanes.join(' ')).digest('hex').slice(0, DIGEST_CHARACTERS);
  }
}
