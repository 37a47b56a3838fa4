/**
 * The owner's list of publisher keys that may sign no more. It travels from neighbour to neighbour; the newest one wins.
 *
 * An entry voids the certificates of its key that begin before a moment, not the key itself: a key may be delegated again later.
 *
 * | offset | size | field                                                                                          |
 * |--------|------|------------------------------------------------------------------------------------------------|
 * | 0      | 1    | version, 1                                                                                     |
 * | 1      | 6    | serial: Unix ms of issue, greater than that of the list before; the greatest wins              |
 * | 7      | 38·n | entries, at most 128: key (32), since (6, Unix ms): certificates with `from` before it are void |
 * |        | 64   | the owner's signature over `shoal revocation 1`, NUL, the 20-byte channel id, all bytes before |
 */
import { ByteReader, ByteWriter, sameBytes } from '../../kernel/bytes.js';
import { invariant, Malformed } from '../../kernel/errors.js';
import type { Signer, Verifier } from '../../kernel/ports.js';
import type { Bytes, InfoHash, Milliseconds } from '../../kernel/units.js';
import type { Certificate } from './certificate.js';
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES, signatureHolds, signedBytes } from './signature.js';

const VERSION = 1;
const REVOCATION_DOMAIN = 'shoal revocation 1\0';
const FIXED_BYTES: Bytes = 7;
const ENTRY_BYTES: Bytes = PUBLIC_KEY_BYTES + 6;
/** A list travels whole, to every neighbour: 5 KiB at most. */
export const REVOCATIONS_MAX = 128;
export const REVOCATION_LIST_BYTES_MAX: Bytes = FIXED_BYTES + REVOCATIONS_MAX * ENTRY_BYTES + SIGNATURE_BYTES;

export interface Revocation {
  readonly key: Uint8Array;
  /** Unix time: certificates of the key that begin before it are void. */
  readonly sinceMs: Milliseconds;
}

export interface RevocationList {
  /** Unix ms of issue. */
  readonly serial: number;
  readonly entries: readonly Revocation[];
  /** As it travels, the owner's signature included. */
  readonly bytes: Uint8Array;
}

export function signRevocationList(serial: number, entries: readonly Revocation[], channel: InfoHash, owner: Signer): RevocationList {
  invariant(entries.length <= REVOCATIONS_MAX, 'A revocation list has at most 128 entries.');
  const writer = new ByteWriter(FIXED_BYTES + entries.length * ENTRY_BYTES + SIGNATURE_BYTES).uint8(VERSION).uint48(serial);
  for (const { key, sinceMs } of entries) writer.bytes(key).uint48(sinceMs);
  writer.bytes(owner.sign(signedBytes(REVOCATION_DOMAIN, channel, writer.finish())));
  return { serial, entries, bytes: writer.finish() };
}

/** Reads a list and checks its shape. Whether the owner signed it is another question: `revocationListIsSigned`. */
export function decodeRevocationList(bytes: Uint8Array): RevocationList | Malformed {
  const reader = new ByteReader(bytes);
  const version = reader.uint8();
  if (version !== VERSION) return new Malformed(`revocation list version ${version}, expected ${VERSION}`);
  const serial = reader.uint48();
  const count = (bytes.length - FIXED_BYTES - SIGNATURE_BYTES) / ENTRY_BYTES;
  if (!Number.isInteger(count) || count < 0 || count > REVOCATIONS_MAX) return new Malformed(`revocation list of ${bytes.length} bytes`);
  const entries = Array.from({ length: count }, () => ({ key: reader.bytes(PUBLIC_KEY_BYTES), sinceMs: reader.uint48() }));
  return { serial, entries, bytes };
}

export function revocationListIsSigned(list: RevocationList, channel: InfoHash, owner: Uint8Array, verifier: Verifier): boolean {
  return signatureHolds(REVOCATION_DOMAIN, list.bytes, channel, owner, verifier);
}

/** Certificates of this key that begin before this moment are void; undefined when the key does not stand on the list. */
export function revokedSinceMs(list: RevocationList | undefined, key: Uint8Array): Milliseconds | undefined {
  const moments = (list?.entries ?? []).filter((entry) => sameBytes(entry.key, key)).map(({ sinceMs }) => sinceMs);
  return moments.length === 0 ? undefined : Math.max(...moments);
}

export function isRevoked(list: RevocationList | undefined, { key, fromMs }: Certificate): boolean {
  return fromMs < (revokedSinceMs(list, key) ?? 0);
}
