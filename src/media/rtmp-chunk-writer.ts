/**
 * Writes one RTMP message as chunks: a format-0 chunk, then format-3 chunks for what does not fit.
 *
 * For the few commands of a client that plays; the layout stands in `rtmp-chunk-reader.ts`. Source: RTMP 1.0, section 5.3.
 */
import { ByteWriter } from '../kernel/bytes.js';
import type { Bytes } from '../kernel/units.js';
import type { RtmpMessage } from './rtmp-chunk-reader.js';

/** What both sides begin with. */
const CHUNK_BYTES: Bytes = 128;
const EXTENDED = 0xffffff;

/** @param chunkStream 2 to 63: the ids of one byte. */
export function encodeRtmpMessage(message: RtmpMessage, chunkStream: number): Uint8Array {
  const { type, timestampMs, streamId, body } = message;
  const isExtended = timestampMs >= EXTENDED;
  const writer = new ByteWriter(body.length + 64);
  writer.uint8(chunkStream);
  writeUint24(writer, isExtended ? EXTENDED : timestampMs);
  writeUint24(writer, body.length);
  // The stream id is the one little-endian field of RTMP.
  writer.uint8(type).bytes(Uint8Array.of(streamId, streamId >>> 8, streamId >>> 16, streamId >>> 24));
  if (isExtended) writer.uint32(timestampMs);
  writer.bytes(body.subarray(0, CHUNK_BYTES));
  for (let offset = CHUNK_BYTES; offset < body.length; offset += CHUNK_BYTES) {
    writer.uint8(0xc0 | chunkStream);
    if (isExtended) writer.uint32(timestampMs);
    writer.bytes(body.subarray(offset, offset + CHUNK_BYTES));
  }
  return writer.finish();
}

function writeUint24(writer: ByteWriter, value: number): void {
  writer.uint8((value >>> 16) & 0xff).uint16(value & 0xffff);
}
