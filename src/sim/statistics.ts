/**
 * Figures from many numbers: means with their 95 % interval, quantiles, and fairness.
 */

/** A mean over several seeds; the interval is null for one seed, which says nothing of its spread. */
export interface Estimate {
  readonly mean: number;
  /** Half the width of the 95 % interval (Student's t). */
  readonly plusMinus: number | null;
  readonly count: number;
}

/** Two-sided 95 % points of Student's t for 1 to 30 degrees of freedom; beyond them the normal distribution's is near enough. */
const T_95 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093, 2.086,
  2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
] as const;
const T_95_MANY = 1.96;

export function estimate(values: readonly number[]): Estimate {
  const count = values.length;
  const mean = meanOf(values);
  if (count < 2) return { mean, plusMinus: null, count };
  const variance = values.reduce((sum, value) => sum + (value - mean) * (value - mean), 0) / (count - 1);
  return { mean, plusMinus: (T_95[count - 2] ?? T_95_MANY) * Math.sqrt(variance / count), count };
}

/** NaN for none. */
export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The value below which this part of all lies; NaN for none. */
export function quantile(values: readonly number[], part: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const at = part * (sorted.length - 1);
  const below = sorted[Math.floor(at)] as number;
  const above = sorted[Math.ceil(at)] as number;
  return below + (above - below) * (at - Math.floor(at));
}

/** Jain's index: 1 when all have the same, 1/n when one has everything. NaN for none. */
export function jain(values: readonly number[]): number {
  const sum = values.reduce((all, value) => all + value, 0);
  const squares = values.reduce((all, value) => all + value * value, 0);
  return squares === 0 ? Number.NaN : (sum * sum) / (values.length * squares);
}

/** A part of a whole; NaN where there is no whole. */
export function ratio(part: number, whole: number): number {
  return whole === 0 ? Number.NaN : part / whole;
}
