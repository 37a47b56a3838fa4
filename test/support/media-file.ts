/** Films of a known length, made by ffmpeg: a moving picture with a running number, and a tone. */
import { join } from 'node:path';
import { Program, temporaryFolder } from './program.js';

export interface MediaFileOptions {
  /** With its ending, which decides the container. */
  readonly name: string;
  readonly seconds: number;
  /** Words for ffmpeg, after the inputs. */
  readonly codecs: readonly string[];
  readonly size?: string;
}

const PATIENCE_MS = 100_000;

/** Codecs of the usual film of today: H.264 with B frames, a key frame every four seconds. */
export const H264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-g', '100', '-sc_threshold', '0', '-pix_fmt', 'yuv420p'];

/** 25 pictures a second. The path of the finished file. */
export async function makeMediaFile({ name, seconds, codecs, size = '320x180' }: MediaFileOptions): Promise<string> {
  const path = join(temporaryFolder('media'), name);
  const sources = ['-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=25`, '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'];
  const program = new Program('ffmpeg', ['-v', 'error', '-nostdin', ...sources, '-t', String(seconds), ...codecs, path]);
  const { code } = await program.whenExited(PATIENCE_MS);
  if (code !== 0) throw new Error(`ffmpeg made no ${name}: ${program.errors}`);
  return path;
}
