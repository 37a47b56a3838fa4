/**
 * Small pieces of state that outlive the process: one JSON file per name, in `state/` of the data folder, written atomically.
 *
 * State is worth less than going on: a file that cannot be understood is set aside as `.corrupt`, and the caller starts afresh.
 */
import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { invariant } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import { writeFileAtomically } from './atomic-file.js';

/**
 * What was saved under the name; undefined when nothing was, or nothing readable.
 *
 * @param name lower-case letters, digits, `-` and `_`: a channel id, or a word. The value is as it was saved: the caller checks its shape.
 */
export function loadState(dataDir: string, name: string, log: Log): unknown {
  const path = pathOf(dataDir, name);
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    setAside(path, error, log);
    return undefined;
  }
}

/** @throws the system's error (disk full, no permission); what was saved before then still stands. */
export function saveState(dataDir: string, name: string, value: unknown): void {
  writeFileAtomically(pathOf(dataDir, name), `${JSON.stringify(value)}\n`);
}

function setAside(path: string, error: unknown, log: Log): void {
  const reason = error instanceof SyntaxError ? 'not JSON' : String((error as NodeJS.ErrnoException).code);
  try {
    renameSync(path, `${path}.corrupt`);
    log.warn('state cannot be read: set aside, starting afresh', { path: `${path}.corrupt`, reason });
  } catch {
    log.warn('state cannot be read: starting afresh', { path, reason });
  }
}

function pathOf(dataDir: string, name: string): string {
  invariant(/^[a-z0-9_-]{1,100}$/.test(name), `"${name}" is a plain name for a state file`);
  return join(dataDir, 'state', `${name}.json`);
}
