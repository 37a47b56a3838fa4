/**
 * The figures that a run can have: what each is called, its unit, and which way is better.
 */
import type { Bytes, Milliseconds } from '../kernel/units.js';

export type Unit = 'ms' | 's' | 'ratio' | 'percent' | 'count' | 'copies' | 'Mbit/s' | 'per hour' | 'per minute';

export interface FigureKind {
  readonly label: string;
  readonly unit: Unit;
  readonly better: 'less' | 'more';
  /** A difference below this is nothing that anybody would notice, however sure it is. */
  readonly noise: number;
}

/** By name, in the order of the report. `percent` figures are kept as parts of 1. */
export const FIGURES = {
  startUpP50Ms: { label: 'start-up, median', unit: 'ms', better: 'less', noise: 50 },
  startUpP95Ms: { label: 'start-up, p95', unit: 'ms', better: 'less', noise: 100 },
  firstPeerPieceP95Ms: { label: 'first piece from a peer, p95', unit: 'ms', better: 'less', noise: 100 },
  neverStarted: { label: 'viewers without a picture', unit: 'percent', better: 'less', noise: 0.002 },
  seekP50Ms: { label: 'seek, median', unit: 'ms', better: 'less', noise: 50 },
  seekP95Ms: { label: 'seek, p95', unit: 'ms', better: 'less', noise: 100 },
  seeksWaiting: { label: 'seeks that wait', unit: 'percent', better: 'less', noise: 0.01 },
  abandonedSeeks: { label: 'seeks without a picture', unit: 'percent', better: 'less', noise: 0.005 },
  switchP50Ms: { label: 'switch to another title, median', unit: 'ms', better: 'less', noise: 50 },
  switchP95Ms: { label: 'switch to another title, p95', unit: 'ms', better: 'less', noise: 100 },
  continuity: { label: 'continuity index', unit: 'ratio', better: 'more', noise: 0.001 },
  slowPieces: { label: 'pieces later than 3 s', unit: 'percent', better: 'less', noise: 0.002 },
  latePieces: { label: 'late pieces', unit: 'percent', better: 'less', noise: 0.0005 },
  stallsPerHour: { label: 'stalls per viewer hour', unit: 'per hour', better: 'less', noise: 0.2 },
  rebufferRatio: { label: 'time stalled', unit: 'percent', better: 'less', noise: 0.0005 },
  delayP50Ms: { label: 'delay behind the publisher, median', unit: 'ms', better: 'less', noise: 20 },
  delayP95Ms: { label: 'delay behind the publisher, p95', unit: 'ms', better: 'less', noise: 50 },
  skippedWindows: { label: 'windows jumped over', unit: 'percent', better: 'less', noise: 0.0005 },
  holedWindows: { label: 'windows played with gaps', unit: 'percent', better: 'less', noise: 0.0005 },
  badWindows: { label: 'windows with wrong bytes', unit: 'count', better: 'less', noise: 0 },
  completeP50S: { label: 'whole title here, median', unit: 's', better: 'less', noise: 1 },
  sourceCopies: { label: 'copies sent by the source', unit: 'copies', better: 'less', noise: 0.05 },
  sourceMbitPerSecond: { label: 'load of the source, mean', unit: 'Mbit/s', better: 'less', noise: 0.05 },
  peerShare: { label: 'share from peers', unit: 'percent', better: 'more', noise: 0.005 },
  shareRatio: { label: 'sent by received, viewers', unit: 'ratio', better: 'more', noise: 0.01 },
  controlRatio: { label: 'control overhead', unit: 'percent', better: 'less', noise: 0.0005 },
  socketControlRatio: { label: 'control overhead at the socket', unit: 'percent', better: 'less', noise: 0.0005 },
  duplicateRatio: { label: 'duplicates', unit: 'percent', better: 'less', noise: 0.001 },
  wrongRatio: { label: 'wrong or thrown away', unit: 'percent', better: 'less', noise: 0.001 },
  firstTimeoutsPerMinute: { label: 'one-shot timeouts per viewer minute', unit: 'per minute', better: 'less', noise: 0.1 },
  secondTimeoutsPerHour: { label: 'second-stage timeouts per viewer hour', unit: 'per hour', better: 'less', noise: 0.5 },
  turnedAwayPerHour: { label: 'newcomers turned away per viewer hour', unit: 'per hour', better: 'less', noise: 1 },
  letGoPerHour: { label: 'neighbours let go per viewer hour', unit: 'per hour', better: 'less', noise: 1 },
  badPieces: { label: 'bad pieces taken in, per viewer', unit: 'count', better: 'less', noise: 0.05 },
  badPiecesMost: { label: 'bad pieces a viewer took from one polluter, most', unit: 'count', better: 'less', noise: 0 },
  bans: { label: 'bans per viewer', unit: 'count', better: 'more', noise: 0.05 },
  innocentBans: { label: 'bans of the innocent', unit: 'count', better: 'less', noise: 0 },
  uploadFairness: { label: 'fairness of upload (Jain)', unit: 'ratio', better: 'more', noise: 0.01 },
  downloadFairness: { label: 'fairness of download (Jain)', unit: 'ratio', better: 'more', noise: 0.01 },
  greedyRatio: { label: 'greedy by honest download', unit: 'ratio', better: 'less', noise: 0.02 },
  recoveryS: { label: 'back to 0.99 continuity after the crash', unit: 's', better: 'less', noise: 1 },
  healedS: { label: 'back to 0.99 continuity after the cut', unit: 's', better: 'less', noise: 1 },
} as const satisfies Readonly<Record<string, FigureKind>>;

export type FigureName = keyof typeof FIGURES;

/** Absent: the scenario has nothing to measure it by. */
export type Figures = Readonly<Partial<Record<FigureName, number>>>;

/** What one run of one variant with one seed brought. */
export interface Outcome {
  readonly figures: Figures;
  /** For plots: the single waits, delays and so on; by label with unit. */
  readonly distributions: Readonly<Record<string, readonly number[]>>;
  /** For plots over time: one value for each `seriesStepS`. */
  readonly series: Readonly<Record<string, readonly number[]>>;
  readonly seriesStepS: number;
  /** Sent by all, without payload, by message. */
  readonly controlBytesByKind: Readonly<Record<string, Bytes>>;
  readonly digest: string;
  /** Events in the log that `digest` stands for. */
  readonly events: number;
  readonly wallMs: Milliseconds;
}

export const FIGURE_NAMES = Object.keys(FIGURES) as readonly FigureName[];

/** Leaves out what could not be measured. */
export function measured(figures: Partial<Record<FigureName, number | undefined>>): Figures {
  const known = Object.entries(figures).filter(([, value]) => value !== undefined && !Number.isNaN(value));
  return Object.fromEntries(known) as Figures;
}

/** A figure as a person reads it. */
export function formatFigure(name: FigureName, value: number): string {
  const { unit } = FIGURES[name] as FigureKind;
  if (unit === 'percent') return `${(value * 100).toFixed(value < 0.1 ? 2 : 1)} %`;
  if (unit === 'ms') return value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : `${value.toFixed(0)} ms`;
  if (unit === 's') return `${value.toFixed(1)} s`;
  if (unit === 'ratio') return value.toFixed(3);
  return unit === 'Mbit/s' ? `${value.toFixed(2)} Mbit/s` : value.toFixed(2);
}
