/** Writes ASF headers and packets for tests: whole streams as an encoder makes them, and single parts with any fault a test wants. */
import { ASF_GUID, encodeGuid } from '../../src/media/asf-guid.js';
import type { AsfRecord } from '../../src/media/asf-window.js';

export const FILE_ID = '12345678-9ABC-DEF0-1122-334455667788';

/** Little-endian bytes of a whole number. */
export function le(value: number, width: number): Uint8Array {
  const out = new Uint8Array(width);
  let rest = value;
  for (let index = 0; index < width; index++, rest = Math.floor(rest / 256)) out[index] = rest % 256;
  return out;
}

export function bytesOf(...parts: readonly (Uint8Array | readonly number[] | string)[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => (typeof part === 'string' ? [...Buffer.from(part, 'latin1')] : [...part])));
}

/** `sizeBytes` replaces the true size in the object's head. */
export function asfObject(guid: string, body: Uint8Array, sizeBytes = body.length + 24): Uint8Array {
  return bytesOf(encodeGuid(guid), le(sizeBytes, 8), body);
}

export interface FilePropertiesOptions {
  readonly packetBytes?: number;
  readonly packetBytesMin?: number;
  readonly maxBitrate?: number;
  readonly broadcast?: boolean;
  readonly prerollMs?: number;
  readonly fileId?: string;
  /** What differs between two clients of one server. */
  readonly counts?: number;
}

export function fileProperties(options: FilePropertiesOptions = {}): Uint8Array {
  const { packetBytes = 512, maxBitrate = 400_000, broadcast = true, prerollMs = 3000, fileId = FILE_ID, counts = 0 } = options;
  const body = bytesOf(
    encodeGuid(fileId),
    le(counts, 8),
    le(77, 8),
    le(counts, 8),
    le(counts, 8),
    le(counts, 8),
    le(prerollMs, 8),
    le(broadcast ? 1 : 2, 4),
    le(options.packetBytesMin ?? packetBytes, 4),
    le(packetBytes, 4),
    le(maxBitrate, 4),
  );
  return asfObject(ASF_GUID.fileProperties, body);
}

export function streamProperties(
  number: number,
  type: string,
  specific: Uint8Array,
  specificBytes = specific.length,
  encrypted = false,
): Uint8Array {
  const flags = number | (encrypted ? 0x8000 : 0);
  const body = bytesOf(encodeGuid(type), new Uint8Array(16), le(0, 8), le(specificBytes, 4), le(0, 4), le(flags, 2), le(0, 4), specific);
  return asfObject(ASF_GUID.streamProperties, body);
}

export function videoStream(number: number, fourCc = 'WMV2', extraData: Uint8Array = new Uint8Array(0)): Uint8Array {
  const size = le(40 + extraData.length, 2);
  const bitmap = bytesOf(le(40, 4), le(320, 4), le(240, 4), le(1, 2), le(24, 2), fourCc, new Uint8Array(20), extraData);
  return streamProperties(number, ASF_GUID.videoStream, bytesOf(le(320, 4), le(240, 4), [2], size, bitmap));
}

export function audioStream(number: number, formatTag = 0x161, extraData: Uint8Array = new Uint8Array(0)): Uint8Array {
  const format = bytesOf(le(formatTag, 2), le(2, 2), le(44_100, 4), le(8000, 4), le(1, 2), le(16, 2), le(extraData.length, 2), extraData);
  return streamProperties(number, ASF_GUID.audioStream, format);
}

export function headerExtension(...children: readonly Uint8Array[]): Uint8Array {
  const data = bytesOf(...children);
  return asfObject(ASF_GUID.headerExtension, bytesOf(new Uint8Array(16), le(6, 2), le(data.length, 4), data));
}

/** With one name, one payload extension system of `extensionBytes`, and Stream Properties inside. */
export function extendedStreamProperties(number: number, bitrate: number, extensionBytes: number, inside: Uint8Array): Uint8Array {
  const rates = bytesOf(le(0, 16), le(bitrate, 4), le(0, 24), le(0, 4), le(number, 2), le(0, 2), le(0, 8), le(1, 2), le(1, 2));
  const name = bytesOf(le(0, 2), le(4, 2), [65, 0, 0, 0]);
  const system = bytesOf(encodeGuid(FILE_ID), le(extensionBytes, 2), le(3, 4), [1, 2, 3]);
  return asfObject(ASF_GUID.extendedStreamProperties, bytesOf(rates, name, system, inside));
}

export function dataObject(sizeBytes = 50, trailing: readonly number[] = [1, 1], packetCount = 0): Uint8Array {
  return bytesOf(encodeGuid(ASF_GUID.data), le(sizeBytes, 8), encodeGuid(FILE_ID), le(packetCount, 8), trailing);
}

/** A header of these children; `childCount` is what it claims. */
export function asfHeader(children: readonly Uint8Array[], data = dataObject(), childCount = children.length): Uint8Array {
  return bytesOf(asfObject(ASF_GUID.header, bytesOf(le(childCount, 4), [1, 2], ...children)), data);
}

export function simpleHeader(
  options: FilePropertiesOptions = {},
  streams: readonly Uint8Array[] = [videoStream(1), audioStream(2)],
): Uint8Array {
  return asfHeader([fileProperties(options), ...streams]);
}

export interface PayloadOptions {
  readonly stream?: number;
  readonly key?: boolean;
  readonly objectNumber?: number;
  readonly offsetBytes?: number;
  readonly objectBytes?: number;
  readonly presentationMs?: number;
  readonly data: Uint8Array;
}

const PAYLOAD_HEAD_BYTES = 17;

/** A payload for property types 0x5D with a u16 length. */
export function payloadBytes(options: PayloadOptions): Uint8Array {
  const { stream = 1, key = false, objectNumber = 0, offsetBytes = 0, data, presentationMs = 0 } = options;
  const replicated = bytesOf([8], le(options.objectBytes ?? data.length, 4), le(presentationMs, 4));
  return bytesOf([stream | (key ? 0x80 : 0), objectNumber & 0xff], le(offsetBytes, 4), replicated, le(data.length, 2), data);
}

/** A packet with many payloads, filled up with padding to `packetBytes`, or with its padding stripped as servers do it. */
export function packetOf(payloads: readonly PayloadOptions[], packetBytes: number, sendMs = 0, stripped = false): Uint8Array {
  const body = bytesOf(...payloads.map(payloadBytes));
  const headBytes = 3 + 2 + 2 + 4 + 2 + 1;
  const paddingBytes = packetBytes - headBytes - body.length;
  if (paddingBytes < 0) throw new Error(`${-paddingBytes} bytes too many for a packet of ${packetBytes}`);
  const head = bytesOf([0x82, 0, 0, 0x11, 0x5d], le(stripped ? 0 : paddingBytes, 2), le(sendMs, 4), le(0, 2), [0x80 | payloads.length]);
  return bytesOf(head, body, new Uint8Array(stripped ? 0 : paddingBytes));
}

export interface Frame {
  readonly stream: number;
  readonly key: boolean;
  readonly presentationMs: number;
  readonly data: Uint8Array;
}

/** Puts frames into packets as an encoder does: cut where a packet is full, several where they are small. */
export function packetise(
  frames: readonly Frame[],
  packetBytes: number,
  options: { readonly firstLocation?: number; readonly stripped?: boolean } = {},
): AsfRecord[] {
  const records: AsfRecord[] = [];
  const room = packetBytes - 14;
  const counters = new Map<number, number>();
  let payloads: PayloadOptions[] = [];
  let usedBytes = 0;
  const flush = (): void => {
    if (payloads.length === 0) return;
    const locationId = ((options.firstLocation ?? 0) + records.length) % 0x1_0000_0000;
    records.push({ locationId, payload: packetOf(payloads, packetBytes, payloads[0]?.presentationMs ?? 0, options.stripped) });
    payloads = [];
    usedBytes = 0;
  };
  for (const frame of frames) {
    const objectNumber = counters.get(frame.stream) ?? 0;
    counters.set(frame.stream, objectNumber + 1);
    for (let offsetBytes = 0; offsetBytes < frame.data.length; ) {
      if (room - usedBytes <= PAYLOAD_HEAD_BYTES || payloads.length === 63) flush();
      const data = frame.data.subarray(offsetBytes, offsetBytes + room - usedBytes - PAYLOAD_HEAD_BYTES);
      payloads.push({ ...frame, objectNumber, offsetBytes, objectBytes: frame.data.length, data });
      usedBytes += PAYLOAD_HEAD_BYTES + data.length;
      offsetBytes += data.length;
    }
  }
  flush();
  return records;
}

/** A synthetic programme: video at 25 frames a second with a key frame each second (WMV2's first bit tells it), and some sound. */
export function programme(seconds: number, frameBytes = 900): Frame[] {
  const frames: Frame[] = [];
  for (let index = 0; index < seconds * 25; index++) {
    const key = index % 25 === 0;
    const data = new Uint8Array(frameBytes + ((index * 37) % 200)).fill(index & 0xff);
    data[0] = key ? 0x10 : 0x90;
    frames.push({ stream: 1, key, presentationMs: 3000 + index * 40, data });
    frames.push({ stream: 2, key: false, presentationMs: 3000 + index * 40, data: new Uint8Array(60).fill(index & 0x7f) });
  }
  return frames;
}
