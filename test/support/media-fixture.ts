/** Tags as an H.264 and AAC encoder makes them, with bodies small enough to read. */
import type { FlvTag } from '../../src/media/flv.js';
import { encodeAmf0 } from './rtmp-client.js';

export const VIDEO_HEADER = Uint8Array.of(0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff);
export const AUDIO_HEADER = Uint8Array.of(0xaf, 0, 0x12, 0x10);

export function metadataTag(): FlvTag {
  const members = new Map<string, number>([
    ['width', 320],
    ['height', 240],
  ]);
  return { type: 18, timestampMs: 0, body: Uint8Array.from(encodeAmf0(['@setDataFrame', 'onMetaData', members])) };
}

export function videoHeaderTag(): FlvTag {
  return { type: 9, timestampMs: 0, body: VIDEO_HEADER };
}

export function audioHeaderTag(): FlvTag {
  return { type: 8, timestampMs: 0, body: AUDIO_HEADER };
}

/** `mark` makes the body tell itself apart from others. */
export function videoTag(timestampMs: number, key: boolean, mark = 0, bodyBytes = 20): FlvTag {
  const body = new Uint8Array(Math.max(6, bodyBytes)).fill(mark);
  body.set([key ? 0x17 : 0x27, 1, 0, 0, 0]);
  return { type: 9, timestampMs, body };
}

export function audioTag(timestampMs: number, mark = 0): FlvTag {
  return { type: 8, timestampMs, body: Uint8Array.of(0xaf, 1, mark, mark) };
}
