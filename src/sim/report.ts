/**
 * What several runs say together: means with their intervals for each variant, and how the variants differ, pairwise by seed.
 *
 * A report is plain JSON, so that a recorded one is the baseline of a later one.
 */
import type { Bytes, Milliseconds } from '../kernel/units.js';
import { FIGURE_NAMES, FIGURES, type FigureKind, type FigureName } from './figure.js';
import type { NamedScenario } from './scenario-file.js';
import type { Ran } from './simulation.js';
import { type Estimate, estimate, quantile } from './statistics.js';

export type Verdict = 'better' | 'worse' | 'same';

export interface FigureReport extends Estimate {
  /** By seed; null where the run had nothing to measure it by. */
  readonly values: readonly (number | null)[];
}

export interface Difference {
  readonly mean: number;
  readonly plusMinus: number | null;
  readonly verdict: Verdict;
}

export interface VariantReport {
  readonly name: string;
  readonly figures: Readonly<Partial<Record<FigureName, FigureReport>>>;
  /** Against the first variant, pairwise by seed; absent for the first. */
  readonly against?: Readonly<Partial<Record<FigureName, Difference>>>;
  /** All seeds together, at `QUANTILES`. */
  readonly distributions: Readonly<Record<string, readonly number[]>>;
  readonly controlBytesByKind: Readonly<Record<string, Bytes>>;
  /** One word for each seed's log: equal words, equal runs. */
  readonly digests: readonly string[];
  readonly events: number;
  /** Mean machine time of a run. */
  readonly wallMs: Milliseconds;
}

export interface Report {
  readonly scenario: string;
  readonly kind: string;
  readonly about: string;
  readonly seeds: readonly number[];
  /** Of the first variant, all of them. */
  readonly options: unknown;
  readonly variants: readonly VariantReport[];
}

export const QUANTILES = [0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1] as const;

export function reportOf(named: NamedScenario, all: readonly Ran[]): Report {
  const seeds = [...new Set(all.map(({ run }) => run.seed))].sort((a, b) => a - b);
  const of = (name: string): readonly Ran[] =>
    all.filter(({ run }) => run.variant === name).sort((one, other) => one.run.seed - other.run.seed);
  const [first] = named.variants;
  const variants = named.variants.map(({ name }) =>
    variantReport(name, of(name), name === first?.name ? undefined : of(first?.name ?? '')),
  );
  return { scenario: named.name, kind: named.kind, about: named.about, seeds, options: first?.scenario, variants };
}

function variantReport(name: string, own: readonly Ran[], reference: readonly Ran[] | undefined): VariantReport {
  const figures = figuresOf(own);
  return {
    name,
    figures,
    ...(reference ? { against: differences(figuresOf(reference), figures) } : {}),
    distributions: together(own),
    controlBytesByKind: sums(own),
    digests: own.map(({ outcome }) => outcome.digest),
    events: Math.round(own.reduce((sum, { outcome }) => sum + outcome.events, 0) / Math.max(1, own.length)),
    wallMs: Math.round(own.reduce((sum, { outcome }) => sum + outcome.wallMs, 0) / Math.max(1, own.length)),
  };
}

type FigureReports = VariantReport['figures'];

function figuresOf(own: readonly Ran[]): FigureReports {
  const reports: Partial<Record<FigureName, FigureReport>> = {};
  for (const name of FIGURE_NAMES) {
    const values = own.map(({ outcome }) => outcome.figures[name] ?? null);
    const known = values.filter((value) => value !== null);
    if (known.length > 0) reports[name] = { ...estimate(known), values };
  }
  return reports;
}

/** A difference counts when its interval leaves zero out and anybody would notice it. */
function differences(reference: FigureReports, own: FigureReports): Partial<Record<FigureName, Difference>> {
  const found: Partial<Record<FigureName, Difference>> = {};
  for (const name of FIGURE_NAMES) {
    const [before, after] = [reference[name]?.values ?? [], own[name]?.values ?? []];
    const pairs = after.flatMap((value, index) => (value === null || before[index] == null ? [] : [value - before[index]]));
    if (pairs.length === 0) continue;
    const { mean, plusMinus } = estimate(pairs);
    const isSure = plusMinus !== null && Math.abs(mean) > plusMinus;
    found[name] = { mean, plusMinus, verdict: isSure ? verdictOf(name, mean, FIGURES[name].noise) : 'same' };
  }
  return found;
}

/** @param change after minus before. */
export function verdictOf(name: FigureName, change: number, allowed: number): Verdict {
  if (Math.abs(change) <= allowed) return 'same';
  return change < 0 === ((FIGURES[name] as FigureKind).better === 'less') ? 'better' : 'worse';
}

function together(own: readonly Ran[]): Record<string, readonly number[]> {
  const labels = new Set(own.flatMap(({ outcome }) => Object.keys(outcome.distributions)));
  return Object.fromEntries(
    [...labels].map((label) => {
      const values = own.flatMap(({ outcome }) => outcome.distributions[label] ?? []);
      return [label, QUANTILES.map((part) => quantile(values, part))];
    }),
  );
}

function sums(own: readonly Ran[]): Record<string, Bytes> {
  const bytes: Record<string, Bytes> = {};
  for (const { outcome } of own)
    for (const [kind, value] of Object.entries(outcome.controlBytesByKind)) bytes[kind] = (bytes[kind] ?? 0) + value;
  return bytes;
}
