/**
 * What a publisher says that stands by because the swarm shows other content than its source: who it is, and since which window.
 *
 * It makes no windows of its own then, so nobody would know of it; people should, because two sources that were meant to be one are not.
 *
 * | offset | size | field                                                   |
 * |--------|------|---------------------------------------------------------|
 * | 0      | 1    | version, 1                                              |
 * | 1      | 1    | flags: bit 0 delegated                                  |
 * | 2      | 4    | newest window of the swarm that was compared            |
 * |        | 109  | only when delegated: the publisher's certificate        |
 * |        | 64   | Ed25519 signature, domain `shoal dissent 1`, NUL        |
 */
import { ByteReader, ByteWriter } from '../../kernel/bytes.js';
import { Malformed } from '../../kernel/errors.js';
import type { Signer } from '../../kernel/ports.js';
import type { InfoHash, WindowNumber } from '../../kernel/units.js';
import { CERTIFICATE_BYTES, type Certificate, decodeCertificate } from './certificate.js';
import { SIGNATURE_BYTES, signedBytes } from './signature.js';

const VERSION = 1;
const FLAG_DELEGATED = 1;
/** What a dissent's signature is made for. */
export const DISSENT_DOMAIN = 'shoal dissent 1\0';

export interface Dissent {
  readonly number: WindowNumber;
  /** Key of the publisher that signed it, 32 bytes; null: the owner itself. */
  readonly signer: Uint8Array | null;
  readonly certificate: Certificate | null;
  /** As it travels, signature included. */
  readonly bytes: Uint8Array;
}

/** Without a certificate, the signer is the owner. */
export function signDissent(number: WindowNumber, channel: InfoHash, signer: Signer, certificate: Certificate | null): Dissent {
  const writer = new ByteWriter(6 + CERTIFICATE_BYTES + SIGNATURE_BYTES)
    .uint8(VERSION)
    .uint8(certificate ? FLAG_DELEGATED : 0)
    .uint32(number);
  if (certificate) writer.bytes(certificate.bytes);
  writer.bytes(signer.sign(signedBytes(DISSENT_DOMAIN, channel, writer.finish())));
  return { number, signer: certificate?.key ?? null, certificate, bytes: writer.finish() };
}

/** Reads a dissent and checks its shape. The signatures are another question: `Authority.judge`. */
export function decodeDissent(bytes: Uint8Array): Dissent | Malformed {
  const reader = new ByteReader(bytes);
  const version = reader.uint8();
  if (version !== VERSION) return new Malformed(`dissent version ${version}, expected ${VERSION}`);
  const delegated = (reader.uint8() & FLAG_DELEGATED) !== 0;
  const number = reader.uint32();
  const certificate = delegated ? decodeCertificate(reader.bytes(CERTIFICATE_BYTES)) : null;
  reader.bytes(SIGNATURE_BYTES);
  if (!reader.ok || reader.remainingBytes !== 0) return new Malformed(`dissent of ${bytes.length} bytes`);
  return certificate instanceof Malformed ? certificate : { number, signer: certificate?.key ?? null, certificate, bytes };
}
