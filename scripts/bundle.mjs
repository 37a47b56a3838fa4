/**
 * Makes `dist/program` of the compiled program and its packages: one file instead of four hundred, with what V8 makes of it beside it, which is most of what a start
 * has to wait for.
 *
 * `node scripts/bundle.mjs`, after the compiler. Some packages stay where they are, and are loaded from there.
 */
import { spawnSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const FROM = join(ROOT, 'dist', 'src');
const TO = join(ROOT, 'dist', 'program');
/** In its place only once it is whole. */
const NEW = `${TO}.new`;

/** The command line. */
const PROGRAM = 'main.js';
/** What runs in threads of its own. */
const THREADS = ['io/titles/hashing-thread.js', 'commands/simulation-worker.js'];

/** They look for files beside themselves, bring machine code, or are reached into by name. */
const LEFT_ALONE = ['node-media-server', 'fluent-ffmpeg', 'pino-pretty', 'node-datachannel', 'bufferutil', 'utf-8-validate'];

/** Older packages are written for `require`, which modules lack. */
const REQUIRE = "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);";
const COMMON = [
  '--bundle',
  '--platform=node',
  '--target=node20',
  '--charset=ascii',
  ...LEFT_ALONE.map((name) => `--external:${name}`),
  '--legal-comments=linked',
  '--log-level=warning',
];

rmSync(NEW, { recursive: true, force: true });
// One function, because code is kept by script (bin/bundle.mjs); what is loaded on first use is in it as well, and runs then.
bundle([
  join(FROM, PROGRAM),
  `--outfile=${join(NEW, 'main.cjs')}`,
  '--format=cjs',
  '--define:import.meta.url=moduleUrl',
  "--banner:js=(function (require, module, path) { const moduleUrl = require('node:url').pathToFileURL(path).href;",
  '--footer:js=})',
]);
bundle([
  ...THREADS.map((path) => join(FROM, path)),
  `--outdir=${NEW}`,
  '--entry-names=[name]',
  '--chunk-names=part-[hash]',
  '--splitting',
  '--format=esm',
  `--banner:js=${REQUIRE}`,
]);
run(process.execPath, [join(ROOT, 'scripts', 'warm-up.mjs'), join(NEW, 'main.cjs')], 'pipe');
rmSync(TO, { recursive: true, force: true });
renameSync(NEW, TO);

function bundle(words) {
  // As a program, which ends with its work: as a library esbuild leaves a process behind for a moment.
  run(join(ROOT, 'node_modules', '.bin', 'esbuild'), [...words, ...COMMON]);
}

function run(command, words, stdio = 'inherit') {
  // Where npm ran no scripts of packages esbuild is a script itself, which looks for Node.
  const PATH = [dirname(process.execPath), process.env.PATH].join(delimiter);
  const { status, stderr, error } = spawnSync(command, words, { stdio, env: { ...process.env, PATH } });
  if (status === 0) return;
  process.stderr.write(`${stderr ?? ''}bundle: ${error?.message ?? `${command} ends with ${status}`}\n`);
  process.exit(status ?? 1);
}
