/**
 * What travels beside the windows, signed: script metadata (`onMetaData`) of an FLV channel, the canonical header of an ASF channel.
 *
 * It belongs to the channel and not to any window. Servers rewrite script metadata on the way (protocols sheet, fact 19): two publishers of
 * one source would otherwise never make equal pieces. An ASF header is as large as a window.
 *
 * | offset | size | field                                                                  |
 * |--------|------|------------------------------------------------------------------------|
 * | 0      | 1    | version, 1                                                             |
 * | 1      | 1    | flags: bit 0 delegated                                                 |
 * | 2      | 4    | first window it goes with; the greatest wins                           |
 * | 6      | n    | body of the FLV script tag, or the ASF header                          |
 * |        | 109  | only when delegated: the publisher's certificate                       |
 * |        | 64   | Ed25519 signature of that key, else of the owner's; domain `shoal info 1`, NUL |
 */
import { ByteReader, ByteWriter } from '../../kernel/bytes.js';
import { Malformed } from '../../kernel/errors.js';
import type { Signer } from '../../kernel/ports.js';
import type { Bytes, InfoHash, WindowNumber } from '../../kernel/units.js';
import { CERTIFICATE_BYTES, type Certificate, decodeCertificate } from './certificate.js';
import { SIGNATURE_BYTES, signedBytes } from './signature.js';

const VERSION = 1;
const FLAG_DELEGATED = 1;
const FIXED_BYTES: Bytes = 6;
/** What an info's signature is made for. */
export const INFO_DOMAIN = 'shoal info 1\0';
/** An ASF header may have this size and no more (protocols sheet, fact 2); script metadata is far smaller. */
export const METADATA_BYTES_MAX: Bytes = 65_527;

export interface StreamInfo {
  readonly since: WindowNumber;
  /** Body of a script tag without `@setDataFrame`, or an ASF header. */
  readonly metadata: Uint8Array;
  /** Key of the publisher that signed it, 32 bytes; null: the owner itself. */
  readonly signer: Uint8Array | null;
  readonly certificate: Certificate | null;
  /** As it travels, signature included. */
  readonly bytes: Uint8Array;
}

/** Without a certificate, the signer is the owner. */
export function signStreamInfo(
  since: WindowNumber,
  metadata: Uint8Array,
  channel: InfoHash,
  signer: Signer,
  certificate: Certificate | null = null,
): StreamInfo {
  const writer = new ByteWriter(FIXED_BYTES + metadata.length + CERTIFICATE_BYTES + SIGNATURE_BYTES);
  writer
    .uint8(VERSION)
    .uint8(certificate ? FLAG_DELEGATED : 0)
    .uint32(since)
    .bytes(metadata);
  if (certificate) writer.bytes(certificate.bytes);
  writer.bytes(signer.sign(signedBytes(INFO_DOMAIN, channel, writer.finish())));
  return { since, metadata, signer: certificate?.key ?? null, certificate, bytes: writer.finish() };
}

/** Reads an info and checks its shape. The signatures are another question: `Authority.judge`. */
export function decodeStreamInfo(bytes: Uint8Array): StreamInfo | Malformed {
  const reader = new ByteReader(bytes);
  const version = reader.uint8();
  if (version !== VERSION) return new Malformed(`stream info version ${version}, expected ${VERSION}`);
  const delegated = (reader.uint8() & FLAG_DELEGATED) !== 0;
  const since = reader.uint32();
  const metadataBytes = reader.remainingBytes - SIGNATURE_BYTES - (delegated ? CERTIFICATE_BYTES : 0);
  if (metadataBytes < 0 || metadataBytes > METADATA_BYTES_MAX) return new Malformed(`stream info of ${bytes.length} bytes`);
  const metadata = reader.bytes(metadataBytes);
  const certificate = delegated ? decodeCertificate(reader.bytes(CERTIFICATE_BYTES)) : null;
  if (!reader.ok) return new Malformed('stream info cut off');
  return certificate instanceof Malformed ? certificate : { since, metadata, signer: certificate?.key ?? null, certificate, bytes };
}
