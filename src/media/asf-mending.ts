/**
 * A window of ASF with gaps: the packets that are whole, without those that are not.
 *
 * Packets stand in the order of their numbers, and players of ASF expect to lose some: numbers that are missing tell them. A key frame may
 * reach over several packets; all of them have to be here.
 */
import { Malformed } from '../kernel/errors.js';
import type { Bytes } from '../kernel/units.js';
import { type AsfPayload, parseAsfPacket } from './asf-packet.js';
import { EPOCH_ID_BYTES, RECORD_HEAD_BYTES, RECORDS_MAX } from './asf-window.js';
import { gapFrom, type HoledWindow, isWhole, joinRuns, type KeptRun, type MendedWindow } from './holed-window.js';

/** A packet that is here; `start` is that of its record. */
interface Packet extends KeptRun {
  readonly locationId: number;
}

/** A media object of which parts have been read. */
interface OpenObject {
  readonly stream: number;
  readonly objectNumber: number;
  readonly objectBytes: Bytes;
  hereBytes: Bytes;
}

/** @returns undefined when the epoch, the first packet, or anything of a key frame is missing. */
export function mendAsf(window: HoledWindow): MendedWindow | undefined {
  const packets = wholePackets(window);
  if (packets[0]?.start !== EPOCH_ID_BYTES) return undefined;
  const starts = new Map(packets.map((packet, index) => [packet.start, index]));
  for (const offset of window.keyOffsets) {
    const index = starts.get(offset);
    if (index === undefined || !holdsKeyFrame(window.bytes, packets.slice(index), offset === EPOCH_ID_BYTES)) return undefined;
  }
  const mended = joinRuns(window, [{ start: 0, end: EPOCH_ID_BYTES }, ...packets]);
  return mended;
}

function wholePackets({ bytes, gaps }: HoledWindow): readonly Packet[] {
  if (!isWhole(gaps, 0, EPOCH_ID_BYTES)) return [];
  const packets: Packet[] = [];
  let offset = EPOCH_ID_BYTES;
  while (offset + RECORD_HEAD_BYTES <= bytes.length) {
    const end = isWhole(gaps, offset, offset + RECORD_HEAD_BYTES) ? endOfRecord(bytes, offset) : undefined;
    if (end === undefined) offset = nextRecord(bytes, gaps, offset, packets.at(-1)?.locationId);
    else {
      if (isWhole(gaps, offset, end)) packets.push({ start: offset, end, locationId: locationIdAt(bytes, offset) });
      offset = end;
    }
  }
  return packets;
}

function endOfRecord(bytes: Uint8Array, offset: Bytes): Bytes | undefined {
  const end = offset + RECORD_HEAD_BYTES + (((bytes[offset + 4] ?? 0) << 8) | (bytes[offset + 5] ?? 0));
  return end <= bytes.length ? end : undefined;
}

/**
 * The first place behind the gap at or after `offset` from which records follow each other by number, up to the next gap or the end.
 *
 * @param lastId number of the newest packet before the gap.
 */
function nextRecord(bytes: Uint8Array, gaps: HoledWindow['gaps'], offset: Bytes, lastId: number | undefined): Bytes {
  const gap = gapFrom(gaps, offset);
  if (!gap || lastId === undefined) return bytes.length;
  const from = gap.offsetBytes + gap.lengthBytes;
  const until = gapFrom(gaps, from)?.offsetBytes ?? bytes.length;
  for (let at = from; at + RECORD_HEAD_BYTES <= until; at++) {
    const ahead = (locationIdAt(bytes, at) - lastId) >>> 0;
    if (ahead >= 1 && ahead <= RECORDS_MAX && isChain(bytes, at, until)) return at;
  }
  return until === bytes.length ? until : nextRecord(bytes, gaps, until, lastId);
}

/** Whether records stand here whose numbers follow each other. One alone is believed when it ends where the bytes do. */
function isChain(bytes: Uint8Array, at: Bytes, until: Bytes): boolean {
  const end = endOfRecord(bytes, at);
  if (end === undefined || end === at + RECORD_HEAD_BYTES) return false;
  if (end === bytes.length) return true;
  return end + RECORD_HEAD_BYTES <= until && locationIdAt(bytes, end) === (locationIdAt(bytes, at) + 1) >>> 0;
}

function locationIdAt(bytes: Uint8Array, offset: Bytes): number {
  const high = ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
  return ((high << 16) | ((bytes[offset + 2] ?? 0) << 8) | (bytes[offset + 3] ?? 0)) >>> 0;
}

/**
 * Whether the key frames that begin in the first of these packets end in packets that follow it without a break.
 *
 * @param isFirst the packet opens the window: without means to tell it is marked, so that it need not hold a key frame.
 */
function holdsKeyFrame(bytes: Uint8Array, packets: readonly Packet[], isFirst: boolean): boolean {
  const packetBytes = Math.max(0, ...packets.map(({ start, end }) => end - start - RECORD_HEAD_BYTES));
  let open: OpenObject[] | undefined;
  for (const [index, { start, end, locationId }] of packets.entries()) {
    const isNext = locationId === ((packets[0]?.locationId ?? 0) + index) >>> 0;
    if (!isNext) return false;
    const packet = parseAsfPacket(bytes.subarray(start + RECORD_HEAD_BYTES, end), packetBytes);
    if (packet instanceof Malformed) return isFirst;
    open ??= packet.payloads.flatMap(beginning);
    for (const object of open)
      for (const payload of packet.payloads) if (isPartOf(payload, object)) object.hereBytes += payload.data.length;
    if (open.every(({ hereBytes, objectBytes }) => hereBytes >= objectBytes)) return true;
  }
  // What goes on in the next window is not hit by a gap in this one.
  return true;
}

function beginning({ key, offsetBytes, objectBytes, stream, objectNumber }: AsfPayload): readonly OpenObject[] {
  return key && offsetBytes === 0 && objectBytes !== undefined ? [{ stream, objectNumber, objectBytes, hereBytes: 0 }] : [];
}

function isPartOf(payload: AsfPayload, object: OpenObject): boolean {
  return payload.stream === object.stream && payload.objectNumber === object.objectNumber;
}
