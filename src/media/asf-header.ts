/**
 * The "ASF header" that MMS carries: the Header object, then the first 50 bytes of the Data object. Little-endian.
 *
 * Every object is a GUID (16), a total size u64 (these 24 bytes included) and a body. What is read of them:
 *
 * | object                     | offset | field                                                            |
 * |----------------------------|--------|------------------------------------------------------------------|
 * | Header                     | 24     | number of children u32 (not believed), 01 02, children from 30    |
 * | File Properties            | 24     | file id; 40 file size, 56 packet count, 64 and 72 durations (u64) |
 * |                            | 80     | preroll u64 ms; 88 flags; 92 and 96 packet size; 100 max bit rate |
 * | Stream Properties          | 24     | type; 64 and 68 lengths; 72 flags u16; 78 type-specific data      |
 * | Header Extension           | 42     | data size u32, children from 46                                  |
 * | Extended Stream Properties | 40     | bit rate u32; 72 stream number u16; 84 and 86 counts; 88 lists    |
 * | Stream Bitrate Properties  | 24     | count u16, then number u16 and bit rate u32 each                  |
 * | Data                       | 24     | file id; 40 packet count u64; 48 01 01; packets from 50           |
 *
 * Never throws, walks by size and not by count, and allocates nothing by a claimed size. Sources: protocols sheet 1.1 and 6.1;
 * ASF specification 01.20.03.
 */
import { Malformed } from '../kernel/errors.js';
import type { Bytes, Milliseconds } from '../kernel/units.js';
import { ASF_GUID, GUID_BYTES, readGuid } from './asf-guid.js';

/** One piece of extra data that every payload of a stream carries in its replicated data. */
export interface AsfPayloadExtension {
  readonly system: string;
  /** Size in each payload; 0xFFFF when a u16 length stands before it. */
  readonly sizeBytes: Bytes;
}

/** The fields of WAVEFORMATEX that Shoal needs. */
export interface AsfAudioFormat {
  /** `wFormatTag`: 0x55 MP3, 0xff AAC, 0x161 WMA 2 … */
  readonly formatTag: number;
  readonly channelCount: number;
  /** Hertz. */
  readonly sampleRate: number;
  readonly bytesPerSecond: number;
  readonly blockBytes: Bytes;
}

export interface AsfVideoFormat {
  /** Four characters as they stand; unprintable ones are `?`. */
  readonly fourCc: string;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
}

export interface AsfStream {
  /** 1 to 127. */
  readonly number: number;
  readonly type: 'audio' | 'video' | 'command' | 'other';
  /** For people: the FourCC, `0x161` for audio, or the empty string. */
  readonly codec: string;
  readonly audio: AsfAudioFormat | null;
  readonly video: AsfVideoFormat | null;
  /** Codec configuration behind WAVEFORMATEX or BITMAPINFOHEADER; a view, empty when there is none. */
  readonly extraData: Uint8Array;
  readonly encrypted: boolean;
  /** Bits per second; 0 when the header does not say. */
  readonly bitrate: number;
  readonly payloadExtensions: readonly AsfPayloadExtension[];
}

export interface AsfHeader {
  /** Length of Header object plus 50 bytes; what is behind it is not the header's. */
  readonly sizeBytes: Bytes;
  /** Size of every packet, 64 to 65527 (PS in the protocols sheet). */
  readonly packetBytes: Bytes;
  readonly broadcast: boolean;
  readonly seekable: boolean;
  readonly prerollMs: Milliseconds;
  /** Bits per second, as the encoder claims it. */
  readonly maxBitrate: number;
  readonly fileId: string;
  readonly streams: readonly AsfStream[];
  /** Protected by DRM: Shoal cannot make it play. */
  readonly encrypted: boolean;
  /** Oddities that did not prevent reading, as sentences for a log. */
  readonly warnings: readonly string[];
  readonly filePropertiesOffset: number;
  readonly dataOffset: number;
}

/** A header beyond this is refused; one beyond 65527 cannot be served over MMSH (protocols sheet 6 and 6.1, row 14). */
export const ASF_HEADER_BYTES_MAX: Bytes = 256 * 1024;
export const ASF_PACKET_BYTES_MIN: Bytes = 64;
export const ASF_PACKET_BYTES_MAX: Bytes = 65_527;
/** What MMS sends of the Data object. */
export const ASF_DATA_BYTES: Bytes = 50;

const OBJECT_BYTES = 24;
const HEADER_CHILDREN = 30;
const EXTENSION_CHILDREN = 46;
const FILE_PROPERTIES_BYTES = 104;
const STREAM_PROPERTIES_BYTES = 78;
const EXTENDED_PROPERTIES_BYTES = 88;
const STREAMS_MAX = 127;
/** Real streams have at most four. */
const PAYLOAD_EXTENSIONS_MAX = 32;
const WARNINGS_MAX = 16;
const WAVE_FORMAT_BYTES = 16;
const BITMAP_HEADER = 11;
const BITMAP_HEADER_BYTES = 40;

interface AsfObject {
  readonly guid: string;
  readonly start: number;
  readonly end: number;
}

interface StreamFacts {
  bitrate?: number;
  payloadExtensions?: readonly AsfPayloadExtension[];
}

/** Reads a header as MMS delivers it. `Malformed` when the source cannot be used at all. */
export function parseAsfHeader(bytes: Uint8Array): AsfHeader | Malformed {
  return new HeaderParser(bytes).parse();
}

/**
 * The header's bytes that name an epoch: two clients of one server get the same ones (protocols sheet 4.6 A, rule 2).
 *
 * A copy. Of a broadcast the counts and durations are zeroed, which have no meaning there and differ from client to client.
 */
export function canonicalAsfHeader(bytes: Uint8Array, header: AsfHeader): Uint8Array {
  const out = new Uint8Array(bytes.subarray(0, header.sizeBytes));
  if (!header.broadcast) return out;
  const { filePropertiesOffset, dataOffset } = header;
  out.fill(0, filePropertiesOffset + 40, filePropertiesOffset + 48);
  out.fill(0, filePropertiesOffset + 56, filePropertiesOffset + 80);
  out.fill(0, dataOffset + 16, dataOffset + 24);
  out.fill(0, dataOffset + 40, dataOffset + 48);
  return out;
}

/**
 * The header as players need it; a copy. A Data object of size 0 becomes one of 50 bytes (libmms loops for ever on 0), and the header ends in
 * 01 01 (by which mplayer knows the end).
 */
export function servableAsfHeader(bytes: Uint8Array, header: AsfHeader): Uint8Array {
  const out = new Uint8Array(bytes.subarray(0, header.sizeBytes));
  const view = new DataView(out.buffer);
  const { dataOffset } = header;
  if (view.getUint32(dataOffset + 16, true) === 0 && view.getUint32(dataOffset + 20, true) === 0) {
    view.setUint32(dataOffset + 16, ASF_DATA_BYTES, true);
  }
  view.setUint16(dataOffset + 48, 0x0101, true);
  return out;
}

class HeaderParser {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #streams = new Map<number, AsfStream>();
  readonly #facts = new Map<number, StreamFacts>();
  readonly #warnings: string[] = [];
  #filePropertiesOffset: number | undefined;
  #encrypted = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  parse(): AsfHeader | Malformed {
    const dataOffset = this.#headerEnd();
    if (dataOffset instanceof Malformed) return dataOffset;
    const fault = this.#walk(HEADER_CHILDREN, dataOffset, (object) => this.#child(object));
    if (fault !== undefined) return new Malformed(`ASF header: ${fault}`);
    const filePropertiesOffset = this.#filePropertiesOffset;
    if (filePropertiesOffset === undefined) return new Malformed('ASF header: no File Properties object');
    this.#checkData(dataOffset);
    return this.#result(filePropertiesOffset, dataOffset);
  }

  /** Where the Header object ends and the Data object begins. */
  #headerEnd(): number | Malformed {
    const bytes = this.#bytes;
    if (bytes.length < HEADER_CHILDREN) return new Malformed(`ASF header of ${bytes.length} bytes, expected at least ${HEADER_CHILDREN}`);
    if (readGuid(bytes, 0) !== ASF_GUID.header) return new Malformed('no ASF header: it does not begin with the Header object');
    const sizeBytes = this.#size(16);
    if (sizeBytes < HEADER_CHILDREN) return new Malformed(`ASF Header object of ${sizeBytes} bytes, expected at least ${HEADER_CHILDREN}`);
    if (sizeBytes > ASF_HEADER_BYTES_MAX)
      return new Malformed(`ASF Header object of ${sizeBytes} bytes, at most ${ASF_HEADER_BYTES_MAX} accepted`);
    if (sizeBytes + ASF_DATA_BYTES > bytes.length)
      return new Malformed(`ASF header: ${bytes.length} bytes came, ${sizeBytes + ASF_DATA_BYTES} announced`);
    if (readGuid(bytes, sizeBytes) !== ASF_GUID.data)
      return new Malformed(`ASF header: no Data object at byte ${sizeBytes}, where the header says it ends`);
    return sizeBytes;
  }

  /** Goes through the objects between two offsets; returns what is wrong with their sizes, if anything. */
  #walk(start: number, end: number, take: (object: AsfObject) => void): string | undefined {
    let offset = start;
    while (offset < end) {
      if (end - offset < OBJECT_BYTES) return `${end - offset} stray bytes at byte ${offset}`;
      const sizeBytes = this.#size(offset + GUID_BYTES);
      if (sizeBytes < OBJECT_BYTES) return `the object at byte ${offset} says it has ${sizeBytes} bytes, fewer than its own head`;
      if (sizeBytes > end - offset) return `the object at byte ${offset} runs past the end of what holds it`;
      take({ guid: readGuid(this.#bytes, offset), start: offset, end: offset + sizeBytes });
      offset += sizeBytes;
    }
    return undefined;
  }

  #child(object: AsfObject): void {
    const { guid, start } = object;
    if (guid === ASF_GUID.fileProperties) this.#fileProperties(object);
    else if (guid === ASF_GUID.streamProperties) this.#streamProperties(object);
    else if (guid === ASF_GUID.headerExtension) this.#headerExtension(object);
    else if (guid === ASF_GUID.streamBitrateProperties) this.#bitrates(object);
    else if (guid === ASF_GUID.contentEncryption || guid === ASF_GUID.extendedContentEncryption) this.#encrypted = true;
    else if (guid === ASF_GUID.header || guid === ASF_GUID.data) this.#warn(`an object at byte ${start} belongs nowhere inside a header`);
  }

  #fileProperties({ start, end }: AsfObject): void {
    if (end - start < FILE_PROPERTIES_BYTES) this.#warn(`the File Properties object at byte ${start} is too short`);
    else if (this.#filePropertiesOffset !== undefined) this.#warn('a second File Properties object is ignored');
    else this.#filePropertiesOffset = start;
  }

  /** A fault in here costs the details it holds, and not the source: players never look at most of it. */
  #headerExtension({ start, end }: AsfObject): void {
    if (end - start < EXTENSION_CHILDREN) return this.#warn(`the Header Extension object at byte ${start} is too short`);
    const childrenEnd = start + EXTENSION_CHILDREN + this.#view.getUint32(start + 42, true);
    if (childrenEnd > end) this.#warn('the Header Extension object claims more data than it has');
    const fault = this.#walk(start + EXTENSION_CHILDREN, Math.min(childrenEnd, end), (object) => {
      if (object.guid === ASF_GUID.extendedStreamProperties) this.#extendedProperties(object);
      else if (object.guid !== ASF_GUID.fileProperties && object.guid !== ASF_GUID.headerExtension) this.#child(object);
    });
    if (fault !== undefined) this.#warn(`inside the Header Extension object ${fault}`);
  }

  #streamProperties({ start, end }: AsfObject): void {
    if (end - start < STREAM_PROPERTIES_BYTES) return this.#warn(`the Stream Properties object at byte ${start} is too short`);
    const flags = this.#view.getUint16(start + 72, true);
    const number = flags & 0x7f;
    if (number === 0) return this.#warn('a stream with number 0 is skipped');
    if (this.#streams.has(number)) return this.#warn(`a second stream with number ${number} is ignored`);
    if (this.#streams.size >= STREAMS_MAX) return;
    const type = streamType(readGuid(this.#bytes, start + 24));
    const specific = this.#specificData(start, end, number);
    const audio = type === 'audio' ? readAudioFormat(specific) : null;
    const video = type === 'video' ? readVideoFormat(specific) : null;
    const codec = audio === null ? (video?.fourCc ?? '') : `0x${audio.formatTag.toString(16)}`;
    const extraData = audio ? audioExtraData(specific) : video ? videoExtraData(specific) : new Uint8Array(0);
    const encrypted = (flags & 0x8000) !== 0;
    this.#streams.set(number, { number, type, codec, audio, video, extraData, encrypted, bitrate: 0, payloadExtensions: [] });
  }

  #specificData(start: number, end: number, number: number): Uint8Array {
    const sizeBytes = this.#view.getUint32(start + 64, true);
    const from = start + STREAM_PROPERTIES_BYTES;
    if (sizeBytes <= end - from) return this.#bytes.subarray(from, from + sizeBytes);
    this.#warn(`stream ${number} claims ${sizeBytes} bytes of format, more than its object has`);
    return new Uint8Array(0);
  }

  #extendedProperties({ start, end }: AsfObject): void {
    if (end - start < EXTENDED_PROPERTIES_BYTES) return this.#warn(`the Extended Stream Properties object at byte ${start} is too short`);
    const facts = this.#factsOf(this.#view.getUint16(start + 72, true) & 0x7f);
    facts.bitrate ??= this.#view.getUint32(start + 40, true);
    let offset = start + EXTENDED_PROPERTIES_BYTES;
    for (let count = this.#view.getUint16(start + 84, true); count > 0 && offset <= end - 4; count--) {
      offset += 4 + this.#view.getUint16(offset + 2, true);
    }
    const extensions: AsfPayloadExtension[] = [];
    for (let count = this.#view.getUint16(start + 86, true); count > 0 && offset <= end - 22; count--) {
      const extension = { system: readGuid(this.#bytes, offset), sizeBytes: this.#view.getUint16(offset + 16, true) };
      if (extensions.length < PAYLOAD_EXTENSIONS_MAX) extensions.push(extension);
      offset += 22 + this.#view.getUint32(offset + 18, true);
    }
    facts.payloadExtensions ??= extensions;
    if (offset >= end) return;
    const fault = this.#walk(offset, end, (object) => {
      if (object.guid === ASF_GUID.streamProperties) this.#streamProperties(object);
    });
    if (fault !== undefined) this.#warn(`inside an Extended Stream Properties object ${fault}`);
  }

  /** These rates win over the ones in the extended properties: they are what players look at. */
  #bitrates({ start, end }: AsfObject): void {
    if (end - start < OBJECT_BYTES + 2) return;
    const count = Math.min(this.#view.getUint16(start + 24, true), Math.floor((end - start - 26) / 6));
    for (let index = 0; index < count; index++) {
      const offset = start + 26 + 6 * index;
      this.#factsOf(this.#view.getUint16(offset, true) & 0x7f).bitrate = this.#view.getUint32(offset + 2, true);
    }
  }

  #factsOf(number: number): StreamFacts {
    const known = this.#facts.get(number);
    if (known) return known;
    const made: StreamFacts = {};
    this.#facts.set(number, made);
    return made;
  }

  #checkData(dataOffset: number): void {
    const trailing = this.#view.getUint16(dataOffset + 48, true);
    if (trailing !== 0x0101) this.#warn(`the header ends in 0x${trailing.toString(16)} instead of 0x101; mended for players`);
    if (this.#size(dataOffset + GUID_BYTES) === 0) this.#warn('the Data object says it has 0 bytes; mended for players');
  }

  #result(filePropertiesOffset: number, dataOffset: number): AsfHeader | Malformed {
    const view = this.#view;
    const least = view.getUint32(filePropertiesOffset + 92, true);
    const packetBytes = view.getUint32(filePropertiesOffset + 96, true);
    if (packetBytes < ASF_PACKET_BYTES_MIN || packetBytes > ASF_PACKET_BYTES_MAX) {
      return new Malformed(`ASF header: packet size ${packetBytes}, expected ${ASF_PACKET_BYTES_MIN} to ${ASF_PACKET_BYTES_MAX}`);
    }
    if (least !== packetBytes) this.#warn(`packets have ${least} to ${packetBytes} bytes, expected one size; taken as ${packetBytes}`);
    const flags = view.getUint32(filePropertiesOffset + 88, true);
    const streams = [...this.#streams.values()].map((stream) => ({ ...stream, ...this.#facts.get(stream.number) }));
    if (streams.length === 0) this.#warn('the header describes no stream');
    return {
      sizeBytes: dataOffset + ASF_DATA_BYTES,
      packetBytes,
      broadcast: (flags & 1) !== 0,
      seekable: (flags & 2) !== 0,
      prerollMs: this.#size(filePropertiesOffset + 80),
      maxBitrate: view.getUint32(filePropertiesOffset + 100, true),
      fileId: readGuid(this.#bytes, filePropertiesOffset + 24),
      streams,
      encrypted: this.#encrypted || streams.some((stream) => stream.encrypted),
      warnings: this.#warnings,
      filePropertiesOffset,
      dataOffset,
    };
  }

  /** A u64. Inexact above 2^53, where every caller refuses it anyway. */
  #size(offset: number): number {
    return this.#view.getUint32(offset, true) + this.#view.getUint32(offset + 4, true) * 0x1_0000_0000;
  }

  #warn(sentence: string): void {
    if (this.#warnings.length < WARNINGS_MAX) this.#warnings.push(sentence);
  }
}

function streamType(guid: string): AsfStream['type'] {
  if (guid === ASF_GUID.audioStream) return 'audio';
  if (guid === ASF_GUID.videoStream) return 'video';
  return guid === ASF_GUID.commandStream ? 'command' : 'other';
}

function readAudioFormat(specific: Uint8Array): AsfAudioFormat | null {
  if (specific.length < WAVE_FORMAT_BYTES) return null;
  const view = new DataView(specific.buffer, specific.byteOffset, specific.byteLength);
  return {
    formatTag: view.getUint16(0, true),
    channelCount: view.getUint16(2, true),
    sampleRate: view.getUint32(4, true),
    bytesPerSecond: view.getUint32(8, true),
    blockBytes: view.getUint16(12, true),
  };
}

function audioExtraData(specific: Uint8Array): Uint8Array {
  const start = WAVE_FORMAT_BYTES + 2;
  if (specific.length <= start) return new Uint8Array(0);
  const sizeBytes = (specific[start - 2] ?? 0) | ((specific[start - 1] ?? 0) << 8);
  return specific.subarray(start, start + sizeBytes);
}

function readVideoFormat(specific: Uint8Array): AsfVideoFormat | null {
  if (specific.length < BITMAP_HEADER + 20) return null;
  const view = new DataView(specific.buffer, specific.byteOffset, specific.byteLength);
  let fourCc = '';
  for (const byte of specific.subarray(27, 31)) fourCc += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '?';
  return { fourCc, width: view.getUint32(0, true), height: view.getUint32(4, true) };
}

function videoExtraData(specific: Uint8Array): Uint8Array {
  const sizeBytes = (specific[9] ?? 0) | ((specific[10] ?? 0) << 8);
  return specific.subarray(BITMAP_HEADER + BITMAP_HEADER_BYTES, BITMAP_HEADER + Math.max(BITMAP_HEADER_BYTES, sizeBytes));
}
