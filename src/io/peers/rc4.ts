/**
 * The RC4 key stream, as BitTorrent's stream encryption uses it: the first 1024 bytes are thrown away.
 *
 * It hides a protocol from traffic shapers and no more; nobody should take it for secrecy. In our own code, because the one of
 * OpenSSL 3 needs its legacy provider, which Node loads only when told at its start.
 *
 * Source: Message Stream Encryption, version 1.0.
 */
import type { Bytes } from '../../kernel/units.js';

const DISCARDED_BYTES: Bytes = 1024;

export class Rc4 {
  readonly #state = new Uint8Array(256);
  #i = 0;
  #j = 0;

  constructor(key: Uint8Array) {
    const state = this.#state;
    for (let i = 0; i < 256; i++) state[i] = i;
    for (let i = 0, j = 0; i < 256; i++) {
      const value = state[i] as number;
      j = (j + value + (key[i % key.length] as number)) & 0xff;
      state[i] = state[j] as number;
      state[j] = value;
    }
    this.apply(new Uint8Array(DISCARDED_BYTES));
  }

  /** Encrypts or decrypts, which is the same, in place. */
  apply(bytes: Uint8Array): void {
    const state = this.#state;
    let [i, j] = [this.#i, this.#j];
    const { length } = bytes;
    for (let at = 0; at < length; at++) {
      i = (i + 1) & 0xff;
      const a = state[i] as number;
      j = (j + a) & 0xff;
      const b = state[j] as number;
      state[i] = b;
      state[j] = a;
      bytes[at] = (bytes[at] as number) ^ (state[(a + b) & 0xff] as number);
    }
    this.#i = i;
    this.#j = j;
  }
}
