/** The clock of what is held while a publisher looks for its place. */
import type { Milliseconds } from '../kernel/units.js';
import { AUDIO, type FlvTag, VIDEO } from '../media/flv.js';
import { BACKWARD_JUMP_MS, FORWARD_JUMP_MS, SourceClock } from './source-clock.js';

/** Both tracks of one connection on a clock that begins with its first frame. */
export class HeldClock {
  readonly #clocks = { [VIDEO]: new SourceClock(), [AUDIO]: new SourceClock() };
  /** Of the first frame, as it came and unwrapped. */
  rawMs: Milliseconds = 0;
  firstMs: Milliseconds = 0;
  latestMs: Milliseconds = 0;
  started = false;

  /** Undefined: the times break here. */
  read(tag: FlvTag): Milliseconds | undefined {
    const [own, other] = tag.type === VIDEO ? [this.#clocks[VIDEO], this.#clocks[AUDIO]] : [this.#clocks[AUDIO], this.#clocks[VIDEO]];
    if (!own.started && !own.join(other, tag.timestampMs, FORWARD_JUMP_MS + BACKWARD_JUMP_MS)) return undefined;
    const timeMs = own.read(tag.timestampMs);
    if (timeMs === undefined) return undefined;
    if (!this.started) {
      this.rawMs = tag.timestampMs;
      this.firstMs = timeMs;
    }
    this.started = true;
    this.latestMs = Math.max(this.latestMs, timeMs);
    return timeMs;
  }
}
