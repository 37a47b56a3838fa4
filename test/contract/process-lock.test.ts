/** A folder that one process at a time may use: with real processes, because whether one lives is what it is about. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ProcessLock } from '../../src/io/files/process-lock.js';
import { ShoalError } from '../../src/kernel/errors.js';
import { Program, temporaryFolder } from '../support/program.js';
import { until } from '../support/until.js';

const PAGE = 'http://127.0.0.1:8080/';
const HOUR_WORDS = ['-e', 'setTimeout(() => {}, 3_600_000)'];

function startedTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
}

test('whoever takes it is named with its page until it releases it; the folder is made', () => {
  const path = join(temporaryFolder('lock'), 'titles', 'lock.json');
  assert.is(ProcessLock.holder(path), undefined);
  const lock = ProcessLock.take(path, PAGE);
  assert.equal(ProcessLock.holder(path), { pid: process.pid, page: PAGE });
  lock.release();
  assert.is(existsSync(path), false);
  lock.release();
});

test('while another process lives that holds it, it cannot be taken, and the words say whose it is; when that one dies, it can', async () => {
  const path = join(temporaryFolder('lock'), 'lock.json');
  const other = new Program(process.execPath, HOUR_WORDS);
  writeFileSync(path, JSON.stringify({ pid: other.pid, startedTicks: startedTicks(other.pid), page: PAGE }));
  try {
    ProcessLock.take(path, 'http://127.0.0.1:1/');
    assert.unreachable();
  } catch (error) {
    assert.instance(error, ShoalError);
    assert.is((error as ShoalError).code, 'TITLES_LOCKED');
    assert.match((error as ShoalError).message, new RegExp(`\\(${other.pid}\\).*${PAGE}.*--data DIR`));
    assert.equal((error as ShoalError).data, { pid: other.pid, page: PAGE });
  }
  other.signal('SIGKILL');
  await other.whenExited(8_000);
  ProcessLock.take(path, PAGE).release();
});

test('a number that has gone to another program since does not hold it', async () => {
  const path = join(temporaryFolder('lock'), 'lock.json');
  const other = new Program(process.execPath, HOUR_WORDS);
  writeFileSync(path, JSON.stringify({ pid: other.pid, startedTicks: startedTicks(other.pid) - 1, page: PAGE }));
  assert.is(ProcessLock.holder(path), undefined);
  ProcessLock.take(path, PAGE).release();
  await other.stop();
});

test('of many processes that come at once, one gets it, also where a dead one left its file', async () => {
  const module = fileURLToPath(new URL('../../src/io/files/process-lock.js', import.meta.url));
  for (const left of [undefined, JSON.stringify({ pid: 2 ** 22 + 1, startedTicks: 1, page: PAGE })]) {
    const path = join(temporaryFolder('lock'), 'lock.json');
    if (left !== undefined) writeFileSync(path, left);
    const startMs = Date.now() + 700;
    const text = `
      import { ProcessLock } from ${JSON.stringify(module)};
      while (Date.now() < ${startMs});
      try { ProcessLock.take(${JSON.stringify(path)}, 'http://x/'); console.log('has it'); } catch (error) { console.log(error.code); }
      setTimeout(() => {}, 3_600_000);`;
    const programs = Array.from({ length: 6 }, () => new Program(process.execPath, ['--input-type=module', '-e', text]));
    await until('all have tried', () => programs.every(({ output }) => output !== ''), 15_000);
    const outputs = programs.map(({ output }) => output.trim()).sort();
    assert.equal(outputs, [...Array.from({ length: 5 }, () => 'TITLES_LOCKED'), 'has it']);
    assert.equal(readdirSync(join(path, '..')), ['lock.json']);
    await Promise.all(programs.map((program) => program.stop()));
  }
});

test('a file that says nothing of use holds nothing', () => {
  const path = join(temporaryFolder('lock'), 'lock.json');
  for (const content of [
    '',
    '{',
    '[]',
    'null',
    '{"pid":"1"}',
    '{"pid":-1,"page":"x"}',
    '{"pid":1.5,"page":"x"}',
    `{"pid":${process.pid}}`,
  ]) {
    writeFileSync(path, content);
    assert.is(ProcessLock.holder(path), undefined, content);
  }
  ProcessLock.take(path, PAGE).release();
});

test('a lock that somebody else has taken over is not released for them', async () => {
  const path = join(temporaryFolder('lock'), 'lock.json');
  mkdirSync(join(path, '..'), { recursive: true });
  const lock = ProcessLock.take(path, PAGE);
  const other = new Program(process.execPath, HOUR_WORDS);
  writeFileSync(path, JSON.stringify({ pid: other.pid, startedTicks: startedTicks(other.pid), page: PAGE }));
  lock.release();
  assert.is(ProcessLock.holder(path)?.pid, other.pid);
  await other.stop();
});

test.run();
