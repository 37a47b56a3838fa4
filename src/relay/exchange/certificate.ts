/**
 * The owner's word that another key may sign windows of a channel, for a time: what makes a publisher.
 *
 * It belongs to every manifest and stream info that the publisher signs, so whoever knows the descriptor can check it without asking
 * anybody. The channel's id is under the signature and not in the bytes: a certificate of one channel is none of another.
 *
 * | offset | size | field                                                                                      |
 * |--------|------|--------------------------------------------------------------------------------------------|
 * | 0      | 1    | version, 1                                                                                 |
 * | 1      | 32   | the publisher's Ed25519 public key                                                         |
 * | 33     | 6    | from, Unix ms: valid from this moment on                                                   |
 * | 39     | 6    | until, Unix ms: not valid at this moment any more                                          |
 * | 45     | 64   | the owner's signature over `shoal publisher 1`, NUL, the 20-byte channel id, bytes 0 to 44 |
 */
import { ByteReader, ByteWriter } from '../../kernel/bytes.js';
import { invariant, Malformed } from '../../kernel/errors.js';
import type { Signer, Verifier } from '../../kernel/ports.js';
import type { Bytes, InfoHash, Milliseconds } from '../../kernel/units.js';
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES, signatureHolds, signedBytes } from './signature.js';

const VERSION = 1;
const PUBLISHER_DOMAIN = 'shoal publisher 1\0';
export const CERTIFICATE_BYTES: Bytes = 109;

export interface Certificate {
  /** The publisher's public key, 32 bytes. */
  readonly key: Uint8Array;
  /** Unix time; valid from this moment on. */
  readonly fromMs: Milliseconds;
  /** Unix time; not valid at this moment any more. */
  readonly untilMs: Milliseconds;
  /** As it travels, the owner's signature included. */
  readonly bytes: Uint8Array;
}

export interface CertificateTerms {
  readonly key: Uint8Array;
  readonly fromMs: Milliseconds;
  readonly untilMs: Milliseconds;
}

/** The owner delegates a key. */
export function signCertificate({ key, fromMs, untilMs }: CertificateTerms, channel: InfoHash, owner: Signer): Certificate {
  invariant(key.length === PUBLIC_KEY_BYTES, 'A publisher has a public key of 32 bytes.');
  invariant(fromMs >= 0 && fromMs < untilMs, 'A certificate begins before it ends.');
  const writer = new ByteWriter(CERTIFICATE_BYTES).uint8(VERSION).bytes(key).uint48(fromMs).uint48(untilMs);
  writer.bytes(owner.sign(signedBytes(PUBLISHER_DOMAIN, channel, writer.finish())));
  return { key, fromMs, untilMs, bytes: writer.finish() };
}

/** Reads a certificate and checks its shape. Whether the owner signed it is another question: `certificateIsSigned`. */
export function decodeCertificate(bytes: Uint8Array): Certificate | Malformed {
  if (bytes.length !== CERTIFICATE_BYTES) return new Malformed(`certificate of ${bytes.length} bytes, expected ${CERTIFICATE_BYTES}`);
  const reader = new ByteReader(bytes);
  const version = reader.uint8();
  if (version !== VERSION) return new Malformed(`certificate version ${version}, expected ${VERSION}`);
  const key = reader.bytes(PUBLIC_KEY_BYTES);
  const fromMs = reader.uint48();
  const untilMs = reader.uint48();
  reader.bytes(SIGNATURE_BYTES);
  return fromMs < untilMs ? { key, fromMs, untilMs, bytes } : new Malformed('certificate that ends before it begins');
}

/** Whether the channel's owner signed it. Says nothing about dates, or about a later revocation: `Authority` does. */
export function certificateIsSigned(certificate: Certificate, channel: InfoHash, owner: Uint8Array, verifier: Verifier): boolean {
  return signatureHolds(PUBLISHER_DOMAIN, certificate.bytes, channel, owner, verifier);
}
