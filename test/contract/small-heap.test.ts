import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { temporaryFolder } from '../support/program.js';

const MODULE = new URL('../../src/io/small-heap.js', import.meta.url).href;
const BOUNDS = new URL('../../src/commands/heap-bounds.js', import.meta.url).href;
const WORKERS = new URL('../../src/io/titles/hash-workers.js', import.meta.url).href;
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const OWN_PATH = fileURLToPath(import.meta.url);

/** The size of the young generation in MiB, after much that lives for a while. */
const LITTER = `
  let kept = [];
  for (let i = 0; i < 1_000_000; i++) {
    kept.push({ i, more: [i] });
    if (kept.length > 50_000) kept = [];
  }
  const { getHeapSpaceStatistics } = await import('node:v8');
  console.log(getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size / 1_048_576);
`;

test('the young generation stays as small as it was', () => {
  assert.is(youngMibAfter(`const { keepHeapSmall } = await import('${MODULE}'); keepHeapSmall(); ${LITTER}`), 2);
});

test('also when a thread has been started', () => {
  const script = `
    const { keepHeapSmall } = await import('${MODULE}');
    keepHeapSmall();
    const { HashWorkers } = await import('${WORKERS}');
    const workers = new HashWorkers();
    await workers.hashSpans([{ path: '${OWN_PATH}', offsetBytes: 0, lengthBytes: 10 }]);
    await workers.close();
    ${LITTER}
  `;
  assert.is(youngMibAfter(script), 2);
});

test('commands that titles pass through by the gigabyte have it from the start, and no others', () => {
  for (const [command, isSmall] of [
    ['get', true],
    ['publish', true],
    ['play', false],
    ['watch', false],
  ] as const)
    assert.is(youngMibAfter(`process.argv[2] = '${command}'; await import('${BOUNDS}'); ${LITTER}`) === 2, isSmall, command);
});

test('the program itself keeps to them, before anything else of it has grown', () => {
  const folder = temporaryFolder('small-heap');
  const preload = join(folder, 'preload.cjs');
  const measure = `${LITTER.replace("await import('node:v8')", "require('node:v8')")}`;
  writeFileSync(preload, `process.on('exit', () => { ${measure} });`);
  const youngMib = (command: string): number => {
    const words = ['--require', preload, join(ROOT, 'bin', 'shoal.mjs'), command, '--help'];
    return Number(execFileSync(process.execPath, words, { encoding: 'utf8' }).trim().split('\n').at(-1));
  };
  assert.is(youngMib('get'), 2);
  assert.ok(youngMib('play') > 2);
});

test('nobody else’s heap is touched', () => {
  assert.ok(youngMibAfter(`await import('${MODULE}'); ${LITTER}`) > 2);
});

function youngMibAfter(script: string): number {
  return Number(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }));
}

test.run();
