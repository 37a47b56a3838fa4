/**
 * What other containers need to know about FLV media: decoder configurations, and frames without their FLV wrapping.
 *
 * Reads H.264, HEVC, AV1, VP9, AAC, MP3, Opus, FLAC and AC-3, in the old form and in Enhanced RTMP's. Multitrack streams are not
 * taken apart. Nothing here throws: what cannot be read is `undefined`. Sources: protocols sheet 4.1 and 4.2; ISO/IEC 14496-15
 * (avcC, hvcC); AV1-ISOBMFF (av1C); ISO/IEC 14496-3, 1.6.2 (AudioSpecificConfig); RFC 7845, 5.1 (OpusHead).
 */
import type { Milliseconds } from '../kernel/units.js';
import { type FlvTag, skipModEx } from './flv.js';

export interface VideoConfig {
  /** FourCC as `classifyTag` names it: `avc1 hvc1 av01 vp09`. */
  readonly fourCc: string;
  /** RFC 6381 name for players, such as `avc1.64001f`. */
  readonly codecString: string;
  /** The configuration record as MP4 carries it. */
  readonly description: Uint8Array;
}

export interface AudioConfig {
  readonly fourCc: string;
  readonly codecString: string;
  /** Hertz. */
  readonly sampleRate: number;
  readonly channelCount: number;
  /** Absent where frames explain themselves (MP3, AC-3). */
  readonly description: Uint8Array | undefined;
}

export interface CodedFrame {
  readonly data: Uint8Array;
  /** Presentation minus decoding time; negative is legal. */
  readonly compositionMs: Milliseconds;
}

/** Where an FLV body's payload starts, after all of FLV's own fields. */
interface Payload {
  readonly fourCc: string;
  readonly data: Uint8Array;
  readonly compositionMs: Milliseconds;
}

const COMPOSED_FOUR_CCS: ReadonlySet<string> = new Set(['avc1', 'hvc1', 'vvc1']);
const SAMPLE_RATES = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
const MP3_SAMPLE_RATES = [44_100, 48_000, 32_000];

/** The decoder configuration in a video header tag. */
export function readVideoConfig(tag: FlvTag): VideoConfig | undefined {
  const payload = videoPayload(tag.body);
  if (payload === undefined) return undefined;
  const { fourCc, data } = payload;
  const codecString = videoCodecString(fourCc, data);
  return codecString === undefined ? undefined : { fourCc, codecString, description: data };
}

/** The frame in a video frame tag. */
export function readVideoFrame(tag: FlvTag): CodedFrame | undefined {
  return videoPayload(tag.body);
}

/** The decoder configuration in an audio header tag or, for codecs without one, in any frame. */
export function readAudioConfig(tag: FlvTag): AudioConfig | undefined {
  const payload = audioPayload(tag.body);
  if (payload === undefined) return undefined;
  const { fourCc, data } = payload;
  if (fourCc === 'mp4a') return aacConfig(data);
  if (fourCc === '.mp3') return mp3Config(data);
  if (fourCc === 'Opus') return opusConfig(data);
  if (fourCc === 'fLaC') return flacConfig(data);
  return undefined;
}

/** The frame in an audio frame tag. */
export function readAudioFrame(tag: FlvTag): CodedFrame | undefined {
  return audioPayload(tag.body);
}

function videoPayload(body: Uint8Array): Payload | undefined {
  const first = body[0] ?? 0;
  if ((first & 0x80) !== 0) return enhancedVideoPayload(body, first & 0x0f);
  const fourCc = (first & 0x0f) === 7 ? 'avc1' : (first & 0x0f) === 12 ? 'hvc1' : undefined;
  if (fourCc === undefined || body.length < 5) return undefined;
  return { fourCc, data: body.subarray(5), compositionMs: readInt24(body, 2) };
}

function enhancedVideoPayload(body: Uint8Array, firstPacketType: number): Payload | undefined {
  const at = skipModEx(body, firstPacketType);
  if (at === undefined || at.packetType > 3) return undefined;
  const fourCc = readFourCc(body, at.offset);
  if (fourCc === undefined) return undefined;
  const composed = at.packetType === 1 && COMPOSED_FOUR_CCS.has(fourCc);
  const start = at.offset + (composed ? 7 : 4);
  return { fourCc, data: body.subarray(start), compositionMs: composed ? readInt24(body, at.offset + 4) : 0 };
}

function audioPayload(body: Uint8Array): Payload | undefined {
  const first = body[0] ?? 0;
  const format = first >> 4;
  if (format === 10) return { fourCc: 'mp4a', data: body.subarray(2), compositionMs: 0 };
  if (format === 2 || format === 14) return { fourCc: '.mp3', data: body.subarray(1), compositionMs: 0 };
  if (format !== 9) return undefined;
  const at = skipModEx(body, first & 0x0f);
  if (at === undefined || at.packetType > 1) return undefined;
  const fourCc = readFourCc(body, at.offset);
  return fourCc === undefined ? undefined : { fourCc, data: body.subarray(at.offset + 4), compositionMs: 0 };
}

function videoCodecString(fourCc: string, record: Uint8Array): string | undefined {
  if (fourCc === 'avc1') return record.length < 4 ? undefined : `avc1.${hex(record, 1, 4)}`;
  if (fourCc === 'hvc1') return hevcCodecString(record);
  if (fourCc === 'av01') return av1CodecString(record);
  if (fourCc === 'vp09') return vp9CodecString(record);
  return undefined;
}

/** ISO/IEC 14496-15, annex E.3: profile, compatibility flags in reverse bit order, tier and level, constraint bytes. */
function hevcCodecString(record: Uint8Array): string | undefined {
  if (record.length < 23) return undefined;
  const profile = record[1] ?? 0;
  let compatibility = 0;
  for (let bit = 0; bit < 32; bit++) {
    const byte = record[2 + (bit >> 3)] ?? 0;
    if ((byte & (0x80 >> (bit & 7))) !== 0) compatibility += 2 ** bit;
  }
  const constraints = [...record.subarray(6, 12)];
  while (constraints.at(-1) === 0) constraints.pop();
  const space = ['', 'A', 'B', 'C'][profile >> 6] ?? '';
  const tier = (profile & 0x20) === 0 ? 'L' : 'H';
  const tail = constraints.map((byte) => `.${byte.toString(16)}`).join('');
  return `hvc1.${space}${profile & 0x1f}.${compatibility.toString(16)}.${tier}${record[12] ?? 0}${tail}`;
}

function av1CodecString(record: Uint8Array): string | undefined {
  if (record.length < 4) return undefined;
  const second = record[1] ?? 0;
  const third = record[2] ?? 0;
  const tier = (third & 0x80) === 0 ? 'M' : 'H';
  const depth = (third & 0x40) === 0 ? '08' : (third & 0x20) === 0 ? '10' : '12';
  return `av01.${second >> 5}.${String(second & 0x1f).padStart(2, '0')}${tier}.${depth}`;
}

/** vpcC is a full box: four bytes of version and flags come before profile, level and bit depth. */
function vp9CodecString(record: Uint8Array): string | undefined {
  if (record.length < 8) return undefined;
  const parts = [record[4] ?? 0, record[5] ?? 0, (record[6] ?? 0) >> 4];
  return `vp09.${parts.map((part) => String(part).padStart(2, '0')).join('.')}`;
}

function aacConfig(config: Uint8Array): AudioConfig | undefined {
  const objectType = (config[0] ?? 0) >> 3;
  const rateIndex = (((config[0] ?? 0) & 7) << 1) | ((config[1] ?? 0) >> 7);
  const escaped = rateIndex === 15;
  const channels = ((config[escaped ? 4 : 1] ?? 0) >> 3) & 0x0f;
  const sampleRate = escaped ? readEscapedRate(config) : SAMPLE_RATES[rateIndex];
  const named = objectType === 2 || objectType === 5 || objectType === 29;
  if (config.length < 2 || sampleRate === undefined || sampleRate === 0 || channels === 0 || !named) return undefined;
  const channelCount = channels === 7 ? 8 : channels;
  return { fourCc: 'mp4a', codecString: `mp4a.40.${objectType}`, sampleRate, channelCount, description: config };
}

/** An escaped sample rate: 24 bits that start at bit 9. */
function readEscapedRate(config: Uint8Array): number | undefined {
  if (config.length < 5) return undefined;
  return (((config[1] ?? 0) & 0x7f) << 17) | ((config[2] ?? 0) << 9) | ((config[3] ?? 0) << 1) | ((config[4] ?? 0) >> 7);
}

function mp3Config(frame: Uint8Array): AudioConfig | undefined {
  if (frame.length < 4 || frame[0] !== 0xff || ((frame[1] ?? 0) & 0xe0) !== 0xe0) return undefined;
  const version = ((frame[1] ?? 0) >> 3) & 3;
  const base = MP3_SAMPLE_RATES[((frame[2] ?? 0) >> 2) & 3];
  if (base === undefined || version === 1) return undefined;
  const sampleRate = version === 3 ? base : version === 2 ? base / 2 : base / 4;
  const channelCount = (frame[3] ?? 0) >> 6 === 3 ? 1 : 2;
  return { fourCc: '.mp3', codecString: 'mp3', sampleRate, channelCount, description: undefined };
}

function opusConfig(head: Uint8Array): AudioConfig | undefined {
  const channelCount = head[9] ?? 0;
  if (head.length < 19 || hex(head, 0, 8) !== '4f70757348656164' || channelCount === 0) return undefined;
  return { fourCc: 'Opus', codecString: 'opus', sampleRate: 48_000, channelCount, description: head };
}

/** "fLaC", a four-byte block header, then STREAMINFO with 20 bits of rate and 3 of channels at its tenth byte. */
function flacConfig(head: Uint8Array): AudioConfig | undefined {
  if (head.length < 42 || hex(head, 0, 4) !== '664c6143') return undefined;
  const sampleRate = ((head[18] ?? 0) << 12) | ((head[19] ?? 0) << 4) | ((head[20] ?? 0) >> 4);
  const channelCount = (((head[20] ?? 0) >> 1) & 7) + 1;
  return sampleRate === 0 ? undefined : { fourCc: 'fLaC', codecString: 'flac', sampleRate, channelCount, description: head };
}

/**
 * A number in an `onMetaData` body, such as `width`. Found by its AMF0 bytes (name, marker 0, double) and not by a walk through
 * the value, so no nesting can hurt. `undefined` when absent or not finite.
 */
export function readMetadataNumber(body: Uint8Array, name: string): number | undefined {
  const pattern = [0, name.length, ...[...name].map((letter) => letter.charCodeAt(0)), 0];
  const last = body.length - pattern.length - 8;
  for (let start = 0; start <= last; start++) {
    if (!pattern.every((byte, index) => body[start + index] === byte)) continue;
    const value = new DataView(body.buffer, body.byteOffset + start + pattern.length, 8).getFloat64(0);
    return Number.isFinite(value) ? value : undefined;
  }
  return undefined;
}

function readFourCc(body: Uint8Array, offset: number): string | undefined {
  return offset + 4 > body.length ? undefined : String.fromCharCode(...body.subarray(offset, offset + 4));
}

function readInt24(bytes: Uint8Array, offset: number): number {
  return (((bytes[offset] ?? 0) << 24) | ((bytes[offset + 1] ?? 0) << 16) | ((bytes[offset + 2] ?? 0) << 8)) >> 8;
}

function hex(bytes: Uint8Array, start: number, end: number): string {
  return [...bytes.subarray(start, end)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
