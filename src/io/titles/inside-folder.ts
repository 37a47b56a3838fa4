/**
 * Opens, makes and deletes files below one folder, and never outside it: no link on the way is followed, however it got there.
 *
 * Where the system shows open folders as paths (Linux, `/proc/self/fd`), each level is opened from the level above and refused when it is a
 * link, so nobody can put a link in place between check and use. Elsewhere each level is looked at first, which leaves that gap. The folder
 * itself may be reached by links: that is the user's choice. Names are expected to be safe (`vod/safe-path.ts`).
 *
 * Opening is synchronous: a handful of microseconds, and rare, since open files are kept (`open-files.ts`).
 */
import { closeSync, constants, existsSync, fstatSync, lstatSync, mkdirSync, openSync, type Stats } from 'node:fs';
import { rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { invariant } from '../../kernel/errors.js';
import { collision, diskError } from './disk-error.js';

const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
const FOLDER_FLAGS = constants.O_RDONLY | (constants.O_DIRECTORY ?? 0) | NO_FOLLOW;
/** A pipe in a file's place must not hold us up. */
const FILE_FLAGS = NO_FOLLOW | (constants.O_NONBLOCK ?? 0);
const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;
const OPEN_FOLDERS = '/proc/self/fd';
const hasOpenFolders = process.platform === 'linux' && existsSync(OPEN_FOLDERS);

export class InsideFolder {
  readonly root: string;

  /** @param root an absolute path; it must exist before anything below it is made. */
  constructor(root: string) {
    this.root = root;
  }

  /** Where the file is, for messages and for readers that need no protection. */
  pathOf(names: readonly string[]): string {
    return join(this.root, ...names);
  }

  /** What is there, links not followed at the last name; undefined when nothing is. @throws ShoalError */
  look(names: readonly string[]): Stats | undefined {
    const path = this.pathOf(names);
    try {
      return lstatSync(path, { throwIfNoEntry: false });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw diskError(error, path);
    }
  }

  /**
   * Opens an ordinary file that is there; undefined when there is none.
   *
   * @throws ShoalError, and the system's own error for EMFILE and ENFILE, which the caller can cure.
   */
  open(names: readonly string[], isWritable: boolean): number | undefined {
    return this.#opened(names, (isWritable ? constants.O_RDWR : constants.O_RDONLY) | FILE_FLAGS, false);
  }

  /** Makes a new file and the folders above it, and opens it. @throws as `open`; also when there is something already. */
  make(names: readonly string[]): number {
    const file = this.#opened(names, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | FILE_FLAGS, true);
    invariant(file !== undefined, 'A file that was made is open.');
    return file;
  }

  /** Deletes a file, in the background: a large one takes the system a while. One that is gone already is fine. @throws ShoalError */
  async delete(names: readonly string[]): Promise<void> {
    try {
      await this.#inFolderOf(names, false, (path) => unlink(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw diskError(error, this.pathOf(names));
    }
  }

  /** Deletes a folder if nothing is in it. */
  async deleteEmptyFolder(names: readonly string[]): Promise<void> {
    try {
      await this.#inFolderOf(names, false, (path) => rmdir(path));
    } catch {
      return;
    }
  }

  #opened(names: readonly string[], flags: number, isMaking: boolean): number | undefined {
    try {
      const file = this.#openedBelow(names, isMaking, flags);
      return this.#ordinary(file, names);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' && !isMaking) return undefined;
      if (code === 'EMFILE' || code === 'ENFILE') throw error;
      throw diskError(error, this.pathOf(names));
    }
  }

  #ordinary(file: number, names: readonly string[]): number {
    if (fstatSync(file).isFile()) return file;
    closeSync(file);
    throw collision(this.pathOf(names), 'is not an ordinary file, and a file of the title belongs there');
  }

  #openedBelow(names: readonly string[], isMaking: boolean, flags: number): number {
    const way = this.#wayTo(names, isMaking);
    try {
      return openSync(way.path, flags, FILE_MODE);
    } finally {
      way.close();
    }
  }

  async #inFolderOf(names: readonly string[], isMaking: boolean, task: (path: string) => Promise<void>): Promise<void> {
    const way = this.#wayTo(names, isMaking);
    try {
      await task(way.path);
    } finally {
      way.close();
    }
  }

  /** A path to the last name whose way there holds no link, good until it is closed. */
  #wayTo(names: readonly string[], isMaking: boolean): { readonly path: string; close(): void } {
    const folders = names.slice(0, -1);
    const last = String(names.at(-1));
    if (!hasOpenFolders) return { path: join(this.#walkedByLooking(folders, isMaking), last), close: () => undefined };
    const folder = this.#walkedByOpening(folders, isMaking);
    return { path: `${OPEN_FOLDERS}/${folder}/${last}`, close: () => closeSync(folder) };
  }

  #walkedByOpening(folders: readonly string[], isMaking: boolean): number {
    let current = openSync(this.root, constants.O_RDONLY | (constants.O_DIRECTORY ?? 0));
    for (const name of folders) {
      const above = current;
      try {
        const path = `${OPEN_FOLDERS}/${above}/${name}`;
        if (isMaking) makeFolder(path);
        current = openSync(path, FOLDER_FLAGS);
      } finally {
        closeSync(above);
      }
    }
    return current;
  }

  #walkedByLooking(folders: readonly string[], isMaking: boolean): string {
    let path = this.root;
    for (const name of folders) {
      path = join(path, name);
      if (isMaking) makeFolder(path);
      if (!lstatSync(path).isDirectory()) throw collision(path, 'is not a folder, and a folder of the title belongs there');
    }
    return path;
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, FOLDER_MODE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
