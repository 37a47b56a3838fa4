/**
 * Makes `dist/program` of the compiled program and its packages: a few files instead of four hundred, which is most of what a start has to wait for.
 *
 * `node scripts/bundle.mjs`, after the compiler. What is loaded now and then is in files of its own; some packages stay where they are, and are loaded from there.
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

/** The command line, what is called before it, and what runs in threads of its own. */
const ENTRIES = ['main.js', 'io/small-heap.js', 'io/titles/hashing-thread.js', 'commands/simulation-worker.js'];

/** They look for files beside themselves, bring machine code, or are reached into by name. */
const LEFT_ALONE = [
  'node-media-server',
  'fluent-ffmpeg',
  'pino-pretty',
  'bittorrent-tracker',
  'node-datachannel',
  'bufferutil',
  'utf-8-validate',
];

/** Older packages are written for `require`, which modules lack. */
const REQUIRE = "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);";

rmSync(NEW, { recursive: true, force: true });
const words = [
  ...ENTRIES.map((path) => join(FROM, path)),
  `--outdir=${NEW}`,
  '--entry-names=[name]',
  '--chunk-names=part-[hash]',
  '--bundle',
  '--splitting',
  '--platform=node',
  '--format=esm',
  '--target=node20',
  ...LEFT_ALONE.map((name) => `--external:${name}`),
  `--banner:js=${REQUIRE}`,
  '--legal-comments=linked',
  '--log-level=warning',
];
// As a program, which ends with its work: as a library esbuild leaves a process behind for a moment.
// Where npm ran no scripts of packages it is a script itself, which looks for Node.
const PATH = [dirname(process.execPath), process.env.PATH].join(delimiter);
const { status, error } = spawnSync(join(ROOT, 'node_modules', '.bin', 'esbuild'), words, {
  stdio: 'inherit',
  env: { ...process.env, PATH },
});
if (error) process.stderr.write(`bundle: ${error.message}\n`);
if (status === 0) {
  rmSync(TO, { recursive: true, force: true });
  renameSync(NEW, TO);
}
process.exitCode = status ?? 1;
