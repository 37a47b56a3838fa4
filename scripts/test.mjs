/**
 * `npm test [kind] [part of a file name]`: set-up, then every kind of test in order; the last line is `N passed, N failed`.
 *
 * Pure kinds share one process each. Kinds that open sockets or start programs get one process per file, because the media host is a
 * process-wide singleton; three such files run at a time, for they mostly wait, but for one that measures what a busy machine would spoil.
 * Every process has a watchdog: when it is late, its whole process group is killed and it counts as one failure.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { filesUnder, ROOT, setUp } from './setup.mjs';

const KINDS = {
  unit: { together: true, needs: 'build' },
  property: { together: true, needs: 'build' },
  tidy: { together: true, needs: 'build' },
  contract: { together: false, needs: 'test' },
  sim: { together: true, needs: 'build' },
  fuzz: { together: false, needs: 'build' },
  e2e: { together: false, needs: 'test' },
};
const WATCHDOG_MS = 120_000;
/** Files that take longer because what they show takes longer, by their names below `test`. */
const LONG_WATCHDOG_MS = {
  'e2e/failover.test.js': 480_000,
  'e2e/equality.test.js': 300_000,
  'e2e/conflict.test.js': 180_000,
  'e2e/playback.test.js': 240_000,
  'e2e/foreign-clients.test.js': 300_000,
  'e2e/title-killed.test.js': 240_000,
  'e2e/title-faults.test.js': 240_000,
};
/** They hold gaps of a stream to a second, which a busy machine would spoil. */
const ALONE = new Set(['e2e/failover.test.js']);
/** They wait most of their time, and the longest of them begin first, so that none is left over at the end. */
const FIRST = ['e2e/equality.test.js', 'e2e/conflict.test.js', 'e2e/stream-encryption.test.js', 'e2e/swarm.test.js', 'e2e/churn.test.js'];
const LANES_COUNT = 3;
const TAIL_CHARACTERS = 6000;
/** Figures that a test prints to be seen although it passes. */
const MEASURED = /^measured: (.*)$/gm;
const RUNNER = join(ROOT, 'scripts', 'run-files.mjs');

const runningGroups = new Set();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    for (const group of runningGroups) killGroup(group);
    process.exit(1);
  });
}

const [kinds, filter] = chosen(process.argv.slice(2));
const total = { passed: 0, failed: 0 };
try {
  await setUp(kinds.some((kind) => KINDS[kind].needs === 'test') ? 'test' : 'build');
  for (const kind of kinds) await runKind(kind);
  if (total.passed + total.failed === 0) fail('no tests found');
} catch (error) {
  fail(error.message);
}
process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
process.exit(total.failed === 0 ? 0 : 1);

/** The first word is a kind when it names one; any other word filters files. */
function chosen([first, second]) {
  if (first in KINDS) return [[first], second ?? ''];
  return [Object.keys(KINDS), first ?? ''];
}

async function runKind(kind) {
  const folder = join(ROOT, 'test', kind);
  // Sources are listed, not dist: a deleted test leaves its compiled file behind.
  const sources = filesUnder(folder).filter((path) => path.endsWith('.test.ts') && relative(folder, path).includes(filter));
  const files = sources.map((path) => join(ROOT, 'dist', relative(ROOT, path)).replace(/\.ts$/, '.js'));
  if (files.length === 0) return;
  process.stdout.write(`\n== ${kind} (${files.length} ${files.length === 1 ? 'file' : 'files'})\n`);
  if (KINDS[kind].together) return runGroup(files, kind);
  const named = files.map((file) => ({ file, name: relative(join(ROOT, 'dist', 'test'), file) }));
  for (const { file, name } of named.filter(({ name }) => ALONE.has(name))) await runGroup([file], name);
  const waiting = named.filter(({ name }) => !ALONE.has(name)).sort((a, b) => placeOf(a.name) - placeOf(b.name));
  const lane = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await runGroup([next.file], next.name);
  };
  await Promise.all(Array.from({ length: LANES_COUNT }, lane));
}

function placeOf(name) {
  return FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length;
}

async function runGroup(files, name) {
  const missing = files.filter((file) => !existsSync(file));
  if (missing.length > 0) return fail(`not built: ${missing.join(', ')}`);
  const startedMs = Date.now();
  const watchdogMs = LONG_WATCHDOG_MS[name] ?? WATCHDOG_MS;
  const { code, output, late, leftovers } = await runProcess(files, watchdogMs);
  const { passed, failed, ran } = count(output);
  const crashed = late || (code !== 0 && failed === 0) || !ran || passed + failed === 0;
  const failures = failed + (crashed ? 1 : 0);
  total.passed += passed;
  total.failed += failures;
  const verdict = failures > 0 ? 'FAIL' : 'ok';
  process.stdout.write(
    `${verdict.padEnd(4)} ${name}: ${passed} passed, ${failures} failed, ${((Date.now() - startedMs) / 1000).toFixed(1)} s\n`,
  );
  if (late) process.stdout.write(`     killed by the watchdog after ${watchdogMs / 1000} s\n`);
  else if (crashed) process.stdout.write(`     the process ended early or without tests (exit code ${code})\n`);
  if (leftovers) process.stdout.write('     left processes running, which were killed\n');
  if (failures > 0) process.stdout.write(`${indent(output.slice(-TAIL_CHARACTERS))}\n`);
  else for (const [, figure] of output.matchAll(MEASURED)) process.stdout.write(`     ${figure}\n`);
}

/** Runs the files in one new process group and ends that group whatever happens. */
function runProcess(files, watchdogMs) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [RUNNER, ...files], { cwd: ROOT, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    runningGroups.add(child.pid);
    let output = '';
    let late = false;
    const take = (bytes) => {
      output = (output + bytes).slice(-1_000_000);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    const watchdog = setTimeout(() => {
      late = true;
      killGroup(child.pid);
    }, watchdogMs);
    let leftovers = false;
    // A grandchild may hold the pipes open, so the group is ended at 'exit', not at 'close'.
    child.on('exit', () => {
      leftovers = killGroup(child.pid) && !late;
    });
    child.on('close', (code) => {
      clearTimeout(watchdog);
      runningGroups.delete(child.pid);
      resolve({ code, output: withoutColours(output), late, leftovers });
    });
  });
}

/** Kills a process group; tells whether there was one. */
function killGroup(pid) {
  if (!pid) return false;
  try {
    process.kill(-pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

/** Adds up uvu's summaries. `ran` is false when there is none, which means a crash. */
function count(output) {
  const sum = (word) => [...output.matchAll(new RegExp(`^ {2}${word}: +(\\d+)$`, 'gm'))].reduce((all, match) => all + Number(match[1]), 0);
  const passed = sum('Passed');
  return { passed, failed: sum('Total') - passed, ran: /^ {2}Total: /m.test(output) };
}

function withoutColours(text) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is the escape character that begins a terminal colour.
  return text.replace(/\u001b\[[0-9;]*m/g, '');
}

function indent(text) {
  return text.trimEnd().replace(/^/gm, '     | ');
}

function fail(message) {
  total.failed += 1;
  process.stdout.write(`FAIL ${message}\n`);
}
