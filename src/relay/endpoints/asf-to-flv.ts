/**
 * ASF with H.264 and AAC or MP3 as FLV tags, without transcoding, for the endpoints that carry FLV: HTTP-FLV, RTMP and HLS.
 *
 * The first H.264 stream and the first AAC or MP3 stream are taken; WMV, WMA and everything else are declined with a reason. Headers (avcC,
 * AudioSpecificConfig) are made from the extra data in the ASF header and made anew when parameter sets inside the stream change. Media starts at
 * a key frame.
 *
 * Times keep their preroll, which is one constant for all tracks; how video gets a decoding and a presentation time out of the one that ASF
 * gives it, `PictureClock` says.
 *
 * Sources: protocols sheet 1.2, 4.1 and 5; ISO/IEC 14496-3, 1.6.2 (AudioSpecificConfig) and 1.A.2 (ADTS). Memory is bounded by one open
 * frame for each track, and 64 KiB of parameter sets.
 */
import { sameBytes } from '../../kernel/bytes.js';
import { Malformed } from '../../kernel/errors.js';
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import type { AsfHeader, AsfStream } from '../../media/asf-header.js';
import { type AsfMediaObject, AsfObjects } from '../../media/asf-objects.js';
import { parseAsfPacket } from '../../media/asf-packet.js';
import {
  buildAvcConfig,
  isAnnexB,
  joinLengthPrefixed,
  NAL_ACCESS_UNIT_DELIMITER,
  NAL_FILLER,
  NAL_IDR,
  NAL_PPS,
  NAL_SPS,
  nalType,
  parseAvcConfig,
  parseSps,
  ppsId,
  splitAnnexB,
  splitLengthPrefixed,
} from '../../media/avc.js';
import { AUDIO, type FlvTag, SCRIPT, VIDEO } from '../../media/flv.js';
import { PictureClock } from '../../media/picture-clock.js';

/** Whether a channel can be served as FLV; `reason` is a sentence for a person. */
export type AsfFlvSupport = { readonly supported: true } | { readonly supported: false; readonly reason: string };

interface Choice {
  readonly video: AsfStream | undefined;
  readonly audio: AsfStream | undefined;
}

const H264_NAMES: ReadonlySet<string> = new Set(['H264', 'AVC1', 'X264', 'DAVC', 'VSSH']);
const MP3 = 0x55;
const HE_AAC = 0x1610;
/** Raw AAC, the MPEG-2 and MPEG-4 tags of several programs, ADTS, and HE-AAC with Microsoft's own head before the configuration. */
const AAC_TAGS: ReadonlySet<number> = new Set([0xff, 0x706d, 0x4143, 0xa106, 0x1600, HE_AAC]);
/** HEAACWAVEINFO has 12 bytes before the configuration. */
const HE_AAC_HEAD_BYTES: Bytes = 12;
const SAMPLE_RATES = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
const PARAMETER_SET_BYTES_MAX: Bytes = 64 * 1024;
const WRAP_MS = 0x1_0000_0000;
const PICTURE_WAIT_MS: Milliseconds = 10_000;

/** Says whether `AsfToFlv` can do anything for this channel, and if not, why. */
export function asfFlvSupport(header: AsfHeader): AsfFlvSupport {
  if (header.encrypted) return { supported: false, reason: 'The source is protected by DRM.' };
  const { video, audio } = choose(header);
  const otherVideo = header.streams.find((stream) => stream.type === 'video');
  const otherAudio = header.streams.find((stream) => stream.type === 'audio');
  if (!video && otherVideo)
    return { supported: false, reason: `Video ${otherVideo.codec || 'of an unknown codec'} cannot be carried in FLV; only H.264 can.` };
  if (!audio && otherAudio)
    return {
      supported: false,
      reason: `Audio ${otherAudio.codec || 'of an unknown codec'} cannot be carried in FLV; only AAC and MP3 can.`,
    };
  return video || audio ? { supported: true } : { supported: false, reason: 'The source has neither video nor audio.' };
}

export class AsfToFlv {
  readonly support: AsfFlvSupport;
  readonly #header: AsfHeader;
  readonly #objects: AsfObjects;
  readonly #video: VideoTrack | undefined;
  readonly #audio: AudioTrack | undefined;
  #announced = false;
  #heldSinceMs: Milliseconds | undefined;

  constructor(header: AsfHeader) {
    this.#header = header;
    this.support = asfFlvSupport(header);
    const { video, audio } = this.support.supported ? choose(header) : { video: undefined, audio: undefined };
    this.#video = video && new VideoTrack(video);
    this.#audio = audio && new AudioTrack(audio);
    this.#objects = new AsfObjects([video, audio].flatMap((stream) => (stream ? [stream.number] : [])));
  }

  /** Frames that did not arrive whole. */
  get droppedFrames(): number {
    return this.#objects.droppedObjects;
  }

  /** Takes the next packet and returns the tags it completed: metadata and headers once, before the frames they belong to. Nothing for an unsupported channel. */
  push(payload: Uint8Array): readonly FlvTag[] {
    if (!this.support.supported) return [];
    const packet = parseAsfPacket(payload, this.#header.packetBytes);
    if (packet instanceof Malformed) return [];
    const tags = this.#objects.push(packet).flatMap((object) => this.#frame(object));
    if (tags.length === 0 || this.#announced) return tags;
    this.#announced = true;
    return [metadataTag(this.#video?.stream, this.#audio?.stream), ...tags];
  }

  /** Packets were lost or the source jumped: half frames are forgotten, video waits for a key frame, and decoding times start anew. */
  discontinuity(): void {
    this.#objects.reset();
    this.#video?.restart();
  }

  #frame(object: AsfMediaObject): readonly FlvTag[] {
    if (object.stream === this.#video?.stream.number) return this.#video.push(object);
    return this.#holdsAudio(object.presentationMs) ? [] : (this.#audio?.push(object) ?? []);
  }

  /** Sound before the first picture would make players start with a black one; but a picture that never comes is not waited for. */
  #holdsAudio(presentationMs: Milliseconds): boolean {
    if (this.#video?.awaitingKey !== true) {
      this.#heldSinceMs = undefined;
      return false;
    }
    this.#heldSinceMs ??= presentationMs;
    return Math.abs(presentationMs - this.#heldSinceMs) <= PICTURE_WAIT_MS;
  }
}

function choose({ streams }: AsfHeader): Choice {
  return {
    video: streams.find(({ type, codec }) => type === 'video' && H264_NAMES.has(codec.toUpperCase())),
    audio: streams.find(({ audio }) => audio !== null && (audio.formatTag === MP3 || AAC_TAGS.has(audio.formatTag))),
  };
}

class VideoTrack {
  readonly stream: AsfStream;
  awaitingKey = true;
  readonly #sps = new Map<number, Uint8Array>();
  readonly #pps = new Map<number, Uint8Array>();
  readonly #clock = new PictureClock();
  readonly #lengthBytes: number;
  #config: Uint8Array | undefined;
  #sentConfig: Uint8Array | undefined;

  constructor(stream: AsfStream) {
    this.stream = stream;
    const { extraData } = stream;
    const record = isAnnexB(extraData) ? undefined : parseAvcConfig(extraData);
    this.#lengthBytes = record?.lengthBytes ?? 4;
    this.#learn(record ? [...record.sps, ...record.pps] : splitAnnexB(extraData));
  }

  restart(): void {
    this.awaitingKey = true;
    this.#clock.restart();
  }

  push(object: AsfMediaObject): readonly FlvTag[] {
    const units = isAnnexB(object.data) ? splitAnnexB(object.data) : splitLengthPrefixed(object.data, this.#lengthBytes);
    const learnt = this.#learn(units);
    const media = units.filter((unit) => !isOverhead(nalType(unit)));
    const key = media.some((unit) => nalType(unit) === NAL_IDR) || (object.key && learnt);
    if (media.length === 0 || this.#config === undefined || (this.awaitingKey && !key)) return [];
    this.awaitingKey = false;
    const { decodingMs, compositionMs } = this.#clock.read(object, media);
    const frame = videoTag(decodingMs, [key ? 0x17 : 0x27, 1, ...int24(compositionMs)], joinLengthPrefixed(media));
    if (this.#sentConfig === this.#config) return [frame];
    this.#sentConfig = this.#config;
    return [videoTag(decodingMs, [0x17, 0, 0, 0, 0], this.#config), frame];
  }

  /** Keeps parameter sets; true when there was a sequence parameter set among the units. */
  #learn(units: readonly Uint8Array[]): boolean {
    let found = false;
    let changed = false;
    for (const unit of units) {
      const type = nalType(unit);
      if (type !== NAL_SPS && type !== NAL_PPS) continue;
      found ||= type === NAL_SPS;
      const id = type === NAL_SPS ? this.#noteSps(unit) : ppsId(unit);
      if (id !== undefined && this.#keep(type === NAL_SPS ? this.#sps : this.#pps, id, unit)) changed = true;
    }
    if (changed) this.#config = buildAvcConfig([...this.#sps.values()], [...this.#pps.values()]) ?? this.#config;
    return found;
  }

  #noteSps(unit: Uint8Array): number | undefined {
    const facts = parseSps(unit);
    if (facts) this.#clock.configure(facts);
    return facts?.id;
  }

  #keep(sets: Map<number, Uint8Array>, id: number, unit: Uint8Array): boolean {
    const known = sets.get(id);
    if (known !== undefined && sameBytes(known, unit)) return false;
    const heldBytes = [...this.#sps.values(), ...this.#pps.values()].reduce((sum, set) => sum + set.length, 0);
    if (heldBytes - (known?.length ?? 0) + unit.length > PARAMETER_SET_BYTES_MAX) return false;
    sets.set(id, new Uint8Array(unit));
    return true;
  }
}

class AudioTrack {
  readonly stream: AsfStream;
  /** First body byte of every tag: codec, and for MP3 rate, width and channels. */
  readonly #lead: number;
  #config: Uint8Array | undefined;
  #sentConfig: Uint8Array | undefined;

  constructor(stream: AsfStream) {
    this.stream = stream;
    this.#lead = stream.audio?.formatTag === MP3 ? mp3Lead(stream) : 0xaf;
    if (this.#lead === 0xaf) this.#config = audioConfigOf(stream);
  }

  push({ data, presentationMs }: AsfMediaObject): readonly FlvTag[] {
    if (this.#lead !== 0xaf) return [audioTag(presentationMs, [this.#lead], data)];
    const frames = isAdts(data) ? this.#unwrapAdts(data) : [data];
    const tags: FlvTag[] = [];
    for (const [index, frame] of frames.entries()) {
      const timestampMs = (presentationMs + Math.round(index * this.#frameMs())) % WRAP_MS;
      if (this.#config === undefined) continue;
      if (this.#sentConfig !== this.#config) tags.push(audioTag(timestampMs, [0xaf, 0], this.#config));
      this.#sentConfig = this.#config;
      tags.push(audioTag(timestampMs, [0xaf, 1], frame));
    }
    return tags;
  }

  /** The raw frames of one object that carries ADTS heads, which also say what an empty extra data left open. */
  #unwrapAdts(data: Uint8Array): readonly Uint8Array[] {
    const frames: Uint8Array[] = [];
    let at = 0;
    while (isAdts(data.subarray(at))) {
      const sizeBytes = (((data[at + 3] ?? 0) & 3) << 11) | ((data[at + 4] ?? 0) << 3) | ((data[at + 5] ?? 0) >> 5);
      const headBytes = ((data[at + 1] ?? 0) & 1) === 1 ? 7 : 9;
      if (sizeBytes <= headBytes || at + sizeBytes > data.length) break;
      this.#config ??= adtsConfig(data.subarray(at));
      frames.push(data.subarray(at + headBytes, at + sizeBytes));
      at += sizeBytes;
    }
    return frames;
  }

  #frameMs(): Milliseconds {
    return 1_024_000 / Math.max(1, this.stream.audio?.sampleRate ?? 44_100);
  }
}

function isOverhead(type: number): boolean {
  return type === NAL_SPS || type === NAL_PPS || type === NAL_ACCESS_UNIT_DELIMITER || type === NAL_FILLER;
}

/** The configuration as it stands in the extra data, or made up for plain AAC; undefined while only ADTS heads can tell. */
function audioConfigOf({ audio, extraData }: AsfStream): Uint8Array | undefined {
  const config = audio?.formatTag === HE_AAC ? extraData.subarray(HE_AAC_HEAD_BYTES) : extraData;
  if (config.length >= 2) return config;
  const rateIndex = SAMPLE_RATES.indexOf(audio?.sampleRate ?? 0);
  if (audio === null || rateIndex < 0 || audio.formatTag === 0x1600) return undefined;
  return makeAudioConfig(2, rateIndex, Math.min(audio.channelCount, 7));
}

function makeAudioConfig(objectType: number, rateIndex: number, channels: number): Uint8Array {
  return Uint8Array.of((objectType << 3) | (rateIndex >> 1), ((rateIndex & 1) << 7) | (channels << 3));
}

function isAdts(data: Uint8Array): boolean {
  return data.length > 7 && data[0] === 0xff && ((data[1] ?? 0) & 0xf6) === 0xf0;
}

function adtsConfig(data: Uint8Array): Uint8Array {
  const third = data[2] ?? 0;
  return makeAudioConfig((third >> 6) + 1, (third >> 2) & 0x0f, ((third & 1) << 2) | ((data[3] ?? 0) >> 6));
}

/** FLV knows four rates; for MP3 players go by the frame's own head anyway. */
function mp3Lead({ audio }: AsfStream): number {
  const rate = audio?.sampleRate ?? 44_100;
  const rateBits = rate >= 44_100 ? 3 : rate >= 22_050 ? 2 : 1;
  return 0x22 | (rateBits << 2) | ((audio?.channelCount ?? 2) > 1 ? 1 : 0);
}

/** `onMetaData` with what players and the HLS muxer look for (AMF0: name, number of members, members, end mark). */
function metadataTag(video: AsfStream | undefined, audio: AsfStream | undefined): FlvTag {
  const members: [string, number][] = [];
  if (video?.video) members.push(['width', video.video.width], ['height', video.video.height], ['videocodecid', 7]);
  if (audio?.audio) members.push(['audiocodecid', audio.audio.formatTag === MP3 ? 2 : 10], ['audiosamplerate', audio.audio.sampleRate]);
  const parts = [Uint8Array.of(2), amfName('onMetaData'), Uint8Array.of(8, 0, 0, 0, members.length)];
  for (const [name, value] of members) parts.push(amfName(name), amfNumber(value));
  return { type: SCRIPT, timestampMs: 0, body: joined([...parts, Uint8Array.of(0, 0, 9)]) };
}

function amfName(name: string): Uint8Array {
  return Uint8Array.of(0, name.length, ...[...name].map((letter) => letter.charCodeAt(0)));
}

function amfNumber(value: number): Uint8Array {
  const out = new Uint8Array(9);
  new DataView(out.buffer).setFloat64(1, value);
  return out;
}

function videoTag(timestampMs: Milliseconds, lead: readonly number[], data: Uint8Array): FlvTag {
  return { type: VIDEO, timestampMs, body: joined([Uint8Array.from(lead), data]) };
}

function audioTag(timestampMs: Milliseconds, lead: readonly number[], data: Uint8Array): FlvTag {
  return { type: AUDIO, timestampMs, body: joined([Uint8Array.from(lead), data]) };
}

function int24(value: number): readonly number[] {
  return [(value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff];
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
