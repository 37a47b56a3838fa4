/**
 * The command `shoal sim`: runs a scenario in virtual time, prints what came of it, and writes reports and plots.
 */
import { closeSync, createWriteStream, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readConfigFile, readConfigFiles } from '../io/files/config-file.js';
import { PACKAGE_ROOT } from '../io/package-root.js';
import type { Terminal } from '../io/terminal.js';
import { ShoalError } from '../kernel/errors.js';
import { nearestWord } from '../options/option-schema.js';
import { resolveConfig } from '../plugins/config.js';
import { exchangeParameters } from '../plugins/exchange-parameters.js';
import { type BaselineDifference, compare, parseBaseline } from '../sim/baseline.js';
import { plotsOf } from '../sim/plot.js';
import { type Report, reportOf } from '../sim/report.js';
import { differenceLines, reportLines } from '../sim/report-text.js';
import { type NamedScenario, resolveScenario } from '../sim/scenario-file.js';
import { type Ran, runScenario, runsOf } from '../sim/simulation.js';
import { runAll } from './simulation-pool.js';
import { simulationPorts } from './simulation-ports.js';

export interface SimulateOptions {
  readonly list?: boolean;
  readonly seed?: number;
  readonly seeds: number;
  /** Where to write the report. */
  readonly json?: string;
  /** Folder for plots. */
  readonly svg?: string;
  /** An earlier report. */
  readonly baseline?: string;
  /** Where to write the log of the first run. */
  readonly log?: string;
  readonly threads?: number;
  readonly set: readonly string[];
}

const SCENARIOS_FOLDER = fileURLToPath(new URL('config/scenarios/', PACKAGE_ROOT));
const ENDING = '.json5';

/** @returns the code to exit with: 1 when a figure is worse than the baseline by more than its noise. */
export async function simulate(scenario: string | undefined, options: SimulateOptions, terminal: Terminal): Promise<number> {
  if (options.list || scenario === undefined) return list(terminal);
  const named = loadScenario(scenario, options.set);
  const baseline = options.baseline === undefined ? undefined : readBaseline(options.baseline, named.name);
  prepareOutputs(options);
  const all = await runEverything(named, options);
  const report = reportOf(named, all);
  for (const line of reportLines(report)) terminal.line(line);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  if (options.svg !== undefined) writePlots(options.svg, named, all);
  if (baseline === undefined) return 0;
  const difference = compare(baseline, report);
  for (const line of differenceLines(difference)) terminal.line(line);
  return isWorse(difference) ? 1 : 0;
}

/** The options of the exchange that the shipped configuration sets. */
export function shippedExchange(): Readonly<Record<string, number>> {
  const { defaults } = readConfigFiles({ currentDir: SCENARIOS_FOLDER });
  return { ...exchangeParameters(resolveConfig({ defaults }).config) };
}

/** @param scenario a name of the list, or a file. */
export function loadScenario(scenario: string, settings: readonly string[]): NamedScenario {
  const isFile = scenario.endsWith(ENDING) || scenario.includes('/');
  const path = isFile ? scenario : join(SCENARIOS_FOLDER, scenario + ENDING);
  if (!isFile && !existsSync(path)) throw unknown(scenario);
  const shown = (file: string): string => `config/scenarios/${file}`;
  const defaults = (kind: 'vod' | 'live') => {
    const file = `defaults/${kind}${ENDING}`;
    return readConfigFile(join(SCENARIOS_FOLDER, file), shown(file));
  };
  return resolveScenario({
    name: basename(path, ENDING),
    defaults: { vod: defaults('vod'), live: defaults('live') },
    file: readConfigFile(path, isFile ? path : shown(scenario + ENDING)),
    settings,
  });
}

export function scenarioNames(): readonly string[] {
  return readdirSync(SCENARIOS_FOLDER)
    .filter((file) => file.endsWith(ENDING))
    .map((file) => basename(file, ENDING))
    .sort();
}

function unknown(scenario: string): ShoalError {
  const nearest = nearestWord(scenario, [...scenarioNames()]);
  return new ShoalError(
    'SCENARIO_UNKNOWN',
    `no scenario is called "${scenario}"; the nearest is "${nearest}", "shoal sim --list" shows all, and a file is given with its ending ${ENDING}`,
    { scenario },
  );
}

function list(terminal: Terminal): number {
  const names = scenarioNames();
  const width = Math.max(...names.map(({ length }) => length));
  for (const name of names) terminal.line(`${name.padEnd(width)}  ${loadScenario(name, []).about}`);
  return 0;
}

function readBaseline(file: string, scenario: string): Report {
  try {
    return parseBaseline(readFileSync(file, 'utf8'), file, scenario);
  } catch (cause) {
    if (cause instanceof ShoalError) throw cause;
    throw new ShoalError(
      'SCENARIO_BASELINE',
      `${file}: cannot be read; "shoal sim ${scenario} --json ${file}" records one`,
      { file },
      { cause },
    );
  }
}

/** Before the first run, so that hours of simulation are not lost to a misspelt folder. @throws ShoalError `SCENARIO_UNWRITABLE`. */
function prepareOutputs({ json, log, svg }: SimulateOptions): void {
  const prepare = (option: string, path: string | undefined, make: (path: string) => void): void => {
    if (path === undefined) return;
    try {
      make(path);
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : String(cause);
      throw new ShoalError('SCENARIO_UNWRITABLE', `${option} ${path}: cannot be written: ${detail}`, { file: path }, { cause });
    }
  };
  const touch = (file: string): void => closeSync(openSync(file, 'a'));
  prepare('--json', json, touch);
  prepare('--log', log, touch);
  prepare('--svg', svg, (folder) => void mkdirSync(folder, { recursive: true }));
}

async function runEverything(named: NamedScenario, options: SimulateOptions): Promise<readonly Ran[]> {
  const runs = runsOf(named, options.seed ?? named.seed, options.seeds);
  const exchange = shippedExchange();
  const done: Ran[] = [];
  if (options.log !== undefined) {
    const first = runs.shift();
    if (first)
      done.push({ run: first, outcome: await logged(options.log, (onLine) => runScenario(first, simulationPorts(exchange), onLine)) });
  }
  const count = runs.length + done.length;
  await runAll(runs, options.threads ?? availableParallelism(), exchange, (ran) => {
    done.push(ran);
    const { run, outcome } = ran;
    process.stderr.write(`${done.length} of ${count}: ${run.variant}, seed ${run.seed}: ${(outcome.wallMs / 1000).toFixed(1)} s\n`);
  });
  return done;
}

async function logged<Result>(file: string, run: (onLine: (line: string) => void) => Result): Promise<Result> {
  const stream = createWriteStream(file);
  const result = run((line) => stream.write(`${line}\n`));
  await new Promise((resolve) => stream.end(resolve));
  return result;
}

function writePlots(folder: string, { name }: NamedScenario, all: readonly Ran[]): void {
  for (const plot of plotsOf(name, all)) writeFileSync(join(folder, `${name}-${plot.name}.svg`), plot.svg);
}

/** Equal logs are no excuse: what is worked out from them may have changed. */
function isWorse({ changes }: BaselineDifference): boolean {
  return changes.some(({ verdict }) => verdict === 'worse');
}
