/**
 * Figures for people: rates, times and shares as short text, and the line of the last minute.
 */

const SAMPLES = 60;
const WIDTH = 120;
const HEIGHT = 32;

/** Bits per second, as players and encoders count: `2.4 Mbit/s`. */
export function formatRate(bytesPerSecond) {
  const kilobits = (bytesPerSecond * 8) / 1000;
  if (kilobits < 1) return '0 kbit/s';
  return kilobits < 1000 ? `${Math.round(kilobits)} kbit/s` : `${(kilobits / 1000).toFixed(kilobits < 10_000 ? 2 : 1)} Mbit/s`;
}

export function formatShare(share) {
  return share === null ? '–' : `${Math.round(share * 100)} %`;
}

export function formatDelay(delayMs) {
  return delayMs === null ? '–' : `${(delayMs / 1000).toFixed(1)} s`;
}

export function formatSeconds(seconds) {
  return seconds === null ? '–' : `${seconds.toFixed(1)} s`;
}

/** The last minute of one rate. */
export class Sparkline {
  #samples = [];

  add(value) {
    this.#samples.push(value);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  /** Draws into an SVG that has a path `.line` and a path `.area`. The highest sample touches the top. */
  draw(svg) {
    const top = Math.max(1, ...this.#samples);
    const step = WIDTH / (SAMPLES - 1);
    const first = WIDTH - (this.#samples.length - 1) * step;
    const points = this.#samples.map(
      (value, index) => `${(first + index * step).toFixed(1)},${(HEIGHT - 2 - (value / top) * (HEIGHT - 5)).toFixed(1)}`,
    );
    const line = points.length === 0 ? '' : `M${points.join('L')}`;
    svg.querySelector('.line').setAttribute('d', line);
    svg.querySelector('.area').setAttribute('d', line === '' ? '' : `${line}L${WIDTH},${HEIGHT}L${first.toFixed(1)},${HEIGHT}Z`);
  }
}
