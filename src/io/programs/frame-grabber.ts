/**
 * One picture out of a film, as JPEG: ffmpeg reads an address of this process and writes to memory.
 *
 * Films come from strangers. ffmpeg may open nothing but that address, only as a container of media, decodes no picture of more than
 * `PIXELS_MAX`, and has `TIMEOUT_MS`.
 */
import { execFile } from 'node:child_process';
import { setPriority } from 'node:os';
import { ShoalError } from '../../kernel/errors.js';
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import { SAFE_INPUT_WORDS } from './ffmpeg-input.js';
import { findProgram, installHint } from './program.js';

const TIMEOUT_MS: Milliseconds = 20_000;
const LOW_PRIORITY = 15;
const JPEG_BYTES_MAX: Bytes = 512 * 1024;
/** 8192 by 4320, the largest that is sold. */
const PIXELS_MAX = 35_389_440;
/** Twice as wide as it is shown, for screens that have two dots where others have one. */
const SCALE = 'scale=w=480:h=270:force_original_aspect_ratio=decrease:force_divisible_by=2';
/** Of the first second from there, the picture that is most like the others: none that is black or half of a fade. */
const CHOICE = 'thumbnail=n=25';

/**
 * Grabs a picture of about `atS` seconds; of a file of sound, its cover.
 *
 * @param url an http address of this process.
 * @throws ShoalError `FFMPEG_MISSING`; `FFMPEG_FAILED` when there is no picture, or bytes of it are missing.
 */
export async function grabFrame(url: string, atS: number, signal: AbortSignal): Promise<Uint8Array> {
  const path = findProgram('ffmpeg');
  if (path === undefined) {
    const hint = installHint('ffmpeg', { dnf: 'ffmpeg-free' });
    throw new ShoalError('FFMPEG_MISSING', `ffmpeg is not installed, and pictures of titles need it. Run: ${hint}`, { hint });
  }
  const words = [
    ...['-v', 'error', '-nostdin', '-threads', '1', '-max_pixels', String(PIXELS_MAX)],
    // From the key frame on that lies before: less has to be there, and to be decoded. A seek to 0 is one, too: it loses covers.
    ...[...SAFE_INPUT_WORDS, ...(atS > 0 ? ['-noaccurate_seek', '-ss', atS.toFixed(3)] : []), '-i', url],
    ...['-map', '0:v:0', '-an', '-sn', '-dn'],
    ...['-vf', `${CHOICE},${SCALE},format=yuvj420p`, '-frames:v', '1', '-threads', '1', '-c:v', 'mjpeg', '-q:v', '4'],
    ...['-f', 'image2pipe', 'pipe:1'],
  ];
  const bytes = await run(path, words, signal, url);
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return bytes;
  throw new ShoalError('FFMPEG_FAILED', 'ffmpeg found no picture there.');
}

function run(path: string, words: readonly string[], signal: AbortSignal, url: string): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const options = { encoding: 'buffer', timeout: TIMEOUT_MS, maxBuffer: JPEG_BYTES_MAX, signal, killSignal: 'SIGKILL' } as const;
    const { pid } = execFile(path, words, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const reason = (stderr.toString().trim() || error.message).replaceAll(url, 'the file').split('\n')[0]?.slice(0, 300);
      reject(new ShoalError('FFMPEG_FAILED', `ffmpeg got no picture: ${reason}`, {}, { cause: error }));
    });
    if (pid !== undefined) giveWay(pid);
  });
}

/** What is watched now goes before a picture of it. */
function giveWay(pid: number): void {
  try {
    setPriority(pid, LOW_PRIORITY);
  } catch {
    // It has ended already, or the system does not let us.
  }
}
