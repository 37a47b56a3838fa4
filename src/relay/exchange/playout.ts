/**
 * Where the local endpoints are in the stream: which window is next, when it is due, and when to stop waiting for it.
 *
 * Windows are delivered in increasing order, each once (invariant L2), as soon as they are whole: the player keeps the buffer, not us.
 * The deadline of a window is the moment the player would run dry, counted from the first delivery; a late window moves all deadlines.
 */
import type { Milliseconds, WindowNumber } from '../../kernel/units.js';
import type { LiveParameters } from './live-parameters.js';
import type { BufferedWindow, WindowBuffer } from './window-buffer.js';

/** Whether anybody speaks of a window between the two, both excluded. */
export type IsAnnounced = (after: WindowNumber, before: WindowNumber) => boolean;

export class Playout {
  readonly #parameters: LiveParameters;
  readonly #buffer: WindowBuffer;
  readonly #isAnnounced: IsAnnounced;
  #last: BufferedWindow | undefined;
  /** The window to go on with whatever comes before it: the start, or the far side of a jump. */
  #anchor: WindowNumber | undefined;
  /** Player time = source time + this. */
  #offsetMs: Milliseconds | undefined;
  #blockedSinceMs: Milliseconds | undefined;

  constructor(parameters: LiveParameters, buffer: WindowBuffer, isAnnounced: IsAnnounced) {
    this.#parameters = parameters;
    this.#buffer = buffer;
    this.#isAnnounced = isAnnounced;
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

  /** The number of that window; -1 before the first. */
  get playedOut(): WindowNumber {
    return this.#last?.number ?? -1;
  }

  /** The start, or the far side of a jump, while it has not been delivered. */
  get anchor(): WindowNumber | undefined {
    return this.#anchor;
  }

  /** Starts, or goes on, at this window. */
  moveTo(number: WindowNumber): void {
    this.#anchor = number;
    this.#blockedSinceMs = undefined;
  }

  /** Gives the chosen start up: it goes on after the last window delivered, or has yet to start. */
  forgetAnchor(): void {
    this.#anchor = undefined;
    this.#blockedSinceMs = undefined;
  }

  /** The next window to deliver if it is known already, whole or not. */
  candidate(): BufferedWindow | undefined {
    if (this.#anchor !== undefined) return this.#buffer.get(this.#anchor);
    const last = this.#last;
    if (!last) return undefined;
    const window = this.#buffer.after(last.number);
    return window && this.#follows(last, window) ? window : undefined;
  }

  /** Windows here, whole or not, that come after this one; ascending. */
  following(window: BufferedWindow, count: number): readonly BufferedWindow[] {
    return this.#buffer.following(window.number, count);
  }

  /**
   * A window that names a later one than ours before it has a gap in front of it that we have yet to fill. One that names none, the first of a
   * restarted publisher, follows unless somebody has a window in between.
   */
  #follows(last: BufferedWindow, window: BufferedWindow): boolean {
    const { previous } = window.manifest;
    return previous === null ? !this.#isAnnounced(last.number, window.number) : previous <= last.number;
  }

  /** Takes the next window if it is whole, or if it is this one, which goes out as it is. */
  deliver(nowMs: Milliseconds, inPart?: BufferedWindow): BufferedWindow | undefined {
    const window = this.candidate();
    if (!window || (!window.complete && window !== inPart)) return undefined;
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
    const aheadMs = (number - this.#last.number) * this.#last.manifest.durationMs;
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
