/**
 * What travels beside the windows, signed: script metadata (`onMetaData`) of an FLV channel, the canonical header of an ASF channel.
 *
 * It belongs to the channel and not to any window. Servers rewrite script metadata on the way (protocols sheet, fact 19): two publishers of
 * one source would otherwise never make equal pieces. An ASF header is as large as a window.
 *
 * | offset | size | field                                          |
 * |--------|------|------------------------------------------------|
 * | 0      | 1    | version, 1                                     |
 * | 1      | 4    | first window it goes with; the greatest wins   |
 * | 5      | n    | body of the FLV script tag, or the ASF header  |
 * | 5 + n  | 64   | Ed25519 signature, domain `shoal info 1`, NUL  |
 */
import { ByteReader, ByteWriter } from '../../kernel/bytes.js';
import { Malformed } from '../../kernel/errors.js';
import type { Signer, Verifier } from '../../kernel/ports.js';
import type { Bytes, InfoHash, WindowNumber } from '../../kernel/units.js';
import { SIGNATURE_BYTES, signatureHolds, signedBytes } from './manifest.js';

const VERSION = 1;
const INFO_DOMAIN = 'shoal info 1\0';
/** An ASF header may have this size and no more (protocols sheet, fact 2); script metadata is far smaller. */
export const METADATA_BYTES_MAX: Bytes = 65_527;

export interface StreamInfo {
  readonly since: WindowNumber;
  /** Body of a script tag without `@setDataFrame`, or an ASF header. */
  readonly metadata: Uint8Array;
  /** As it travels, signature included. */
  readonly bytes: Uint8Array;
}

export function signStreamInfo(since: WindowNumber, metadata: Uint8Array, channel: InfoHash, signer: Signer): StreamInfo {
  const writer = new ByteWriter(5 + metadata.length + SIGNATURE_BYTES).uint8(VERSION).uint32(since).bytes(metadata);
  writer.bytes(signer.sign(signedBytes(INFO_DOMAIN, channel, writer.finish())));
  return { since, metadata, bytes: writer.finish() };
}

export function decodeStreamInfo(bytes: Uint8Array): StreamInfo | Malformed {
  const reader = new ByteReader(bytes);
  const version = reader.uint8();
  if (version !== VERSION) return new Malformed(`stream info version ${version}, expected ${VERSION}`);
  const since = reader.uint32();
  const metadataBytes = reader.remainingBytes - SIGNATURE_BYTES;
  if (metadataBytes < 0 || metadataBytes > METADATA_BYTES_MAX) return new Malformed(`stream info of ${bytes.length} bytes`);
  const metadata = reader.bytes(metadataBytes);
  return reader.ok ? { since, metadata, bytes } : new Malformed('stream info cut off');
}

export function streamInfoIsSigned(info: StreamInfo, channel: InfoHash, publicKey: Uint8Array, verifier: Verifier): boolean {
  return signatureHolds(INFO_DOMAIN, info.bytes, channel, publicKey, verifier);
}
