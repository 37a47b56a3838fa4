/**
 * A window of FLV with gaps: the tags that are whole, without those that are not.
 *
 * The bytes around a gap match the owner's hashes, so a length read there is true: the walk goes on behind a tag that was hit. Only where the gap
 * has swallowed the head of a tag is the next one looked for, by its trailing size. Players conceal a lost frame that no other decoder state depends
 * on for long; they do not survive a lost header or key frame, so a window that lacks one is not mended.
 */
import type { Bytes } from '../kernel/units.js';
import { AUDIO, classifyTag, decodeTags, SCRIPT, TAG_OVERHEAD_BYTES, VIDEO } from './flv.js';
import { gapFrom, type HoledWindow, isWhole, joinRuns, type KeptRun, type MendedWindow } from './holed-window.js';

const TAG_HEAD_BYTES = 11;

/**
 * @returns undefined when no frame stands in front of the first gap (headers open a window, and may be what is missing), when a key frame is hit, or
 * the tag right before one, which may be its header.
 */
export function mendFlv(window: HoledWindow): MendedWindow | undefined {
  const tags = wholeTags(window);
  const firstGap = window.gaps[0]?.offsetBytes ?? window.bytes.length;
  const before = tags.filter(({ end }) => end <= firstGap);
  if (!before.some((tag) => isFrame(window.bytes, tag))) return undefined;
  const starts = new Set(tags.map(({ start }) => start));
  const ends = new Set(tags.map(({ end }) => end));
  const keysAreWhole = window.keyOffsets.every((offset) => starts.has(offset) && (offset === 0 || ends.has(offset)));
  return keysAreWhole ? joinRuns(window, tags) : undefined;
}

function wholeTags({ bytes, gaps }: HoledWindow): readonly KeptRun[] {
  const tags: KeptRun[] = [];
  let offset = 0;
  while (offset + TAG_OVERHEAD_BYTES <= bytes.length) {
    const end = isWhole(gaps, offset, offset + TAG_HEAD_BYTES) ? endOfTag(bytes, offset) : undefined;
    if (end === undefined) offset = nextTag(bytes, gaps, offset);
    else {
      if (isWhole(gaps, offset, end)) tags.push({ start: offset, end });
      offset = end;
    }
  }
  return tags;
}

/** Where the tag that begins here ends, its trailing size included; undefined when none begins here. */
function endOfTag(bytes: Uint8Array, offset: Bytes): Bytes | undefined {
  const type = (bytes[offset] ?? 0) & 0x1f;
  if (type !== AUDIO && type !== VIDEO && type !== SCRIPT) return undefined;
  if (readUint24(bytes, offset + 8) !== 0) return undefined;
  const end = offset + readUint24(bytes, offset + 1) + TAG_OVERHEAD_BYTES;
  return end <= bytes.length ? end : undefined;
}

/** The first place behind the gap at or after `offset` where a whole tag stands; the end when there is none. */
function nextTag(bytes: Uint8Array, gaps: HoledWindow['gaps'], offset: Bytes): Bytes {
  const gap = gapFrom(gaps, offset);
  // Without a gap ahead the bytes are what was signed, and no tags: nothing more is to be had.
  if (!gap) return bytes.length;
  for (let at = gap.offsetBytes + gap.lengthBytes; at + TAG_OVERHEAD_BYTES <= bytes.length; at++) {
    const end = endOfTag(bytes, at);
    if (end === undefined || !isWhole(gaps, at, at + TAG_HEAD_BYTES) || !isWhole(gaps, end - 4, end)) continue;
    if (readUint32(bytes, end - 4) === end - 4 - at) return at;
  }
  return bytes.length;
}

function isFrame(bytes: Uint8Array, { start, end }: KeptRun): boolean {
  const tags = decodeTags(bytes.subarray(start, end));
  return Array.isArray(tags) && tags.every((tag) => classifyTag(tag).kind === 'frame');
}

function readUint24(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 16) | ((bytes[offset + 1] ?? 0) << 8) | (bytes[offset + 2] ?? 0);
}

function readUint32(bytes: Uint8Array, offset: number): number {
  return (((bytes[offset] ?? 0) << 24) | readUint24(bytes, offset + 1)) >>> 0;
}
