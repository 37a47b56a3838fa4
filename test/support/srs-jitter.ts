/**
 * How SRS rebases the times of one player by default (`time_jitter full`), so that no two players need see the same times.
 *
 * The step to the packet before it, of whichever track, is kept when it is at most 250 ms either way and becomes 10 ms otherwise; times never
 * fall below 0. So every player begins near 0, a gap of the source leaves no trace, and the offset between two players is constant only from
 * gap to gap. Source: `SrsRtmpJitter::correct`, protocols sheet 4.5.
 */
const STEP_MS_MAX = 250;
const STEP_MS_DEFAULT = 10;

export class SrsJitter {
  #lastMs = 0;
  #correctedMs = 0;

  /** The time that the player sees of a packet which the source stamped with `timestampMs`. */
  correct(timestampMs: number): number {
    const stepMs = timestampMs - this.#lastMs;
    this.#lastMs = timestampMs;
    this.#correctedMs = Math.max(0, this.#correctedMs + (Math.abs(stepMs) > STEP_MS_MAX ? STEP_MS_DEFAULT : stepMs));
    return this.#correctedMs;
  }
}
