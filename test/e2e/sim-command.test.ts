/** `shoal sim` as people run it: what its options write, that equal runs are equal, when it ends with code 1, and what it says of bad input. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FigureName } from '../../src/sim/figure.js';
import type { FigureReport, Report, VariantReport } from '../../src/sim/report.js';
import { type Program, temporaryFolder } from '../support/program.js';
import { runShoal } from '../support/shoal-process.js';

const folder = temporaryFolder('sim');
const scenario = written(
  'tiny.json5',
  `{
  kind: 'live',
  about: 'four viewers of a thin channel',
  durationS: 20,
  channel: { bitsPerSecond: 100000 },
  viewers: { count: 4, arrivalS: 2, warmUpS: 6, neighbours: 3 },
  variants: { shipped: {}, 'no one-shot timeout': { 'exchange.hedge': 0 } },
}
`,
);
const FIGURES: readonly FigureName[] = ['startUpP50Ms', 'continuity', 'delayP95Ms', 'peerShare', 'sourceCopies', 'socketControlRatio'];
/** Two seeds of two variants. */
const RUNS = 4;

/** By two threads, with everything that can be written. */
let first: Program;

function inFolder(name: string): string {
  return join(folder, name);
}

function written(name: string, text: string): string {
  writeFileSync(inFolder(name), text);
  return inFolder(name);
}

async function sim(...words: readonly string[]): Promise<Program> {
  return (await runShoal(['sim', ...words], { isPlain: true })).program;
}

function reportIn(name: string): Report {
  return JSON.parse(readFileSync(inFolder(name), 'utf8')) as Report;
}

/** Without the machine time, the only thing in it that differs from run to run. */
function withoutTime({ variants, ...rest }: Report): unknown {
  return { ...rest, variants: variants.map(({ wallMs, ...variant }) => variant) };
}

function altered(report: Report, change: (variant: VariantReport) => VariantReport): string {
  return JSON.stringify({ ...report, variants: report.variants.map(change) });
}

test.before(async () => {
  const outputs = ['--json', inFolder('two.json'), '--svg', inFolder('plots/of-two'), '--log', inFolder('two.log')];
  first = await sim(scenario, '--seeds', '2', '--threads', '2', ...outputs);
});

test('the report is JSON with every figure by seed, and a table for people', () => {
  assert.is(first.exit?.code, 0, first.errors);
  const { scenario: name, kind, seeds, variants } = reportIn('two.json');
  assert.equal([name, kind, seeds], ['tiny', 'live', [1, 2]]);
  assert.equal(
    variants.map((variant) => variant.name),
    ['shipped', 'no one-shot timeout'],
  );
  for (const { figures, digests, events } of variants) {
    for (const figure of FIGURES) {
      const { mean, plusMinus, values } = figures[figure] as FigureReport;
      assert.is(values.length, 2, figure);
      assert.ok(values.every(Number.isFinite), `${figure}: ${values}`);
      assert.ok(Math.abs(mean - (Number(values[0]) + Number(values[1])) / 2) < 1e-9, figure);
      assert.type(plusMinus, 'number');
    }
    assert.ok((figures.continuity?.mean ?? 0) > 0.5, `continuity ${figures.continuity?.mean}`);
    assert.is(new Set(digests).size, 2);
    assert.ok(events > 100);
  }
  assert.match(first.output, /^tiny: four viewers of a thin channel\n2 seeds from 1; /);
  assert.match(first.output, /^continuity index +[01]\.\d{3} ± /m);
  assert.match(first.errors, `${RUNS} of ${RUNS}: `);
});

test('each plot is a file of SVG with a line for each variant', () => {
  const files = readdirSync(inFolder('plots/of-two'));
  assert.ok(files.length >= 3, files.join(', '));
  for (const file of files) {
    assert.match(file, /^tiny-[a-z0-9-]+\.svg$/);
    const svg = readFileSync(join(inFolder('plots/of-two'), file), 'utf8');
    assert.match(svg, /^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    assert.match(svg, /<\/svg>\s*$/);
    assert.is(svg.match(/<polyline/g)?.length, 2, file);
    assert.not.match(svg, /NaN|Infinity|undefined/);
  }
});

test('one thread gives the figures that two give, the log is the same to the byte, and a report is no worse than itself', async () => {
  const outputs = ['--json', inFolder('one.json'), '--log', inFolder('one.log'), '--baseline', inFolder('two.json')];
  const again = await sim(scenario, '--seeds', '2', '--threads', '1', ...outputs);
  assert.is(again.exit?.code, 0, again.errors);
  assert.equal(withoutTime(reportIn('one.json')), withoutTime(reportIn('two.json')));
  const [log, other] = ['one.log', 'two.log'].map((name) => readFileSync(inFolder(name), 'utf8')) as [string, string];
  assert.ok(log.split('\n').length > 100, 'the log has hardly any lines');
  assert.ok(log === other, 'the logs differ');
  assert.match(again.output, /^Against the baseline: every run gave the same log\.$/m);
});

test('another seed gives another log', async () => {
  const other = await sim(scenario, '--seed', '2', '--log', inFolder('other.log'));
  assert.is(other.exit?.code, 0, other.errors);
  assert.ok(readFileSync(inFolder('other.log'), 'utf8') !== readFileSync(inFolder('two.log'), 'utf8'));
});

test('against a baseline that was better by more than its noise it says which figure is worse, and ends with code 1', async () => {
  const BETTER_MS = 20_000;
  const better = altered(reportIn('two.json'), (variant) => {
    const { mean, values, ...rest } = variant.figures.delayP95Ms as FigureReport;
    const shifted = { ...rest, mean: mean - BETTER_MS, values: values.map((value) => Number(value) - BETTER_MS) };
    return variant.name === 'shipped' ? { ...variant, figures: { ...variant.figures, delayP95Ms: shifted } } : variant;
  });
  const run = await sim(scenario, '--seeds', '2', '--baseline', written('better.json', better));
  assert.is(run.exit?.code, 1, run.output);
  const told = run.output.split('\n').filter((line) => /^ {2}(worse|better): /.test(line));
  assert.is(told.length, 1, told.join('\n'));
  assert.match(told[0] ?? '', /^ {2}worse: shipped: delay behind the publisher, p95: -\d+ ms -> \d+ ms \(noise: \d+ ms\)$/);
});

test('a figure that the baseline lacks is told, and is nothing worse', async () => {
  const older = altered(reportIn('two.json'), (variant) => {
    const { socketControlRatio, ...figures } = variant.figures;
    assert.ok(socketControlRatio);
    return { ...variant, figures };
  });
  const run = await sim(scenario, '--seeds', '2', '--baseline', written('older.json', older));
  assert.is(run.exit?.code, 0, run.output);
  assert.match(run.output, /^ {2}shipped: "control overhead at the socket" is not in the baseline$/m);
});

test('bad input is told with what is wrong and where, before anything runs, and ends with code 1', async () => {
  const [missing, isFile] = [inFolder('nowhere/report.json'), written('file', '')];
  const bad: readonly (readonly [words: readonly string[], reason: RegExp])[] = [
    [['vod-chrun'], /^shoal: no scenario is called "vod-chrun"; the nearest is "vod-churn"/],
    [[inFolder('none.json5')], /^shoal: configuration file .*none\.json5: there is no such file/],
    [
      [written('misspelt.json5', "{\n  kind: 'live',\n  about: 'x',\n  viewers: { cuont: 2 },\n}\n")],
      /misspelt\.json5:4: unknown key "viewers\.cuont", nearest known key is "viewers\.count"/,
    ],
    [[scenario, '--set', 'viewers.cuont=2'], /^shoal: --set: unknown key "viewers\.cuont", nearest known key is "viewers\.count"/],
    [[scenario, '--set', 'viewers.count=0'], /^shoal: --set: viewers\.count: expected 1 to 100000, got 0/],
    [[scenario, '--baseline', missing], /^shoal: .*nowhere\/report\.json: cannot be read; "shoal sim tiny --json /],
    [[scenario, '--baseline', scenario], /^shoal: .*tiny\.json5: expected a report as "shoal sim --json" writes it: not JSON/],
    [
      [scenario, '--baseline', written('foreign.json', JSON.stringify({ ...reportIn('two.json'), scenario: 'vast' }))],
      /foreign\.json: a report of "vast", not of "tiny"/,
    ],
    [[scenario, '--json', missing], /^shoal: --json .*nowhere\/report\.json: cannot be written: ENOENT/],
    [[scenario, '--log', missing], /^shoal: --log .*nowhere\/report\.json: cannot be written: ENOENT/],
    [[scenario, '--svg', join(isFile, 'plots')], /^shoal: --svg .*file\/plots: cannot be written: ENOTDIR/],
    [[scenario, '--seeds', '0'], /'--seeds <n>' argument '0' is invalid\. expected 1 or more/],
    [[scenario, '--threads', '0'], /'--threads <n>' argument '0' is invalid\. expected 1 or more/],
    [[scenario, '--seed', 'any'], /'--seed <n>' argument 'any' is invalid\. expected a whole number/],
  ];
  const runs = await Promise.all(bad.map(([words]) => sim(...words)));
  for (const [index, { exit, errors, output }] of runs.entries()) {
    const [words, reason] = bad[index] as (typeof bad)[number];
    assert.is(exit?.code, 1, words.join(' '));
    assert.match(errors, reason);
    assert.not.match(errors, /\n {4}at |internal error|1 of /);
    assert.is(output, '', words.join(' '));
  }
  assert.not.ok(existsSync(missing));
});

test.run();
