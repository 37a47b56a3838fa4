/**
 * The source of a measurement: FLV made once by ffmpeg, so that no encoder's delay or cost is in the figures.
 *
 * Constant bit rate, H.264 with B-frames, a key frame every two seconds, AAC of noise; played over and over by `PacedPublisher`.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Malformed } from '../../src/kernel/errors.js';
import type { Milliseconds } from '../../src/kernel/units.js';
import { classifyTag, encodedTagBytes, FlvParser, type FlvTag } from '../../src/media/flv.js';

const run = promisify(execFile);

/** Key frame distance, as most encoders are set up for live use. */
export const GOP_MS = 2_000;
const AUDIO_BITS_PER_SECOND = 64_000;
const FRAME_MS = 40;

export interface Recording {
  /** Metadata and codec headers: sent once. */
  readonly headers: readonly FlvTag[];
  /** Coded media in order; `timestampMs` begins at about 0. */
  readonly frames: readonly FlvTag[];
  /** After this the first frame may follow again. */
  readonly lengthMs: number;
  /** Of whole FLV tags, as windows carry them. */
  readonly bytesPerSecond: number;
  /** When a body comes, by `bodyKey`. Bodies that occur twice are left out. */
  readonly timesByBody: ReadonlyMap<string, Milliseconds>;
}

export interface RecordingOptions {
  readonly bitsPerSecond: number;
  readonly seconds: number;
}

/** Makes a recording; takes about a quarter of its length. Needs ffmpeg with libx264. */
export async function makeRecording(options: RecordingOptions): Promise<Recording> {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-bench-'));
  try {
    const file = join(folder, 'recording.flv');
    await run('ffmpeg', [...ffmpegArguments(options), file]);
    const tags = new FlvParser().push(await readFile(file));
    if (tags instanceof Malformed) throw new Error(`ffmpeg's recording cannot be read: ${tags.reason}`);
    return recordingOf(tags);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function ffmpegArguments({ bitsPerSecond, seconds }: RecordingOptions): readonly string[] {
  const video = String(bitsPerSecond - AUDIO_BITS_PER_SECOND);
  const gopFrames = String(GOP_MS / FRAME_MS);
  return [
    ...[
      '-v',
      'error',
      '-nostdin',
      '-f',
      'lavfi',
      '-i',
      'testsrc2=size=640x360:rate=25',
      '-f',
      'lavfi',
      '-i',
      'anoisesrc=sample_rate=44100',
    ],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-bf', '2', '-g', gopFrames, '-keyint_min', gopFrames],
    ...['-sc_threshold', '0', '-b:v', video, '-minrate', video, '-maxrate', video, '-bufsize', video, '-x264-params', 'nal-hrd=cbr'],
    ...['-c:a', 'aac', '-b:a', String(AUDIO_BITS_PER_SECOND), '-t', String(seconds), '-flvflags', 'no_duration_filesize'],
  ];
}

function recordingOf(tags: readonly FlvTag[]): Recording {
  const kindOf = (tag: FlvTag): string => classifyTag(tag).kind;
  const frames = tags.filter((tag) => kindOf(tag) === 'frame');
  const lengthMs = Math.max(...frames.map(({ timestampMs }) => timestampMs)) + FRAME_MS;
  const sizeBytes = frames.reduce((sum, tag) => sum + encodedTagBytes(tag), 0);
  return {
    headers: tags.filter((tag) => kindOf(tag) === 'header' || kindOf(tag) === 'metadata'),
    frames,
    lengthMs,
    bytesPerSecond: (sizeBytes * 1000) / lengthMs,
    timesByBody: timesByBody(frames),
  };
}

function timesByBody(frames: readonly FlvTag[]): ReadonlyMap<string, Milliseconds> {
  const seen = new Set<string>();
  const times = new Map<string, Milliseconds>();
  for (const { body, timestampMs } of frames) {
    const key = bodyKey(body);
    if (seen.has(key)) times.delete(key);
    else times.set(key, timestampMs);
    seen.add(key);
  }
  return times;
}

/** What a tag is recognised by on the other side, whatever its timestamp has become. */
export function bodyKey(body: Uint8Array): string {
  return createHash('sha1').update(body).digest('base64');
}
