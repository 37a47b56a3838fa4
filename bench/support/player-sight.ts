/**
 * What a person at a player sees: frames in time, stalls, and when it began; reckoned as the simulator does (`src/sim/live-run.ts`).
 *
 * The player begins with some media in hand, then needs each frame at its time; when one comes late it waits for it, and everything is due that much later: the window that it was in was not in
 * time. What never comes was not in time either, and is not waited for.
 */

export interface SeenFrame {
  readonly type: number;
  readonly timestampMs: number;
  readonly arrivedMs: number;
}

/** A frame of the source. */
export interface SourceFrame {
  readonly type: number;
  readonly timestampMs: number;
}

export interface SightOptions {
  readonly frames: readonly SeenFrame[];
  /** Of the source from here on, in order of time. */
  readonly source: (fromTimestampMs: number) => Iterable<SourceFrame>;
  /** Media with which the player begins. */
  readonly bufferMs: number;
  /** Frames of one window come together, and are late together. */
  readonly windowMs: number;
  /** Nothing is due after this; `performance`'s clock. */
  readonly endMs: number;
}

export interface FrameCount {
  due: number;
  onTime: number;
}

export interface Sight {
  /** When the player began; undefined if it never did. */
  readonly beganMs: number | undefined;
  /** By whole second of `performance`'s clock. */
  readonly bySecond: ReadonlyMap<number, FrameCount>;
  /** When each stall began, and how long it took. */
  readonly stalls: readonly { readonly atMs: number; readonly lengthMs: number }[];
}

export function sightOf({ frames, source, bufferMs, windowMs, endMs }: SightOptions): Sight {
  const first = frames[0];
  const enough = first && frames.find(({ timestampMs }) => timestampMs >= first.timestampMs + bufferMs);
  if (!first || !enough || enough.arrivedMs > endMs) return { beganMs: undefined, bySecond: new Map(), stalls: [] };
  const clock = new PlayerClock(frames, enough.arrivedMs - first.timestampMs);
  const windows = new Map<number, FrameCount & { readonly second: number; isLate: boolean }>();
  for (const frame of source(first.timestampMs)) {
    const deadlineMs = clock.deadlineMs(frame);
    if (deadlineMs > endMs) break;
    const number = Math.floor(frame.timestampMs / windowMs);
    const window = windows.get(number) ?? { due: 0, onTime: 0, second: Math.floor(deadlineMs / 1000), isLate: false };
    windows.set(number, window);
    window.due += 1;
    const seen = clock.need(frame);
    if (seen === 'in time') window.onTime += 1;
    else if (seen === 'late') window.isLate = true;
  }
  const bySecond = new Map<number, FrameCount>();
  for (const { due, onTime, second, isLate } of windows.values()) {
    const count = bySecond.get(second) ?? { due: 0, onTime: 0 };
    bySecond.set(second, { due: count.due + due, onTime: count.onTime + (isLate ? 0 : onTime) });
  }
  return { beganMs: enough.arrivedMs, bySecond, stalls: clock.stalls };
}

/** When a player that never hurries needs what. */
class PlayerClock {
  readonly stalls: { readonly atMs: number; readonly lengthMs: number }[] = [];
  readonly #arrivals: ReadonlyMap<number, number>;
  /** Arrival minus timestamp of what comes just in time, without stalls. */
  readonly #offsetMs: number;
  #stalledMs = 0;

  constructor(frames: readonly SeenFrame[], offsetMs: number) {
    this.#arrivals = new Map(frames.map((frame) => [keyOf(frame), frame.arrivedMs]));
    this.#offsetMs = offsetMs;
  }

  /** As if there had been no stall. */
  deadlineMs({ timestampMs }: SourceFrame): number {
    return timestampMs + this.#offsetMs;
  }

  need(frame: SourceFrame): 'in time' | 'late' | 'never' {
    const arrivedMs = this.#arrivals.get(keyOf(frame));
    if (arrivedMs === undefined) return 'never';
    const atMs = this.deadlineMs(frame) + this.#stalledMs;
    if (arrivedMs <= atMs) return 'in time';
    this.stalls.push({ atMs, lengthMs: arrivedMs - atMs });
    this.#stalledMs += arrivedMs - atMs;
    return 'late';
  }
}

/** Frames due and in time within a span of whole seconds. */
export function countWithin(sights: readonly Sight[], fromMs: number, untilMs: number): FrameCount {
  const total = { due: 0, onTime: 0 };
  for (const { bySecond } of sights)
    for (const [second, { due, onTime }] of bySecond) {
      if (second * 1000 < fromMs || second * 1000 >= untilMs) continue;
      total.due += due;
      total.onTime += onTime;
    }
  return total;
}

function keyOf({ type, timestampMs }: SourceFrame): number {
  return timestampMs * 32 + type;
}
