/**
 * The signed table of contents of one window. A peer checks it before it stores, plays or forwards any byte of the window.
 *
 * Layout, big-endian; the signature covers `shoal window 1`, NUL, the 20-byte channel id and all bytes before the signature:
 *
 * | offset | size   | field                                                             |
 * |--------|--------|-------------------------------------------------------------------|
 * | 0      | 1      | version, 1                                                        |
 * | 1      | 1      | flags: bit 0 discontinuity, bit 1 the window before it is known,  |
 * |        |        | bit 2 delegated: a certificate stands before the signature        |
 * | 2      | 4      | window number                                                     |
 * | 6      | 4      | number of the window before it, 0 when unknown                    |
 * | 10     | 6      | start, ms of the source's unwrapped timeline                      |
 * | 16     | 4      | duration, ms                                                      |
 * | 20     | 4      | size of the window, bytes                                         |
 * | 24     | 2      | number of pieces p                                                |
 * | 26     | 1      | number of key marks k                                             |
 * | 27     | 8·k    | key marks: offset u32 (bytes), time after start u32 (ms)          |
 * |        | 32·p   | SHA-256 of each piece                                             |
 * |        | 109    | only when delegated: the publisher's certificate                  |
 * |        | 64     | Ed25519 signature (RFC 8032) of the certificate's key, else of the owner's |
 *
 * Every piece but the last has the channel's piece size. Channel id and number under the signature keep a window of another channel or
 * another time from being passed off as this one (peers sheet 2.4). Whether the certificate is any good is `Authority`'s to say.
 */
import { ByteReader, ByteWriter, copyOf } from '../../kernel/bytes.js';
import { invariant, Malformed } from '../../kernel/errors.js';
import type { Hasher, Signer } from '../../kernel/ports.js';
import type { Bytes, InfoHash, Milliseconds, WindowNumber } from '../../kernel/units.js';
import { CERTIFICATE_BYTES, type Certificate, decodeCertificate } from './certificate.js';
import { SIGNATURE_BYTES, signedBytes } from './signature.js';

const VERSION = 1;
const FLAG_DISCONTINUITY = 1;
const FLAG_PREVIOUS = 2;
const FLAG_DELEGATED = 4;
const FIXED_BYTES = 27;
export const HASH_BYTES = 32;
export const KEY_MARKS_MAX = 32;
/** A window of 8 MiB in pieces of 1 KiB would be 8192; more pieces than this is no window. */
export const PIECES_MAX = 8192;
/** What a window's signature is made for. */
export const WINDOW_DOMAIN = 'shoal window 1\0';

export interface ManifestKeyMark {
  readonly offsetBytes: Bytes;
  readonly afterStartMs: Milliseconds;
}

export interface Manifest {
  readonly number: WindowNumber;
  readonly previous: WindowNumber | null;
  readonly discontinuity: boolean;
  readonly startMs: Milliseconds;
  readonly durationMs: Milliseconds;
  readonly sizeBytes: Bytes;
  readonly keyMarks: readonly ManifestKeyMark[];
  readonly pieceHashes: readonly Uint8Array[];
  /** Tells contents under one number apart; see `contentVersion`. */
  readonly version: ContentVersion;
  /** Key of the publisher that signed it, 32 bytes; null: the owner itself. */
  readonly signer: Uint8Array | null;
  /** What the owner gave that publisher. */
  readonly certificate: Certificate | null;
  /** The whole manifest, certificate and signature included. */
  readonly bytes: Uint8Array;
}

/** What a publisher knows of a window before it signs it; the same fields as the cutter's `CutWindow`. */
export interface WindowContent {
  readonly number: WindowNumber;
  readonly previous: WindowNumber | null;
  readonly discontinuity: boolean;
  readonly startMs: Milliseconds;
  readonly durationMs: Milliseconds;
  readonly bytes: Uint8Array;
  readonly keyMarks: readonly ManifestKeyMark[];
}

/** Splits a window into its pieces: views, not copies. An empty window has no pieces. */
export function splitPieces(bytes: Uint8Array, pieceBytes: Bytes): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < bytes.length; offset += pieceBytes) pieces.push(bytes.subarray(offset, offset + pieceBytes));
  return pieces;
}

/** Hashes and signs a window. Without a certificate, the signer is the owner. */
export function signManifest(
  content: WindowContent,
  channel: InfoHash,
  pieceBytes: Bytes,
  hasher: Hasher,
  signer: Signer,
  certificate: Certificate | null = null,
): Manifest {
  const pieceHashes = splitPieces(content.bytes, pieceBytes).map((piece) => hasher.sha256(piece));
  invariant(pieceHashes.length > 0 && pieceHashes.length <= PIECES_MAX, 'A window has between 1 and 8192 pieces.');
  invariant(content.keyMarks.length <= KEY_MARKS_MAX, 'A window has at most 32 key marks.');
  const writer = new ByteWriter(
    FIXED_BYTES + content.keyMarks.length * 8 + pieceHashes.length * HASH_BYTES + CERTIFICATE_BYTES + SIGNATURE_BYTES,
  );
  writer.uint8(VERSION).uint8(flagsOf(content, certificate));
  writer
    .uint32(content.number)
    .uint32(content.previous ?? 0)
    .uint48(content.startMs)
    .uint32(content.durationMs)
    .uint32(content.bytes.length);
  writer.uint16(pieceHashes.length).uint8(content.keyMarks.length);
  for (const mark of content.keyMarks) writer.uint32(mark.offsetBytes).uint32(mark.afterStartMs);
  for (const hash of pieceHashes) writer.bytes(hash);
  if (certificate) writer.bytes(certificate.bytes);
  writer.bytes(signer.sign(signedBytes(WINDOW_DOMAIN, channel, writer.finish())));
  const { number, previous, discontinuity, startMs, durationMs, keyMarks } = content;
  return {
    number,
    previous,
    discontinuity,
    startMs,
    durationMs,
    keyMarks,
    sizeBytes: content.bytes.length,
    pieceHashes,
    version: contentVersion(pieceHashes),
    signer: certificate?.key ?? null,
    certificate,
    bytes: writer.finish(),
  };
}

/**
 * A short name for what a window holds, 1 to 2^32 − 1: equal for equal contents, whoever signed them. It travels in maps, so that a peer asks for
 * pieces only where the window is the one it means. Hearsay there; nothing is believed because of it.
 */
export type ContentVersion = number;

export function contentVersion(pieceHashes: readonly Uint8Array[]): ContentVersion {
  let version = 0x811c9dc5;
  for (const hash of pieceHashes) for (let at = 0; at < 8; at++) version = Math.imul(version ^ (hash[at] ?? 0), 0x01000193);
  return version >>> 0 || 1;
}

function flagsOf({ discontinuity, previous }: WindowContent, certificate: Certificate | null): number {
  return (discontinuity ? FLAG_DISCONTINUITY : 0) | (previous === null ? 0 : FLAG_PREVIOUS) | (certificate ? FLAG_DELEGATED : 0);
}

/** Reads a manifest and checks its shape against the channel's piece size. The signatures are another question: `Authority.judge`. */
export function decodeManifest(bytes: Uint8Array, pieceBytes: Bytes): Manifest | Malformed {
  const reader = new ByteReader(bytes);
  const version = reader.uint8();
  if (version !== VERSION) return new Malformed(`manifest version ${version}, expected ${VERSION}`);
  const flags = reader.uint8();
  const number = reader.uint32();
  const previousField = reader.uint32();
  const previous = (flags & FLAG_PREVIOUS) === 0 ? null : previousField;
  const startMs = reader.uint48();
  const durationMs = reader.uint32();
  const sizeBytes = reader.uint32();
  const pieceCount = reader.uint16();
  const markCount = reader.uint8();
  if (pieceCount === 0 || pieceCount > PIECES_MAX || pieceCount !== Math.ceil(sizeBytes / pieceBytes)) {
    return new Malformed(`manifest of ${pieceCount} pieces for ${sizeBytes} bytes in pieces of ${pieceBytes}`);
  }
  if (markCount > KEY_MARKS_MAX) return new Malformed(`manifest with ${markCount} key marks, at most ${KEY_MARKS_MAX}`);
  if (previous !== null && previous >= number) return new Malformed(`window ${number} says that ${previous} comes before it`);
  const keyMarks = Array.from({ length: markCount }, () => ({ offsetBytes: reader.uint32(), afterStartMs: reader.uint32() }));
  const pieceHashes = Array.from({ length: pieceCount }, () => reader.bytes(HASH_BYTES));
  const certificate = (flags & FLAG_DELEGATED) === 0 ? null : decodeCertificate(reader.bytes(CERTIFICATE_BYTES));
  reader.bytes(SIGNATURE_BYTES);
  if (!reader.ok || reader.remainingBytes !== 0) return new Malformed(`manifest of ${bytes.length} bytes does not fit its own counts`);
  if (certificate instanceof Malformed) return certificate;
  const discontinuity = (flags & FLAG_DISCONTINUITY) !== 0;
  const contents = { sizeBytes, keyMarks, pieceHashes, version: contentVersion(pieceHashes) };
  const signer = certificate?.key ?? null;
  return { number, previous, discontinuity, startMs, durationMs, ...contents, signer, certificate, bytes };
}

/** The certificate that stands in a manifest, unread; undefined where there is none. */
export function certificateIn(bytes: Uint8Array): Uint8Array | undefined {
  const isDelegated = ((bytes[1] ?? 0) & FLAG_DELEGATED) !== 0;
  const atByte = bytes.length - SIGNATURE_BYTES - CERTIFICATE_BYTES;
  return isDelegated && atByte >= FIXED_BYTES ? copyOf(bytes.subarray(atByte, atByte + CERTIFICATE_BYTES)) : undefined;
}

/** A manifest as it travels to whom its certificate is known. */
export function withoutCertificate(bytes: Uint8Array): Uint8Array {
  const contents = bytes.subarray(0, bytes.length - SIGNATURE_BYTES - CERTIFICATE_BYTES);
  return joined(contents, bytes.subarray(bytes.length - SIGNATURE_BYTES));
}

/** The whole of it again; of something that never was a manifest, something that is none either. */
export function withCertificate(bytes: Uint8Array, certificate: Uint8Array): Uint8Array {
  const atByte = Math.max(0, bytes.length - SIGNATURE_BYTES);
  return joined(bytes.subarray(0, atByte), certificate, bytes.subarray(atByte));
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const writer = new ByteWriter(parts.reduce((sum, part) => sum + part.length, 0));
  for (const part of parts) writer.bytes(part);
  return writer.finish();
}

/** The size of one piece of the window. */
export function pieceSizeBytes(manifest: Manifest, index: number, pieceBytes: Bytes): Bytes {
  return Math.min(pieceBytes, manifest.sizeBytes - index * pieceBytes);
}
