/** The scripts around the code, run in a small tree of their own: set-up on machines that lack this or that, and the test runner's verdicts. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const IS_ROOT = process.getuid?.() === 0;
/** What runs in threads of its own is bundled beside the program. */
const THREADS = ['io/titles/hashing-thread.ts', 'commands/simulation-worker.ts'];
const TSCONFIG = {
  compilerOptions: {
    outDir: 'dist',
    rootDir: '.',
    module: 'NodeNext',
    esModuleInterop: true,
    skipLibCheck: true,
    types: ['node'],
    incremental: true,
    tsBuildInfoFile: 'dist/.tsbuildinfo',
  },
  include: ['src', 'test'],
};

const test = suite<{ dir: string; bin: string }>('scripts');

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function put(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode });
}

/** PATH holds nothing but the folder `bin`: this machine has what the test puts there. */
function run({ dir, bin }: { dir: string; bin: string }, script: string, ...words: string[]): Outcome {
  const env = { PATH: bin, HOME: dir };
  return spawnSync(process.execPath, [join(dir, 'scripts', script), ...words], { cwd: dir, env, encoding: 'utf8', timeout: 60_000 });
}

function putTest(dir: string, path: string, body: string): void {
  put(
    join(dir, 'test', path),
    `import { spawn } from 'node:child_process';\nimport { test } from 'uvu';\n${body}\nexport { spawn, test };\n`,
  );
}

function lastLine(text: string): string | undefined {
  return text.trimEnd().split('\n').at(-1);
}

test.before.each((context) => {
  context.dir = mkdtempSync(join(tmpdir(), 'shoal-scripts-'));
  context.bin = join(context.dir, 'programs');
  cpSync(join(ROOT, 'scripts'), join(context.dir, 'scripts'), { recursive: true });
  cpSync(join(ROOT, '.ci'), join(context.dir, '.ci'), { recursive: true });
  cpSync(join(ROOT, 'bin'), join(context.dir, 'bin'), { recursive: true });
  for (const name of ['package.json', 'package-lock.json']) cpSync(join(ROOT, name), join(context.dir, name));
  symlinkSync(join(ROOT, 'node_modules'), join(context.dir, 'node_modules'));
  put(join(context.dir, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  put(join(context.dir, 'src', 'main.ts'), `import json5 from 'json5';\nprocess.stdout.write(json5.parse("'built'"));\n`);
  for (const path of THREADS) put(join(context.dir, 'src', path), 'export {};\n');
  put(join(context.bin, 'ffmpeg'), '', 0o755);
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

test('set-up builds once, is silent when nothing changed, and builds again when a source does', (context) => {
  assert.match(run(context, 'setup.mjs').stderr, 'building');
  assert.ok(existsSync(join(context.dir, 'dist', 'src', 'main.js')));
  const again = run(context, 'setup.mjs');
  assert.equal([again.status, again.stdout, again.stderr], [0, '', '']);
  utimesSync(join(context.dir, 'src', 'main.ts'), 1, 1);
  assert.match(run(context, 'setup.mjs').stderr, 'building');
});

test('what is built is one bundle, which the command runs unless the compiler has made something newer', (context) => {
  const { dir } = context;
  const shoal = (): Outcome => run(context, '../bin/shoal.mjs');
  assert.match(shoal().stderr, 'shoal is not built yet');
  assert.is(run(context, 'setup.mjs').status, 0);
  assert.is(shoal().stdout, 'built');
  const [bundled, compiled] = [join(dir, 'dist', 'program', 'main.cjs'), join(dir, 'dist', 'src', 'main.js')];
  assert.not.match(readFileSync(bundled, 'utf8'), 'require("json5")');
  put(compiled, 'process.stdout.write("compiled anew");');
  assert.is(shoal().stdout, 'built');
  utimesSync(bundled, 1, 1);
  assert.is(shoal().stdout, 'compiled anew');
  rmSync(bundled);
  assert.is(shoal().stdout, 'compiled anew');
});

test('what V8 made of the bundle is kept beside it and used, unless it is of something else or no such thing', (context) => {
  assert.is(run(context, 'setup.mjs').status, 0);
  const bundled = join(context.dir, 'dist', 'program', 'main.cjs');
  const code = `${bundled}.code`;
  // Each in a process of its own: V8 does not compile the same text twice in one.
  const check = `import { Bundle } from '${pathToFileURL(join(ROOT, 'bin', 'bundle.mjs')).href}'; console.log(new Bundle('${bundled}').isCompiled)`;
  const isUsed = (): boolean => execFileSync(process.execPath, ['--input-type=module', '-e', check], { encoding: 'utf8' }) === 'true\n';
  const shoal = (): string => run(context, '../bin/shoal.mjs').stdout;
  assert.equal([isUsed(), shoal()], [true, 'built']);
  const kept = readFileSync(code);
  writeFileSync(bundled, readFileSync(bundled, 'utf8').replace('build ', 'built '));
  assert.equal([isUsed(), shoal()], [false, 'built']);
  const damagedAt = (at: number): Buffer => Buffer.from(kept.map((byte, index) => (index === at ? byte ^ 1 : byte)));
  // Of another Node or another text; torn or damaged anywhere.
  for (const other of [
    '',
    'no code at all',
    kept.subarray(0, 100),
    kept.subarray(0, -1),
    ...[0, 21, 30, kept.length >> 1].map(damagedAt),
  ]) {
    writeFileSync(code, other);
    assert.equal([isUsed(), shoal()], [false, 'built']);
  }
  rmSync(code);
  assert.equal([isUsed(), shoal()], [false, 'built']);
});

test('the bundle is as strict as the modules it is made of, and its patterns mean the same', (context) => {
  const probe = `function isStrict(this: unknown) { return this === undefined; }\nprocess.stdout.write([isStrict(), /^[ä¹→]{3}$/.test('ä¹→'), /Â/.test('Â')].join(' '));\n`;
  put(join(context.dir, 'src', 'main.ts'), `import 'json5';\n${probe}`);
  assert.is(run(context, 'setup.mjs').status, 0);
  assert.is(run(context, '../bin/shoal.mjs').stdout, 'true true true');
  assert.not.match(readFileSync(join(context.dir, 'dist', 'program', 'main.cjs'), 'latin1'), /[^\0-\x7f]/);
});

test('the program is compiled ahead as far as a byte of a title, and nothing is left behind', () => {
  const folder = join(ROOT, 'dist', 'warm-up-test');
  const temporary = mkdtempSync(join(tmpdir(), 'shoal-scripts-'));
  cpSync(join(ROOT, 'dist', 'program'), folder, { recursive: true });
  const before = readdirSync(folder);
  rmSync(join(folder, 'main.cjs.code'));
  const words = [join(ROOT, 'scripts', 'warm-up.mjs'), join(folder, 'main.cjs')];
  const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', env: { ...process.env, TMPDIR: temporary } });
  const left = [readdirSync(temporary), readdirSync(folder)];
  for (const path of [folder, temporary]) rmSync(path, { recursive: true });
  assert.equal([status, stderr, left], [0, '', [[], before]]);
});

test('two builds at once leave a whole one', async (context) => {
  assert.is(run(context, 'setup.mjs').status, 0);
  const build = (): Promise<number | null> =>
    new Promise((resolve) => spawn(process.execPath, ['scripts/bundle.mjs'], { cwd: context.dir, stdio: 'ignore' }).on('close', resolve));
  assert.equal(await Promise.all([build(), build(), build()]), [0, 0, 0]);
  assert.equal(
    readdirSync(join(context.dir, 'dist')).filter((name) => name.startsWith('program')),
    ['program'],
  );
  assert.is(run(context, '../bin/shoal.mjs').stdout, 'built');
});

test('a bundle that cannot be loaded fails the build', (context) => {
  put(join(context.dir, 'src', 'main.ts'), 'throw new Error("not today");\n');
  const { status, stderr } = run(context, 'setup.mjs');
  assert.is(status, 1);
  assert.match(stderr, 'not today');
  assert.not(existsSync(join(context.dir, 'dist', 'program')));
});

test('a build that fails ends set-up with a message, and is tried again', (context) => {
  put(join(context.dir, 'src', 'main.ts'), 'export const words: number = "no";\n');
  for (const _ of [1, 2]) {
    const { status, stderr } = run(context, 'setup.mjs');
    assert.is(status, 1);
    assert.match(stderr, 'the build failed');
  }
});

test('a missing program is installed by the package manager that is there, without questions', (context) => {
  if (!IS_ROOT) return;
  rmSync(join(context.bin, 'ffmpeg'));
  put(join(context.bin, 'apt-get'), `#!/bin/sh\necho "$DEBIAN_FRONTEND $*" >> ${context.dir}/calls\n`, 0o755);
  assert.is(run(context, 'setup.mjs', '--for=test').status, 0);
  const calls = readFileSync(join(context.dir, 'calls'), 'utf8').trim().split('\n');
  assert.is(calls.length, 2);
  assert.match(String(calls[0]), /^noninteractive .*update$/);
  assert.match(String(calls[1]), /^noninteractive install -y --no-install-recommends ffmpeg vlc-bin vlc-plugin-base mpv mplayer chromium/);
});

test('an install that fails names the exact command, does not stop the start, and is not tried at every start', (context) => {
  if (!IS_ROOT) return;
  rmSync(join(context.bin, 'ffmpeg'));
  put(join(context.bin, 'apt-get'), `#!/bin/sh\necho call >> ${context.dir}/calls\nexit 100\n`, 0o755);
  for (const _ of [1, 2]) {
    const { status, stderr } = run(context, 'setup.mjs', '--for=start');
    assert.is(status, 0);
    assert.match(stderr, 'apt-get update && apt-get install -y --no-install-recommends ffmpeg\n');
  }
  assert.is(readFileSync(join(context.dir, 'calls'), 'utf8').trim().split('\n').length, 2);
});

test('without a package manager the missing program is named and set-up goes on', (context) => {
  rmSync(join(context.bin, 'ffmpeg'));
  const { status, stderr } = run(context, 'setup.mjs');
  assert.is(status, 0);
  assert.match(stderr, 'not found: ffmpeg');
});

test('the start hands its words to the program and prints nothing itself', (context) => {
  put(join(context.dir, 'src', 'main.ts'), 'process.stdout.write(process.argv.slice(2).join(" "));\n');
  assert.is(run(context, 'start.mjs', '--json', '--set', 'a.b=1').stdout, 'start --json --set a.b=1');
});

test('the runner adds up what passes and fails, and its last line says so', (context) => {
  putTest(context.dir, 'unit/a.test.ts', "test('a', () => {});\ntest('b', () => { throw new Error('no'); });\ntest.run();");
  putTest(context.dir, 'unit/b.test.ts', "test('c', () => {});\ntest.run();");
  putTest(context.dir, 'fuzz/c.test.ts', "test('d', () => {});\ntest.run();");
  const all = run(context, 'test.mjs', 'unit');
  assert.is(lastLine(all.stdout), '2 passed, 1 failed');
  assert.is(all.status, 1);
  const one = run(context, 'test.mjs', 'unit', 'b.test');
  assert.is(lastLine(one.stdout), '1 passed, 0 failed');
  assert.is(one.status, 0);
  assert.is(lastLine(run(context, 'test.mjs', 'fuzz').stdout), '1 passed, 0 failed');
});

test('a crash, an early end, a forgotten run and a throw before the first test all count as failures', (context) => {
  putTest(
    context.dir,
    'fuzz/crash.test.ts',
    "test('a', () => new Promise(() => { setTimeout(() => { throw new Error('boom'); }); }));\ntest.run();",
  );
  putTest(context.dir, 'fuzz/early.test.ts', "test('a', () => new Promise(() => {}));\ntest.run();");
  putTest(context.dir, 'fuzz/exit.test.ts', "test('a', () => { process.exit(0); });\ntest.run();");
  putTest(context.dir, 'fuzz/none.test.ts', "test('a', () => {});");
  putTest(context.dir, 'fuzz/before.test.ts', "test.before(() => { throw new Error('no'); });\ntest('a', () => {});\ntest.run();");
  const { status, stdout } = run(context, 'test.mjs', 'fuzz');
  assert.is(lastLine(stdout), '0 passed, 5 failed', stdout);
  assert.is(status, 1);
});

test('a program that a test leaves running is ended and told', (context) => {
  putTest(
    context.dir,
    'fuzz/left.test.ts',
    "test('a', () => { spawn('/bin/sleep', ['100'], { stdio: 'inherit' }).unref(); });\ntest.run();",
  );
  const startedMs = Date.now();
  const { stdout } = run(context, 'test.mjs', 'fuzz');
  assert.match(stdout, 'left processes running');
  assert.is(lastLine(stdout), '1 passed, 0 failed');
  assert.ok(Date.now() - startedMs < 20_000);
});

test('no tests at all is a failure, and so is a build that fails', (context) => {
  assert.is(lastLine(run(context, 'test.mjs', 'unit', 'nosuch').stdout), '0 passed, 1 failed');
  put(join(context.dir, 'src', 'main.ts'), 'export const words: number = "no";\n');
  const { status, stdout } = run(context, 'test.mjs', 'unit');
  assert.is(lastLine(stdout), '0 passed, 1 failed');
  assert.is(status, 1);
});

test('the run for continuous integration ends with the summary and keeps the exit code', ({ dir }) => {
  const ci = (): Outcome => spawnSync(join(dir, '.ci', 'run'), { cwd: '/', encoding: 'utf8', timeout: 60_000 });
  putTest(dir, 'unit/a.test.ts', "test('a', () => {});\ntest.run();");
  const good = ci();
  assert.equal([lastLine(good.stdout), good.status], ['1 passed, 0 failed', 0]);
  putTest(dir, 'unit/b.test.ts', "test('b', () => { throw new Error('no'); });\ntest.run();");
  const bad = ci();
  assert.equal([lastLine(bad.stdout), bad.status], ['1 passed, 1 failed', 1]);
});

test.run();
