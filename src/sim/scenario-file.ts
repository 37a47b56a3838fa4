/**
 * Scenarios as people write them: which options there are, what each takes, and how defaults, a file and `--set` become worlds to run.
 *
 * The schema holds no defaults: they stand, with meaning and reason, in `config/scenarios/defaults/KIND.json5`. Problems are told with the file
 * and the line, and what would be right. Files are read by whoever calls.
 */
import { ShoalError } from '../kernel/errors.js';
import {
  type ConfigLayer,
  checked,
  deepFrozen,
  flag,
  isGroup,
  type Judgement,
  keysAndGroups,
  merge,
  nested,
  oneOf,
  optionsOf,
  real,
  type SchemaOption,
  settingsLayer,
  span,
  text,
  whole,
  z,
} from '../options/option-schema.js';
import type { Scenario } from './scenario.js';

export type ScenarioKind = Scenario['kind'];

/** What a scenario is made of, weakest first. */
export interface ScenarioSources {
  /** For messages and reports: `vod-churn`. */
  readonly name: string;
  readonly defaults: Readonly<Record<ScenarioKind, ConfigLayer>>;
  readonly file: ConfigLayer;
  /** Values of `--set`, as `viewers.count=50`. They hold for all variants. */
  readonly settings?: readonly string[];
}

/** A scenario that passed all checks. */
export interface NamedScenario {
  readonly name: string;
  readonly kind: ScenarioKind;
  readonly about: string;
  readonly seed: number;
  /** One at least, in the order of the file. */
  readonly variants: readonly { readonly name: string; readonly scenario: Scenario }[];
}

const DAY_S = 86_400;
const LINE_BITS_PER_SECOND_MAX = 10_000_000_000;

const ratioOption = real(0, 1);
const durationS = real(0, DAY_S);
const bitsPerSecond = real(0, LINE_BITS_PER_SECOND_MAX);
const bitsPerSecondSpan = span(0, LINE_BITS_PER_SECOND_MAX);

const variants = z
  .record(z.string(), z.record(z.string(), z.unknown()))
  .meta({ expected: 'names, each with dotted keys and their values' });

const network = z.strictObject({
  topology: oneOf('none', 'paper5000', 'many-stubs', 'ts5k-large', 'ts5k-small', 'tiny'),
  latencyMs: span(0, 10_000),
  jitterMs: real(0, 10_000),
  lossRatio: real(0, 0.5),
});

const faults = z.strictObject({
  meanStayS: durationS,
  crashRatio: ratioOption,
  freeRiderRatio: ratioOption,
  polluterRatio: ratioOption,
  liarRatio: ratioOption,
  freezeRatio: ratioOption,
  freezeAtS: durationS,
  freezeForS: durationS,
  crashAtS: durationS,
  crashAtRatio: ratioOption,
  partitionAtS: durationS,
  partitionForS: durationS,
  partitionRatio: ratioOption,
});

const liveFaults = faults.extend({
  departEveryS: span(0, DAY_S),
  departChance: ratioOption,
  returnAfterS: span(0, DAY_S),
});

const common = {
  about: text(1, 400),
  seed: whole(0, 4_294_967_295),
  durationS: real(1, DAY_S),
  network,
  faults,
  variants,
};

const vod = z.strictObject({
  kind: oneOf('vod'),
  ...common,
  title: z.strictObject({
    count: whole(1, 100),
    durationS: real(1, DAY_S),
    bitsPerSecond: real(1_000, 1_000_000_000),
    pieceBytes: whole(16_384, 16_777_216).refine((bytes) => bytes % 16_384 === 0, { error: 'expected a multiple of 16384' }),
  }),
  sources: z.strictObject({ count: whole(1, 1_000), upBitsPerSecond: bitsPerSecond, isFaulty: flag() }),
  viewers: z.strictObject({
    count: whole(1, 100_000),
    arrival: oneOf('poisson', 'flash', 'together'),
    arrivalS: durationS,
    upBitsPerSecond: bitsPerSecondSpan,
    downBitsPerSecond: bitsPerSecondSpan,
    upLimitRatio: ratioOption,
    neighbours: whole(1, 500),
    leavesAfterS: durationS,
    greedyCount: whole(0, 1_000),
  }),
  player: z.strictObject({
    plays: flag(),
    startBufferMs: real(0, 60_000),
    readAheadMs: real(0, 600_000),
    startsAt: oneOf('beginning', 'random'),
    seekEveryS: durationS,
    seekTo: oneOf('uniform', 'hot-scenes', 'skip'),
    switchAfterS: durationS,
  }),
  policy: z.strictObject({
    strategy: oneOf('needed-first', 'rarest-first', 'sequential'),
    caching: oneOf('single-task', 'multi-task', 'multi-task-with-control'),
  }),
});

/** Options of the exchange that a scenario may set; the others have no meaning in a world without disks and sockets. */
const EXCHANGE_KEYS = [
  'windowMs',
  'pieceBytes',
  'bufferWindows',
  'tickMs',
  'mapPeriodMs',
  'haveBatchMs',
  'hedge',
  'waitMinMs',
  'waitMaxMs',
  'startLagMs',
  'revealMs',
  'targetNeighbours',
  'maxNeighbours',
  'silentMs',
  'giveUpMs',
  'secondStageMs',
  'reviewMs',
  'missingShareMax',
  'pushRatio',
  'fixedWaitMs',
  'deadlineHedgeMs',
] as const;

const live = z.strictObject({
  kind: oneOf('live'),
  ...common,
  faults: liveFaults,
  channel: z.strictObject({ bitsPerSecond: real(1_000, 1_000_000_000), keyIntervalMs: real(100, 60_000) }),
  publisher: z.strictObject({ upRatio: real(0, 1_000) }),
  viewers: z.strictObject({
    count: whole(1, 100_000),
    arrivalS: durationS,
    neighbours: whole(1, 500),
    publisherNeighbours: whole(1, 100_000),
    upRatio: real(0, 1_000),
    upBitsPerSecond: bitsPerSecondSpan,
    downBitsPerSecond: bitsPerSecondSpan,
    weakRatio: ratioOption,
    weakUpBitsPerSecond: bitsPerSecondSpan,
    upLimitRatio: ratioOption,
    warmUpS: durationS,
    areReplaced: flag(),
    lateJoinerCount: whole(0, 1_000),
    lateJoinEveryS: durationS,
  }),
  player: z.strictObject({ bufferMs: real(0, 60_000) }),
  exchange: z
    .partialRecord(
      z.enum(EXCHANGE_KEYS, { error: `expected any of ${EXCHANGE_KEYS.join(', ')}` }),
      z.union([z.coerce.number(), z.literal('all')], { error: 'expected a number' }),
    )
    .refine((options) => Object.entries(options).every(([key, value]) => value !== 'all' || key === 'hedge'), {
      error: 'expected a number; only hedge may be "all"',
    })
    .meta({ expected: `any of ${EXCHANGE_KEYS.join(', ')}` }),
});

const SCHEMAS = { vod, live } as const satisfies Readonly<Record<ScenarioKind, z.ZodObject>>;

const JUDGEMENTS: Readonly<Record<ScenarioKind, Judgement>> = { vod: judgementOf(vod), live: judgementOf(live) };

/** Every option of a kind, for documentation and for checking the defaults' comments. */
export function scenarioOptions(kind: ScenarioKind): readonly SchemaOption[] {
  return optionsOf(SCHEMAS[kind]);
}

/**
 * Lays defaults, file, `--set` and each variant over each other, and checks each.
 *
 * @throws ShoalError `CONFIG_UNKNOWN_KEY`, `CONFIG_RANGE` or `CONFIG_SYNTAX`; its message has a line for every problem of the first bad layer.
 */
export function resolveScenario({ name, defaults, file, settings = [] }: ScenarioSources): NamedScenario {
  const kind = kindOf(file);
  const judgement = JUDGEMENTS[kind];
  const lay = (base: unknown, layer: ConfigLayer, problems: Parameters<typeof checked>[3] = []): unknown =>
    checked(judgement, merge(base, layer.value), layer, problems);
  const ground = lay({}, defaults[kind]);
  const fromFile = lay(ground, file) as Scenario;
  const named: readonly [string, unknown][] = Object.entries(fromFile.variants);
  const [setLayer, setProblems] = settingsLayer(settings, ground, 'viewers.count=50');
  const worlds = (named.length > 0 ? named : [[name, {}] as const]).map(([variant, keys]) => {
    const own = lay(fromFile, variantLayer(variant, keys, file));
    return { name: variant, scenario: deepFrozen(lay(own, setLayer, setProblems)) as Scenario };
  });
  const [{ scenario }] = worlds as [(typeof worlds)[number]];
  return { name, kind, about: scenario.about, seed: scenario.seed, variants: worlds };
}

function kindOf({ name, value, lines }: ConfigLayer): ScenarioKind {
  const kind = isGroup(value) ? value['kind'] : undefined;
  if (kind === 'vod' || kind === 'live') return kind;
  const line = lines?.get('kind');
  const got = kind === undefined ? 'nothing' : JSON.stringify(kind);
  throw new ShoalError('CONFIG_RANGE', `${name}${line === undefined ? '' : `:${line}`}: kind: expected "vod" or "live", got ${got}`);
}

/** A variant's dotted keys, each with the line it stands on. */
function variantLayer(variant: string, keys: unknown, file: ConfigLayer): ConfigLayer {
  const lines = new Map<string, number>();
  let value: unknown = {};
  for (const [key, inner] of Object.entries(keys as Readonly<Record<string, unknown>>)) {
    value = merge(value, nested(key, inner));
    const line = file.lines?.get(`variants.${variant}.${key}`);
    if (line !== undefined) lines.set(key, line);
  }
  return { name: file.name, value, lines };
}

function judgementOf(schema: z.ZodObject): Judgement {
  return { schema, knownKeys: keysAndGroups(optionsOf(schema)) };
}
