/** Real ASF, made by ffmpeg once per test process and kind: the header and packets an MMS server would send, and the same as a file for ffprobe. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Malformed } from '../../src/kernel/errors.js';
import { type AsfHeader, parseAsfHeader } from '../../src/media/asf-header.js';
import { padAsfPacket } from '../../src/media/asf-packet.js';
import type { AsfRecord } from '../../src/media/asf-window.js';
import { temporaryFolder } from './program.js';

const PICTURE = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25'];
const TONE = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=44100'];
const H264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-g', '25', '-b:v', '400k'];

const RECIPES = {
  wmv: [...PICTURE, ...TONE, '-c:v', 'wmv2', '-g', '25', '-b:v', '400k', '-c:a', 'wmav2'],
  mp43: [...PICTURE, '-c:v', 'msmpeg4v3', '-g', '25', '-b:v', '400k'],
  mpeg4: [...PICTURE, '-c:v', 'mpeg4', '-g', '25', '-bf', '0', '-b:v', '400k', '-tag:v', 'MP4S'],
  wma: [...TONE, '-c:a', 'wmav2'],
  /** With B-frames of which some are references. */
  h264: [...PICTURE, ...TONE, ...H264, '-bf', '3', '-x264-params', 'b-pyramid=normal', '-c:a', 'aac', '-b:a', '64k'],
  'h264-in-order': [...PICTURE, ...TONE, ...H264, '-bf', '0', '-c:a', 'aac', '-b:a', '64k'],
  'h264-mp3': [...PICTURE, ...TONE, ...H264, '-bf', '2', '-c:a', 'libmp3lame', '-b:a', '64k'],
  aac: [...TONE, '-c:a', 'aac', '-b:a', '64k'],
} as const;

export type AsfRecipe = keyof typeof RECIPES;

export interface AsfRecording {
  readonly headerBytes: Uint8Array;
  readonly header: AsfHeader;
  readonly packets: readonly AsfRecord[];
  /** A plain file of the same header and packets. */
  readonly path: string;
}

const made = new Map<string, AsfRecording>();

export function recordAsf(recipe: AsfRecipe, seconds: number): AsfRecording {
  const key = `${recipe}-${seconds}`;
  const known = made.get(key);
  if (known) return known;
  const folder = temporaryFolder('asf');
  const streamPath = join(folder, `${key}.chunks`);
  execFileSync('ffmpeg', [
    '-v',
    'error',
    '-y',
    ...RECIPES[recipe],
    '-t',
    String(seconds),
    '-fflags',
    '+bitexact',
    '-f',
    'asf_stream',
    streamPath,
  ]);
  const recording = splitChunks(readFileSync(streamPath), join(folder, `${key}.asf`));
  made.set(key, recording);
  return recording;
}

/** `asf_stream` writes chunks as MMSH does: type, size, number, flags, size again, then the data. */
function splitChunks(bytes: Uint8Array, path: string): AsfRecording {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let headerBytes = new Uint8Array(0);
  const packets: AsfRecord[] = [];
  for (let at = 0; at + 12 <= bytes.length; ) {
    const type = String.fromCharCode(bytes[at + 1] ?? 0);
    const end = at + 4 + view.getUint16(at + 2, true);
    if (type === 'H') headerBytes = bytes.slice(at + 12, end);
    if (type === 'D') packets.push({ locationId: packets.length, payload: bytes.slice(at + 12, end) });
    at = end;
  }
  const header = parseAsfHeader(headerBytes);
  if (header instanceof Malformed) throw new Error(header.reason);
  writeFileSync(path, Buffer.concat([headerBytes, ...packets.map(({ payload }) => padAsfPacket(payload, header.packetBytes))]));
  return { headerBytes, header, packets, path };
}
