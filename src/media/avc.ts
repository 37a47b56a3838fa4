/**
 * H.264 as other containers carry it: NAL units out of Annex B or length-prefixed bytes, what a sequence parameter set says of order and
 * speed, and the avcC record for FLV and MP4.
 *
 * Nothing here throws: what cannot be read is `undefined` or an empty list. Sources: ITU-T H.264, 7.3 and annexes B and E; ISO/IEC
 * 14496-15, 5.2.4.1 (avcC).
 */
import type { Milliseconds } from '../kernel/units.js';

/** NAL unit types that matter here (H.264, table 7-1). */
export const NAL_IDR = 5;
export const NAL_SPS = 7;
export const NAL_PPS = 8;
export const NAL_ACCESS_UNIT_DELIMITER = 9;
export const NAL_FILLER = 12;

/** What a sequence parameter set tells about time. */
export interface SpsFacts {
  readonly id: number;
  /** How many frames may come before one in decoding and after it in presentation; undefined when the set does not say. */
  readonly reorderFrames: number | undefined;
  /** Length of one frame; undefined when the set does not say. */
  readonly frameMs: Milliseconds | undefined;
  readonly separateColours: boolean;
  /** Bits of `frame_num`, 4 to 16. */
  readonly frameNumBits: number;
  /** Bits of `pic_order_cnt_lsb`, 4 to 16; undefined where presentation follows decoding or is counted another way. */
  readonly orderBits: number | undefined;
  /** No interlaced pictures. */
  readonly framesOnly: boolean;
}

/** Where a picture stands in presentation. */
export interface PictureOrder {
  readonly idr: boolean;
  /** Others may refer to it. */
  readonly reference: boolean;
  /** `pic_order_cnt_lsb`; 0 for a stream without. */
  readonly orderLow: number;
}

/** Parameter sets and the length of the length field of an avcC record. */
export interface AvcConfig {
  readonly lengthBytes: number;
  readonly sps: readonly Uint8Array[];
  readonly pps: readonly Uint8Array[];
}

/** More NAL units in one frame than this come only from a fault. */
const NAL_UNITS_MAX = 4096;
const REORDER_FRAMES_MAX = 16;
/** Profiles whose parameter sets carry chroma fields (H.264, 7.3.2.1.1). */
const CHROMA_PROFILES: ReadonlySet<number> = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]);
const BASELINE_PROFILE = 66;
const EXTENDED_ASPECT_RATIO = 255;
/** More than the fields up to the order count can take. */
const SLICE_HEAD_BYTES = 40;

export function nalType(nal: Uint8Array): number {
  return (nal[0] ?? 0) & 0x1f;
}

/** True when the bytes begin with an Annex B start code. */
export function isAnnexB(bytes: Uint8Array): boolean {
  return bytes[0] === 0 && bytes[1] === 0 && (bytes[2] === 1 || (bytes[2] === 0 && bytes[3] === 1));
}

/** The NAL units between start codes; views. Zero bytes before a start code belong to none. */
export function splitAnnexB(bytes: Uint8Array): readonly Uint8Array[] {
  const units: Uint8Array[] = [];
  let start = -1;
  for (let at = 0; at + 2 < bytes.length && units.length < NAL_UNITS_MAX; at++) {
    if ((bytes[at + 2] ?? 0) > 1) {
      at += 2;
      continue;
    }
    if (bytes[at] !== 0 || bytes[at + 1] !== 0 || bytes[at + 2] !== 1) continue;
    if (start >= 0) pushUnit(units, bytes, start, at);
    start = at + 3;
    at += 2;
  }
  if (start >= 0 && units.length < NAL_UNITS_MAX) pushUnit(units, bytes, start, bytes.length);
  return units;
}

function pushUnit(units: Uint8Array[], bytes: Uint8Array, start: number, limit: number): void {
  let end = limit;
  while (end > start && bytes[end - 1] === 0) end -= 1;
  if (end > start) units.push(bytes.subarray(start, end));
}

/** The NAL units behind big-endian lengths of `lengthBytes`; empty when the lengths do not add up. */
export function splitLengthPrefixed(bytes: Uint8Array, lengthBytes: number): readonly Uint8Array[] {
  const units: Uint8Array[] = [];
  let at = 0;
  while (at + lengthBytes <= bytes.length && units.length < NAL_UNITS_MAX) {
    let sizeBytes = 0;
    for (let index = 0; index < lengthBytes; index++) sizeBytes = sizeBytes * 256 + (bytes[at + index] ?? 0);
    at += lengthBytes;
    if (sizeBytes > bytes.length - at) return [];
    if (sizeBytes > 0) units.push(bytes.subarray(at, at + sizeBytes));
    at += sizeBytes;
  }
  return at === bytes.length ? units : [];
}

/** The units with four-byte lengths before them, as FLV and MP4 want them. */
export function joinLengthPrefixed(units: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(units.reduce((sum, unit) => sum + 4 + unit.length, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const unit of units) {
    view.setUint32(at, unit.length);
    out.set(unit, at + 4);
    at += 4 + unit.length;
  }
  return out;
}

/** Reads an avcC record; undefined when it is none. */
export function parseAvcConfig(record: Uint8Array): AvcConfig | undefined {
  if (record.length < 7 || record[0] !== 1) return undefined;
  const lengthBytes = ((record[4] ?? 0) & 3) + 1;
  const sps = readSets(record, 6, (record[5] ?? 0) & 0x1f);
  if (sps === undefined || sps.end >= record.length) return undefined;
  const pps = readSets(record, sps.end + 1, record[sps.end] ?? 0);
  return pps === undefined ? undefined : { lengthBytes, sps: sps.sets, pps: pps.sets };
}

function readSets(record: Uint8Array, start: number, count: number): { sets: Uint8Array[]; end: number } | undefined {
  const sets: Uint8Array[] = [];
  let at = start;
  for (let index = 0; index < count; index++) {
    const sizeBytes = ((record[at] ?? 0) << 8) | (record[at + 1] ?? 0);
    if (at + 2 + sizeBytes > record.length) return undefined;
    sets.push(record.subarray(at + 2, at + 2 + sizeBytes));
    at += 2 + sizeBytes;
  }
  return { sets, end: at };
}

/** The avcC record for these parameter sets, with four-byte lengths; undefined without a usable one of each kind. */
export function buildAvcConfig(allSps: readonly Uint8Array[], allPps: readonly Uint8Array[]): Uint8Array | undefined {
  const sps = allSps.filter((set) => set.length >= 4 && set.length <= 0xffff).slice(0, 31);
  const pps = allPps.filter((set) => set.length >= 1 && set.length <= 0xffff).slice(0, 255);
  const first = sps[0];
  if (first === undefined || pps.length === 0) return undefined;
  const head = [1, first[1] ?? 0, first[2] ?? 0, first[3] ?? 0, 0xff, 0xe0 | sps.length];
  const out = new Uint8Array(head.length + 1 + [...sps, ...pps].reduce((sum, set) => sum + 2 + set.length, 0));
  out.set(head);
  let at = writeSets(out, head.length, sps);
  out[at] = pps.length;
  at += 1;
  writeSets(out, at, pps);
  return out;
}

function writeSets(out: Uint8Array, start: number, sets: readonly Uint8Array[]): number {
  let at = start;
  for (const set of sets) {
    out[at] = set.length >> 8;
    out[at + 1] = set.length & 0xff;
    out.set(set, at + 2);
    at += 2 + set.length;
  }
  return at;
}

/** The id of a picture parameter set; undefined when it cannot be read. */
export function ppsId(nal: Uint8Array): number | undefined {
  const reader = new BitReader(nal.subarray(1));
  const id = reader.unsigned();
  return reader.ok && id < 256 ? id : undefined;
}

/** Reads a sequence parameter set, its header byte included; undefined when it is cut off or impossible. */
export function parseSps(nal: Uint8Array): SpsFacts | undefined {
  const reader = new BitReader(withoutEmulation(nal.subarray(1)));
  const profile = reader.bits(8);
  reader.bits(16);
  const id = reader.unsigned();
  const separateColours = CHROMA_PROFILES.has(profile) && skipChroma(reader);
  const frameNumBits = reader.unsigned() + 4;
  const order = readOrderType(reader);
  reader.unsigned();
  reader.bits(1);
  reader.unsigned();
  reader.unsigned();
  const framesOnly = reader.bits(1) === 1;
  if (!framesOnly) reader.bits(1);
  reader.bits(1);
  if (reader.bits(1) === 1) for (let edge = 0; edge < 4; edge++) reader.unsigned();
  const vui = reader.bits(1) === 1 ? readVui(reader) : {};
  if (!reader.ok || id > 31 || frameNumBits > 16 || (order.bits ?? 4) > 16) return undefined;
  const inOrder = profile === BASELINE_PROFILE || order.type === 2;
  const reorderFrames = inOrder ? 0 : vui.reorderFrames;
  return { id, reorderFrames, frameMs: vui.frameMs, separateColours, frameNumBits, orderBits: order.bits, framesOnly };
}

/** Reads the order count of a picture from its first slice; undefined when the units hold none. */
export function readPictureOrder(units: readonly Uint8Array[], sps: SpsFacts): PictureOrder | undefined {
  const slice = units.find((unit) => nalType(unit) === 1 || nalType(unit) === 2 || nalType(unit) === NAL_IDR);
  if (slice === undefined) return undefined;
  const idr = nalType(slice) === NAL_IDR;
  const reader = new BitReader(withoutEmulation(slice.subarray(1, 1 + SLICE_HEAD_BYTES)));
  for (let field = 0; field < 3; field++) reader.unsigned();
  if (sps.separateColours) reader.bits(2);
  reader.bits(sps.frameNumBits);
  if (!sps.framesOnly && reader.bits(1) === 1) reader.bits(1);
  if (idr) reader.unsigned();
  const orderLow = sps.orderBits === undefined ? 0 : reader.bits(sps.orderBits);
  return reader.ok ? { idr, reference: ((slice[0] ?? 0) & 0x60) !== 0, orderLow } : undefined;
}

/** True when colour planes are coded apart. */
function skipChroma(reader: BitReader): boolean {
  const chromaFormat = reader.unsigned();
  const separate = chromaFormat === 3 && reader.bits(1) === 1;
  reader.unsigned();
  reader.unsigned();
  reader.bits(1);
  if (reader.bits(1) === 0) return separate;
  for (let list = 0; list < (chromaFormat === 3 ? 12 : 8); list++) {
    if (reader.bits(1) === 1) skipScalingList(reader, list < 6 ? 16 : 64);
  }
  return separate;
}

function skipScalingList(reader: BitReader, size: number): void {
  let last = 8;
  let next = 8;
  for (let index = 0; index < size && reader.ok; index++) {
    if (next !== 0) next = (last + reader.signed() + 256) & 0xff;
    last = next === 0 ? last : next;
  }
}

function readOrderType(reader: BitReader): { readonly type: number; readonly bits: number | undefined } {
  const type = reader.unsigned();
  if (type === 0) return { type, bits: reader.unsigned() + 4 };
  if (type !== 1) return { type, bits: undefined };
  reader.bits(1);
  reader.signed();
  reader.signed();
  const cycle = Math.min(reader.unsigned(), 255);
  for (let index = 0; index < cycle; index++) reader.signed();
  return { type, bits: undefined };
}

/** H.264, E.1.1. */
function readVui(reader: BitReader): { reorderFrames?: number; frameMs?: Milliseconds } {
  if (reader.bits(1) === 1 && reader.bits(8) === EXTENDED_ASPECT_RATIO) reader.bits(32);
  if (reader.bits(1) === 1) reader.bits(1);
  if (reader.bits(1) === 1) {
    reader.bits(4);
    if (reader.bits(1) === 1) reader.bits(24);
  }
  if (reader.bits(1) === 1) {
    reader.unsigned();
    reader.unsigned();
  }
  const frameMs = reader.bits(1) === 1 ? readFrameMs(reader) : undefined;
  const nalHrd = reader.bits(1) === 1;
  if (nalHrd) skipHrd(reader);
  const vclHrd = reader.bits(1) === 1;
  if (vclHrd) skipHrd(reader);
  if (nalHrd || vclHrd) reader.bits(1);
  reader.bits(1);
  const reorderFrames = reader.bits(1) === 1 ? readReorder(reader) : undefined;
  return { ...(reorderFrames === undefined ? {} : { reorderFrames }), ...(frameMs === undefined ? {} : { frameMs }) };
}

function readFrameMs(reader: BitReader): Milliseconds | undefined {
  const unitsInTick = reader.bits(32);
  const timeScale = reader.bits(32);
  reader.bits(1);
  const frameMs = (2000 * unitsInTick) / timeScale;
  return frameMs >= 1 && frameMs <= 1000 ? frameMs : undefined;
}

function skipHrd(reader: BitReader): void {
  const count = Math.min(reader.unsigned(), 31) + 1;
  reader.bits(8);
  for (let index = 0; index < count; index++) {
    reader.unsigned();
    reader.unsigned();
    reader.bits(1);
  }
  reader.bits(20);
}

function readReorder(reader: BitReader): number | undefined {
  reader.bits(1);
  for (let field = 0; field < 4; field++) reader.unsigned();
  const reorderFrames = reader.unsigned();
  return reorderFrames <= REORDER_FRAMES_MAX ? reorderFrames : undefined;
}

/** Takes out the 03 bytes that keep start codes from appearing inside a unit (H.264, 7.4.1). */
function withoutEmulation(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length);
  let count = 0;
  let zeros = 0;
  for (const byte of bytes) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    zeros = byte === 0 ? zeros + 1 : 0;
    out[count] = byte;
    count += 1;
  }
  return out.subarray(0, count);
}

/** Bits from the top of each byte; zeros past the end, remembered in `ok`. */
class BitReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get ok(): boolean {
    return this.#at <= this.#bytes.length * 8;
  }

  /** Up to 32 bits. */
  bits(count: number): number {
    let value = 0;
    for (let index = 0; index < count; index++, this.#at++) {
      value = value * 2 + (((this.#bytes[this.#at >> 3] ?? 0) >> (7 - (this.#at & 7))) & 1);
    }
    return value;
  }

  /** Exp-Golomb (H.264, 9.1). */
  unsigned(): number {
    let zeros = 0;
    while (zeros < 32 && this.ok && this.bits(1) === 0) zeros += 1;
    return 2 ** zeros - 1 + this.bits(zeros);
  }

  signed(): number {
    const code = this.unsigned();
    return code % 2 === 0 ? -code / 2 : (code + 1) / 2;
  }
}
