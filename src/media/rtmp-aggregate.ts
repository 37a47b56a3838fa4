/**
 * The RTMP aggregate message (type 22): a run of FLV tags in one message.
 *
 * The time of each tag is the aggregate's time plus the tag's distance from the first tag (RTMP 1.0, section 7.1.6). Reading stops at the first
 * thing that is wrong, and what came before it stands (protocols sheet 6.4, row 11); an aggregate in an aggregate is wrong.
 */
import type { Bytes, Milliseconds } from '../kernel/units.js';
import { AUDIO, type FlvTag, SCRIPT, VIDEO } from './flv.js';

const TAG_HEADER_BYTES: Bytes = 11;
const BACK_POINTER_BYTES: Bytes = 4;

/** The tags of an aggregate's body, in order, each with a body of its own. */
export function splitAggregate(timestampMs: Milliseconds, bytes: Uint8Array): readonly FlvTag[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tags: FlvTag[] = [];
  let firstMs: Milliseconds | undefined;
  let offset = 0;
  while (offset + TAG_HEADER_BYTES <= bytes.length) {
    const type = view.getUint8(offset);
    const bodyEnd = offset + TAG_HEADER_BYTES + (view.getUint32(offset) & 0xffffff);
    if (type !== AUDIO && type !== VIDEO && type !== SCRIPT) break;
    if (bodyEnd > bytes.length) break;
    const tagMs = ((view.getUint8(offset + 7) << 24) | (view.getUint32(offset + 4) >>> 8)) >>> 0;
    firstMs ??= tagMs;
    tags.push({
      type,
      timestampMs: (timestampMs + tagMs - firstMs) >>> 0,
      body: new Uint8Array(bytes.subarray(offset + TAG_HEADER_BYTES, bodyEnd)),
    });
    // The last back pointer may be missing; a wrong one means that we have lost our place.
    if (bodyEnd + BACK_POINTER_BYTES > bytes.length || view.getUint32(bodyEnd) !== bodyEnd - offset) break;
    offset = bodyEnd + BACK_POINTER_BYTES;
  }
  return tags;
}
