/** Reports: means and paired differences, their text, their plots, and what has become worse since a baseline was recorded. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Change, compare, parseBaseline } from '../../../src/sim/baseline.js';
import type { Outcome } from '../../../src/sim/figure.js';
import { plotsOf } from '../../../src/sim/plot.js';
import { type Report, reportOf } from '../../../src/sim/report.js';
import { differenceLines, reportLines } from '../../../src/sim/report-text.js';
import type { VodScenario } from '../../../src/sim/scenario.js';
import type { NamedScenario } from '../../../src/sim/scenario-file.js';
import type { Ran } from '../../../src/sim/simulation.js';

const SCENARIO = { kind: 'vod' } as VodScenario;
const NAMED: NamedScenario = {
  name: 'x',
  kind: 'vod',
  about: 'two ways',
  seed: 1,
  variants: [
    { name: 'one', scenario: SCENARIO },
    { name: 'two', scenario: SCENARIO },
  ],
};

function outcome(startUpP95Ms: number, digest: string): Outcome {
  return {
    figures: { startUpP95Ms, peerShare: 0.5 },
    distributions: { 'seek (s)': [1, 2, 3] },
    series: { 'load of the source (Mbit/s)': [1, 2, 1] },
    seriesStepS: 5,
    controlBytesByKind: { have: 30, request: 70 },
    digest,
    events: 10,
    wallMs: 100,
  };
}

/** Worlds of one seed differ much, but the second variant is always slower by about a second. */
function ran(shiftMs = 0): readonly Ran[] {
  return [1, 2, 3, 4, 5].flatMap((seed) => [
    { run: { variant: 'one', scenario: SCENARIO, seed }, outcome: outcome(seed * 1_000 + shiftMs, `a${seed}${shiftMs}`) },
    { run: { variant: 'two', scenario: SCENARIO, seed }, outcome: outcome(seed * 1_000 + 1_000 + seed + shiftMs, `b${seed}${shiftMs}`) },
  ]);
}

test('variants are compared pairwise by seed, so that a small difference is seen through a large spread', () => {
  const [one, two] = reportOf(NAMED, ran()).variants;
  assert.is(one?.figures.startUpP95Ms?.mean, 3_000);
  assert.ok((one?.figures.startUpP95Ms?.plusMinus ?? 0) > 1_900);
  assert.is(two?.against?.startUpP95Ms?.verdict, 'worse');
  assert.ok((two?.against?.startUpP95Ms?.plusMinus ?? 99) < 3);
  assert.is(two?.against?.peerShare?.verdict, 'same');
});

test('the order in which runs end changes nothing', () => {
  assert.equal(reportOf(NAMED, [...ran()].reverse()), reportOf(NAMED, ran()));
});

test('the text has a row for each figure, a column for each variant, and the share of each message', () => {
  const text = reportLines(reportOf(NAMED, ran())).join('\n');
  assert.match(text, /start-up, p95 +3000 ms ± \d+ ms +4003 ms ± \d+ ms worse/);
  assert.match(text, /control by kind: request 70\.0 %, have 30\.0 %/);
});

test('a report is equal to itself, a slower one is worse, and noise is neither', () => {
  const baseline = parseBaseline(JSON.stringify(reportOf(NAMED, ran())), 'x.json', 'x');
  assert.equal(differenceLines(compare(baseline, reportOf(NAMED, ran()))), ['Against the baseline: every run gave the same log.']);
  assert.equal(
    compare(baseline, reportOf(NAMED, ran(500))).changes.filter(({ verdict }) => verdict !== 'same'),
    [],
  );
  const worse = compare(baseline, reportOf(NAMED, ran(20_000)));
  assert.equal(
    worse.changes.filter(({ verdict }) => verdict === 'worse').map(({ variant }) => variant),
    ['one', 'two'],
  );
  assert.match(differenceLines(worse).join('\n'), /worse: one: start-up, p95: 3000 ms -> 23\.0 s/);
});

/** A report of one variant, by seed. */
function reportOfValues(...startUpsP95Ms: readonly number[]): Report {
  const variants = NAMED.variants.slice(0, 1);
  const runs = startUpsP95Ms.map((ms, at) => ({
    run: { variant: 'one', scenario: SCENARIO, seed: at },
    outcome: outcome(ms, `${at} ${ms}`),
  }));
  return reportOf({ ...NAMED, variants }, runs);
}

test('what is allowed follows from the spread of the baseline and from how many seeds both have, never from the spread of the new runs', () => {
  const baseline = reportOfValues(1_000, 1_100, 1_200, 1_300, 1_400);
  const startUp = (report: Report): Change | undefined => compare(baseline, report).changes.find(({ figure }) => figure === 'startUpP95Ms');
  // One seed in five has gone very wrong: their own spread would allow 11 s.
  const wild = startUp(reportOfValues(1_000, 1_100, 1_200, 1_300, 20_000));
  assert.is(wild?.verdict, 'worse');
  assert.ok(Math.abs((wild?.allowed ?? 0) - 300) < 1e-6, `${wild?.allowed} ms: three times 158 ms by the square root of 2/5`);
  assert.is(startUp(reportOfValues(1_200, 1_200, 1_200, 1_200, 1_200))?.allowed, wild?.allowed);
  assert.is(startUp(reportOfValues(1_490, 1_490, 1_490, 1_490, 1_490))?.verdict, 'same');
  const single = startUp(reportOfValues(1_700));
  assert.is(single?.verdict, 'same');
  assert.ok((single?.allowed ?? 0) > 500);
});

test('a baseline of one seed knows no spread: the noise of the figure alone is allowed', () => {
  const { changes } = compare(reportOfValues(1_000), reportOfValues(500, 1_000, 1_800));
  assert.is(changes.find(({ figure }) => figure === 'startUpP95Ms')?.allowed, 100);
});

test('a figure or a variant that only one of the two has is told', () => {
  const whole = reportOf(NAMED, ran());
  const lacking: Report = { ...whole, variants: whole.variants.map((variant) => ({ ...variant, figures: {} })) };
  assert.equal(compare(whole, lacking).unmatched.slice(0, 2), [
    'one: "start-up, p95" could not be measured any more',
    'one: "share from peers" could not be measured any more',
  ]);
  assert.equal(compare(lacking, whole).unmatched.slice(0, 2), [
    'one: "start-up, p95" is not in the baseline',
    'one: "share from peers" is not in the baseline',
  ]);
  const shorter: Report = { ...whole, variants: whole.variants.slice(0, 1) };
  assert.equal(compare(whole, shorter).unmatched, ['the baseline alone has a variant "two"']);
  assert.equal(compare(shorter, whole).unmatched, ['the baseline has no variant "two"']);
});

test('equal logs do not hide that a figure is worked out otherwise', () => {
  const report = reportOf(NAMED, ran());
  const recorded = reportOf(
    NAMED,
    ran().map(({ run, outcome }) => ({ run, outcome: { ...outcome, figures: { ...outcome.figures, peerShare: 0.9 } } })),
  );
  assert.equal(differenceLines(compare(recorded, report)), [
    'Against the baseline: every run gave the same log.',
    '  worse: one: share from peers: 90.0 % -> 50.0 % (noise: 0.50 %)',
    '  worse: two: share from peers: 90.0 % -> 50.0 % (noise: 0.50 %)',
  ]);
});

test('a baseline that is none, or of another scenario, is refused', () => {
  assert.throws(() => parseBaseline('{', 'x.json', 'x'), /x\.json: expected a report/);
  assert.throws(() => parseBaseline('[]', 'x.json', 'x'), /x\.json: expected a report/);
  assert.throws(() => parseBaseline(JSON.stringify(reportOf(NAMED, ran())), 'x.json', 'y'), /a report of "x", not of "y"/);
});

test('each distribution and each series is a plot with a line for each variant', () => {
  const plots = plotsOf('x', ran());
  assert.equal(
    plots.map(({ name }) => name),
    ['seek-s', 'load-of-the-source-mbit-s-over-time'],
  );
  for (const { svg } of plots) {
    assert.is(svg.match(/<polyline/g)?.length, 2);
    assert.not.match(svg, /NaN|Infinity|undefined/);
  }
});

test.run();
