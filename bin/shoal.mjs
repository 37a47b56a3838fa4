#!/usr/bin/env node
/** The `shoal` command: hands over to the built program, or says how to build it. */
import { existsSync, statSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

/** Titles pass through these by the gigabyte, outside of the heap. Not `play`, which has to be there at once: a small heap costs it 40 ms. */
const TITLE_COMMANDS = ['publish', 'get'];

const compiled = new URL('../dist/src/main.js', import.meta.url);
const bundled = new URL('../dist/program/main.js', import.meta.url);
const compiledAt = new URL('../dist/.tsbuildinfo', import.meta.url);

if (!existsSync(fileURLToPath(compiled))) {
  process.stderr.write('shoal is not built yet. Run "npm start", or "npm ci && npm run build", in its folder first.\n');
  process.exit(1);
}
if (TITLE_COMMANDS.includes(process.argv[2])) {
  const { keepHeapSmall } = await import('../dist/src/io/small-heap.js');
  keepHeapSmall();
}
// From Node 22 on, what was compiled once is kept.
module.enableCompileCache?.();
await import((isNewer(bundled, compiledAt) ? bundled : compiled).href);

/** The bundle starts twice as fast; one that is older than what the compiler made since would be the program of yesterday. */
function isNewer(file, than) {
  if (!existsSync(file)) return false;
  return !existsSync(than) || statSync(file).mtimeMs >= statSync(than).mtimeMs;
}
