/**
 * The words of BitTorrent's peer wire and their bytes: whole frames, the length prefix included, all numbers big-endian.
 *
 * | id        | message                               | payload after the id                                    |
 * |-----------|---------------------------------------|---------------------------------------------------------|
 * | 0 1 2 3   | choke, unchoke, (not-)interested      | none                                                    |
 * | 4         | have                                  | piece u32                                               |
 * | 5         | bitfield                              | ceil(pieces / 8) bytes                                  |
 * | 6 8 16    | request, cancel, reject               | piece u32, offset u32, length u32                       |
 * | 7         | piece                                 | piece u32, offset u32, block to the end                 |
 * | 13 17     | suggest, allowed-fast                 | piece u32                                               |
 * | 14 15     | have-all, have-none                   | none                                                    |
 * | 20, sub 1 | dont-have (`lt_donthave`)             | piece u32                                               |
 * | 20, sub 2 | upload-only                           | u8: 0 no, else yes                                      |
 * | 20, sub 3 | watching (`shoal_title`)              | u8 = 1, u8: 0 no, else yes; up to 8 pieces u32: awaited |
 *
 * The sub-ids are this process's own; the wire translates them to what each peer has mapped. Whether an index lies in the title is the
 * session's to judge. Sources: BEP 3, 6, 10, 21, 54.
 */
import { Malformed } from '../kernel/errors.js';
import type { Codec } from '../kernel/ports.js';
import type { Bytes } from '../kernel/units.js';

export type PeerMessage =
  | { readonly kind: 'choke' | 'unchoke' | 'interested' | 'not-interested' | 'have-all' | 'have-none' }
  | { readonly kind: 'have' | 'suggest' | 'allowed-fast' | 'dont-have'; readonly piece: number }
  /** In BEP 3's bit order: piece 0 is the highest bit of the first byte. */
  | { readonly kind: 'bitfield'; readonly bytes: Uint8Array }
  | BlockMessage
  | PieceMessage
  /** The sender has all that it wants, though maybe not all that there is (BEP 21). */
  | { readonly kind: 'upload-only'; readonly on: boolean }
  /** Between our own kind: somebody watches this title at the sender's, so what it asks for is not for later; without the awaited pieces the picture stands still, or soon will: 8 at most. */
  | { readonly kind: 'watching'; readonly on: boolean; readonly awaited?: readonly number[] };

/** A message that names a block, or a part of one. */
export interface BlockMessage {
  readonly kind: 'request' | 'cancel' | 'reject';
  readonly piece: number;
  readonly offsetBytes: Bytes;
  readonly lengthBytes: Bytes;
}

export interface PieceMessage {
  readonly kind: 'piece';
  readonly piece: number;
  readonly offsetBytes: Bytes;
  readonly bytes: Uint8Array;
  /** The `PIECE_HEADER_BYTES` right before `bytes` in its buffer are free: the frame is made there, without a copy. */
  readonly hasHeadroom?: boolean;
}

/** Length prefix, id, piece and offset of a piece message. */
export const PIECE_HEADER_BYTES: Bytes = 13;
/** The most that one piece message may carry; what ordinary clients accept of a request. */
export const REQUEST_BYTES_MAX: Bytes = 131_072;
/** Pieces that a title may have; 8 GiB in pieces of 16 KiB have a quarter of it. */
export const PIECES_MAX = 2_097_152;

const EXTENDED_ID = 20;
const DONT_HAVE_SUB_ID = 1;
const UPLOAD_ONLY_SUB_ID = 2;
const TITLE_SUB_ID = 3;
const WATCHING = 1;
/** Pieces that a watching peer can name as awaited. */
export const AWAITED_MAX = 8;
const PREFIX_BYTES: Bytes = 4;
const ID = { have: 4, bitfield: 5, request: 6, piece: 7, cancel: 8, suggest: 13, reject: 16, 'allowed-fast': 17 } as const;
const BARE: Readonly<Record<string, number>> = {
  choke: 0,
  unchoke: 1,
  interested: 2,
  'not-interested': 3,
  'have-all': 14,
  'have-none': 15,
};
const BARE_MESSAGES: ReadonlyMap<number, PeerMessage> = new Map(
  Object.entries(BARE).map(([kind, id]) => [id, Object.freeze({ kind }) as PeerMessage]),
);

export const peerCodec: Codec<PeerMessage> = { encode, decode };

function encode(message: PeerMessage): Uint8Array {
  switch (message.kind) {
    case 'have':
    case 'suggest':
    case 'allowed-fast':
      return writeUint32(frame(ID[message.kind], 4), 5, message.piece);
    case 'request':
    case 'cancel':
    case 'reject':
      return encodeBlock(message);
    case 'piece':
      return encodePiece(message);
    case 'bitfield': {
      const bytes = frame(ID.bitfield, message.bytes.length);
      bytes.set(message.bytes, 5);
      return bytes;
    }
    case 'dont-have':
      return writeUint32(extended(DONT_HAVE_SUB_ID, 4), 6, message.piece);
    case 'upload-only':
      return withByte(extended(UPLOAD_ONLY_SUB_ID, 1), 6, message.on ? 1 : 0);
    case 'watching':
      return encodeWatching(message.on, message.awaited ?? []);
    default:
      return frame(BARE[message.kind] ?? 0, 0);
  }
}

function decode(bytes: Uint8Array): PeerMessage | Malformed {
  const length = bytes.length;
  if (length < 5 || readUint32(bytes, 0) !== length - PREFIX_BYTES) return new Malformed(`a frame of ${length} bytes with another length`);
  const id = bytes[4] as number;
  switch (id) {
    case ID.piece:
      if (length <= PIECE_HEADER_BYTES || length > PIECE_HEADER_BYTES + REQUEST_BYTES_MAX) return wrongLength(id, length);
      return {
        kind: 'piece',
        piece: readUint32(bytes, 5),
        offsetBytes: readUint32(bytes, 9),
        bytes: bytes.subarray(PIECE_HEADER_BYTES),
      };
    case ID.request:
      return length === 17 ? decodeBlock('request', bytes) : wrongLength(id, length);
    case ID.cancel:
      return length === 17 ? decodeBlock('cancel', bytes) : wrongLength(id, length);
    case ID.reject:
      return length === 17 ? decodeBlock('reject', bytes) : wrongLength(id, length);
    case ID.have:
      return length === 9 ? { kind: 'have', piece: readUint32(bytes, 5) } : wrongLength(id, length);
    case ID.suggest:
      return length === 9 ? { kind: 'suggest', piece: readUint32(bytes, 5) } : wrongLength(id, length);
    case ID['allowed-fast']:
      return length === 9 ? { kind: 'allowed-fast', piece: readUint32(bytes, 5) } : wrongLength(id, length);
    case ID.bitfield:
      return length - 5 <= PIECES_MAX / 8 ? { kind: 'bitfield', bytes: bytes.subarray(5) } : wrongLength(id, length);
    case EXTENDED_ID:
      return decodeExtended(bytes);
    default: {
      const bare = BARE_MESSAGES.get(id);
      if (bare === undefined) return new Malformed(`message id ${id} is not known`);
      return length === 5 ? bare : wrongLength(id, length);
    }
  }
}

function decodeBlock(kind: BlockMessage['kind'], bytes: Uint8Array): BlockMessage {
  return { kind, piece: readUint32(bytes, 5), offsetBytes: readUint32(bytes, 9), lengthBytes: readUint32(bytes, 13) };
}

function decodeExtended(bytes: Uint8Array): PeerMessage | Malformed {
  const length = bytes.length;
  const subId = bytes[5];
  if (subId === DONT_HAVE_SUB_ID && length === 10) return { kind: 'dont-have', piece: readUint32(bytes, 6) };
  if (subId === UPLOAD_ONLY_SUB_ID && length === 7) return { kind: 'upload-only', on: bytes[6] !== 0 };
  if (subId === TITLE_SUB_ID && length >= 8 && bytes[6] === WATCHING) return decodeWatching(bytes);
  return new Malformed(`extension message ${subId} of ${length} bytes is not known`);
}

function encodeWatching(on: boolean, awaited: readonly number[]): Uint8Array {
  const bytes = withByte(withByte(extended(TITLE_SUB_ID, 2 + 4 * awaited.length), 6, WATCHING), 7, on ? 1 : 0);
  for (const [at, piece] of awaited.entries()) writeUint32(bytes, 8 + 4 * at, piece);
  return bytes;
}

/** What does not fit is for later versions. */
function decodeWatching(bytes: Uint8Array): PeerMessage {
  const count = Math.min(AWAITED_MAX, Math.floor((bytes.length - 8) / 4));
  const awaited = Array.from({ length: count }, (_, at) => readUint32(bytes, 8 + 4 * at));
  return { kind: 'watching', on: bytes[7] !== 0, ...(count > 0 ? { awaited } : {}) };
}

function encodeBlock({ kind, piece, offsetBytes, lengthBytes }: BlockMessage): Uint8Array {
  const bytes = frame(ID[kind], 12);
  writeUint32(bytes, 5, piece);
  writeUint32(bytes, 9, offsetBytes);
  return writeUint32(bytes, 13, lengthBytes);
}

function encodePiece({ piece, offsetBytes, bytes: block, hasHeadroom }: PieceMessage): Uint8Array {
  let bytes: Uint8Array;
  if (hasHeadroom === true && block.byteOffset >= PIECE_HEADER_BYTES) {
    bytes = new Uint8Array(block.buffer, block.byteOffset - PIECE_HEADER_BYTES, PIECE_HEADER_BYTES + block.length);
  } else {
    bytes = new Uint8Array(PIECE_HEADER_BYTES + block.length);
    bytes.set(block, PIECE_HEADER_BYTES);
  }
  writeUint32(bytes, 0, PIECE_HEADER_BYTES - PREFIX_BYTES + block.length);
  bytes[4] = ID.piece;
  writeUint32(bytes, 5, piece);
  return writeUint32(bytes, 9, offsetBytes);
}

function frame(id: number, payloadBytes: Bytes): Uint8Array {
  const bytes = new Uint8Array(PREFIX_BYTES + 1 + payloadBytes);
  writeUint32(bytes, 0, 1 + payloadBytes);
  bytes[4] = id;
  return bytes;
}

function extended(subId: number, payloadBytes: Bytes): Uint8Array {
  return withByte(frame(EXTENDED_ID, 1 + payloadBytes), 5, subId);
}

function withByte(bytes: Uint8Array, at: number, value: number): Uint8Array {
  bytes[at] = value;
  return bytes;
}

function writeUint32(bytes: Uint8Array, at: number, value: number): Uint8Array {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
  return bytes;
}

function readUint32(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  return high * 0x1_0000 + (((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number));
}

function wrongLength(id: number, length: number): Malformed {
  return new Malformed(`message id ${id} of ${length} bytes, its prefix included`);
}
