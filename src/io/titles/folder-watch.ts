/**
 * A folder that is looked at for titles: each file or folder directly in it, once it has come to rest.
 *
 * Looked at every few seconds rather than by notifications: those are lost over network mounts and bind mounts, and a look costs one `readdir`. What is
 * still being copied grows or changes its time, and is not reported before it has rested. Links, hidden names and half-done downloads
 * (`.part`, `.crdownload`, `.!qB`, `.aria2`) are passed over.
 */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bytes, Milliseconds } from '../../kernel/units.js';

/** By which a file or folder is known to have changed. */
export interface RestingState {
  /** Of all that is in it. */
  readonly sizeBytes: Bytes;
  /** The latest change of anything in it, since 1970. */
  readonly changedMs: Milliseconds;
}

export interface FolderWatchOptions {
  readonly folder: string;
  /** What was told of in an earlier life of the process: told again only when it has changed, and when it is gone. */
  readonly known?: ReadonlyMap<string, RestingState>;
  /** A title has come to rest, or has changed since and rests again. */
  readonly onTitle: (path: string, state: RestingState) => void;
  readonly onGone: (path: string) => void;
  /** The folder cannot be read, in the system's words; said again only after it could be read. */
  readonly onUnreadable: (reason: string) => void;
  readonly everyMs?: Milliseconds;
  readonly restMs?: Milliseconds;
}

interface Seen extends RestingState {
  readonly sinceMs: Milliseconds;
  /** As it is now. */
  isTold: boolean;
  /** As it is now or was before. */
  wasTold: boolean;
}

const EVERY_MS: Milliseconds = 2_000;
const REST_MS: Milliseconds = 4_000;
/** Deeper than any folder of films; a loop of mounts ends here. */
const DEPTH_MAX = 16;
const ENTRIES_MAX = 100_000;
const PASSED_OVER = /^\.|\.(?:part|crdownload|!qb|aria2|tmp)$/i;

export class FolderWatch {
  readonly #options: FolderWatchOptions;
  readonly #seen = new Map<string, Seen>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #isReadable = true;

  constructor(options: FolderWatchOptions) {
    this.#options = options;
    for (const [path, state] of options.known ?? []) this.#seen.set(path, { ...state, sinceMs: 0, isTold: true, wasTold: true });
  }

  start(): void {
    void this.#look();
  }

  /** Tells of it again at the next look, as if it had just come to rest. */
  again(path: string): void {
    const seen = this.#seen.get(path);
    if (seen) seen.isTold = false;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    try {
      await this.#lookOnce();
      this.#isReadable = true;
    } catch (error) {
      if (this.#isReadable) this.#options.onUnreadable(error instanceof Error ? error.message : String(error));
      this.#isReadable = false;
    }
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#look(), this.#options.everyMs ?? EVERY_MS);
  }

  async #lookOnce(): Promise<void> {
    const { folder } = this.#options;
    const names = (await readdir(folder)).filter((name) => !PASSED_OVER.test(name)).sort();
    const paths = new Set(names.map((name) => join(folder, name)));
    for (const path of paths) await this.#judge(path);
    for (const [path, { wasTold }] of [...this.#seen]) {
      if (paths.has(path)) continue;
      this.#seen.delete(path);
      if (wasTold && !this.#stopped) this.#options.onGone(path);
    }
  }

  async #judge(path: string): Promise<void> {
    const now = await measure(path, 0, { count: 0 });
    if (now === undefined || this.#stopped) return;
    const known = this.#seen.get(path);
    const nowMs = performance.now();
    if (known === undefined || known.sizeBytes !== now.sizeBytes || known.changedMs !== now.changedMs) {
      this.#seen.set(path, { ...now, sinceMs: nowMs, isTold: false, wasTold: known?.wasTold ?? false });
      return;
    }
    if (known.isTold || nowMs - known.sinceMs < (this.#options.restMs ?? REST_MS)) return;
    known.isTold = true;
    known.wasTold = true;
    this.#options.onTitle(path, now);
  }
}

/** Size and latest change of a file, or of all that is in a folder; undefined for what is neither, or is gone. What cannot be looked into counts as empty. */
async function measure(path: string, depth: number, budget: { count: number }): Promise<RestingState | undefined> {
  budget.count += 1;
  const found = await lstat(path).catch(() => undefined);
  if (found?.isFile()) return { sizeBytes: found.size, changedMs: found.mtimeMs };
  if (!found?.isDirectory() || depth >= DEPTH_MAX || budget.count > ENTRIES_MAX) return undefined;
  let [sizeBytes, changedMs] = [0, found.mtimeMs];
  for (const name of await readdir(path).catch(() => [])) {
    if (name.startsWith('.')) continue;
    const inner = await measure(join(path, name), depth + 1, budget);
    sizeBytes += inner?.sizeBytes ?? 0;
    changedMs = Math.max(changedMs, inner?.changedMs ?? 0);
  }
  return { sizeBytes, changedMs };
}
