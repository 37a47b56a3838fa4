/**
 * Writes a small file so that after a crash at any moment either the old or the new content is there, whole.
 *
 * Temporary file beside it, flushed to the disk, renamed over it, and the folder flushed too (POSIX rename is atomic).
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Nobody but the owner: what Shoal keeps is either secret or nobody else's business. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/**
 * Replaces the file, making its folder when there is none.
 *
 * @throws the system's error (disk full, no permission); the old content then still stands.
 */
export function writeFileAtomically(path: string, text: string): void {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
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
