/**
 * Tells which ASF packets hold the beginning of a key frame, which is where a late joiner starts best.
 *
 * The key bit is believed only as far as it deserves: on video streams, at offset 0 of an object of believable size, and only while not
 * more than half of the stream's objects carry it (VLC's remuxer sets it everywhere). Where the codec shows an I-frame in its first bytes, those
 * must agree; where the bit proves worthless, they decide alone. Players accept a start at any packet, so a wrong answer costs a
 * second of grey picture and nothing else. Source: protocols sheet 1.4.
 *
 * | FourCC                          | I-frame                                      |
 * |---------------------------------|----------------------------------------------|
 * | WMV2                            | top bit of the first byte is 0               |
 * | WMV1, MP43, DIV3, MP42, MPG4    | top two bits of the first byte are 00        |
 * | MP4S, M4S2, MP4V, XVID, DIVX    | top two bits behind 00 00 01 B6 are 00       |
 * | H264 and its other names        | NAL unit of type 5, or a parameter set       |
 */
import type { AsfHeader } from './asf-header.js';
import { ASF_OBJECT_BYTES_MAX, type AsfPacket, type AsfPayload } from './asf-packet.js';
import { isAnnexB, NAL_IDR, NAL_SPS, nalType, splitAnnexB } from './avc.js';

/** Whether the first bytes of a frame are an I-frame's; undefined when they do not tell. */
type FrameTest = (data: Uint8Array) => boolean | undefined;

interface VideoStream {
  readonly test: FrameTest | undefined;
  objectCount: number;
  flaggedCount: number;
}

/** Below this many objects a share says nothing. */
const OBJECTS_JUDGED = 50;
/** No flag at all in so many objects: the encoder does not set the bit (12 s at 25 frames a second). */
const OBJECTS_UNFLAGGED = 300;
/** Counts are halved here, so that a stream that mends its ways is believed again. */
const OBJECTS_REMEMBERED = 3000;

const TESTS: ReadonlyMap<string, FrameTest> = new Map([
  ['WMV2', topBitClear],
  ...['WMV1', 'MP43', 'DIV3', 'MP42', 'DIV2', 'MPG4'].map((name) => [name, topBitsClear] as const),
  ...['MP4S', 'M4S2', 'MP4V', 'XVID', 'DIVX', 'DX50', 'FMP4'].map((name) => [name, isIntraVop] as const),
  ...['H264', 'AVC1', 'X264', 'DAVC', 'VSSH'].map((name) => [name, isIdr] as const),
]);

export class AsfKeyDetector {
  readonly #streams = new Map<number, VideoStream>();

  constructor(header: AsfHeader) {
    for (const { number, type, codec } of header.streams) {
      if (type === 'video') this.#streams.set(number, { test: TESTS.get(codec.toUpperCase()), objectCount: 0, flaggedCount: 0 });
    }
  }

  /** False when nothing tells key frames apart: no video, or neither the bit nor the codec is of use. Any packet is then as good as another. */
  get usable(): boolean {
    return [...this.#streams.values()].some((stream) => stream.test !== undefined || trustsBit(stream));
  }

  /** Takes the packets in order; true when this one holds the beginning of a key frame. */
  isKey(packet: AsfPacket): boolean {
    let found = false;
    for (const payload of packet.payloads) {
      const stream = this.#streams.get(payload.stream);
      if (stream && this.#judge(stream, payload)) found = true;
    }
    return found;
  }

  #judge(stream: VideoStream, payload: AsfPayload): boolean {
    const { offsetBytes, objectBytes = 0, key, data } = payload;
    if (offsetBytes !== 0 || objectBytes > ASF_OBJECT_BYTES_MAX || data.length === 0) return false;
    stream.objectCount += 1;
    if (key) stream.flaggedCount += 1;
    if (stream.objectCount >= OBJECTS_REMEMBERED) {
      stream.objectCount /= 2;
      stream.flaggedCount /= 2;
    }
    const shown = stream.test?.(data);
    return trustsBit(stream) ? key && shown !== false : shown === true;
  }
}

function trustsBit({ objectCount, flaggedCount }: VideoStream): boolean {
  if (objectCount < OBJECTS_JUDGED) return true;
  return flaggedCount * 2 <= objectCount && (flaggedCount > 0 || objectCount < OBJECTS_UNFLAGGED);
}

function topBitClear(data: Uint8Array): boolean {
  return ((data[0] ?? 0) & 0x80) === 0;
}

function topBitsClear(data: Uint8Array): boolean {
  return ((data[0] ?? 0) & 0xc0) === 0;
}

/** ISO/IEC 14496-2, 6.2.5: the VOP start code, then two bits of coding type. */
function isIntraVop(data: Uint8Array): boolean | undefined {
  for (let at = 0; at + 4 < data.length; at++) {
    if (data[at] === 0 && data[at + 1] === 0 && data[at + 2] === 1 && data[at + 3] === 0xb6) return topBitsClear(data.subarray(at + 4));
  }
  return undefined;
}

/** Undefined as long as no picture has begun: the first piece of an object may hold nothing but side information. */
function isIdr(data: Uint8Array): boolean | undefined {
  if (!isAnnexB(data)) return undefined;
  for (const unit of splitAnnexB(data)) {
    const type = nalType(unit);
    if (type === NAL_IDR || type === NAL_SPS) return true;
    if (type >= 1 && type < NAL_IDR) return false;
  }
  return undefined;
}
