/** The linter as a test: layers, import circles, formatting; and proof that the layer rules bite. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const BIOME = fileURLToPath(new URL('../../../node_modules/@biomejs/biome/bin/biome', import.meta.url));

function biome(folder: string, words: readonly string[]): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIOME, ...words, '--colors=off'], { cwd: folder, encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

/** Lints lines as if they stood in files of our tree; gives back those that break a rule whose name matches. */
function refusedLines(cases: readonly (readonly [path: string, line: string])[], rule: RegExp): (readonly [string, string])[] {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-lint-'));
  try {
    copyFileSync(join(ROOT, 'biome.json'), join(folder, 'biome.json'));
    for (const path of new Set(cases.map(([path]) => path))) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), cases.map((one) => (one[0] === path ? one[1] : '//')).join('\n'));
    }
    const { output } = biome(folder, ['lint', '.', '--max-diagnostics=none']);
    const places = [...output.matchAll(/^(\S+):(\d+):\d+ (\S+)/gm)].filter((match) => rule.test(String(match[3])));
    return cases.filter(([path], index) => places.some((match) => match[1] === path && Number(match[2]) === index + 1));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function imports(...cases: [path: string, name: string][]): (readonly [string, string])[] {
  return cases.map(([path, name], index) => [path, `import { a as a${index} } from '${name}';`]);
}

test('the linter finds nothing', () => {
  const { status, output } = biome(ROOT, ['ci', '.', '--max-diagnostics=20']);
  assert.is(status, 0, output);
});

test('each layer refuses what stands above it or beside it', () => {
  const cases = imports(
    ['src/kernel/x.ts', '../media/flv.js'],
    ['src/kernel/x.ts', 'bencode'],
    ['src/kernel/bencode.ts', 'zod'],
    ['src/media/x.ts', '../relay/x.js'],
    ['src/media/x.ts', 'node:fs'],
    ['src/ingest/x.ts', '../relay/x.js'],
    ['src/relay/x.ts', '../ingest/x.js'],
    ['src/relay/x.ts', '../io/x.js'],
    ['src/vod/x.ts', 'zod'],
    ['src/interactive/x.ts', '../vod/x.js'],
    ['src/guide/x.ts', '../plugins/x.js'],
    ['src/sim/x.ts', '../io/x.js'],
    ['src/sim/experiments/x.ts', '../../plugins/x.js'],
    ['src/io/x.ts', '../plugins/x.js'],
    ['src/io/x.ts', '../sim/x.js'],
    ['src/io/x.ts', '../shoal.js'],
    ['src/plugins/x.ts', '../sim/x.js'],
    ['src/plugins/x.ts', '../shoal.js'],
    ['src/shoal.ts', './main.js'],
  );
  assert.equal(refusedLines(cases, /noRestrictedImports/), cases);
});

test('each layer may use what stands below it', () => {
  const cases = imports(
    ['src/kernel/x.ts', './units.js'],
    ['src/kernel/bencode.ts', 'bencode'],
    ['src/media/x.ts', '../kernel/units.js'],
    ['src/relay/x.ts', '../media/flv.js'],
    ['src/sim/x.ts', '../relay/x.js'],
    ['src/io/x.ts', '../ingest/x.js'],
    ['src/io/x.ts', 'zod'],
    ['src/plugins/x.ts', '../io/x.js'],
    ['src/shoal.ts', './plugins/x.js'],
    ['src/main.ts', './shoal.js'],
  );
  assert.equal(refusedLines(cases, /noRestrictedImports/), []);
});

test('pure folders are refused clocks, chance and the environment', () => {
  const things = ['Date.now()', 'Math.random()', 'setTimeout(f, 1)', 'process.pid', 'Buffer.alloc(1)', 'performance.now()'];
  const lines = (path: string): (readonly [string, string])[] => things.map((thing, index) => [path, `export const x${index} = ${thing};`]);
  const pure = lines('src/relay/x.ts');
  assert.equal(refusedLines([...pure, ...lines('src/io/x.ts')], /noRestrictedGlobals|noJsRestrictedProperties/), pure);
});

test.run();
