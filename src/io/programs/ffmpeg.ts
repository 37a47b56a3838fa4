/**
 * ffmpeg: finding it, asking what it can do, and running it. The only importer of fluent-ffmpeg.
 */
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import type Ffmpeg from 'fluent-ffmpeg';
import type { FfmpegCommand } from 'fluent-ffmpeg';
import { ShoalError } from '../../kernel/errors.js';
import type { Milliseconds } from '../../kernel/units.js';
import { findProgram, installHint } from './program.js';

export type { FfmpegCommand } from 'fluent-ffmpeg';

const require = createRequire(import.meta.url);
const run = promisify(execFile);
const PROBE_TIMEOUT_MS: Milliseconds = 10_000;

/** Where ffmpeg is, and its version as it gives it (`5.1.9-0+deb12u1`); null when this machine has none that runs. */
export async function findFfmpeg(): Promise<{ readonly path: string; readonly version: string } | null> {
  const path = findProgram('ffmpeg');
  if (path === undefined) return null;
  try {
    const { stdout } = await run(path, ['-version'], { timeout: PROBE_TIMEOUT_MS });
    return { path, version: /^ffmpeg version (\S+)/.exec(stdout)?.[1] ?? 'unknown' };
  } catch {
    return null;
  }
}

/**
 * ffmpeg's path.
 *
 * @param purpose what needs it, for the message: `the test card needs it`.
 * @throws ShoalError `FFMPEG_MISSING`, with the command that installs it.
 */
export async function requireFfmpeg(purpose: string): Promise<string> {
  const found = await findFfmpeg();
  if (found) return found.path;
  const hint = installHint('ffmpeg', { dnf: 'ffmpeg-free' });
  throw new ShoalError('FFMPEG_MISSING', `ffmpeg is not installed, and ${purpose}. Run: ${hint}`, { hint });
}

/** What ffmpeg says when it cannot do this; undefined when it can. */
export async function ffmpegFailure(path: string, words: readonly string[]): Promise<string | undefined> {
  try {
    await run(path, ['-v', 'error', ...words, '-f', 'null', '-'], { timeout: PROBE_TIMEOUT_MS });
    return undefined;
  } catch (error) {
    const { stderr, message } = error as Error & { readonly stderr?: string };
    return (stderr?.trim() || message).split('\n')[0]?.slice(0, 300) ?? '';
  }
}

/** A command that keeps only its last lines of output and writes to no console. */
export function createFfmpeg(path: string): FfmpegCommand {
  // Loaded only here: most processes never convert anything.
  const ffmpeg = require('fluent-ffmpeg') as typeof Ffmpeg;
  return ffmpeg({ logger: undefined, stdoutLines: 20 }).setFfmpegPath(path);
}

/** fluent-ffmpeg takes an option and its value as one text with a single space. */
export function words(line: string): string[] {
  return line.match(/-\S+(?: [^-]\S*)?/g) ?? [];
}
