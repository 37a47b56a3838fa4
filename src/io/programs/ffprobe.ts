/**
 * ffprobe: what a file holds, asked at an address of this process.
 *
 * Its answer is about a stranger's file, so only the few fields that are needed are taken, each checked for its kind.
 */
import { execFile } from 'node:child_process';
import { ShoalError } from '../../kernel/errors.js';
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import type { MediaDescription } from '../../vod/conversion-plan.js';
import { SAFE_INPUT_WORDS } from './ffmpeg-input.js';
import { findProgram, installHint } from './program.js';

/** A file whose head and index still have to come from the swarm takes a while. */
const TIMEOUT_MS: Milliseconds = 60_000;
const OUTPUT_BYTES_MAX: Bytes = 1024 * 1024;
const FIELDS = 'format=duration,format_name:stream=codec_type,codec_name,pix_fmt:stream_disposition=attached_pic';

interface ProbeStream {
  readonly codec_type?: unknown;
  readonly codec_name?: unknown;
  readonly pix_fmt?: unknown;
  readonly disposition?: { readonly attached_pic?: unknown };
}

/**
 * Asks ffprobe.
 *
 * @param url an http address of this process; ffprobe may open nothing else.
 * @throws ShoalError `FFMPEG_MISSING`, with the command that installs it; `FFMPEG_FAILED` when it cannot read the file.
 */
export async function probeMedia(url: string, signal: AbortSignal): Promise<MediaDescription> {
  const path = findProgram('ffprobe');
  if (path === undefined) {
    const hint = installHint('ffmpeg', { dnf: 'ffmpeg-free' });
    throw new ShoalError('FFMPEG_MISSING', `ffprobe is not installed, and converting a file needs it. Run: ${hint}`, { hint });
  }
  return describe(await run(path, ['-v', 'error', ...SAFE_INPUT_WORDS, '-show_entries', FIELDS, '-of', 'json', url], signal, url));
}

function run(path: string, words: readonly string[], signal: AbortSignal, url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(path, words, { timeout: TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX, signal, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const reason = (stderr.trim() || error.message).replaceAll(url, 'the file').split('\n')[0]?.slice(0, 300);
      reject(new ShoalError('FFMPEG_FAILED', `ffprobe cannot read this file: ${reason}`, {}, { cause: error }));
    });
  });
}

function describe(json: string): MediaDescription {
  const { format = {}, streams = [] } = parse(json);
  const pictures = streams.filter(({ codec_type: type, disposition }) => type === 'video' && disposition?.attached_pic !== 1);
  const [video] = pictures;
  const audio = streams.find(({ codec_type: type }) => type === 'audio');
  return {
    durationS: Number(format.duration ?? 0),
    container: textOf(format.format_name),
    video: video && { codec: textOf(video.codec_name), pixelFormat: textOf(video.pix_fmt) },
    audioCodec: audio && textOf(audio.codec_name),
  };
}

function parse(json: string): {
  readonly format?: { readonly duration?: unknown; readonly format_name?: unknown };
  readonly streams?: ProbeStream[];
} {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new ShoalError('FFMPEG_FAILED', 'ffprobe cannot read this file: its answer is cut off', {}, { cause: error });
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
