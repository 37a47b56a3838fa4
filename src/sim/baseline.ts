/**
 * A recorded report against a new one: which figures have become worse by more than their noise.
 *
 * The seeds need not be the same ones: a change of the code deals every world new cards, so what counts is whether the difference of the means
 * is beyond three deviations of such a difference, and beyond what anybody would notice. How much figures differ from seed to seed is taken from
 * the recorded report alone: code that makes worlds differ more must not widen what it is allowed.
 */
import { ShoalError } from '../kernel/errors.js';
import { FIGURE_NAMES, FIGURES, type FigureName } from './figure.js';
import { type FigureReport, type Report, type Verdict, verdictOf } from './report.js';

/** A figure of a variant that both reports have. */
export interface Change {
  readonly variant: string;
  readonly figure: FigureName;
  readonly before: number;
  readonly after: number;
  /** A smaller change than this is noise. */
  readonly allowed: number;
  readonly verdict: Verdict;
}

export interface BaselineDifference {
  /** Every run gave the same log as the recorded one. */
  readonly isSame: boolean;
  readonly changes: readonly Change[];
  /** Variants and figures that only one of the two has, in words. */
  readonly unmatched: readonly string[];
}

/** Deviations that a change for the worse must exceed: by chance once in 220 (measured: 116) with the spread of 16 recorded seeds, once in 100 with 8. */
const DEVIATIONS = 3;

/** @throws ShoalError `SCENARIO_BASELINE` when the text is no report, or one of another scenario. */
export function parseBaseline(text: string, file: string, scenario: string): Report {
  let report: unknown;
  try {
    report = JSON.parse(text);
  } catch (cause) {
    throw new ShoalError('SCENARIO_BASELINE', `${file}: expected a report as "shoal sim --json" writes it: not JSON`, { file }, { cause });
  }
  const { scenario: recorded, variants } = (report ?? {}) as Partial<Report>;
  if (typeof recorded !== 'string' || !Array.isArray(variants))
    throw new ShoalError('SCENARIO_BASELINE', `${file}: expected a report as "shoal sim --json" writes it`, { file });
  if (recorded !== scenario)
    throw new ShoalError('SCENARIO_BASELINE', `${file}: a report of "${recorded}", not of "${scenario}"`, { file });
  return report as Report;
}

export function compare(baseline: Report, report: Report): BaselineDifference {
  const changes: Change[] = [];
  const unmatched: string[] = [];
  for (const { name } of baseline.variants)
    if (!report.variants.some((variant) => variant.name === name)) unmatched.push(`the baseline alone has a variant "${name}"`);
  for (const variant of report.variants) {
    const before = baseline.variants.find(({ name }) => name === variant.name);
    if (before === undefined) {
      unmatched.push(`the baseline has no variant "${variant.name}"`);
      continue;
    }
    for (const figure of FIGURE_NAMES) {
      const [old, own] = [before.figures[figure], variant.figures[figure]];
      if (old && own) changes.push(changeOf(variant.name, figure, old, own));
      else if (old) unmatched.push(`${variant.name}: "${FIGURES[figure].label}" could not be measured any more`);
      else if (own) unmatched.push(`${variant.name}: "${FIGURES[figure].label}" is not in the baseline`);
    }
  }
  const digests = ({ variants }: Report): string => variants.flatMap((variant) => [variant.name, ...variant.digests]).join(' ');
  return { isSame: digests(baseline) === digests(report), changes, unmatched };
}

/** The deviation is that of a difference of two means, had the new worlds the spread of the recorded ones. */
function changeOf(variant: string, figure: FigureName, before: FigureReport, after: FigureReport): Change {
  const deviation = Math.sqrt(varianceOf(before) * (1 / before.count + 1 / after.count));
  const allowed = Math.max(FIGURES[figure].noise, DEVIATIONS * deviation);
  const verdict = verdictOf(figure, after.mean - before.mean, allowed);
  return { variant, figure, before: before.mean, after: after.mean, allowed, verdict };
}

/** From seed to seed; 0 for a single seed: then the figure's own noise alone is allowed. */
function varianceOf({ values, mean, count }: FigureReport): number {
  const squares = values.reduce<number>((sum, value) => (value === null ? sum : sum + (value - mean) * (value - mean)), 0);
  return count > 1 ? squares / (count - 1) : 0;
}
