/** Threads that hash: they keep a process alive exactly as long as somebody waits for them. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const [WORKERS, MAKER] = ['hash-workers', 'torrent-maker'].map((name) => new URL(`../../src/io/titles/${name}.js`, import.meta.url).href);
/** At once, so that threads come to their end while others hold the processor. */
const PROCESSES = 10;
const run = promisify(execFile);

const test = suite<{ folder: string }>('hash workers');

test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'shoal-hash-'));
});
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }));

async function printedBy(folder: string, lines: readonly string[]): Promise<readonly string[]> {
  const script = join(folder, 'script.mjs');
  const imports = [`import { HashWorkers } from '${WORKERS}';`, `import { makeTorrent } from '${MAKER}';`];
  writeFileSync(script, [...imports, ...lines].join('\n'));
  const runs = Array.from({ length: PROCESSES }, () => run(process.execPath, [script], { timeout: 60_000 }));
  return (await Promise.all(runs)).map(({ stdout }) => stdout.trim());
}

test('a process that calls off its hashing and closes the threads goes on to its own end', async ({ folder }) => {
  const source = join(folder, 'file');
  writeFileSync(source, randomBytes(5_000_000));
  const printed = await printedBy(folder, [
    `const source = ${JSON.stringify(source)};`,
    'await makeTorrent({ source });',
    'const workers = new HashWorkers();',
    'const abort = new AbortController();',
    'const { signal } = abort;',
    'const onProgress = () => abort.abort();',
    'await makeTorrent({ source, signal, workers, pieceLengthBytes: 16384, onProgress }).catch(() => {});',
    // What was called off is answered sometime around the end of its thread.
    'await workers.close();',
    'console.log("closed");',
  ]);
  assert.equal(printed, Array(PROCESSES).fill('closed'));
});

test('a process with nothing else to do ends without waiting for idle threads', async ({ folder }) => {
  const printed = await printedBy(folder, [
    'const workers = new HashWorkers({ idleMs: 50_000 });',
    'await workers.hashSpans([{ path: null, offsetBytes: 0, lengthBytes: 10 }]);',
    'console.log("hashed");',
    'const startedMs = Date.now();',
    'process.once("exit", () => { if (Date.now() - startedMs > 20_000) console.log("waited"); });',
  ]);
  assert.equal(printed, Array(PROCESSES).fill('hashed'));
});

test.run();
