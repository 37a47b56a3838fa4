/** Real FLV, made by ffmpeg once per test process and kind, and fed to a `TagFeed` at once or in its own time. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Malformed } from '../../src/kernel/errors.js';
import { classifyTag, FlvParser, type FlvTag } from '../../src/media/flv.js';
import type { TagFeed } from '../../src/relay/endpoints/tag-feed.js';

const run = promisify(execFile);

const PICTURE = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25'];
const TONE = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=44100'];
const H264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '25', '-bf', '2', '-b:v', '400k'];
const AAC = ['-c:a', 'aac', '-b:a', '64k'];

const RECIPES = {
  /** H.264 with B-frames, a key frame a second, and AAC. */
  'h264-aac': [...PICTURE, ...TONE, ...H264, ...AAC],
  'h264-only': [...PICTURE, ...H264],
  'aac-only': [...TONE, ...AAC],
  'mp3-only': [...TONE, '-c:a', 'libmp3lame', '-b:a', '64k'],
  'h264-mp3': [...PICTURE, ...TONE, ...H264, '-c:a', 'libmp3lame', '-b:a', '64k'],
  /** Nothing that HLS can carry. */
  sorenson: [...PICTURE, '-c:v', 'flv1', '-g', '25'],
} as const;

export type Recipe = keyof typeof RECIPES;

const made = new Map<string, Promise<readonly FlvTag[]>>();

/** The tags of a recording, as a publisher would send them. */
export function recordFlv(recipe: Recipe, seconds: number): Promise<readonly FlvTag[]> {
  const key = `${recipe} ${seconds}`;
  const known = made.get(key);
  if (known !== undefined) return known;
  const making = make(recipe, seconds);
  made.set(key, making);
  return making;
}

async function make(recipe: Recipe, seconds: number): Promise<readonly FlvTag[]> {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-recording-'));
  try {
    const file = join(folder, 'recording.flv');
    await run('ffmpeg', ['-v', 'error', '-nostdin', ...RECIPES[recipe], '-t', String(seconds), '-flvflags', 'no_duration_filesize', file]);
    const tags = new FlvParser().push(await readFile(file));
    if (tags instanceof Malformed) throw new Error(tags.reason);
    return tags;
  } finally {
    await rm(folder, { recursive: true });
  }
}

export function pushAll(feed: TagFeed, tags: readonly FlvTag[]): void {
  for (const tag of tags) feed.push(tag);
}

export interface LivePublisher {
  stop(): void;
}

/**
 * Publishes a recording in its own time and over and over, its times running on. `aheadMs` of it are pushed at once, as a swarm that
 * has been joined a while ago holds them.
 */
export function publishLive(feed: TagFeed, tags: readonly FlvTag[], aheadMs = 0): LivePublisher {
  const frames = tags.filter((tag) => classifyTag(tag).kind === 'frame');
  const lastMs = Math.max(...frames.map((tag) => tag.timestampMs));
  const lengthMs = lastMs + 40;
  const startedMs = performance.now() - aheadMs;
  pushAll(
    feed,
    tags.filter((tag) => classifyTag(tag).kind !== 'frame' && classifyTag(tag).kind !== 'end'),
  );
  let next = 0;
  const step = (): void => {
    const nowMs = performance.now() - startedMs;
    for (;;) {
      const frame = frames[next % frames.length];
      if (frame === undefined) return;
      const timestampMs = frame.timestampMs + Math.floor(next / frames.length) * lengthMs;
      if (timestampMs > nowMs) return;
      feed.push({ ...frame, timestampMs });
      next += 1;
    }
  };
  step();
  const timer = setInterval(step, 20);
  return { stop: () => clearInterval(timer) };
}
