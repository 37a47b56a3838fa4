import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const MODULE = new URL('../../src/io/small-heap.js', import.meta.url).href;
const BOUNDS = new URL('../../src/commands/heap-bounds.js', import.meta.url).href;
const WORKERS = new URL('../../src/io/titles/hash-workers.js', import.meta.url).href;
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

test('nobody else’s heap is touched', () => {
  assert.ok(youngMibAfter(`await import('${MODULE}'); ${LITTER}`) > 2);
});

function youngMibAfter(script: string): number {
  return Number(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }));
}

test.run();
