/**
 * Tokens that open one thing each: made from a key and a name, so that none has to be stored and one gives away no other.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** 128 bits: beyond guessing, and short enough for an address. */
const TOKEN_BYTES = 16;

/** 22 characters that need no escaping in an address. */
export function makeToken(key: Uint8Array, name: string): string {
  return createHmac('sha256', key).update(name).digest().subarray(0, TOKEN_BYTES).toString('base64url');
}

/** In a time that does not tell how much of it was right. */
export function isToken(key: Uint8Array, name: string, given: string): boolean {
  const expected = Buffer.from(makeToken(key, name));
  const offered = Buffer.from(given);
  return expected.length === offered.length && timingSafeEqual(expected, offered);
}
