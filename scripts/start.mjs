/**
 * `npm start`: set-up, then `shoal start` with whatever stands after `--`.
 *
 * The program is loaded into this very process rather than started as a child: a signal then reaches it once, directly.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT, setUp } from './setup.mjs';

try {
  await setUp('start');
} catch (error) {
  process.stderr.write(`set-up: ${error.message}\n`);
  process.exit(1);
}
const main = join(ROOT, 'dist', 'src', 'main.js');
process.argv = [process.execPath, main, 'start', ...process.argv.slice(2)];
await import(pathToFileURL(main).href);
