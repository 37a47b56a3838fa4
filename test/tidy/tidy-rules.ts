/**
 * The rules of the house that the linter cannot express, as functions from files to complaints.
 *
 * Each takes what it judges as an argument, so that the tests can show it failing on a bad sample as well as passing on the real tree.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { ConfigFile } from '../../src/io/files/config-file.js';
import type { ConfigOption } from '../../src/plugins/config.js';

/** A text file, named by its path from the root with forward slashes. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

interface BiomeConfig {
  readonly overrides: readonly {
    readonly includes: readonly string[];
    readonly linter: {
      readonly rules: { readonly style?: { readonly noRestrictedImports?: unknown; readonly noRestrictedGlobals?: unknown } };
    };
  }[];
}

export const PURE_FOLDERS = ['kernel', 'media', 'ingest', 'relay', 'vod', 'interactive', 'guide'];
/** Files directly in `src`; everything else has a folder, and thereby a layer. */
const TOP_FILES = ['src/shoal.ts', 'src/main.ts', 'src/title-commands.ts'];
/** Where the environment may be read: the command line, and the search for programs on PATH. */
const ENVIRONMENT_READERS = ['src/main.ts', 'src/io/programs/program.ts'];
/** The one package a pure file may import, and the file. */
const PURE_PACKAGES: Readonly<Record<string, string>> = { 'src/kernel/bencode.ts': 'bencode' };
const IMPURE =
  /\bMath\.random\b|\bDate\.now\b|\bnew Date\b|\bperformance\.|\b(?:setTimeout|setInterval|setImmediate|fetch)\(|\bglobalThis\b|(?<!\.)\bprocess\.|\bBuffer\.|\bawait import\(/g;
/** Statements only: names, braces, commas and stars may stand before the module's name, nothing else. */
const IMPORT = /^(?:import|export)\s(?:[\w\s{},*$]*?\sfrom\s+)?['"]([^'"\n]+)['"]|\bimport\(\s*['"]([^'"\n]+)['"]\s*\)/gm;
const COMMENT_PARTS = ['Unit', 'Default', 'Range', 'Why'];

/** Every file below the folder with that ending. */
export function filesBelow(root: string, folder: string, ending: string): SourceFile[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => ({ path: relative(root, path).replaceAll('\\', '/'), text: readFileSync(path, 'utf8') }));
}

/** A folder of `src` without an import rule, a pure one without a rule on globals, or a stray file directly in `src`. */
export function unlayered(files: readonly SourceFile[], biome: BiomeConfig): string[] {
  const folders = new Set(files.flatMap(({ path }) => /^src\/([^/]+)\//.exec(path)?.[1] ?? []));
  const covered = (folder: string, rule: 'noRestrictedImports' | 'noRestrictedGlobals'): boolean =>
    biome.overrides.some(({ includes, linter }) => includes.includes(`src/${folder}/**`) && linter.rules.style?.[rule] !== undefined);
  return [
    ...[...folders]
      .filter((folder) => !covered(folder, 'noRestrictedImports'))
      .map((folder) => `src/${folder} has no import rule in biome.json`),
    ...PURE_FOLDERS.filter((folder) => !covered(folder, 'noRestrictedGlobals')).map(
      (folder) => `src/${folder} has no rule on globals in biome.json`,
    ),
    ...files
      .filter(({ path }) => /^src\/[^/]+$/.test(path) && !TOP_FILES.includes(path))
      .map(({ path }) => `${path} belongs into a folder`),
  ];
}

/** A package that more than one file imports. Entries of one package (`x/client`, `x/server`) count apart. */
export function importedTwice(files: readonly SourceFile[]): string[] {
  const importers = new Map<string, string[]>();
  for (const { path, text } of files.filter(({ path }) => !path.endsWith('.d.ts'))) {
    for (const name of new Set(importsOf(text).filter(isPackage))) importers.set(name, [...(importers.get(name) ?? []), path]);
  }
  return [...importers].filter(([, paths]) => paths.length > 1).map(([name, paths]) => `${name} is imported by ${paths.join(' and ')}`);
}

export function withoutHeader(files: readonly SourceFile[]): string[] {
  return files.filter(({ text }) => !text.startsWith('/**')).map(({ path }) => `${path} does not begin with what it is`);
}

/** Open matters, prints past the log, and readings of the environment outside their one place. */
export function unfinished(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) => [
    ...found(path, text, /\b(?:TODO|FIXME|XXX|HACK)\b/g),
    ...found(path, withoutComments(text), /\bconsole\.\w+/g),
    ...(ENVIRONMENT_READERS.includes(path) ? [] : found(path, withoutComments(text), /\bprocess\.env\b/g)),
  ]);
}

/** What a pure file must not touch: clocks, timers, chance, the environment, builtins and packages. */
export function impure(files: readonly SourceFile[]): string[] {
  const pure = files.filter(({ path }) => PURE_FOLDERS.includes(path.split('/')[1] ?? '') && !path.endsWith('.d.ts'));
  return pure.flatMap(({ path, text }) => {
    const imports = importsOf(text).filter((name) => name.startsWith('node:') || (isPackage(name) && PURE_PACKAGES[path] !== name));
    return [...found(path, withoutComments(text), IMPURE), ...imports.map((name) => `${path}: imports ${name}`)];
  });
}

/** Codes of the catalogue that nothing throws. */
export function unusedCodes(catalogue: SourceFile, files: readonly SourceFile[]): string[] {
  const codes = [...catalogue.text.matchAll(/^ {2}\| '([A-Z_]+)'/gm)].map((match) => String(match[1]));
  if (codes.length === 0) return [`${catalogue.path} lists no codes`];
  const others = files.filter(({ path }) => path !== catalogue.path);
  const isUsed = (code: string): boolean => others.some(({ text }) => text.includes(`'${code}'`)) || usedInCatalogue(catalogue.text, code);
  return codes.filter((code) => !isUsed(code)).map((code) => `${code} is never used`);
}

/** Options that the defaults lack or have too many, and comments that lack a part or disagree with the value or the range. */
export function badDefaults(options: readonly ConfigOption[], defaults: ConfigFile, text: string): string[] {
  const given = leaves(defaults.value, '');
  const known = new Set(options.map(({ key }) => key));
  return [
    ...options.filter(({ key }) => !given.has(key)).map(({ key }) => `${key} has no default`),
    ...[...given.keys()].filter((key) => !known.has(key)).map((key) => `${key} is not in the schema`),
    ...options
      .filter(({ key }) => given.has(key))
      .flatMap((option) => badComment(option, given.get(option.key), commentAbove(text, defaults.lines.get(option.key) ?? 0))),
  ];
}

/** Rows of the README's table `| Option | Default | …` that are missing, unknown, or show another default. Nothing when there is no such table. */
export function badTable(readme: string, options: readonly ConfigOption[], defaults: unknown): string[] {
  const rows = tableRows(readme);
  if (!rows) return [];
  const given = leaves(defaults, '');
  return [
    ...options.filter(({ key }) => !rows.has(key)).map(({ key }) => `README: ${key} is missing from the table of options`),
    ...[...rows].flatMap(([key, shown]) => {
      if (!given.has(key)) return [`README: there is no option ${key}`];
      return sameValue(shown, given.get(key)) ? [] : [`README: the default of ${key} is ${JSON.stringify(given.get(key))}, not ${shown}`];
    }),
  ];
}

/**
 * The README's table of status fields against what the API's document says; a row has the parts of a field, if it has any, in its text.
 */
export function badFields(readme: string, fields: Readonly<Record<string, readonly string[]>>): string[] {
  const table = readme.slice(readme.search(/^\| *Field *\|/m));
  const rows = new Map<string, string>();
  for (const line of table.slice(0, table.indexOf('\n\n')).split('\n').slice(2)) {
    const [, names = '', meaning = ''] = line.split('|');
    for (const [, name = ''] of names.matchAll(/`([^`]+)`/g)) rows.set(name, meaning);
  }
  return [
    ...Object.keys(fields)
      .filter((name) => !rows.has(name))
      .map((name) => `README: ${name} is missing from the table of fields`),
    ...[...rows].flatMap(([name, meaning]) => {
      const parts = fields[name];
      if (parts === undefined) return [`README: there is no field ${name}`];
      return parts.filter((part) => !meaning.includes(`"${part}"`)).map((part) => `README: the row of ${name} lacks "${part}"`);
    }),
  ];
}

function badComment({ key, expected }: ConfigOption, value: unknown, comment: string): string[] {
  const missing = COMMENT_PARTS.filter((part) => !comment.includes(`${part}: `));
  if (missing.length > 0 || comment.startsWith('Unit')) return [`${key}: its comment lacks ${missing.join(', ') || 'the meaning'}`];
  const shown = between(comment, 'Default: ', '. Range: ');
  const range = between(comment, 'Range: ', '. Why: ');
  return [
    ...(sameValue(shown, value) ? [] : [`${key}: its comment says the default is ${shown}, but it is ${JSON.stringify(value)}`]),
    ...(range === expected ? [] : [`${key}: its comment says the range is ${range}, but the schema takes ${expected}`]),
  ];
}

function between(text: string, start: string, end: string): string {
  const from = text.indexOf(start) + start.length;
  return text.slice(from, text.indexOf(end, from));
}

function sameValue(shown: string, value: unknown): boolean {
  return shown === JSON.stringify(value);
}

/** The run of comment lines right above a line, as one text. */
function commentAbove(text: string, line: number): string {
  const above = text.split('\n').slice(0, Math.max(0, line - 1));
  const first = above.findLastIndex((content) => !content.trim().startsWith('//')) + 1;
  return above
    .slice(first)
    .map((content) => content.trim().replace(/^\/\/ ?/, ''))
    .join(' ');
}

function leaves(value: unknown, prefix: string): Map<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return new Map([[prefix, value]]);
  return new Map(Object.entries(value).flatMap(([key, inner]) => [...leaves(inner, prefix === '' ? key : `${prefix}.${key}`)]));
}

function tableRows(readme: string): Map<string, string> | undefined {
  const [, table] = /^\| *Option *\| *Default *\|.*\n\|[-| :]+\n((?:\|.*(?:\n|$))+)/m.exec(readme) ?? [];
  if (table === undefined) return undefined;
  return new Map([...table.matchAll(/^\| *`([^`]+)` *\| *`([^`]*)` *\|/gm)].map((match) => [String(match[1]), String(match[2])]));
}

function usedInCatalogue(text: string, code: string): boolean {
  return text.includes(`new ShoalError('${code}'`);
}

function importsOf(text: string): string[] {
  return [...withoutComments(text).matchAll(IMPORT)].map((match) => String(match[1] ?? match[2]));
}

function isPackage(name: string): boolean {
  return !name.startsWith('.') && !name.startsWith('node:');
}

/** Comments blanked, line numbers kept. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|(?<![:'"])\/\/[^\n]*/g, (comment) => comment.replace(/[^\n]/g, ' '));
}

function found(path: string, text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(({ 0: match, index }) => `${path}:${text.slice(0, index).split('\n').length}: ${match}`);
}
