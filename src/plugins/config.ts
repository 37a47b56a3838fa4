/**
 * The configuration: what options there are, which values they take, and how the layers that set them become one frozen value.
 *
 * Layers, weakest first: `config/default.json5`, the user's file, the environment, `--set`. The schema holds no defaults: they stand in
 * `config/default.json5` alone. Pure: text and files come from `io/config-file.ts`, the environment from the caller.
 * A layer is checked as soon as it is laid on, so every problem is reported with the place it comes from, and all of one layer at once.
 */
import { closest, distance } from 'fastest-levenshtein';
import { z } from 'zod';
import { type ErrorCode, ShoalError } from '../kernel/errors.js';

/** A value set from outside, and where it stands. */
export interface ConfigLayer {
  /** A file's path, `environment` or `--set`; begins every message about this layer. */
  readonly name: string;
  readonly value: unknown;
  /** Line of each dotted key, where the layer is a text. */
  readonly lines?: ReadonlyMap<string, number>;
}

/** Everything that can set an option. */
export interface ConfigSources {
  readonly defaults: ConfigLayer;
  readonly file?: ConfigLayer | undefined;
  /** The environment; only names that begin with `SHOAL_` are looked at. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Values of `--set`, as `relay.http.port=0`. A later one wins. */
  readonly settings?: readonly string[];
}

/** One option as documentation sees it. */
export interface ConfigOption {
  /** Dotted, as in `relay.http.port`. */
  readonly key: string;
  /** `SHOAL_RELAY_HTTP_PORT`. */
  readonly variable: string;
  /** What it takes, in words: `0 to 65535`. */
  readonly expected: string;
}

interface Problem {
  readonly code: ErrorCode;
  readonly sentence: string;
}

const VARIABLE_PREFIX = 'SHOAL_';
const GOT_CHARACTERS_MAX = 60;

const port = whole(0, 65_535);
const host = text(1, 255);
const bytesPerSecond = whole(0, 10_000_000_000);

const channel = z.strictObject({
  name: text(1, 80),
  source: text(1, 1024).optional(),
  pull: text(1, 2048).optional(),
  key: z
    .string({ error: 'expected 8 to 128 letters, digits, or any of -._~' })
    .regex(/^[A-Za-z0-9._~-]{8,128}$/, { error: 'expected 8 to 128 letters, digits, or any of -._~' })
    .optional(),
  container: oneOf('flv', 'asf').optional(),
  open: flag().optional(),
});

const trackerUrl = z
  .string({ error: 'expected an http:, https: or udp: URL' })
  .refine(isTrackerUrl, { error: 'expected an http:, https: or udp: URL' });

const schema = z.strictObject({
  dataDir: text(1, 4096),
  log: z.strictObject({ level: oneOf('debug', 'info', 'warn', 'error', 'silent'), format: oneOf('auto', 'pretty', 'json') }),
  station: z.strictObject({
    rtmp: z.strictObject({ host, port }),
    testCard: flag(),
    silentPublisherMs: whole(1000, 600_000),
    channels: listOf(channel, 64, 'channels'),
  }),
  relay: z.strictObject({
    http: z.strictObject({ host, port, allowedHosts: listOf(text(1, 255), 64, 'names') }),
    rtmp: z.strictObject({ host, port }),
    mms: z.strictObject({ host, port }),
    convert: flag(),
    player: z.strictObject({ queueBytesMax: whole(65_536, 268_435_456) }),
    historyMs: whole(2000, 120_000),
  }),
  swarm: z.strictObject({
    host,
    port,
    publicHost: host,
    maxConnections: whole(1, 1000),
    targetConnections: whole(1, 100),
    uploadBytesPerSecond: bytesPerSecond,
    downloadBytesPerSecond: bytesPerSecond,
  }),
  tracker: z.strictObject({ enabled: flag(), host, port, intervalMs: whole(5000, 3_600_000), announce: listOf(trackerUrl, 16, 'URLs') }),
  live: z
    .strictObject({
      windowMs: whole(100, 10_000),
      pieceBytes: whole(1024, 262_144),
      bufferWindows: whole(4, 1024),
      tickMs: whole(10, 1000),
      mapPeriodMs: whole(200, 30_000),
      haveBatchMs: whole(0, 1000),
      hedge: whole(1, 8),
      waitMinMs: whole(20, 5000),
      waitMaxMs: whole(100, 30_000),
      startLagMs: whole(0, 30_000),
      revealMs: whole(0, 10_000),
    })
    .refine(({ waitMinMs, waitMaxMs }) => waitMinMs <= waitMaxMs, { path: ['waitMinMs'], error: 'expected at most live.waitMaxMs' }),
});

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

/** The whole configuration, frozen all the way down. Units are in the names; ranges and reasons stand in `config/default.json5`. */
export type ShoalConfig = DeepReadonly<z.infer<typeof schema>>;

/** Every option, in the order of the schema. */
export const CONFIG_OPTIONS: readonly ConfigOption[] = optionsOf(schema, '');

/** Keys that are not options themselves but may be written: groups, and the fields of a channel. */
const KNOWN_KEYS: readonly string[] = [
  ...new Set(CONFIG_OPTIONS.flatMap(({ key }) => prefixesOf(key))),
  ...Object.keys(channel.shape).map((field) => `station.channels[].${field}`),
];

/**
 * Lays the layers over each other and checks each.
 *
 * @returns the configuration, and which dotted keys any layer but the defaults has set.
 * @throws ShoalError `CONFIG_UNKNOWN_KEY`, `CONFIG_RANGE` or `CONFIG_SYNTAX` (the first problem's code); the message lists every problem
 * of the weakest layer that has one.
 */
export function resolveConfig(sources: ConfigSources): { readonly config: ShoalConfig; readonly explicitKeys: ReadonlySet<string> } {
  const explicitKeys = new Set<string>();
  let merged = merge({}, sources.defaults.value);
  let config = checked(merged, sources.defaults, []);
  for (const [layer, problems] of overridesOf(sources, config)) {
    merged = merge(merged, layer.value);
    config = checked(merged, layer, problems);
    for (const key of leafKeys(layer.value, '')) explicitKeys.add(key);
  }
  return { config: deepFrozen(config), explicitKeys };
}

/** The environment variable of a dotted key: `live.windowMs` is `SHOAL_LIVE_WINDOW_MS`. */
export function variableOf(key: string): string {
  const words = key.replace(/[A-Z]/g, (letter) => `_${letter}`).replaceAll('.', '_');
  return VARIABLE_PREFIX + words.toUpperCase();
}

function overridesOf(sources: ConfigSources, defaults: ShoalConfig): [ConfigLayer, Problem[]][] {
  const layers: [ConfigLayer, Problem[]][] = [];
  if (sources.file) layers.push([sources.file, []]);
  layers.push(environmentLayer(sources.environment ?? {}, defaults), settingsLayer(sources.settings ?? [], defaults));
  return layers;
}

function environmentLayer(environment: Readonly<Record<string, string | undefined>>, defaults: ShoalConfig): [ConfigLayer, Problem[]] {
  const problems: Problem[] = [];
  const keys = new Map(CONFIG_OPTIONS.map(({ key, variable }) => [variable, key]));
  let value: unknown = {};
  for (const [variable, content] of Object.entries(environment)) {
    if (!variable.startsWith(VARIABLE_PREFIX) || content === undefined) continue;
    const key = keys.get(variable);
    if (key) value = merge(value, nested(key, fromText(content, valueAt(defaults, key.split('.')))));
    else problems.push({ code: 'CONFIG_UNKNOWN_KEY', sentence: unknownVariable(variable, [...keys.keys()]) });
  }
  return [{ name: 'environment', value }, problems];
}

function unknownVariable(variable: string, known: readonly string[]): string {
  return `unknown variable "${variable}", nearest known variable is "${closest(variable, known)}"`;
}

function settingsLayer(settings: readonly string[], defaults: ShoalConfig): [ConfigLayer, Problem[]] {
  const problems: Problem[] = [];
  let value: unknown = {};
  for (const setting of settings) {
    const equals = setting.indexOf('=');
    const key = setting.slice(0, equals).trim();
    if (equals < 1) problems.push({ code: 'CONFIG_SYNTAX', sentence: `expected KEY=VALUE, as in relay.http.port=0, got "${setting}"` });
    else value = merge(value, nested(key, fromText(setting.slice(equals + 1), valueAt(defaults, key.split('.')))));
  }
  return [{ name: '--set', value }, problems];
}

/** Reads a word in the kind of the option's default. A word that does not fit stays text, and the schema says what would. */
function fromText(word: string, standard: unknown): unknown {
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

function checked(merged: unknown, layer: ConfigLayer, found: readonly Problem[]): ShoalConfig {
  const result = schema.safeParse(merged);
  const problems = [...found, ...(result.success ? [] : problemsOf(result.error.issues, merged, layer))];
  const [first] = problems;
  if (first) {
    const sentences = problems.map(({ sentence }) => (sentence.startsWith(layer.name) ? sentence : `${layer.name}: ${sentence}`));
    throw new ShoalError(first.code, sentences.join('\n'), { problems: sentences });
  }
  return result.data as ShoalConfig;
}

/** One sentence per wrong key; a value that breaks several rules is told once. */
function problemsOf(issues: readonly z.core.$ZodIssue[], merged: unknown, layer: ConfigLayer): Problem[] {
  const problems = new Map<string, Problem>();
  for (const issue of issues) {
    const path = issue.path.map(String);
    if (issue.code === 'unrecognized_keys') for (const key of issue.keys) addUnknown([...path, key]);
    else if (!problems.has(dotted(path)))
      problems.set(dotted(path), { code: 'CONFIG_RANGE', sentence: `${place(path)}${outOfRange(path, issue, merged)}` });
  }
  return [...problems.values()];

  function addUnknown(path: readonly string[]): void {
    problems.set(dotted(path), { code: 'CONFIG_UNKNOWN_KEY', sentence: `${place(path)}${unknownKey(dotted(path))}` });
  }
  function place(path: readonly string[]): string {
    const line = layer.lines?.get(path.join('.'));
    return line === undefined ? '' : `${layer.name}:${line}: `;
  }
}

function unknownKey(key: string): string {
  return `unknown key "${key}", nearest known key is "${nearestKey(key)}"`;
}

/** By the whole dotted key, or by its last word, so that a right word in the wrong group finds its group. */
function nearestKey(key: string): string {
  const plain = key.replace(/\[\d+\]/g, '[]');
  const cost = (known: string): number => Math.min(distance(plain, known), distance(lastWord(plain), lastWord(known)) + 1);
  return KNOWN_KEYS.reduce((best, known) => (cost(known) < cost(best) ? known : best));
}

function lastWord(key: string): string {
  return key.slice(key.lastIndexOf('.') + 1);
}

function outOfRange(path: readonly string[], issue: z.core.$ZodIssue, merged: unknown): string {
  const value = valueAt(merged, path);
  const isGroup = issue.code === 'invalid_type' && issue.expected === 'object';
  return `${dotted(path)}: ${isGroup ? 'expected a group of options in braces' : issue.message}, got ${got(path, value)}`;
}

/** Fields of a channel that are secret, or may hold a token. */
const SECRET_FIELDS: readonly string[] = ['key', 'pull', 'source'];

/** The wrong value itself, short, and never a secret: messages end up in logs. */
function got(path: readonly string[], value: unknown): string {
  if (value === undefined) return 'nothing';
  if (SECRET_FIELDS.includes(path.at(-1) ?? '')) return typeof value === 'string' ? `${value.length} characters` : `a ${typeof value}`;
  const shown = JSON.stringify(value);
  return shown.length > GOT_CHARACTERS_MAX ? `${shown.slice(0, GOT_CHARACTERS_MAX)}…` : shown;
}

/** `station.channels[0].name` for `['station', 'channels', '0', 'name']`. */
function dotted(path: readonly string[]): string {
  return (
    path.reduce((all, part) => (/^\d+$/.test(part) ? `${all}[${part}]` : all === '' ? part : `${all}.${part}`), '') || 'the configuration'
  );
}

function whole(least: number, most: number) {
  const error = `expected a whole number, ${least} to ${most}`;
  const range = { error: `expected ${least} to ${most}` };
  return z
    .number({ error })
    .min(least, range)
    .max(most, range)
    .refine(Number.isInteger, { error })
    .meta({ expected: `${least} to ${most}` });
}

function text(least: number, most: number) {
  const expected = `${least} to ${most} characters`;
  const error = `expected ${expected}`;
  return z.string({ error }).min(least, { error }).max(most, { error }).meta({ expected });
}

function flag() {
  return z.boolean({ error: 'expected true or false' }).meta({ expected: 'true or false' });
}

function oneOf<const Words extends readonly [string, ...string[]]>(...words: Words) {
  const quoted = words.map((word) => `"${word}"`);
  const expected = quoted.length === 1 ? String(quoted[0]) : `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`;
  return z.enum(words, { error: `expected ${expected}` }).meta({ expected });
}

function listOf<Item extends z.ZodType>(item: Item, most: number, noun: string) {
  const expected = `0 to ${most} ${noun}`;
  return z
    .array(item, { error: `expected a list of ${noun}` })
    .max(most, { error: `expected ${expected}` })
    .meta({ expected });
}

function isTrackerUrl(url: string): boolean {
  return URL.canParse(url) && ['http:', 'https:', 'udp:'].includes(new URL(url).protocol);
}

function optionsOf(group: z.ZodObject, prefix: string): ConfigOption[] {
  return Object.entries(group.shape).flatMap(([name, inner]) => {
    const key = prefix + name;
    if (inner instanceof z.ZodObject) return optionsOf(inner, `${key}.`);
    return [{ key, variable: variableOf(key), expected: String((inner as z.ZodType).meta()?.['expected']) }];
  });
}

function prefixesOf(key: string): string[] {
  const parts = key.split('.');
  return parts.map((_, index) => parts.slice(0, index + 1).join('.'));
}

function isGroup(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Groups merge key by key; anything else is replaced whole. `Object.fromEntries` keeps a key named `__proto__` an ordinary, unknown key. */
function merge(base: unknown, over: unknown): unknown {
  if (!isGroup(base) || !isGroup(over)) return over;
  const additions = Object.entries(over).map(([key, value]) => [key, Object.hasOwn(base, key) ? merge(base[key], value) : value]);
  return Object.fromEntries([...Object.entries(base), ...additions]);
}

function nested(key: string, value: unknown): unknown {
  return key.split('.').reduceRight<unknown>((inner, part) => Object.fromEntries([[part, inner]]), value);
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, part) => {
    if (typeof inner !== 'object' || inner === null || !Object.hasOwn(inner, part)) return undefined;
    return (inner as Readonly<Record<string, unknown>>)[part];
  }, value);
}

function leafKeys(value: unknown, prefix: string): string[] {
  if (!isGroup(value)) return [prefix];
  return Object.entries(value).flatMap(([key, inner]) => leafKeys(inner, prefix === '' ? key : `${prefix}.${key}`));
}

function deepFrozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) deepFrozen(inner);
  return Object.freeze(value);
}
