/**
 * Cuts a stream of fragmented MP4, as ffmpeg writes it, into its initialisation section and its fragments (ISO/IEC 14496-12, 8.8).
 *
 * A fragment is a `moof` box with the `mdat` that follows, and begins with a key frame of the video if there is one. Its start is read from
 * `tfdt` and the first sample's offset in `trun`. Cutting the input anywhere makes no difference. A box longer than `BOX_BYTES_MAX`
 * is a fault, so memory is bounded by what one group of pictures takes.
 */
import { Malformed } from '../kernel/errors.js';
import type { Bytes } from '../kernel/units.js';
import { ByteQueue } from '../media/byte-queue.js';

export interface Fragment {
  /** When its first picture is shown, or its first sound heard, seconds on the stream's own clock. */
  readonly startS: number;
  readonly bytes: Uint8Array;
}

/** 20 s at 25 Mbit/s. */
const BOX_BYTES_MAX: Bytes = 64 * 1024 * 1024;
const HEADER_BYTES: Bytes = 8;

/** Flags of `trun` that say which fields stand before the first sample's offset. */
const HAS_DATA_OFFSET = 0x1;
const HAS_FIRST_FLAGS = 0x4;
const HAS_DURATION = 0x100;
const HAS_SIZE = 0x200;
const HAS_FLAGS = 0x400;
const HAS_TIME_OFFSET = 0x800;

interface Track {
  readonly timescale: number;
  readonly isVideo: boolean;
}

export class FragmentSplitter {
  readonly #queue = new ByteQueue();
  readonly #tracks = new Map<number, Track>();
  #initParts: Uint8Array[] = [];
  #init: Uint8Array | undefined;
  #moof: Uint8Array | undefined;

  /** `ftyp` and `moov`, once they are there. */
  get init(): Uint8Array | undefined {
    return this.#init;
  }

  /** Takes the next bytes, and returns the fragments that are complete with them. */
  push(bytes: Uint8Array): readonly Fragment[] | Malformed {
    this.#queue.push(bytes);
    const fragments: Fragment[] = [];
    for (let header = this.#queue.peek(HEADER_BYTES); header !== undefined; header = this.#queue.peek(HEADER_BYTES)) {
      const lengthBytes = readUint32(header, 0);
      if (lengthBytes < HEADER_BYTES || lengthBytes > BOX_BYTES_MAX) return new Malformed(`an MP4 box of ${lengthBytes} bytes`);
      const box = this.#queue.take(lengthBytes);
      if (box === undefined) break;
      const fragment = this.#take(box);
      if (fragment instanceof Malformed) return fragment;
      if (fragment !== undefined) fragments.push(fragment);
    }
    return fragments;
  }

  #take(box: Uint8Array): Fragment | Malformed | undefined {
    const type = typeOf(box, 0);
    if (type === 'moof') this.#moof = box;
    else if (type === 'mdat') return this.#complete(box);
    else if (this.#init === undefined && (type === 'ftyp' || type === 'moov')) this.#takeInit(type, box);
    return undefined;
  }

  #takeInit(type: string, box: Uint8Array): void {
    this.#initParts.push(box);
    if (type !== 'moov') return;
    for (const trak of childrenOf(box, 'trak')) this.#readTrack(trak);
    this.#init = joined(this.#initParts);
    this.#initParts = [];
  }

  #readTrack(trak: Uint8Array): void {
    const [header] = childrenOf(trak, 'tkhd');
    const [media] = childrenOf(trak, 'mdia');
    const [mediaHeader] = media === undefined ? [] : childrenOf(media, 'mdhd');
    const [handler] = media === undefined ? [] : childrenOf(media, 'hdlr');
    if (header === undefined || mediaHeader === undefined || handler === undefined) return;
    // Version 1 of these boxes has two times of eight bytes before the field, version 0 of four.
    const id = readUint32(header, header[8] === 1 ? 28 : 20);
    const timescale = readUint32(mediaHeader, mediaHeader[8] === 1 ? 28 : 20);
    if (timescale > 0) this.#tracks.set(id, { timescale, isVideo: typeOf(handler, 12) === 'vide' });
  }

  #complete(mdat: Uint8Array): Fragment | Malformed {
    const moof = this.#moof;
    this.#moof = undefined;
    if (moof === undefined) return new Malformed('media without a fragment header');
    const startS = this.#startOf(moof);
    return startS === undefined ? new Malformed('a fragment without a time') : { startS, bytes: joined([moof, mdat]) };
  }

  /** The video decides; without one, whatever begins first. */
  #startOf(moof: Uint8Array): number | undefined {
    const starts = childrenOf(moof, 'traf').flatMap((traf) => this.#startOfTrack(traf) ?? []);
    const video = starts.filter(({ isVideo }) => isVideo);
    const times = (video.length > 0 ? video : starts).map(({ startS }) => startS);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  #startOfTrack(traf: Uint8Array): { readonly startS: number; readonly isVideo: boolean } | undefined {
    const [header] = childrenOf(traf, 'tfhd');
    const [time] = childrenOf(traf, 'tfdt');
    const track = header === undefined ? undefined : this.#tracks.get(readUint32(header, 12));
    if (track === undefined || time === undefined) return undefined;
    const decodeTime = time[8] === 1 ? readUint32(time, 12) * 0x1_0000_0000 + readUint32(time, 16) : readUint32(time, 12);
    const [run] = childrenOf(traf, 'trun');
    return { startS: (decodeTime + (run === undefined ? 0 : firstOffset(run))) / track.timescale, isVideo: track.isVideo };
  }
}

/** How much later than decoded the first sample is shown. */
function firstOffset(run: Uint8Array): number {
  const flags = readUint32(run, 8) & 0xffffff;
  if ((flags & HAS_TIME_OFFSET) === 0 || readUint32(run, 12) === 0) return 0;
  const before = [HAS_DATA_OFFSET, HAS_FIRST_FLAGS, HAS_DURATION, HAS_SIZE, HAS_FLAGS].filter((flag) => (flags & flag) !== 0).length;
  return readUint32(run, 16 + 4 * before) | 0;
}

/** Boxes of one type directly inside a box. */
function childrenOf(box: Uint8Array, type: string): readonly Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let atByte = HEADER_BYTES; atByte + HEADER_BYTES <= box.length; ) {
    const lengthBytes = readUint32(box, atByte);
    if (lengthBytes < HEADER_BYTES || atByte + lengthBytes > box.length) break;
    if (typeOf(box, atByte) === type) found.push(box.subarray(atByte, atByte + lengthBytes));
    atByte += lengthBytes;
  }
  return found;
}

function typeOf(bytes: Uint8Array, boxAtByte: Bytes): string {
  return String.fromCharCode(...bytes.subarray(boxAtByte + 4, boxAtByte + 8));
}

/** Zero beyond the end. */
function readUint32(bytes: Uint8Array, atByte: Bytes): number {
  return (
    (((bytes[atByte] ?? 0) << 24) | ((bytes[atByte + 1] ?? 0) << 16) | ((bytes[atByte + 2] ?? 0) << 8) | (bytes[atByte + 3] ?? 0)) >>> 0
  );
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let atByte = 0;
  for (const part of parts) {
    whole.set(part, atByte);
    atByte += part.length;
  }
  return whole;
}
