/**
 * What the system says of a disk, as an error that a person reads: which file, what is wrong, what helps.
 *
 * Sources of the codes: POSIX `errno.h`.
 */
import { type ErrorCode, ShoalError } from '../../kernel/errors.js';

interface Advice {
  readonly code: ErrorCode;
  readonly what: string;
  readonly help: string;
}

const FULL: Advice = {
  code: 'TITLE_DISK_FULL',
  what: 'the disk is full',
  help: 'Make room there, or keep the titles elsewhere; it goes on by itself when there is room',
};
const OVER_QUOTA: Advice = { ...FULL, what: "the user's disk quota is used up" };
const READ_ONLY: Advice = {
  code: 'TITLE_DISK_READ_ONLY',
  what: 'it may not be written or read',
  help: 'Give this user the right to it (chmod, chown, a mount that can be written), or choose another folder',
};
const EXHAUSTED: Advice = {
  code: 'TITLE_FILES_EXHAUSTED',
  what: 'too many files are open',
  help: 'Allow the process more of them (ulimit -n 4096), or open fewer titles at once',
};
const TAKEN: Advice = {
  code: 'TITLE_COLLISION',
  what: 'something else has that name (a link, or a file where a folder belongs), and Shoal follows no links inside a title',
  help: 'Move it away, or choose another folder',
};
const NOWHERE: Advice = {
  code: 'TITLE_DISK_FAILED',
  what: 'it is not there and cannot be made',
  help: 'Choose another folder for the title',
};
const FAILED: Advice = { code: 'TITLE_DISK_FAILED', what: 'the disk failed', help: 'Look at the disk and its log' };

const ADVICE: ReadonlyMap<string, Advice> = new Map([
  ['ENOSPC', FULL],
  ['EDQUOT', OVER_QUOTA],
  ['EFBIG', { ...FULL, what: 'the file system takes no files of that size' }],
  ['EROFS', READ_ONLY],
  ['EACCES', READ_ONLY],
  ['EPERM', READ_ONLY],
  ['EMFILE', EXHAUSTED],
  ['ENFILE', EXHAUSTED],
  ['ENOENT', NOWHERE],
  ['ENAMETOOLONG', NOWHERE],
  ['ELOOP', TAKEN],
  ['ENOTDIR', TAKEN],
  ['EISDIR', TAKEN],
  ['EEXIST', TAKEN],
  ['ENXIO', TAKEN],
]);

/** The system's error about `path` with a stable code and a way out; a `ShoalError` passes as it is. */
export function diskError(cause: unknown, path: string): ShoalError {
  if (cause instanceof ShoalError) return cause;
  const systemCode = String((cause as NodeJS.ErrnoException).code ?? 'unknown');
  const { code, what, help } = ADVICE.get(systemCode) ?? FAILED;
  return new ShoalError(code, `${path}: ${what} (${systemCode}). ${help}.`, { path, systemCode }, { cause });
}

/** Something that is not of the title lies where a file of the title belongs. */
export function collision(path: string, what: string): ShoalError {
  return new ShoalError('TITLE_COLLISION', `${path}: ${what}. Move it away, or choose another folder for the title.`, { path });
}

/** Bytes that were there are there no more. */
export function dataMissing(path: string, what: string): ShoalError {
  return new ShoalError('TITLE_DATA_MISSING', `${path}: ${what}. What is missing is fetched again.`, { path });
}

/** Of whoever asks something of a title that is closed. */
export function titleClosed(path: string): ShoalError {
  return new ShoalError('TITLE_STORE_CLOSED', `${path}: the title is closed; open it again to use it.`, { path });
}
