#!/usr/bin/env node
/** The `shoal` command: hands over to the built program, or says how to build it. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = new URL('../dist/src/main.js', import.meta.url);
if (!existsSync(fileURLToPath(main))) {
  process.stderr.write('shoal is not built yet. Run "npm start", or "npm ci && npm run build", in its folder first.\n');
  process.exit(1);
}
await import(main.href);
