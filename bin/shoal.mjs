#!/usr/bin/env node
/** The `shoal` command: hands over to the built program, or says how to build it. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Titles pass through these by the gigabyte, outside of the heap. Not `play`, which has to be there at once: a small heap costs it 40 ms. */
const TITLE_COMMANDS = ['publish', 'get'];

const main = new URL('../dist/src/main.js', import.meta.url);
if (!existsSync(fileURLToPath(main))) {
  process.stderr.write('shoal is not built yet. Run "npm start", or "npm ci && npm run build", in its folder first.\n');
  process.exit(1);
}
if (TITLE_COMMANDS.includes(process.argv[2])) {
  const { keepHeapSmall } = await import('../dist/src/io/small-heap.js');
  keepHeapSmall();
}
await import(main.href);
