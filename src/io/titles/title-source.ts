/**
 * What a file or folder holds that is to become a title: the files in order, and what was left out and why.
 *
 * Files are sorted by name, folder by folder, by the code units of the names, so the same folder gives the same title on any machine.
 * Left out are hidden files, those that systems leave behind, and everything that is no file or folder: links too, since what they lead to
 * may lie outside, and nothing that seeds the folder follows them. Only what the user names may itself be a link.
 */
import { constants } from 'node:fs';
import { access, lstat, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ShoalError } from '../../kernel/errors.js';
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import { FILES_MAX_COUNT } from '../../vod/metainfo.js';
import { PATH_DEPTH_MAX } from '../../vod/safe-path.js';

export interface SourceFile {
  /** On this machine. */
  readonly diskPath: string;
  /** In the title; for a single file its name alone. */
  readonly path: readonly string[];
  readonly lengthBytes: Bytes;
  readonly inode: number;
  readonly modifiedMs: Milliseconds;
}

export interface SkippedEntry {
  /** Relative to the folder. */
  readonly path: string;
  readonly why: 'hidden' | 'system' | 'link' | 'special';
}

export interface TitleSource {
  /** The folder that holds it, links resolved. */
  readonly folder: string;
  /** Of the file or folder itself, not of a link to it. */
  readonly name: string;
  readonly isSingleFile: boolean;
  readonly files: readonly SourceFile[];
  readonly skipped: readonly SkippedEntry[];
}

const SYSTEM_NAMES = new Set(['thumbs.db', 'desktop.ini', '$recycle.bin', 'system volume information', 'lost+found', '__macosx']);
/** Names listed in a message; the rest is counted. */
const NAMED_MAX_COUNT = 5;

/**
 * Lists a file or folder.
 *
 * @throws ShoalError `TITLE_UNREADABLE` naming every file that can't be read, `TITLE_EMPTY` when there is nothing to publish.
 */
export async function listSource(source: string, signal?: AbortSignal): Promise<TitleSource> {
  const root = await rootOf(source);
  const status = await stat(root);
  const [folder, name] = [dirname(root), basename(root)];
  if (status.isFile()) return listFile(root, folder, name, status);
  if (!status.isDirectory()) throw new ShoalError('TITLE_UNREADABLE', `${source} is neither a file nor a folder.`, { path: source });
  const listing = new FolderListing(root, signal);
  await listing.walk([]);
  listing.check(source);
  return { folder, name, isSingleFile: false, files: listing.files, skipped: listing.skipped };
}

/** What names the files that have changed since they were listed; empty when none has. */
export async function changedFiles(files: readonly SourceFile[]): Promise<string[]> {
  const changed: string[] = [];
  for (const file of files) {
    const now = await lstat(file.diskPath).catch(() => undefined);
    if (now?.size !== file.lengthBytes || now.mtimeMs !== file.modifiedMs || now.ino !== file.inode) changed.push(file.path.join('/'));
  }
  return changed;
}

/** Names for a message: the first few, and how many more. */
export function nameSome(names: readonly string[]): string {
  const more = names.length - NAMED_MAX_COUNT;
  return names.slice(0, NAMED_MAX_COUNT).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

async function rootOf(source: string): Promise<string> {
  try {
    return await realpath(source);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file or folder' : `it can't be read (${code})`;
    throw new ShoalError('TITLE_UNREADABLE', `${source} can't be published: ${why}.`, { path: source }, { cause: error });
  }
}

async function listFile(path: string, folder: string, name: string, status: FileStatus): Promise<TitleSource> {
  if (status.size === 0) throw new ShoalError('TITLE_EMPTY', `${path} is empty; a title has at least one byte.`, { path });
  if (!(await isReadable(path))) throw new ShoalError('TITLE_UNREADABLE', `${path} can't be read: permission denied.`, { path });
  return { folder, name, isSingleFile: true, files: [fileOf(path, [name], status)], skipped: [] };
}

interface FileStatus {
  readonly size: number;
  readonly ino: number;
  readonly mtimeMs: number;
}

function fileOf(diskPath: string, path: readonly string[], { size, ino, mtimeMs }: FileStatus): SourceFile {
  return { diskPath, path, lengthBytes: size, inode: ino, modifiedMs: mtimeMs };
}

async function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}

/** One folder as it is walked through. */
class FolderListing {
  readonly files: SourceFile[] = [];
  readonly skipped: SkippedEntry[] = [];
  readonly #unreadable: string[] = [];
  readonly #root: string;
  readonly #signal: AbortSignal | undefined;

  constructor(root: string, signal: AbortSignal | undefined) {
    this.#root = root;
    this.#signal = signal;
  }

  async walk(folder: readonly string[]): Promise<void> {
    this.#signal?.throwIfAborted();
    if (folder.length >= PATH_DEPTH_MAX) {
      throw new ShoalError(
        'TITLE_UNREADABLE',
        `${folder.join('/')} is ${folder.length} folders deep; a title has at most ${PATH_DEPTH_MAX - 1}.`,
      );
    }
    const entries = await readdir(join(this.#root, ...folder), { withFileTypes: true }).catch(() => undefined);
    if (entries === undefined) this.#unreadable.push(`${folder.join('/')}/`);
    for (const entry of (entries ?? []).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = [...folder, entry.name];
      if (entry.name.startsWith('.')) this.#skip(path, 'hidden');
      else if (SYSTEM_NAMES.has(entry.name.toLowerCase())) this.#skip(path, 'system');
      else if (entry.isDirectory()) await this.walk(path);
      else if (entry.isFile()) await this.#add(path, join(this.#root, ...path));
      else if (entry.isSymbolicLink()) this.#skip(path, 'link');
      else this.#skip(path, 'special');
    }
  }

  /** Throws what is wrong with the whole. */
  check(source: string): void {
    if (this.#unreadable.length > 0) {
      const text = `${source} can't be published: ${nameSome(this.#unreadable)} can't be read. Allow reading, or move them elsewhere.`;
      throw new ShoalError('TITLE_UNREADABLE', text, { paths: this.#unreadable });
    }
    if (this.files.some(({ lengthBytes }) => lengthBytes > 0)) return;
    const why = this.files.length > 0 ? 'all its files are empty' : 'it holds no files';
    const besides = this.skipped.length > 0 ? ` besides ${nameSome(this.skipped.map(({ path }) => path))}, which are left out` : '';
    throw new ShoalError('TITLE_EMPTY', `${source} can't be published: ${why}${besides}.`, { path: source });
  }

  async #add(path: readonly string[], diskPath: string): Promise<void> {
    const status = await lstat(diskPath).catch(() => undefined);
    if (status === undefined || !(await isReadable(diskPath))) this.#unreadable.push(path.join('/'));
    else this.files.push(fileOf(diskPath, path, status));
    if (this.files.length > FILES_MAX_COUNT) {
      throw new ShoalError('TITLE_UNREADABLE', `${this.#root} holds more than ${FILES_MAX_COUNT} files; a title has at most so many.`);
    }
  }

  #skip(path: readonly string[], why: SkippedEntry['why']): void {
    this.skipped.push({ path: path.join('/'), why });
  }
}
