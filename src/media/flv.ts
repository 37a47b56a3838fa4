/**
 * FLV: the tag, its classification, a streaming parser and an encoder.
 *
 * Tag on the wire (protocols sheet 4.1; Adobe FLV 10.1, annex E), big-endian:
 *
 * | offset | size | field                                             |
 * |--------|------|---------------------------------------------------|
 * | 0      | 1    | type: 8 audio, 9 video, 18 script (bit 5: filter) |
 * | 1      | 3    | body size                                         |
 * | 4      | 3    | timestamp, low 24 bits (ms)                       |
 * | 7      | 1    | timestamp, high 8 bits                            |
 * | 8      | 3    | stream id, 0                                      |
 * | 11     | n    | body                                              |
 * | 11 + n | 4    | size of the tag without this field                |
 *
 * Bodies are opaque beyond kind, key flag and codec, also for Enhanced RTMP (v2). No parser here throws on remote bytes.
 */
import { Malformed } from '../kernel/errors.js';
import type { Bytes, Milliseconds } from '../kernel/units.js';

export const AUDIO = 8;
export const VIDEO = 9;
export const SCRIPT = 18;

/** One audio, video or script tag. `timestampMs` is the raw 32-bit value, 0 to 2^32 − 1. */
export interface FlvTag {
  readonly type: typeof AUDIO | typeof VIDEO | typeof SCRIPT;
  readonly timestampMs: Milliseconds;
  readonly body: Uint8Array;
}

/**
 * What a tag is to a relay.
 *
 * `header`: codec configuration; `frame`: coded media; `end`: end of sequence; `metadata`: script data or HDR metadata;
 * `command`: frame type 5 and silence markers, which no player needs; `empty`: nothing at all.
 */
export interface TagClass {
  readonly kind: 'header' | 'frame' | 'end' | 'metadata' | 'command' | 'empty';
  /** True for a video frame that a decoder can start at. Audio frames are never marked. */
  readonly key: boolean;
  /** Short codec name: `avc1 hvc1 av01 vp09 mp4a .mp3 Opus …`, or `flv-video-4` for codecs without one. */
  readonly codec: string;
}

/** Length of a file header with the first, zero, previous-tag size. */
export const FLV_HEADER_BYTES = 13;
/** Tag header plus trailing size: what an encoded tag has beyond its body. */
export const TAG_OVERHEAD_BYTES = 15;
/** Largest body we accept: 8 MiB, more than a 4K intra frame. The format's own bound is 16 MiB − 1. */
export const TAG_BODY_BYTES_MAX = 8 * 1024 * 1024;

const HEADER: TagClass = { kind: 'header', key: false, codec: '' };
const FRAME_TYPE_KEY = 1;
const FRAME_TYPE_COMMAND = 5;
const VIDEO_CODECS: Readonly<Record<number, string>> = { 7: 'avc1', 12: 'hvc1' };
const AUDIO_CODECS: Readonly<Record<number, string>> = { 2: '.mp3', 10: 'mp4a', 11: 'spex', 14: '.mp3' };

/** Sorts a tag by its first bytes; never throws and never reads past the body. */
export function classifyTag(tag: FlvTag): TagClass {
  if (tag.type === SCRIPT) return { ...HEADER, kind: 'metadata' };
  if (tag.body.length === 0) return { ...HEADER, kind: 'empty' };
  return tag.type === VIDEO ? classifyVideo(tag.body) : classifyAudio(tag.body);
}

function classifyVideo(body: Uint8Array): TagClass {
  const first = body[0] ?? 0;
  if ((first & 0x80) !== 0) return classifyEnhancedVideo(body, (first >> 4) & 0x07, first & 0x0f);
  const frameType = first >> 4;
  const codec = VIDEO_CODECS[first & 0x0f] ?? `flv-video-${first & 0x0f}`;
  if (frameType === FRAME_TYPE_COMMAND) return { kind: 'command', key: false, codec };
  if (codec !== 'avc1' && codec !== 'hvc1') return { kind: 'frame', key: frameType === FRAME_TYPE_KEY, codec };
  if (body.length < 5) return { kind: 'empty', key: false, codec };
  const packetType = body[1];
  if (packetType === 0) return { kind: 'header', key: false, codec };
  if (packetType === 2) return { kind: 'end', key: false, codec };
  return { kind: 'frame', key: frameType === FRAME_TYPE_KEY, codec };
}

/** Enhanced RTMP v2, "ExVideoTagHeader": packet type 0 start, 1 and 3 frames, 2 end, 4 metadata, 5 start (MPEG-2 TS), 6 multitrack, 7 ModEx. */
function classifyEnhancedVideo(body: Uint8Array, frameType: number, firstPacketType: number): TagClass {
  const at = skipModEx(body, firstPacketType);
  if (at === undefined) return { kind: 'empty', key: false, codec: '' };
  let { packetType, offset } = at;
  if (packetType !== 4 && frameType === FRAME_TYPE_COMMAND) return { kind: 'command', key: false, codec: '' };
  if (packetType === 6) {
    const kindByte = body[offset];
    if (kindByte === undefined) return { kind: 'empty', key: false, codec: '' };
    packetType = kindByte & 0x0f;
    // Many tracks with many codecs put the FourCC behind this byte too, before the first track's id.
    offset += 1;
  }
  const codec = fourCc(body, offset);
  if (codec === undefined) return { kind: 'empty', key: false, codec: '' };
  if (packetType === 0 || packetType === 5) return { kind: 'header', key: false, codec };
  if (packetType === 2) return { kind: 'end', key: false, codec };
  if (packetType === 4) return { kind: 'metadata', key: false, codec };
  return { kind: 'frame', key: frameType === FRAME_TYPE_KEY, codec };
}

function classifyAudio(body: Uint8Array): TagClass {
  const first = body[0] ?? 0;
  const format = first >> 4;
  if (format === 9) return classifyEnhancedAudio(body, first & 0x0f);
  const codec = AUDIO_CODECS[format] ?? `flv-audio-${format}`;
  if (codec !== 'mp4a') return { kind: body.length > 1 ? 'frame' : 'empty', key: false, codec };
  if (body.length < 2) return { kind: 'empty', key: false, codec };
  if (body[1] === 0) return { kind: 'header', key: false, codec };
  return { kind: body.length > 2 ? 'frame' : 'command', key: false, codec };
}

/** Enhanced RTMP v2, "ExAudioTagHeader": packet type 0 start, 1 frames, 2 end, 4 channel layout, 5 multitrack, 7 ModEx. */
function classifyEnhancedAudio(body: Uint8Array, firstPacketType: number): TagClass {
  const at = skipModEx(body, firstPacketType);
  if (at === undefined) return { kind: 'empty', key: false, codec: '' };
  let { packetType, offset } = at;
  if (packetType === 5) {
    const kindByte = body[offset];
    if (kindByte === undefined) return { kind: 'empty', key: false, codec: '' };
    packetType = kindByte & 0x0f;
    offset += 1;
  }
  const codec = fourCc(body, offset);
  if (codec === undefined) return { kind: 'empty', key: false, codec: '' };
  if (packetType === 0 || packetType === 4) return { kind: 'header', key: false, codec };
  if (packetType === 2) return { kind: 'end', key: false, codec };
  return { kind: 'frame', key: false, codec };
}

/** ModEx prefixes may repeat: size − 1, data, then a byte whose low half is the next packet type; `undefined` when cut off. */
export function skipModEx(body: Uint8Array, firstPacketType: number): { packetType: number; offset: number } | undefined {
  let packetType = firstPacketType;
  let offset = 1;
  while (packetType === 7) {
    const sizeByte = body[offset];
    if (sizeByte === undefined) return undefined;
    let sizeBytes = sizeByte + 1;
    offset += 1;
    if (sizeBytes === 256) {
      const high = body[offset];
      const low = body[offset + 1];
      if (high === undefined || low === undefined) return undefined;
      sizeBytes = high * 256 + low + 1;
      offset += 2;
    }
    offset += sizeBytes;
    const next = body[offset];
    if (next === undefined) return undefined;
    packetType = next & 0x0f;
    offset += 1;
  }
  return { packetType, offset };
}

function fourCc(body: Uint8Array, offset: number): string | undefined {
  if (offset + 4 > body.length) return undefined;
  let text = '';
  for (let i = 0; i < 4; i++) {
    const byte = body[offset + i] ?? 0;
    text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '?';
  }
  return text;
}

/** File header with truthful track flags (browsers wait for both tracks when both are announced), and the first zero size. */
export function encodeFlvHeader(tracks: { readonly audio: boolean; readonly video: boolean }): Uint8Array {
  return Uint8Array.of(0x46, 0x4c, 0x56, 1, (tracks.audio ? 4 : 0) | (tracks.video ? 1 : 0), 0, 0, 0, 9, 0, 0, 0, 0);
}

/** AMF0 string `@setDataFrame`: what publishers put before `onMetaData` to tell the server, and what no player should see. */
const SET_DATA_FRAME = Uint8Array.of(2, 0, 13, 0x40, 0x73, 0x65, 0x74, 0x44, 0x61, 0x74, 0x61, 0x46, 0x72, 0x61, 0x6d, 0x65);

/** The body of a script tag as players want it; a view of `body`. */
export function withoutSetDataFrame(body: Uint8Array): Uint8Array {
  const marked = SET_DATA_FRAME.every((byte, index) => body[index] === byte);
  return marked ? body.subarray(SET_DATA_FRAME.length) : body;
}

/** How many bytes `encodeTag` makes of this tag. */
export function encodedTagBytes(tag: FlvTag): Bytes {
  return tag.body.length + TAG_OVERHEAD_BYTES;
}

/** The whole tag with stream id 0 and its trailing size. */
export function encodeTag(tag: FlvTag): Uint8Array {
  const out = new Uint8Array(encodedTagBytes(tag));
  writeTag(tag, out, 0);
  return out;
}

/** Writes a tag at `offset` and returns the offset behind it. `out` must have room for `encodedTagBytes(tag)`. */
export function writeTag(tag: FlvTag, out: Uint8Array, offset: number): number {
  const bodyBytes = tag.body.length;
  out[offset] = tag.type;
  writeUint24(out, offset + 1, bodyBytes);
  writeUint24(out, offset + 4, tag.timestampMs & 0xffffff);
  out[offset + 7] = (tag.timestampMs >>> 24) & 0xff;
  writeUint24(out, offset + 8, 0);
  out.set(tag.body, offset + 11);
  const sizeBytes = bodyBytes + 11;
  const end = offset + sizeBytes;
  out[end] = sizeBytes >>> 24;
  writeUint24(out, end + 1, sizeBytes & 0xffffff);
  return end + 4;
}

function writeUint24(out: Uint8Array, offset: number, value: number): void {
  out[offset] = (value >>> 16) & 0xff;
  out[offset + 1] = (value >>> 8) & 0xff;
  out[offset + 2] = value & 0xff;
}

function readUint24(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 16) | ((bytes[offset + 1] ?? 0) << 8) | (bytes[offset + 2] ?? 0);
}

/** Decodes a run of whole tags (no file header), as it stands in a window. Bodies are views into `bytes`. */
export function decodeTags(bytes: Uint8Array): readonly FlvTag[] | Malformed {
  const tags: FlvTag[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    if (offset + TAG_OVERHEAD_BYTES > bytes.length) return new Malformed(`FLV tag header cut off at byte ${offset}`);
    const bodyBytes = readUint24(bytes, offset + 1);
    const end = offset + bodyBytes + TAG_OVERHEAD_BYTES;
    if (end > bytes.length) return new Malformed(`FLV tag at byte ${offset} runs past the end`);
    const type = (bytes[offset] ?? 0) & 0x1f;
    if (type !== AUDIO && type !== VIDEO && type !== SCRIPT) return new Malformed(`FLV tag type ${type} at byte ${offset}`);
    tags.push({ type, timestampMs: readTimestamp(bytes, offset), body: bytes.subarray(offset + 11, end - 4) });
    offset = end;
  }
  return tags;
}

function readTimestamp(bytes: Uint8Array, offset: number): Milliseconds {
  return (((bytes[offset + 7] ?? 0) << 24) | readUint24(bytes, offset + 4)) >>> 0;
}

/** What the parser is in the middle of: the file header, a tag's 11 leading bytes, or the whole tag. */
type ParserStage = 'file-header' | 'tag-header' | 'tag';

/** Bytes of a tag before its body. */
const TAG_HEADER_BYTES = 11;
/** A tag's buffer starts no larger than this and doubles, so that a claimed size alone costs nobody 8 MiB. */
const TAG_BUFFER_START_BYTES = 64 * 1024;

/**
 * Streaming parser for an FLV byte stream (HTTP-FLV, a file), header included. Memory is bounded by one tag, and every byte is
 * copied a constant number of times however small the chunks are.
 *
 * `push` returns the tags that became whole, or `Malformed` from the first fault on. Unknown tag types and encrypted tags are
 * skipped; a wrong trailing size is tolerated (protocols sheet 6.5, row 4).
 */
export class FlvParser {
  #stage: ParserStage = 'file-header';
  #held: Uint8Array = new Uint8Array(FLV_HEADER_BYTES);
  #heldBytes: Bytes = 0;
  #wantedBytes: Bytes = FLV_HEADER_BYTES;
  #skipBytes: Bytes = 0;
  #fault: Malformed | undefined;

  push(chunk: Uint8Array): readonly FlvTag[] | Malformed {
    const tags: FlvTag[] = [];
    let offset = 0;
    while (offset < chunk.length && this.#fault === undefined) {
      offset = this.#skip(chunk, offset);
      offset = this.#fill(chunk, offset);
      if (this.#heldBytes === this.#wantedBytes) this.#advance(tags);
    }
    return this.#fault ?? tags;
  }

  #skip(chunk: Uint8Array, offset: number): number {
    const skipped = Math.min(this.#skipBytes, chunk.length - offset);
    this.#skipBytes -= skipped;
    return offset + skipped;
  }

  #fill(chunk: Uint8Array, offset: number): number {
    const end = Math.min(chunk.length, offset + this.#wantedBytes - this.#heldBytes);
    const heldBytes = this.#heldBytes + end - offset;
    if (heldBytes > this.#held.length) this.#grow(heldBytes);
    this.#held.set(chunk.subarray(offset, end), this.#heldBytes);
    this.#heldBytes = heldBytes;
    return end;
  }

  #grow(leastBytes: Bytes): void {
    const sizeBytes = Math.min(this.#wantedBytes, Math.max(leastBytes, this.#held.length * 2, TAG_BUFFER_START_BYTES));
    const grown = new Uint8Array(sizeBytes);
    grown.set(this.#held.subarray(0, this.#heldBytes));
    this.#held = grown;
  }

  #advance(tags: FlvTag[]): void {
    if (this.#stage === 'file-header') this.#endFileHeader();
    else if (this.#stage === 'tag-header') this.#endTagHeader();
    else this.#endTag(tags);
  }

  #endFileHeader(): void {
    const bytes = this.#held;
    const headerBytes = new DataView(bytes.buffer).getUint32(5);
    if (bytes[0] !== 0x46 || bytes[1] !== 0x4c || bytes[2] !== 0x56) this.#fault = new Malformed('no FLV signature');
    else if (headerBytes < 9 || headerBytes > 1024) this.#fault = new Malformed(`FLV header size ${headerBytes}, expected 9 to 1024`);
    this.#skipBytes = headerBytes + 4 - FLV_HEADER_BYTES;
    this.#startTag();
  }

  #endTagHeader(): void {
    const bodyBytes = readUint24(this.#held, 1);
    if (bodyBytes > TAG_BODY_BYTES_MAX) {
      this.#fault = new Malformed(`FLV tag of ${bodyBytes} bytes, at most ${TAG_BODY_BYTES_MAX} accepted`);
    }
    this.#stage = 'tag';
    this.#wantedBytes = bodyBytes + TAG_OVERHEAD_BYTES;
  }

  #endTag(tags: FlvTag[]): void {
    const bytes = this.#held;
    const type = bytes[0];
    if (type === AUDIO || type === VIDEO || type === SCRIPT) {
      // The buffer was made for this tag alone, so its body may stay a view.
      tags.push({ type, timestampMs: readTimestamp(bytes, 0), body: bytes.subarray(TAG_HEADER_BYTES, this.#wantedBytes - 4) });
    }
    this.#startTag();
  }

  #startTag(): void {
    this.#stage = 'tag-header';
    this.#held = new Uint8Array(TAG_HEADER_BYTES);
    this.#heldBytes = 0;
    this.#wantedBytes = TAG_HEADER_BYTES;
  }
}
