/**
 * How many frames one turn of the event loop takes from peers, so that whoever floods leaves the others, and everything else, their turns.
 *
 * A socket that always has more is read dozens of times in one turn: two mebibytes of small messages, of which each costs a few microseconds.
 * Connections share one budget; each gets something even when it is spent.
 */

/** For one connection; blocks come four to a chunk, so an honest one never comes near. */
const FRAMES_OF_ONE_MAX = 512;
/** For all: some 5 ms. */
const FRAMES_OF_ALL_MAX = 2_048;
const FRAMES_LEAST = 16;

export class TurnBudget {
  readonly #atTurnEnd: (task: () => void) => void;
  #leftFrames = FRAMES_OF_ALL_MAX;

  /** @param atTurnEnd runs a task when this turn is over. */
  constructor(atTurnEnd: (task: () => void) => void = setImmediate) {
    this.#atTurnEnd = atTurnEnd;
  }

  /** @returns how many of so many frames the connection may deal with in this turn. */
  take(wantedFrames: number): number {
    if (wantedFrames <= FRAMES_LEAST) return wantedFrames;
    const granted = Math.min(wantedFrames, Math.max(FRAMES_LEAST, Math.min(FRAMES_OF_ONE_MAX, this.#leftFrames)));
    if (this.#leftFrames === FRAMES_OF_ALL_MAX) {
      this.#atTurnEnd(() => {
        this.#leftFrames = FRAMES_OF_ALL_MAX;
      });
    }
    this.#leftFrames = Math.max(0, this.#leftFrames - granted);
    return granted;
  }
}
