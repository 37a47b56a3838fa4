#!/usr/bin/env node
/** The `shoal` command: hands over to the built program, or says how to build it. */
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Bundle } from './bundle.mjs';

const compiled = new URL('../dist/src/main.js', import.meta.url);
const bundled = new URL('../dist/program/main.cjs', import.meta.url);

if (!existsSync(compiled)) {
  process.stderr.write('shoal is not built yet. Run "npm start", or "npm ci && npm run build", in its folder first.\n');
  process.exit(1);
}
if (isFresh(bundled)) new Bundle(fileURLToPath(bundled)).run();
else await import(compiled.href);

/** The bundle starts in a third to two thirds of the time; one that is older than what the compiler made since, or than the packages, would be the program of yesterday. */
function isFresh(file) {
  if (!existsSync(file)) return false;
  const sources = ['../dist/.tsbuildinfo', '../node_modules/.package-lock.json'].map((path) => new URL(path, import.meta.url));
  return sources.every((source) => !existsSync(source) || statSync(file).mtimeMs >= statSync(source).mtimeMs);
}
