/**
 * A report as a person reads it in a terminal: one row for each figure, one column for each variant.
 */
import type { BaselineDifference } from './baseline.js';
import { FIGURE_NAMES, FIGURES, type FigureName, formatFigure } from './figure.js';
import type { Difference, Report, VariantReport } from './report.js';

const GAP = '   ';

export function reportLines(report: Report): readonly string[] {
  const { scenario, about, seeds, variants } = report;
  const rows = [['', ...variants.map(({ name }) => name)], ...figureRows(report)];
  return [
    `${scenario}: ${about}`,
    seedsLine(report),
    '',
    ...aligned(rows),
    '',
    ...controlLines(variants),
    ...variants.map(({ name, digests, events, wallMs }) => {
      const seconds = (wallMs / 1000).toFixed(1);
      return `${name}: ${events} events and ${seconds} s of machine time a run; log ${digests[0]} with seed ${seeds[0]}`;
    }),
  ];
}

function seedsLine({ seeds, variants }: Report): string {
  if (seeds.length === 1) return `seed ${seeds[0]}; one seed says nothing about chance: --seeds 5 brings intervals`;
  const pairs = variants.length > 1 ? `; "better" and "worse": than ${variants[0]?.name}, surely, pairwise by seed` : '';
  return `${seeds.length} seeds from ${seeds[0]}; means with their 95 % intervals${pairs}`;
}

function figureRows({ variants }: Report): string[][] {
  return FIGURE_NAMES.filter((name) => variants.some(({ figures }) => figures[name])).map((name) => [
    FIGURES[name].label,
    ...variants.map((variant) => cell(name, variant)),
  ]);
}

function cell(name: FigureName, { figures, against }: VariantReport): string {
  const figure = figures[name];
  if (figure === undefined) return '-';
  const spread = figure.plusMinus === null ? '' : ` ± ${formatFigure(name, figure.plusMinus)}`;
  return `${formatFigure(name, figure.mean)}${spread}${remark(against?.[name])}`;
}

function remark(difference: Difference | undefined): string {
  return difference === undefined || difference.verdict === 'same' ? '' : ` ${difference.verdict}`;
}

function controlLines(variants: readonly VariantReport[]): string[] {
  return variants.flatMap(({ name, controlBytesByKind }) => {
    const total = Object.values(controlBytesByKind).reduce((sum, bytes) => sum + bytes, 0);
    if (total === 0) return [];
    const kinds = Object.entries(controlBytesByKind).sort(([, a], [, b]) => b - a);
    return [`${name}: control by kind: ${kinds.map(([kind, bytes]) => `${kind} ${((bytes * 100) / total).toFixed(1)} %`).join(', ')}`];
  });
}

/** What has changed since the baseline was recorded; what has become worse comes first. */
export function differenceLines({ isSame, changes, unmatched }: BaselineDifference): readonly string[] {
  const told = (verdict: 'better' | 'worse'): string[] =>
    changes
      .filter((change) => change.verdict === verdict)
      .map(({ variant, figure, before, after, allowed }) => {
        const [from, to, noise] = [before, after, allowed].map((value) => formatFigure(figure, value));
        return `  ${verdict}: ${variant}: ${FIGURES[figure].label}: ${from} -> ${to} (noise: ${noise})`;
      });
  const lines = [...told('worse'), ...told('better'), ...unmatched.map((sentence) => `  ${sentence}`)];
  if (isSame) return ['Against the baseline: every run gave the same log.', ...lines];
  return ['Against the baseline:', ...(lines.length > 0 ? lines : ['  no figure changed by more than its noise'])];
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join(GAP)
      .trimEnd(),
  );
}
