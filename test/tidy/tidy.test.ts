/** The rules of the house, each applied to the real tree and each shown failing on a bad sample. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfigFile } from '../../src/io/files/config-file.js';
import { CONFIG_OPTIONS, resolveConfig } from '../../src/plugins/config.js';
import { openApiDocument } from '../../src/plugins/portal-api.js';
import {
  badDefaults,
  badFields,
  badTable,
  filesBelow,
  importedTwice,
  impure,
  PURE_FOLDERS,
  type SourceFile,
  unfinished,
  unlayered,
  unusedCodes,
  withoutHeader,
} from './tidy-rules.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SOURCES = filesBelow(ROOT, 'src', '.ts');
const BIOME = JSON.parse(readFileSync(join(ROOT, 'biome.json'), 'utf8'));
const DEFAULTS_PATH = join(ROOT, 'config', 'default.json5');
const DEFAULTS = readConfigFile(DEFAULTS_PATH);

function file(path: string, text = '/** x */\n'): SourceFile {
  return { path, text };
}

test('every folder of src has a place in the layers', () => {
  assert.ok(SOURCES.length > 10);
  assert.equal(unlayered(SOURCES, BIOME), []);
});

test('a new folder without a layer, and a stray file, are noticed', () => {
  const stray = [file('src/extras/x.ts'), file('src/helper.ts'), file('src/shoal.ts')];
  assert.equal(unlayered(stray, BIOME), ['src/extras has no import rule in biome.json', 'src/helper.ts belongs into a folder']);
  assert.is(unlayered([], { overrides: [] }).length, PURE_FOLDERS.length);
});

test('every package is imported in one file', () => {
  assert.equal(importedTwice(SOURCES), []);
});

test('a package imported in two files is noticed, whatever the form of the import', () => {
  const forms = [
    "import koa from 'koa';",
    "import type { Context } from 'koa';",
    "import 'koa';",
    "export { x } from 'koa';",
    'import {\n  a,\n} from "koa";',
    "type A = import('koa').Context;",
  ];
  for (const form of forms) {
    assert.equal(importedTwice([file('src/io/a.ts', "import Koa from 'koa';\n"), file('src/io/b.ts', `${form}\n`)]), [
      'koa is imported by src/io/a.ts and src/io/b.ts',
    ]);
  }
});

test('every source file begins with what it is', () => {
  assert.equal(withoutHeader(SOURCES), []);
});

test('a file without a header is noticed', () => {
  assert.equal(withoutHeader([file('src/io/a.ts', "import x from './x.js';\n/** late */")]), [
    'src/io/a.ts does not begin with what it is',
  ]);
});

test('nothing in src is left open, printed past the log, or read from the environment elsewhere', () => {
  assert.equal(unfinished(SOURCES), []);
});

test('an open matter, a print and a look at the environment are noticed', () => {
  const text = '/** x */\n// TODO: later\nconsole.log(1);\nconst home = process.env.HOME;\n// console.log is not used here\n';
  assert.equal(unfinished([file('src/io/a.ts', text)]), [
    'src/io/a.ts:2: TODO',
    'src/io/a.ts:3: console.log',
    'src/io/a.ts:4: process.env',
  ]);
  assert.equal(unfinished([file('src/main.ts', 'process.env.HOME')]), []);
});

test('pure folders touch no clock, chance, timer, environment, builtin or package', () => {
  assert.equal(impure(SOURCES), []);
});

test('every impure thing is noticed in a pure file, and only there', () => {
  const things = [
    'Math.random()',
    'Date.now()',
    'new Date()',
    'performance.now()',
    'setTimeout(f)',
    'process.env',
    'Buffer.from(x)',
    'globalThis.x',
    'fetch(u)',
  ];
  for (const thing of things) {
    assert.is(impure([file('src/relay/a.ts', `const x = ${thing};`)]).length, 1, thing);
    assert.equal(impure([file('src/io/a.ts', `const x = ${thing};`), file('src/relay/a.ts', `// ${thing}\n/* ${thing} */`)]), [], thing);
  }
  assert.equal(impure([file('src/media/a.ts', "import { x } from 'node:fs';\nimport z from 'zod';\n")]), [
    'src/media/a.ts: imports node:fs',
    'src/media/a.ts: imports zod',
  ]);
});

test('every error code is used', () => {
  const catalogue = SOURCES.find(({ path }) => path === 'src/kernel/errors.ts');
  assert.ok(catalogue);
  assert.equal(unusedCodes(catalogue, SOURCES), []);
});

test('an error code that nothing throws is noticed', () => {
  const catalogue = file('src/kernel/errors.ts', "export type ErrorCode =\n  | 'A_B'\n  | 'C_D';\n");
  assert.equal(unusedCodes(catalogue, [catalogue, file('src/io/a.ts', "throw new ShoalError('A_B', '')")]), ['C_D is never used']);
  assert.is(unusedCodes(file('src/kernel/errors.ts', ''), []).length, 1);
});

test('every option has a default that passes, with a comment that says meaning, unit, default, range and why', () => {
  resolveConfig({ defaults: DEFAULTS });
  assert.equal(badDefaults(CONFIG_OPTIONS, DEFAULTS, readFileSync(DEFAULTS_PATH, 'utf8')), []);
});

test('a default that is missing, unknown, uncommented or commented wrongly is noticed', () => {
  const option = { key: 'a', variable: 'SHOAL_A', expected: '0 to 9' };
  const judge = (comment: string, value: unknown = { a: 5 }): string[] =>
    badDefaults(
      [option],
      { name: '', value, isReadableByOthers: false, lines: new Map([['a', 2 + comment.split('\n').length]]) },
      `{\n${comment}\n  a: 5,\n}`,
    );
  const good = '  // What. Unit: bytes.\n  // Default: 5. Range: 0 to 9. Why: because.';
  assert.equal(judge(good), []);
  assert.equal(judge(good, {}), ['a has no default']);
  assert.equal(judge(good, { a: 5, b: 1 }), ['b is not in the schema']);
  assert.equal(judge(''), ['a: its comment lacks Unit, Default, Range, Why']);
  assert.equal(judge(good.replace('What. ', '')), ['a: its comment lacks the meaning']);
  assert.equal(judge(good.replace('Why: ', '')), ['a: its comment lacks Why']);
  assert.equal(judge(good.replace('Default: 5', 'Default: 6')), ['a: its comment says the default is 6, but it is 5']);
  assert.equal(judge(good.replace('to 9', 'to 8')), ['a: its comment says the range is 0 to 8, but the schema takes 0 to 9']);
});

test('the table of options in the README is complete and right', () => {
  const path = join(ROOT, 'README.md');
  assert.equal(badTable(existsSync(path) ? readFileSync(path, 'utf8') : '', CONFIG_OPTIONS, DEFAULTS.value), []);
});

test('a row that is missing, unknown or wrong is noticed', () => {
  const options = ['a.b', 'c'].map((key) => ({ key, variable: '', expected: '' }));
  const judge = (rows: string): string[] =>
    badTable(`# X\n\n| Option | Default | Meaning |\n|---|---|---|\n${rows}\n\ntext`, options, { a: { b: 1 }, c: 'x' });
  assert.equal(judge('| `a.b` | `1` | y |\n| `c` | `"x"` | y |'), []);
  assert.equal(judge('| `a.b` | `2` | y |\n| `d` | `1` | y |'), [
    'README: c is missing from the table of options',
    'README: the default of a.b is 1, not 2',
    'README: there is no option d',
  ]);
  assert.equal(badTable('# no table', options, {}), []);
});

/** Fields of a status by the API's document, each with the fields of its own, if they are not in another schema. */
function statusFields(): Record<string, readonly string[]> {
  interface Shape {
    readonly properties?: Readonly<Record<string, Shape>>;
    readonly items?: Shape;
  }
  const { components } = openApiDocument('') as { readonly components: { readonly schemas: Readonly<Record<string, Shape>> } };
  const { properties = {} } = components.schemas['ChannelStatus'] ?? {};
  return Object.fromEntries(
    Object.entries(properties).map(([name, { properties: own, items }]) => [name, Object.keys(own ?? items?.properties ?? {})]),
  );
}

test('the table of status fields in the README is that of the API', () => {
  const fields = statusFields();
  assert.ok(Object.keys(fields).length > 15);
  assert.equal(fields['publishers'], ['key', 'windows', 'lastSeconds']);
  assert.equal(badFields(readFileSync(join(ROOT, 'README.md'), 'utf8'), fields), []);
});

test('a field that is missing, unknown or without its parts is noticed', () => {
  const judge = (rows: string): string[] =>
    badFields(`# X\n\n| Field | Meaning |\n|---|---|\n${rows}\n\n| \`z\` | text |\n`, { a: [], b: [], c: ['d', 'e'] });
  assert.equal(judge('| `a`, `b` | x |\n| `c` | `{ "d": 1, "e": 2 }` |'), []);
  assert.equal(judge('| `a` | x |\n| `c` | `{ "d": 1 }` |\n| `f` | y |'), [
    'README: b is missing from the table of fields',
    'README: the row of c lacks "e"',
    'README: there is no field f',
  ]);
});

test.run();
