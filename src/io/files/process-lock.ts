/**
 * A folder that one process at a time may use: a file that says which one, and where its page is.
 *
 * Of several that come at once, one gets it. A process that died leaves its file behind; the next one sees that nobody has that number any more, and takes the place. A number may have gone
 * to another program since, which began later; where the system tells (`/proc`), that is seen.
 */
import { existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { ShoalError } from '../../kernel/errors.js';
import { makeFolder, writeFileAtomically } from './atomic-file.js';

export interface LockHolder {
  readonly pid: number;
  /** Of its page, as `http://127.0.0.1:8080/`. */
  readonly page: string;
}

export class ProcessLock {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** @throws ShoalError `TITLES_LOCKED` while another process that lives holds it; the data say which. */
  static take(path: string, page: string): ProcessLock {
    const holder = ProcessLock.holder(path);
    if (holder !== undefined && holder.pid !== process.pid) {
      const message = `Another process (${holder.pid}) keeps the titles of this data folder: its page is ${holder.page}. Use that one, or --data DIR for another folder.`;
      throw new ShoalError('TITLES_LOCKED', message, { ...holder });
    }
    makeFolder(dirname(path));
    place(path, `${JSON.stringify({ pid: process.pid, startedTicks: startOf(process.pid), page })}\n`);
    // Somebody else may have been faster.
    const first = ProcessLock.holder(path);
    return first?.pid === process.pid ? new ProcessLock(path) : ProcessLock.take(path, page);
  }

  /** The living process that holds it. */
  static holder(path: string): LockHolder | undefined {
    try {
      const { pid, startedTicks, page } = JSON.parse(readFileSync(path, 'utf8'));
      if (!Number.isInteger(pid) || pid < 1 || typeof page !== 'string') return undefined;
      process.kill(pid, 0);
      return startedTicks === startOf(pid) ? { pid, page } : undefined;
    } catch {
      return undefined;
    }
  }

  release(): void {
    if (ProcessLock.holder(this.#path)?.pid === process.pid) rmSync(this.#path, { force: true });
  }
}

/** Puts the file there in one step, and only where none is that means something: of several that try at once, one succeeds. */
function place(path: string, content: string): void {
  const own = `${path}.${process.pid}`;
  writeFileSync(own, content, { mode: 0o600 });
  try {
    const holder = ProcessLock.holder(path);
    // Nobody who lives: whoever takes it away has it in hand, and looks at it again.
    if (existsSync(path) && (holder === undefined || holder.pid === process.pid)) setAside(path);
    linkSync(own, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A disk without hard links.
    if (code !== 'EEXIST' && code !== 'ENOENT') writeFileAtomically(path, content);
  } finally {
    rmSync(own, { force: true });
  }
}

/** Takes away a lock that means nothing; one that another process has put there meanwhile goes back. */
function setAside(path: string): void {
  const aside = `${path}.${process.pid}.old`;
  renameSync(path, aside);
  const holder = ProcessLock.holder(aside);
  if (holder !== undefined && holder.pid !== process.pid) linkSync(aside, path);
  rmSync(aside, { force: true });
}

/** When the process began, in ticks since the system did; null where nobody tells. Tells two processes of one number apart. */
function startOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
  } catch {
    return null;
  }
}
