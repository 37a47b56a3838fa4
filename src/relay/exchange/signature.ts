/**
 * What a signature in Shoal covers: a domain, the channel's id, and a body. So nothing signed for one purpose or channel passes for another.
 */
import { ByteWriter } from '../../kernel/bytes.js';
import type { Verifier } from '../../kernel/ports.js';
import type { Bytes, InfoHash } from '../../kernel/units.js';

/** Ed25519 (RFC 8032). */
export const SIGNATURE_BYTES: Bytes = 64;
export const PUBLIC_KEY_BYTES: Bytes = 32;

/** @param domain ASCII, ends with NUL, so that no domain is the beginning of another. */
export function signedBytes(domain: string, channel: InfoHash, body: Uint8Array): Uint8Array {
  const writer = new ByteWriter(domain.length + 20 + body.length);
  for (const character of domain) writer.uint8(character.charCodeAt(0));
  for (let index = 0; index < 20; index++) writer.uint8(Number.parseInt(channel.slice(index * 2, index * 2 + 2), 16) || 0);
  return writer.bytes(body).finish();
}

/** Checks a body whose last 64 bytes are its signature. */
export function signatureHolds(domain: string, bytes: Uint8Array, channel: InfoHash, publicKey: Uint8Array, verifier: Verifier): boolean {
  if (bytes.length < SIGNATURE_BYTES) return false;
  const body = bytes.subarray(0, bytes.length - SIGNATURE_BYTES);
  return verifier.verify(publicKey, signedBytes(domain, channel, body), bytes.subarray(bytes.length - SIGNATURE_BYTES));
}
