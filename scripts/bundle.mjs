/**
 * Makes `dist/program` of the compiled program and its packages: one file instead of four hundred, with what V8 makes of it beside it, which is most of what a start
 * has to wait for.
 *
 * `node scripts/bundle.mjs`, after the compiler. Some packages stay where they are, and are loaded from there.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const FROM = join(ROOT, 'dist', 'src');
const TO = join(ROOT, 'dist', 'program');
/** In its place only once it is whole; of each build its own. */
const NEW = `${TO}.${process.pid}.new`;
const OLD = `${TO}.${process.pid}.old`;
const TRIES_MAX = 20;
const WARM_UP_MS = 30_000;

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

/** The warm-up is the same whoever builds: neither options of the program nor of Node come from outside. */
const QUIET_ENVIRONMENT = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(SHOAL_|NODE_)/i.test(name)));

process.on('exit', () => {
  for (const path of [NEW, OLD]) rmSync(path, { recursive: true, force: true });
});
const main = join(NEW, 'main.cjs');
// One function, because code is kept by script (bin/bundle.mjs); what is loaded on first use is in it as well, and runs then.
bundle([
  join(FROM, PROGRAM),
  `--outfile=${main}`,
  '--format=cjs',
  '--define:import.meta.url=moduleUrl',
  "--banner:js=(function (require, module, path) { 'use strict'; const moduleUrl = require('node:url').pathToFileURL(path).href;",
  '--footer:js=})',
]);
finish(main);
bundle([
  ...THREADS.map((path) => join(FROM, path)),
  `--outdir=${NEW}`,
  '--entry-names=[name]',
  '--chunk-names=part-[hash]',
  '--splitting',
  '--format=esm',
  `--banner:js=${REQUIRE}`,
]);
run(process.execPath, [join(ROOT, 'scripts', 'warm-up.mjs'), main], { env: QUIET_ENVIRONMENT, timeout: WARM_UP_MS, killSignal: 'SIGKILL' });
putInPlace();

/** The bundler leaves letters beyond ASCII in patterns and comments, where they may be escaped as well; and the text says which it is. */
function finish(path) {
  const text = readFileSync(path, 'utf8').replace(/[^\0-\x7f]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const build = createHash('sha1').update(text).digest('hex');
  writeFileSync(path, `/* build ${build} */${text}`);
}

/** Another build may put its own there at the same time; either is as good. What lies there is moved away whole: to delete it there could hit what has just come. */
function putInPlace() {
  for (let tries = 1; ; tries++) {
    rmSync(OLD, { recursive: true, force: true });
    try {
      if (existsSync(TO)) renameSync(TO, OLD);
      return renameSync(NEW, TO);
    } catch (error) {
      if (tries === TRIES_MAX) throw error;
    }
  }
}

function bundle(words) {
  // As a program, which ends with its work: as a library esbuild leaves a process behind for a moment.
  // Where npm ran no scripts of packages it is a script itself, which looks for Node.
  const PATH = [dirname(process.execPath), process.env.PATH].join(delimiter);
  run(join(ROOT, 'node_modules', '.bin', 'esbuild'), [...words, ...COMMON], { env: { ...process.env, PATH } });
}

function run(command, words, options) {
  const { status, signal, error } = spawnSync(command, words, { stdio: ['ignore', 'ignore', 'inherit'], ...options });
  if (status === 0) return;
  process.stderr.write(`bundle: ${error?.message ?? `${command} ends with ${status ?? signal}`}\n`);
  process.exit(status ?? 1);
}
