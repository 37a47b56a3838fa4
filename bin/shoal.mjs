#!/usr/bin/env node
/** The `shoal` command: hands over to the built program, or says how to build it. */
import { existsSync, statSync } from 'node:fs';
import module from 'node:module';

/** Titles pass through these by the gigabyte, outside of the heap. Not `play`, which has to be there at once: a small heap costs it 40 ms. */
const TITLE_COMMANDS = ['publish', 'get'];

const compiled = new URL('../dist/src/', import.meta.url);
const bundled = new URL('../dist/program/', import.meta.url);

if (!existsSync(new URL('main.js', compiled))) {
  process.stderr.write('shoal is not built yet. Run "npm start", or "npm ci && npm run build", in its folder first.\n');
  process.exit(1);
}
const isBundled = isFresh(new URL('main.js', bundled));
const main = new URL('main.js', isBundled ? bundled : compiled);
if (TITLE_COMMANDS.includes(process.argv[2])) {
  const { keepHeapSmall } = await import(new URL(isBundled ? 'small-heap.js' : 'io/small-heap.js', main).href);
  keepHeapSmall();
}
// From Node 22 on, what was compiled once is kept.
module.enableCompileCache?.();
await import(main.href);

/** The bundle starts twice as fast; one that is older than what the compiler made since, or than the packages, would be the program of yesterday. */
function isFresh(file) {
  if (!existsSync(file)) return false;
  const sources = ['../dist/.tsbuildinfo', '../node_modules/.package-lock.json'].map((path) => new URL(path, import.meta.url));
  return sources.every((source) => !existsSync(source) || statSync(file).mtimeMs >= statSync(source).mtimeMs);
}
