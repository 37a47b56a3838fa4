/**
 * What holds for every text that sets options: the kinds of values, the laying of one layer over another, and sentences about what is wrong.
 *
 * The only place that imports fastest-levenshtein. Which options there are is said by `config.ts` and by `scenario-file.ts`.
 */
import { closest, distance } from 'fastest-levenshtein';
import { type ErrorCode, ShoalError } from '../kernel/errors.js';
import { z } from './schema.js';

export { z };

/** A value set from outside, and where it stands. */
export interface ConfigLayer {
  /** A file's path, `environment` or `--set`; begins every message about this layer. */
  readonly name: string;
  readonly value: unknown;
  /** Line of each dotted key, where the layer is a text. */
  readonly lines?: ReadonlyMap<string, number>;
}

/** One option of a schema. */
export interface SchemaOption {
  /** Dotted, as in `relay.http.port`. */
  readonly key: string;
  /** What it takes, in words: `0 to 65535`. */
  readonly expected: string;
}

/** Something wrong in a layer. */
export interface Problem {
  readonly code: ErrorCode;
  readonly sentence: string;
}

const GOT_CHARACTERS_MAX = 60;

/** What judges a whole of options. */
export interface Judgement {
  readonly schema: z.ZodObject;
  /** Keys that may be written: options, the groups they stand in, and the fields of lists. */
  readonly knownKeys: readonly string[];
  /** Last words of keys whose values no message repeats. */
  readonly secretFields?: readonly string[];
}

/** The keys of options and of all groups that they stand in. */
export function keysAndGroups(options: readonly SchemaOption[]): readonly string[] {
  return [...new Set(options.flatMap(({ key }) => prefixesOf(key)))];
}

/** The known word that is most like this one. */
export function nearestWord(word: string, known: readonly string[]): string {
  return closest(word, known);
}

/** The layer of `--set KEY=VALUE`; a word is read in the kind of the option's default. */
export function settingsLayer(settings: readonly string[], defaults: unknown, example: string): [ConfigLayer, Problem[]] {
  const problems: Problem[] = [];
  let value: unknown = {};
  for (const setting of settings) {
    const equals = setting.indexOf('=');
    const key = setting.slice(0, equals).trim();
    if (equals < 1) problems.push({ code: 'CONFIG_SYNTAX', sentence: `expected KEY=VALUE, as in ${example}, got "${setting}"` });
    else value = merge(value, nested(key, fromText(setting.slice(equals + 1), valueAt(defaults, key.split('.')))));
  }
  return [{ name: '--set', value }, problems];
}

/** Reads a word in the kind of the option's default. A word that does not fit stays text, and the schema says what would. */
export function fromText(word: string, standard: unknown): unknown {
  if (typeof standard === 'boolean') return word === 'true' || (word === 'false' ? false : word);
  if (typeof standard === 'number') return word.trim() !== '' && Number.isFinite(Number(word)) ? Number(word) : word;
  if (Array.isArray(standard)) return listFromText(word);
  return word;
}

/** A list is JSON in brackets, or words with commas between. */
function listFromText(word: string): unknown {
  if (!word.trim().startsWith('[')) return word.split(',').flatMap((item) => item.trim() || []);
  try {
    return JSON.parse(word);
  } catch {
    return word;
  }
}

/**
 * All layers so far as one value, if the newest of them did nothing wrong.
 *
 * @throws ShoalError with the first problem's code; its message lists all.
 */
export function checked(judgement: Judgement, merged: unknown, layer: ConfigLayer, found: readonly Problem[]): unknown {
  const result = judgement.schema.safeParse(merged);
  const problems = [...found, ...(result.success ? [] : problemsOf(judgement, result.error.issues, merged, layer))];
  const [first] = problems;
  if (first) {
    const sentences = problems.map(({ sentence }) => (sentence.startsWith(layer.name) ? sentence : `${layer.name}: ${sentence}`));
    throw new ShoalError(first.code, sentences.join('\n'), { problems: sentences });
  }
  return result.data;
}

/** One sentence per wrong key; a value that breaks several rules is told once. */
function problemsOf(judgement: Judgement, issues: readonly z.core.$ZodIssue[], merged: unknown, layer: ConfigLayer): Problem[] {
  const problems = new Map<string, Problem>();
  for (const issue of issues) {
    const path = issue.path.map(String);
    if (issue.code === 'unrecognized_keys') for (const key of issue.keys) addUnknown([...path, key]);
    else if (!problems.has(dotted(path)))
      problems.set(dotted(path), { code: 'CONFIG_RANGE', sentence: `${place(path)}${outOfRange(judgement, path, issue, merged)}` });
  }
  return [...problems.values()];

  function addUnknown(path: readonly string[]): void {
    problems.set(dotted(path), { code: 'CONFIG_UNKNOWN_KEY', sentence: `${place(path)}${unknownKey(judgement, dotted(path))}` });
  }
  function place(path: readonly string[]): string {
    const line = layer.lines?.get(path.join('.'));
    return line === undefined ? '' : `${layer.name}:${line}: `;
  }
}

function unknownKey({ knownKeys }: Judgement, key: string): string {
  return `unknown key "${key}", nearest known key is "${nearestKey(key, knownKeys)}"`;
}

/** By the whole dotted key, or by its last word, so that a right word in the wrong group finds its group. */
function nearestKey(key: string, knownKeys: readonly string[]): string {
  const plain = key.replace(/\[\d+\]/g, '[]');
  const cost = (known: string): number => Math.min(distance(plain, known), distance(lastWord(plain), lastWord(known)) + 1);
  return knownKeys.reduce((best, known) => (cost(known) < cost(best) ? known : best));
}

function lastWord(key: string): string {
  return key.slice(key.lastIndexOf('.') + 1);
}

function outOfRange(judgement: Judgement, path: readonly string[], issue: z.core.$ZodIssue, merged: unknown): string {
  const value = valueAt(merged, path);
  const isGroup = issue.code === 'invalid_type' && issue.expected === 'object';
  return `${dotted(path)}: ${isGroup ? 'expected a group of options in braces' : issue.message}, got ${got(judgement, path, value)}`;
}

/** The wrong value itself, short, and never a secret: messages end up in logs. */
function got({ secretFields = [] }: Judgement, path: readonly string[], value: unknown): string {
  if (value === undefined) return 'nothing';
  if (secretFields.includes(path.at(-1) ?? '')) return typeof value === 'string' ? `${value.length} characters` : `a ${typeof value}`;
  const shown = JSON.stringify(value);
  return shown.length > GOT_CHARACTERS_MAX ? `${shown.slice(0, GOT_CHARACTERS_MAX)}…` : shown;
}

/** `station.channels[0].name` for `['station', 'channels', '0', 'name']`. */
function dotted(path: readonly string[]): string {
  return (
    path.reduce((all, part) => (/^\d+$/.test(part) ? `${all}[${part}]` : all === '' ? part : `${all}.${part}`), '') || 'the configuration'
  );
}

export function whole(least: number, most: number) {
  const error = `expected a whole number, ${least} to ${most}`;
  const range = { error: `expected ${least} to ${most}` };
  return z
    .number({ error })
    .min(least, range)
    .max(most, range)
    .refine(Number.isInteger, { error })
    .meta({ expected: `${least} to ${most}` });
}

/** A whole number, or a word that stands for none. */
export function wholeOr<const Word extends string>(least: number, most: number, word: Word) {
  const expected = `${least} to ${most}, or "${word}"`;
  const error = `expected a whole number, ${expected}`;
  const number = z.number({ error }).min(least, { error }).max(most, { error }).refine(Number.isInteger, { error });
  return z.union([number, z.literal(word)], { error }).meta({ expected });
}

export function text(least: number, most: number) {
  const expected = `${least} to ${most} characters`;
  const error = `expected ${expected}`;
  return z.string({ error }).min(least, { error }).max(most, { error }).meta({ expected });
}

export function flag() {
  return z.boolean({ error: 'expected true or false' }).meta({ expected: 'true or false' });
}

export function oneOf<const Words extends readonly [string, ...string[]]>(...words: Words) {
  const quoted = words.map((word) => `"${word}"`);
  const expected = quoted.length === 1 ? String(quoted[0]) : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`;
  return z.enum(words, { error: `expected ${expected}` }).meta({ expected });
}

export function listOf<Item extends z.ZodType>(item: Item, most: number, noun: string) {
  const expected = `0 to ${most} ${noun}`;
  return z
    .array(item, { error: `expected a list of ${noun}` })
    .max(most, { error: `expected ${expected}` })
    .meta({ expected });
}

/** A number that need not be whole. */
export function real(least: number, most: number) {
  const error = `expected a number, ${least} to ${most}`;
  return z
    .number({ error })
    .min(least, { error: `expected ${least} to ${most}` })
    .max(most, { error: `expected ${least} to ${most}` })
    .meta({ expected: `${least} to ${most}` });
}

/** Two numbers, the lower one first. */
export function span(least: number, most: number) {
  const expected = `[low, high], each ${least} to ${most}`;
  const error = `expected ${expected}`;
  return z
    .tuple(
      [z.number({ error }).min(least, { error }).max(most, { error }), z.number({ error }).min(least, { error }).max(most, { error })],
      { error },
    )
    .refine(([low, high]) => low <= high, { error })
    .meta({ expected });
}

/** Every option of a group and the groups in it, in the order of the schema. */
export function optionsOf(group: z.ZodObject, prefix = ''): SchemaOption[] {
  return Object.entries(group.shape).flatMap(([name, inner]) => {
    const key = prefix + name;
    if (inner instanceof z.ZodObject) return optionsOf(inner, `${key}.`);
    return [{ key, expected: String((inner as z.ZodType).meta()?.['expected']) }];
  });
}

function prefixesOf(key: string): string[] {
  const parts = key.split('.');
  return parts.map((_, index) => parts.slice(0, index + 1).join('.'));
}

export function isGroup(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Groups merge key by key; anything else is replaced whole. `Object.fromEntries` keeps a key named `__proto__` an ordinary, unknown key. */
export function merge(base: unknown, over: unknown): unknown {
  if (!isGroup(base) || !isGroup(over)) return over;
  const additions = Object.entries(over).map(([key, value]) => [key, Object.hasOwn(base, key) ? merge(base[key], value) : value]);
  return Object.fromEntries([...Object.entries(base), ...additions]);
}

export function nested(key: string, value: unknown): unknown {
  return key.split('.').reduceRight<unknown>((inner, part) => Object.fromEntries([[part, inner]]), value);
}

export function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, part) => {
    if (typeof inner !== 'object' || inner === null || !Object.hasOwn(inner, part)) return undefined;
    return (inner as Readonly<Record<string, unknown>>)[part];
  }, value);
}

/** Dotted keys of everything that is not a group. */
export function leafKeys(value: unknown, prefix = ''): string[] {
  if (!isGroup(value)) return [prefix];
  return Object.entries(value).flatMap(([key, inner]) => leafKeys(inner, prefix === '' ? key : `${prefix}.${key}`));
}

export function deepFrozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) deepFrozen(inner);
  return Object.freeze(value);
}
