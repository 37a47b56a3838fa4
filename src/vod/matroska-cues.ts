/**
 * Where a Matroska file says its key frames are: the `Cues` element (RFC 9559, section 5.1.5), found through the `SeekHead` in its head.
 *
 * Two pure steps, so that a caller fetches two small parts of a file of gigabytes: `locateCues` reads the head and says where the cues lie,
 * `parseCues` reads them. An element's length is never trusted beyond the bytes there are; at most `CUES_MAX` times are kept.
 */
import { Malformed } from '../kernel/errors.js';
import type { Bytes } from '../kernel/units.js';

/** How much of a file's beginning `locateCues` wants; muxers write tracks and seek head within the first kilobytes. */
export const MATROSKA_HEAD_BYTES: Bytes = 256 * 1024;
/** 24 hours with a key frame each second take 2 MiB. */
export const CUES_BYTES_MAX: Bytes = 4 * 1024 * 1024;
const CUES_MAX = 200_000;

/** What the head tells. */
export interface CuesLocation {
  /** Of the element's identifier, from the start of the file. */
  readonly offsetBytes: Bytes;
  /** Number of the first video track. */
  readonly videoTrack: number;
  /** Seconds per unit of time. */
  readonly unitS: number;
}

const EBML = 0x1a45dfa3;
const SEGMENT = 0x18538067;
const SEEK_HEAD = 0x114d9b74;
const SEEK = 0x4dbb;
const SEEK_ID = 0x53ab;
const SEEK_POSITION = 0x53ac;
const INFO = 0x1549a966;
const TIMESTAMP_SCALE = 0x2ad7b1;
const TRACKS = 0x1654ae6b;
const TRACK_ENTRY = 0xae;
const TRACK_NUMBER = 0xd7;
const TRACK_TYPE = 0x83;
const CLUSTER = 0x1f43b675;
const CUES = 0x1c53bb6b;
const CUE_POINT = 0xbb;
const CUE_TIME = 0xb3;
const CUE_TRACK_POSITIONS = 0xb7;
const CUE_TRACK = 0xf7;

const VIDEO = 1;
const NANOSECONDS = 1_000_000_000;
const DEFAULT_TIMESTAMP_SCALE = 1_000_000;

interface Element {
  readonly id: number;
  /** Where the element begins. */
  readonly atByte: Bytes;
  readonly dataByte: Bytes;
  /** As the element claims; infinite when it leaves it open. */
  readonly lengthBytes: Bytes;
  /** Its content as far as it is there. */
  readonly data: Uint8Array;
}

/** Reads the head of a file. Malformed when it is not Matroska, has no video, or names no cues. */
export function locateCues(head: Uint8Array): CuesLocation | Malformed {
  const [ebml, segment] = elementsOf(head);
  if (ebml?.id !== EBML || segment?.id !== SEGMENT) return new Malformed('this is no Matroska file.');
  let offsetBytes: Bytes | undefined;
  let videoTrack: number | undefined;
  let scale = DEFAULT_TIMESTAMP_SCALE;
  for (const { id, atByte, data } of elementsOf(segment.data)) {
    if (id === SEEK_HEAD) offsetBytes ??= seekPositionOf(data, CUES);
    if (id === INFO) scale = numberIn(data, TIMESTAMP_SCALE) || DEFAULT_TIMESTAMP_SCALE;
    if (id === TRACKS) videoTrack = videoTrackOf(data);
    if (id === CUES) offsetBytes = atByte;
    if (id === CLUSTER) break;
  }
  if (videoTrack === undefined) return new Malformed('its head names no video track.');
  if (offsetBytes === undefined) return new Malformed('it has no index of key frames.');
  return { offsetBytes: segment.dataByte + offsetBytes, videoTrack, unitS: scale / NANOSECONDS };
}

/** How many bytes the element there takes, from its first 12 bytes; Malformed when that is not cues, or too much. */
export function cuesLengthBytes(start: Uint8Array): Bytes | Malformed {
  const [element] = elementsOf(start);
  if (element?.id !== CUES) return new Malformed('there are no cues where its head says.');
  const lengthBytes = element.dataByte + element.lengthBytes;
  return lengthBytes <= CUES_BYTES_MAX ? lengthBytes : new Malformed(`its cues take ${lengthBytes} bytes; ${CUES_BYTES_MAX} are read.`);
}

/** Times of key frames in seconds, ascending, each once. */
export function parseCues(bytes: Uint8Array, { videoTrack, unitS }: CuesLocation): readonly number[] | Malformed {
  const [cues] = elementsOf(bytes);
  if (cues?.id !== CUES) return new Malformed('there are no cues where its head says.');
  const times = new Set<number>();
  for (const { id, data } of elementsOf(cues.data)) {
    if (id !== CUE_POINT) continue;
    if (hasTrack(data, videoTrack)) times.add(numberIn(data, CUE_TIME) * unitS);
    if (times.size >= CUES_MAX) break;
  }
  return [...times].sort((one, other) => one - other);
}

function seekPositionOf(seekHead: Uint8Array, wanted: number): Bytes | undefined {
  for (const { id, data } of elementsOf(seekHead)) {
    if (id === SEEK && numberIn(data, SEEK_ID) === wanted) return numberIn(data, SEEK_POSITION);
  }
  return undefined;
}

function videoTrackOf(tracks: Uint8Array): number | undefined {
  for (const { id, data } of elementsOf(tracks)) {
    if (id === TRACK_ENTRY && numberIn(data, TRACK_TYPE) === VIDEO) return numberIn(data, TRACK_NUMBER);
  }
  return undefined;
}

function hasTrack(cuePoint: Uint8Array, track: number): boolean {
  for (const { id, data } of elementsOf(cuePoint)) if (id === CUE_TRACK_POSITIONS && numberIn(data, CUE_TRACK) === track) return true;
  return false;
}

/** The first child of that kind as a number; 0 when there is none. */
function numberIn(data: Uint8Array, wanted: number): number {
  for (const { id, data: content } of elementsOf(data))
    if (id === wanted) return content.subarray(0, 8).reduce((all, byte) => all * 256 + byte, 0);
  return 0;
}

/** Elements one after the other, up to the first that is none; the last one may be cut off. */
function* elementsOf(bytes: Uint8Array): Generator<Element> {
  for (let atByte = 0; atByte < bytes.length; ) {
    const id = variableNumber(bytes, atByte, true);
    if (id === undefined || id.widthBytes > 4) return;
    const length = variableNumber(bytes, atByte + id.widthBytes, false);
    if (length === undefined) return;
    const dataByte = atByte + id.widthBytes + length.widthBytes;
    const endByte = dataByte + length.value;
    yield { id: id.value, atByte, dataByte, lengthBytes: length.value, data: bytes.subarray(dataByte, Math.min(endByte, bytes.length)) };
    atByte = endByte;
  }
}

/** A variable-size integer (RFC 8794, section 4); a length of ones only means that it is open. */
function variableNumber(bytes: Uint8Array, atByte: Bytes, keepsMarker: boolean): { value: number; widthBytes: Bytes } | undefined {
  const first = bytes[atByte] ?? 0;
  const widthBytes = Math.clz32(first) - 23;
  if (first === 0 || atByte + widthBytes > bytes.length) return undefined;
  const marker = 0x80 >> (widthBytes - 1);
  let value = keepsMarker ? first : first & (marker - 1);
  let isOpen = (first & (marker - 1)) === marker - 1;
  for (let index = 1; index < widthBytes; index++) {
    value = value * 256 + (bytes[atByte + index] ?? 0);
    isOpen &&= bytes[atByte + index] === 0xff;
  }
  return { value: isOpen && !keepsMarker ? Number.POSITIVE_INFINITY : value, widthBytes };
}
