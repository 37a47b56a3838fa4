/**
 * Where the local endpoints are in the stream: which window is next, when it is due, and when to stop waiting for it.
 *
 * Windows are delivered in increasing order, each once (invariant L2), as soon as they are whole: the player keeps the buffer, not us.
 * The deadline of a window is the moment the player would run dry, counted from the first delivery; a late window moves all deadlines.
 */
import type { Milliseconds, WindowNumber } from '../kernel/units.js';
import type { BufferMap } from './buffer-map.js';
import type { LiveParameters } from './live-parameters.js';
import type { BufferedWindow, WindowBuffer } from './window-buffer.js';

export class Playout {
  readonly #parameters: LiveParameters;
  readonly #buffer: WindowBuffer;
  #last: BufferedWindow | undefined;
  /** The window to go on with whatever comes before it: the start, or the far side of a jump. */
  #anchor: WindowNumber | undefined;
  /** Player time = source time + this. */
  #offsetMs: Milliseconds | undefined;
  #blockedSinceMs: Milliseconds | undefined;

  constructor(parameters: LiveParameters, buffer: WindowBuffer) {
    this.#parameters = parameters;
    this.#buffer = buffer;
  }

  /** A start has been chosen. */
  get started(): boolean {
    return this.#anchor !== undefined || this.#last !== undefined;
  }

  /** The lowest number that is still worth having. */
  get next(): WindowNumber | undefined {
    return this.#anchor ?? (this.#last ? this.#last.number + 1 : undefined);
  }

  get lastDelivered(): BufferedWindow | undefined {
    return this.#last;
  }

  /** Starts, or goes on, at this window. */
  moveTo(number: WindowNumber): void {
    this.#anchor = number;
    this.#blockedSinceMs = undefined;
  }

  /** The next window to deliver if it is known already, whole or not. */
  candidate(): BufferedWindow | undefined {
    if (this.#anchor !== undefined) return this.#buffer.get(this.#anchor);
    const last = this.#last;
    if (!last) return undefined;
    for (const window of this.#buffer.windows()) {
      if (window.number <= last.number) continue;
      const { previous } = window.manifest;
      // A window that names a later one than ours before it has a gap in front of it that we have yet to fill.
      return previous !== null && previous > last.number ? undefined : window;
    }
    return undefined;
  }

  /** Takes the next window if it is whole. */
  deliver(nowMs: Milliseconds): BufferedWindow | undefined {
    const window = this.candidate();
    if (!window?.complete) return undefined;
    const { startMs, discontinuity } = window.manifest;
    if (this.#offsetMs === undefined || discontinuity || this.#anchor !== undefined) this.#offsetMs = nowMs - startMs;
    const lateMs = nowMs - (startMs + this.#offsetMs);
    // The player stood still for as long as the window was late, so everything after it is due that much later.
    if (lateMs > 0) this.#offsetMs += lateMs;
    this.#last = window;
    this.#anchor = undefined;
    this.#blockedSinceMs = undefined;
    return window;
  }

  /** When the player would run dry without this window. */
  deadlineMs(number: WindowNumber, nowMs: Milliseconds): Milliseconds {
    if (!this.#last || this.#offsetMs === undefined) return nowMs + this.#parameters.startLagMs;
    const aheadMs = (number - this.#last.number) * this.#parameters.windowMs;
    return this.#last.manifest.startMs + aheadMs + this.#offsetMs;
  }

  /** The machine slept, or this process was stopped: what was due meanwhile is due that much later. */
  shift(byMs: Milliseconds): void {
    if (this.#offsetMs !== undefined) this.#offsetMs += byMs;
    if (this.#blockedSinceMs !== undefined) this.#blockedSinceMs += byMs;
  }

  /** How long the next window has been the next one without coming. */
  blockedMs(nowMs: Milliseconds): Milliseconds {
    this.#blockedSinceMs ??= nowMs;
    return nowMs - this.#blockedSinceMs;
  }

  /** There is nothing to wait for yet: the stream itself has not gone on. */
  idle(nowMs: Milliseconds): void {
    this.#blockedSinceMs = nowMs;
  }
}

/**
 * The best window to start at: the newest with a key frame that lies `startLagMs` behind the newest media, else the newest at all, if all of its pieces
 * are held by somebody.
 */
export function chooseStart(maps: readonly BufferMap[], above: WindowNumber, parameters: LiveParameters): WindowNumber | undefined {
  const whole = new Set<WindowNumber>();
  const keys = new Set<WindowNumber>();
  for (const map of maps) {
    for (const number of map.numbers()) {
      if (number <= above || !map.holdsAll(number)) continue;
      whole.add(number);
      if (map.get(number)?.key) keys.add(number);
    }
  }
  const head = Math.max(...whole);
  const target = head - Math.round(parameters.startLagMs / parameters.windowMs);
  const starts = [...keys].sort((a, b) => b - a);
  return starts.find((number) => number <= target) ?? starts.at(-1);
}
