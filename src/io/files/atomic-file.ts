/**
 * Writes a small file so that after a crash at any moment either the old or the new content is there, whole.
 *
 * Temporary file beside it, flushed to the disk, renamed over it, and the folder flushed too (POSIX rename is atomic).
 */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ShoalError } from '../../kernel/errors.js';

/** Nobody but the owner: what Shoal keeps is either secret or nobody else's business. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/**
 * Replaces the file, making its folder when there is none.
 *
 * @throws the system's error (disk full, no permission); the old content then still stands.
 */
export function writeFileAtomically(path: string, text: string): void {
  const folder = dirname(resolve(path));
  makeFolder(folder);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    writeFlushed(temporary, text);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  flushFolder(folder);
}

/**
 * Makes a folder and those above it that are missing, readable for their owner only.
 *
 * Level by level, because Node's recursive way never ends below a folder that refuses to have any (`/proc`).
 *
 * @throws ShoalError `DATA_DIR_UNUSABLE`, naming the folder and the reason.
 */
export function makeFolder(folder: string): void {
  if (existsSync(folder)) {
    if (statSync(folder).isDirectory()) return;
    throw unusable(folder, `${folder} is a file`);
  }
  const above = dirname(folder);
  if (above !== folder) makeFolder(above);
  try {
    mkdirSync(folder, { mode: FOLDER_MODE });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'EEXIST') throw unusable(folder, `${folder} cannot be made (${code})`, cause);
  }
}

function unusable(folder: string, reason: string, cause?: unknown): ShoalError {
  const message = `The data folder cannot be used: ${reason}. Choose another one: --data DIR, or the option dataDir.`;
  return new ShoalError('DATA_DIR_UNUSABLE', message, { folder }, { cause });
}

function writeFlushed(path: string, text: string): void {
  const file = openSync(path, 'wx', FILE_MODE);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Makes the rename itself durable. Some systems cannot flush a folder; the file is whole there all the same. */
function flushFolder(folder: string): void {
  try {
    const handle = openSync(folder, 'r');
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch {
    return;
  }
}
