/**
 * Plots of a scenario's runs as SVG: how each wait is distributed, and how loads go over time, one line for each variant.
 */
import type { Ran } from './simulation.js';
import { quantile } from './statistics.js';

export interface Plot {
  /** `seek-s`: for a file's name. */
  readonly name: string;
  readonly svg: string;
}

interface Line {
  readonly label: string;
  readonly points: readonly (readonly [number, number])[];
}

interface Axis {
  readonly label: string;
  readonly max: number;
}

const WIDTH = 720;
const HEIGHT = 420;
const LEFT = 64;
const RIGHT = 16;
const TOP = 56;
const BOTTOM = 48;
/** Told apart in print and by those who see fewer colours. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];
const DASHES = ['', '6 3', '2 3', '8 3 2 3', '4 4', '1 4', ''];
/** Points of a distribution's curve. */
const STEPS = 200;
/** The last percent may reach very far. */
const SHOWN_PART = 0.99;
const TICKS = 5;

export function plotsOf(scenario: string, all: readonly Ran[]): readonly Plot[] {
  const variants = [...new Set(all.map(({ run }) => run.variant))];
  const labels = (of: 'distributions' | 'series'): string[] => [...new Set(all.flatMap(({ outcome }) => Object.keys(outcome[of])))];
  const own = (variant: string): readonly Ran[] => all.filter(({ run }) => run.variant === variant);
  return [
    ...labels('distributions').map((label) => {
      const lines = variants.map((variant) =>
        curve(
          variant,
          own(variant).flatMap(({ outcome }) => outcome.distributions[label] ?? []),
        ),
      );
      return plot(scenario, label, lines, { label, max: furthest(lines, 0) }, { label: 'part of all (%)', max: 100 });
    }),
    ...labels('series').map((label) => {
      const lines = variants.map((variant) => meanOverTime(variant, own(variant), label));
      return plot(
        scenario,
        `${label} over time`,
        lines,
        { label: 'time (s)', max: furthest(lines, 0) },
        { label, max: furthest(lines, 1) },
      );
    }),
  ];
}

function curve(label: string, values: readonly number[]): Line {
  if (values.length === 0) return { label, points: [] };
  const sorted = [...values].sort((a, b) => a - b);
  const points = Array.from({ length: STEPS + 1 }, (_, step): [number, number] => {
    const part = (SHOWN_PART * step) / STEPS;
    return [quantile(sorted, part), part * 100];
  });
  return { label, points };
}

function meanOverTime(variant: string, own: readonly Ran[], label: string): Line {
  const all = own.map(({ outcome }) => outcome.series[label] ?? []);
  const stepS = own[0]?.outcome.seriesStepS ?? 1;
  const count = Math.max(0, ...all.map(({ length }) => length));
  const points = Array.from({ length: count }, (_, index): [number, number] => {
    const values = all.flatMap((series) => series[index] ?? []);
    return [(index + 1) * stepS, values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)];
  });
  return { label: variant, points };
}

function plot(scenario: string, title: string, lines: readonly Line[], x: Axis, y: Axis): Plot {
  const [toX, toY] = [scale(x.max, LEFT, WIDTH - RIGHT), scale(y.max, HEIGHT - BOTTOM, TOP)];
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 20, `${scenario}: ${title}`, 'font-size="14"'),
    ...ticks(x.max).map((value) => tick(toX(value), HEIGHT - BOTTOM, value, 'x')),
    ...ticks(y.max).map((value) => tick(LEFT, toY(value), value, 'y')),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x.label, 'text-anchor="middle"'),
    text(0, 0, y.label, `text-anchor="middle" transform="translate(16 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)"`),
    ...lines.flatMap((line, index) => drawn(line, index, toX, toY)),
    '</svg>',
  ];
  return { name: fileName(title), svg: `${parts.join('\n')}\n` };
}

function drawn({ label, points }: Line, index: number, toX: (x: number) => number, toY: (y: number) => number): string[] {
  const colour = COLOURS[index % COLOURS.length];
  const dash = DASHES[index % DASHES.length];
  const style = `fill="none" stroke="${colour}" stroke-width="2"${dash ? ` stroke-dasharray="${dash}"` : ''}`;
  const at = LEFT + index * 150;
  return [
    `<polyline ${style} points="${points.map(([x, y]) => `${toX(x).toFixed(1)},${toY(y).toFixed(1)}`).join(' ')}"/>`,
    `<line ${style} x1="${at}" y1="38" x2="${at + 24}" y2="38"/>`,
    text(at + 30, 42, label),
  ];
}

function tick(x: number, y: number, value: number, axis: 'x' | 'y'): string {
  const number = Number(value.toPrecision(6)).toString();
  const line =
    axis === 'x'
      ? `<line stroke="#ddd" x1="${x.toFixed(1)}" y1="${TOP}" x2="${x.toFixed(1)}" y2="${y}"/>`
      : `<line stroke="#ddd" x1="${x}" y1="${y.toFixed(1)}" x2="${WIDTH - RIGHT}" y2="${y.toFixed(1)}"/>`;
  return line + (axis === 'x' ? text(x, y + 16, number, 'text-anchor="middle"') : text(x - 6, y + 4, number, 'text-anchor="end"'));
}

function text(x: number, y: number, content: string, attributes = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="#222"${attributes ? ` ${attributes}` : ''}>${escaped}</text>`;
}

function scale(max: number, from: number, to: number): (value: number) => number {
  return (value) => from + (Math.min(value, max) / max) * (to - from);
}

/** Round numbers up to the end of the axis. */
function ticks(max: number): number[] {
  const rough = max / TICKS;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = magnitude * ([1, 2, 5, 10].find((factor) => factor * magnitude >= rough) ?? 10);
  return Array.from({ length: Math.floor(max / step + 1e-9) + 1 }, (_, index) => index * step);
}

/** Never 0, so that it can be divided by. */
function furthest(lines: readonly Line[], coordinate: 0 | 1): number {
  return lines.reduce((most, { points }) => points.reduce((max, point) => Math.max(max, point[coordinate]), most), 0) || 1;
}

function fileName(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
}
