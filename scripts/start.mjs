/**
 * `npm start`: set-up, then `shoal start` with whatever stands after `--`.
 *
 * The program is loaded into this very process rather than started as a child: a signal then reaches it once, directly.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT, setUp } from './setup.mjs';

const PARENT_CHECK_MS = 500;

try {
  await setUp('start');
} catch (error) {
  process.stderr.write(`set-up: ${error.message}\n`);
  process.exit(1);
}
// A supervisor's SIGTERM ends npm and its shell without reaching this process: whoever loses its parent stops too.
const parent = process.ppid;
if (process.env.npm_lifecycle_event === 'start') {
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, PARENT_CHECK_MS);
  watch.unref();
}
const command = join(ROOT, 'bin', 'shoal.mjs');
process.argv = [process.execPath, command, 'start', ...process.argv.slice(2)];
await import(pathToFileURL(command).href);
