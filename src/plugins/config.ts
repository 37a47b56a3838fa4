/**
 * The configuration: what options there are, which values they take, and how the layers that set them become one frozen value.
 *
 * Layers, weakest first: `config/default.json5`, the user's file, the environment, `--set`. The schema holds no defaults: they stand in
 * `config/default.json5` alone. Pure: text and files come from `io/config-file.ts`, the environment from the caller.
 * A layer is checked as soon as it is laid on, so every problem is reported with the place it comes from, and all of one layer at once.
 */
import {
  type ConfigLayer,
  checked,
  deepFrozen,
  flag,
  fromText,
  type Judgement,
  keysAndGroups,
  leafKeys,
  listOf,
  merge,
  nearestWord,
  nested,
  oneOf,
  optionsOf,
  type Problem,
  type SchemaOption,
  settingsLayer,
  text,
  valueAt,
  whole,
  wholeOr,
  z,
} from '../options/option-schema.js';

export type { ConfigLayer } from '../options/option-schema.js';

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
export interface ConfigOption extends SchemaOption {
  /** `SHOAL_RELAY_HTTP_PORT`. */
  readonly variable: string;
}

const VARIABLE_PREFIX = 'SHOAL_';

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
  titles: z.strictObject({
    enabled: flag(),
    folder: text(0, 4096),
    watchFolder: text(0, 4096),
    publicHttp: flag(),
    maxConnections: whole(1, 1000),
    quotaBytes: whole(0, 1_000_000_000_000_000),
    caching: oneOf('single-task', 'multi-task', 'multi-task-with-control'),
    seedingRatio: whole(0, 1_000_000),
    seedingMinutes: whole(0, 10_000_000),
    encryption: oneOf('off', 'allow', 'prefer', 'require'),
    dht: flag(),
    dhtBootstrap: listOf(text(1, 255), 16, 'host:port'),
    localDiscovery: flag(),
    conversionsMax: whole(1, 16),
  }),
  live: z
    .strictObject({
      windowMs: whole(100, 10_000),
      pieceBytes: whole(1024, 262_144),
      bufferWindows: whole(4, 1024),
      tickMs: whole(10, 1000),
      mapPeriodMs: whole(200, 4_000),
      haveBatchMs: whole(0, 1000),
      hedge: wholeOr(1, 8, 'all'),
      waitMinMs: whole(20, 5000),
      waitMaxMs: whole(100, 30_000),
      mode: oneOf('low-delay', 'balanced', 'robust'),
      maxNeighbours: whole(2, 1000),
      maxViewers: whole(1, 1000),
      revealMs: whole(0, 10_000),
      pushRatio: whole(0, 1000),
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
export const CONFIG_OPTIONS: readonly ConfigOption[] = optionsOf(schema).map((option) => ({ ...option, variable: variableOf(option.key) }));

const JUDGEMENT: Judgement = {
  schema,
  knownKeys: [...keysAndGroups(CONFIG_OPTIONS), ...Object.keys(channel.shape).map((field) => `station.channels[].${field}`)],
  // Fields of a channel that are secret, or may hold a token.
  secretFields: ['key', 'pull', 'source'],
};

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
  let config = checked(JUDGEMENT, merged, sources.defaults, []) as ShoalConfig;
  for (const [layer, problems] of overridesOf(sources, config)) {
    merged = merge(merged, layer.value);
    config = checked(JUDGEMENT, merged, layer, problems) as ShoalConfig;
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
  layers.push(environmentLayer(sources.environment ?? {}, defaults), settingsLayer(sources.settings ?? [], defaults, 'relay.http.port=0'));
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
  return `unknown variable "${variable}", nearest known variable is "${nearestWord(variable, known)}"`;
}

function isTrackerUrl(url: string): boolean {
  return URL.canParse(url) && ['http:', 'https:', 'udp:'].includes(new URL(url).protocol);
}
