/**
 * Media without bytes: pieces of zeros that go through the real codec, and weigh on links what real ones would, but take no memory.
 *
 * A frame with a block is kept as its head alone; the codec sees it whole in one buffer that all share. Wrong data is one byte longer as a
 * head and comes out as 255s, so that whoever stores it can tell, as a hash would.
 */
import type { Malformed } from '../kernel/errors.js';
import type { Codec } from '../kernel/ports.js';
import type { Bytes } from '../kernel/units.js';
import { BLOCK_BYTES } from '../vod/block.js';
import { type PeerMessage, PIECE_HEADER_BYTES, peerCodec, REQUEST_BYTES_MAX } from '../vod/peer-message.js';

const PIECE_ID = 7;
const ID_AT = 4;
const GOOD = new Uint8Array(PIECE_HEADER_BYTES + REQUEST_BYTES_MAX);
const BAD = new Uint8Array(PIECE_HEADER_BYTES + REQUEST_BYTES_MAX).fill(0xff);

/** A block as it should be. */
export function goodBlock(lengthBytes: Bytes): Uint8Array {
  return GOOD.subarray(PIECE_HEADER_BYTES, PIECE_HEADER_BYTES + lengthBytes);
}

/** A block that no hash fits. */
export function badBlock(lengthBytes: Bytes): Uint8Array {
  return BAD.subarray(PIECE_HEADER_BYTES, PIECE_HEADER_BYTES + lengthBytes);
}

export function isBadBlock(bytes: Uint8Array): boolean {
  return bytes[0] !== 0;
}

/** The real codec, for messages whose blocks are phantoms. */
export const phantomCodec: Codec<PeerMessage> = {
  encode(message: PeerMessage): Uint8Array {
    if (message.kind !== 'piece') return peerCodec.encode(message);
    const whole = peerCodec.encode({ ...message, hasHeadroom: true });
    return whole.slice(0, PIECE_HEADER_BYTES + (isBadBlock(message.bytes) ? 1 : 0));
  },
  decode(frame: Uint8Array): PeerMessage | Malformed {
    if (!isPhantom(frame)) return peerCodec.decode(frame);
    const shared = frame.length > PIECE_HEADER_BYTES ? BAD : GOOD;
    shared.set(frame.subarray(0, PIECE_HEADER_BYTES));
    return peerCodec.decode(shared.subarray(0, phantomBytes(frame)));
  },
};

/** What a frame weighs: what its prefix says, and the prefix. */
export function phantomBytes(frame: Uint8Array): Bytes {
  if (!isPhantom(frame)) return frame.length;
  return 4 + (frame[0] as number) * 0x1000000 + ((frame[1] as number) << 16) + ((frame[2] as number) << 8) + (frame[3] as number);
}

/** What a message weighs on the wire, of which `frame` is what was kept. */
export function messageBytes(message: PeerMessage, frameBytes: Bytes): Bytes {
  return message.kind === 'piece' ? PIECE_HEADER_BYTES + message.bytes.length : frameBytes;
}

function isPhantom(frame: Uint8Array): boolean {
  return frame[ID_AT] === PIECE_ID && frame.length <= PIECE_HEADER_BYTES + 1;
}

/** Where the verified and the half-done pieces of a phantom title stand. */
export class PhantomStore {
  readonly #pieceBytes: (piece: number) => Bytes;
  /** 1: verified. */
  readonly #complete: Uint8Array;
  /** By piece that is not whole: 1 for a good block, 2 for a bad one. */
  readonly #blocks = new Map<number, Uint8Array>();
  completeCount: number;

  constructor(pieceCount: number, pieceBytes: (piece: number) => Bytes, isWhole: boolean) {
    this.#pieceBytes = pieceBytes;
    this.#complete = new Uint8Array(pieceCount).fill(isWhole ? 1 : 0);
    this.completeCount = isWhole ? pieceCount : 0;
  }

  /** In BEP 3's bit order. */
  bitfield(): Uint8Array {
    const bits = new Uint8Array(Math.ceil(this.#complete.length / 8));
    this.#complete.forEach((is, piece) => {
      if (is === 1) bits[piece >> 3] = (bits[piece >> 3] as number) | (0x80 >> (piece & 7));
    });
    return bits;
  }

  has(piece: number): boolean {
    return this.#complete[piece] === 1;
  }

  write(piece: number, offsetBytes: Bytes, bytes: Uint8Array): void {
    let blocks = this.#blocks.get(piece);
    if (!blocks) {
      blocks = new Uint8Array(Math.ceil(this.#pieceBytes(piece) / BLOCK_BYTES));
      this.#blocks.set(piece, blocks);
    }
    blocks[Math.floor(offsetBytes / BLOCK_BYTES)] = isBadBlock(bytes) ? 2 : 1;
  }

  /** As a hash would say. */
  isRight(piece: number): boolean {
    return this.#blocks.get(piece)?.every((state) => state === 1) ?? false;
  }

  /** One word for each block, equal for equal bytes. */
  digests(piece: number): readonly string[] {
    return Array.from(this.#blocks.get(piece) ?? [], String);
  }

  complete(piece: number): void {
    this.#blocks.delete(piece);
    if (this.#complete[piece] === 1) return;
    this.#complete[piece] = 1;
    this.completeCount += 1;
  }
}
