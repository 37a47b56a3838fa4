/**
 * Whether secrets lie where others can read or change them: the check before every secret file is used.
 */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { ShoalError } from '../../kernel/errors.js';

/** @throws ShoalError `KEYS_MODE` when others can read this file; the message has the command that cures it. */
export function checkFileMode(path: string): void {
  checkMode(path, 0o077, 'others can read it', '600');
}

/** @throws ShoalError `KEYS_MODE` when others can change the folder of this file. */
export function checkFolderMode(path: string): void {
  checkMode(dirname(path), 0o022, 'others can change it', '700');
}

function checkMode(path: string, forbiddenBits: number, problem: string, right: string): void {
  if (process.platform === 'win32' || (statSync(path).mode & forbiddenBits) === 0) return;
  const mode = (statSync(path).mode & 0o777).toString(8);
  throw new ShoalError('KEYS_MODE', `${path}: ${problem} (mode ${mode}), and secrets lie there. Run: chmod ${right} '${path}'`, {
    path,
    mode,
  });
}
