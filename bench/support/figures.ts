/**
 * From many values to the few that are printed.
 */

/** The value below which `ratio` (0 to 1) of all lie, by nearest rank; NaN of nothing. */
export function percentile(values: readonly number[], ratio: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * ratio) - 1)] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

export function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** With as many digits behind the point as asked for; `n/a` of NaN. */
export function show(value: number, digits = 0): string {
  return Number.isFinite(value) ? value.toFixed(digits) : 'n/a';
}

/** Of 0 to 1; `n/a` of NaN. */
export function showPercent(ratio: number, digits = 1): string {
  return Number.isFinite(ratio) ? `${show(ratio * 100, digits)} %` : show(ratio);
}
