/**
 * What the live exchange must reach, aim by aim, in simulated swarms: figure, aim, reached or not.
 *
 * `npm run bench live-aims [seeds] [thousand]`: 8 seeds of each scenario and 20 of the policies unless told otherwise, half an hour on two cores; with `thousand` also a swarm of 1000 viewers, two
 * seeds, which takes as long again. In virtual time, so the machine makes no difference to any figure. Figures with a worst case (wrong bytes, bad pieces) are judged by the worst seed, all others by their mean.
 * Who never got a picture has no continuity, so the share of those stands below each aim for it.
 */
import { argv } from 'node:process';
import { type FigureName, formatFigure } from '../src/sim/figure.js';
import type { FigureReport, Report } from '../src/sim/report.js';
import { BenchRun, type Row } from './support/bench-run.js';
import { scenarioReport, seedsFrom } from './support/scenario-runs.js';

const LIMIT_MS = 6 * 3_600_000;
const SEEDS = 8;
const POLICY_SEEDS = 20;
const THOUSAND_SEEDS = 2;

interface Aim {
  readonly what: string;
  readonly scenario: string;
  readonly variant?: string;
  readonly figure: FigureName;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** No seed may miss it. */
  readonly always?: boolean;
}

const AIMS: readonly Aim[] = [
  { what: 'continuity, supply 1.2, no churn', scenario: 'live-static', variant: 'shipped', figure: 'continuity', atLeast: 0.998 },
  { what: 'continuity, mean stay 300 s', scenario: 'live-churn', figure: 'continuity', atLeast: 0.98 },
  { what: 'continuity, departures of goal 7', scenario: 'live-departures', variant: '10 viewers', figure: 'continuity', atLeast: 0.99 },
  { what: 'the same, 20 viewers', scenario: 'live-departures', variant: '20 viewers', figure: 'continuity', atLeast: 0.99 },
  { what: 'copies sent by one publisher, 20 viewers', scenario: 'live-static', variant: 'shipped', figure: 'sourceCopies', atMost: 1.2 },
  { what: 'share from peers, departures of goal 7', scenario: 'live-departures', variant: '10 viewers', figure: 'peerShare', atLeast: 0.8 },
  { what: 'the same, 20 viewers', scenario: 'live-departures', variant: '20 viewers', figure: 'peerShare', atLeast: 0.8 },
  {
    what: 'control overhead at the socket, 8 neighbours, 500 kbit/s',
    scenario: 'live-static',
    variant: 'eight neighbours in all',
    figure: 'socketControlRatio',
    atMost: 0.02,
  },
  {
    what: 'the same, each message in a packet of its own',
    scenario: 'live-static',
    variant: 'eight neighbours in all',
    figure: 'controlRatio',
    atMost: 0.02,
  },
  { what: 'the same, as shipped: up to 16 neighbours', scenario: 'live-static', variant: 'shipped', figure: 'controlRatio', atMost: 0.02 },
  {
    what: 'delay p95, 20 simulated viewers (the aim is for real ones)',
    scenario: 'live-static',
    variant: 'shipped',
    figure: 'delayP95Ms',
    atMost: 3_000,
  },
  { what: 'delay p95, 1000 viewers', scenario: 'live-thousand', figure: 'delayP95Ms', atMost: 8_000 },
  { what: 'half of all killed at once: back to 0.99', scenario: 'live-half-killed', figure: 'recoveryS', atMost: 5 },
  { what: 'late joiner: first piece from a peer, p95', scenario: 'live-late-joiner', figure: 'firstPeerPieceP95Ms', atMost: 3_000 },
  {
    what: '20 % polluters: windows with wrong bytes',
    scenario: 'live-polluters',
    variant: '20 %',
    figure: 'badWindows',
    atMost: 0,
    always: true,
  },
  {
    what: '20 % polluters: bad pieces from one',
    scenario: 'live-polluters',
    variant: '20 %',
    figure: 'badPiecesMost',
    atMost: 2,
    always: true,
  },
  { what: 'continuity, 5 % polluters', scenario: 'live-polluters', variant: '5 %', figure: 'continuity', atLeast: 0.99 },
  { what: 'continuity, 50 % free riders', scenario: 'live-free-riders', variant: '50 %', figure: 'continuity', atLeast: 0.99 },
];

function rowsOf(aim: Aim, report: Report): readonly Row[] {
  return aim.figure === 'continuity' ? [rowOf(aim, report), pictureRow(aim, report)] : [rowOf(aim, report)];
}

/** There is no aim for it, but continuity alone would be best where nobody ever gets a picture. */
function pictureRow(aim: Aim, report: Report): Row {
  const found = figureOf(aim, report, 'neverStarted');
  const measured = found ? measuredCell('neverStarted', found, Math.max(...knownValues(found))) : '-';
  return ['its viewers without a picture', placeOf(aim), '-', measured, found ? 'no aim' : 'not measured'];
}

function figureOf({ variant }: Aim, report: Report, figure: FigureName): FigureReport | undefined {
  return report.variants.find(({ name }) => variant === undefined || name === variant)?.figures[figure];
}

function placeOf({ scenario, variant }: Aim): string {
  return `${scenario}${variant === undefined ? '' : `, ${variant}`}`;
}

function knownValues({ values }: FigureReport): readonly number[] {
  return values.filter((value) => value !== null);
}

function measuredCell(figure: FigureName, { mean, plusMinus }: FigureReport, worst: number): string {
  return `${formatFigure(figure, mean)} ± ${formatFigure(figure, plusMinus ?? 0)}, worst seed ${formatFigure(figure, worst)}`;
}

function rowOf(aim: Aim, report: Report): Row {
  const { what, scenario, figure, atLeast, atMost, always } = aim;
  const found = figureOf(aim, report, figure);
  const limit = atLeast ?? atMost ?? 0;
  const wanted = `${atLeast === undefined ? '<=' : '>='} ${formatFigure(figure, limit)}${always ? ', always' : ''}`;
  if (!found) return [what, scenario, wanted, '-', 'not measured'];
  const isGood = (value: number): boolean => (atLeast === undefined ? value <= limit : value >= limit);
  const values = knownValues(found);
  const worst = atLeast === undefined ? Math.max(...values) : Math.min(...values);
  const spread = found.plusMinus ?? 0;
  const isSure = always ? isGood(worst) : isGood(found.mean - spread) && isGood(found.mean + spread);
  const verdict = isSure ? 'reached' : !always && isGood(found.mean) ? 'reached on average' : '**missed**';
  return [what, placeOf(aim), wanted, measuredCell(figure, found, worst), verdict];
}

interface Comparison {
  readonly what: string;
  readonly scenario: string;
  readonly policy: string;
  readonly figure: FigureName;
  /** The other policy less ours. */
  readonly wanted: 'more' | 'less';
}

const COMPARISONS: readonly Comparison[] = [
  {
    what: 'pieces later than 3 s against a fixed wait',
    scenario: 'live-policies',
    policy: 'fixed wait of 2 s',
    figure: 'slowPieces',
    wanted: 'more',
  },
  {
    what: 'late pieces against a fixed wait',
    scenario: 'live-policies',
    policy: 'fixed wait of 2 s',
    figure: 'latePieces',
    wanted: 'more',
  },
  {
    what: 'peer share against a deadline hedge',
    scenario: 'live-policies-source',
    policy: 'deadline hedge',
    figure: 'peerShare',
    wanted: 'less',
  },
];

function comparisonRow({ what, scenario, policy, figure, wanted }: Comparison, report: Report): Row {
  const of = (name: string) => report.variants.find((variant) => variant.name === name);
  const difference = of(policy)?.against?.[figure];
  const [ours, theirs] = [of('shipped'), of(policy)].map((variant) => variant?.figures[figure]?.mean ?? Number.NaN);
  const aim = wanted === 'more' ? 'fewer' : 'higher';
  if (!difference || ours === undefined || theirs === undefined) return [what, scenario, aim, '-', 'not measured'];
  const { mean, plusMinus } = difference;
  const isGood = mean > 0 === (wanted === 'more');
  const isSure = Math.abs(mean) > (plusMinus ?? Number.POSITIVE_INFINITY);
  const verdict = isGood && isSure ? 'reached' : isGood ? 'reached on average' : '**missed**';
  const shown = (value: number): string => formatFigure(figure, value);
  return [what, scenario, aim, `${shown(ours)} against ${shown(theirs)}: ${shown(mean)} ± ${shown(plusMinus ?? Number.NaN)}`, verdict];
}

await BenchRun.run('live-aims', LIMIT_MS, async (run) => {
  const words = argv.slice(2);
  const seeds = seedsFrom(words, SEEDS);
  const reports = new Map<string, Report>();
  for (const { scenario } of AIMS) {
    if (reports.has(scenario) || (scenario === 'live-thousand' && !words.includes('thousand'))) continue;
    const variants = AIMS.filter((aim) => aim.scenario === scenario).flatMap(({ variant }) => variant ?? []);
    const count = scenario === 'live-thousand' ? Math.min(THOUSAND_SEEDS, seeds) : seeds;
    reports.set(scenario, await scenarioReport(run, scenario, count, variants.length > 0 ? variants : undefined));
  }
  const rows = AIMS.flatMap((aim) => {
    const report = reports.get(aim.scenario);
    return report ? rowsOf(aim, report) : [];
  });
  const policySeeds = Math.max(seeds, seedsFrom(words, POLICY_SEEDS));
  for (const scenario of new Set(COMPARISONS.map((comparison) => comparison.scenario))) {
    const report = await scenarioReport(run, scenario, policySeeds);
    rows.push(
      ...COMPARISONS.filter((comparison) => comparison.scenario === scenario).map((comparison) => comparisonRow(comparison, report)),
    );
  }
  run.table(`What must be reached, ${seeds} seeds (policies: ${policySeeds})`, ['figure', 'scenario', 'aim', 'measured', 'verdict'], rows);
  return { seeds, missed: rows.filter((row) => row.at(-1)?.includes('missed')).length, rows: rows.length };
});
