/**
 * What a publisher knows of how its neighbours deal with what it deals them: whether each passes it on, and how long that takes in this swarm.
 *
 * Whoever does not pass on what it is dealt rests for a while, twice as long each time, and is then tried again. Time is counted in windows published.
 */
import type { ConnectionId, Milliseconds } from '../../kernel/units.js';

/** How much one piece counts against all before it in the record of a neighbour. */
const RECORD_GAIN = 1 / 4;
/** Of a neighbour that nothing is known of yet: two pieces that it does not pass on are enough. */
const RECORD_INITIAL = 0.75;
/** Whoever passes on less than this share of what it is dealt is passed over for so many windows, twice as many each time, until it does better. */
const RECORD_MIN = 0.5;
const REST_WINDOWS = 16;
const REST_DOUBLINGS_MAX = 6;
/** Whoever passes on so much of what the second best does is not passed over, once so many pieces were dealt to it: a swarm in trouble would lose its best. */
const BEST_RATIO = 0.6;
const BEST_PIECES_MIN = 16;
/** A piece may take so many times `revealMs` to get from the first to the second viewer, if that is usual in the swarm. */
const PATIENCE_REVEALS_MAX = 10;
/** Each piece that is not passed on in time lengthens what is taken for usual by this much: it may be that time which is too short. */
const PATIENCE_GROWTH = 1.05;

/** How a neighbour deals with what it is dealt. */
interface PassRecord {
  /** The share that it has passed on in time, 0 to 1, since it was last passed over. */
  passed: number;
  /** The same since it came. */
  passedEver: number;
  /** Pieces of which it is known whether it passed them on. */
  pieces: number;
  /** It gets nothing before so many windows have been published. */
  restUntil: number;
  doublings: number;
}

export class PassRecords {
  readonly #revealMs: Milliseconds;
  readonly #records = new Map<ConnectionId, PassRecord>();
  /** How long a piece takes from being sent until a second viewer holds it: moving average, and deviation from it. */
  #passMs: { readonly mean: Milliseconds; readonly deviation: Milliseconds } | undefined;
  /** Windows published so far. */
  windows = 0;

  constructor(revealMs: Milliseconds) {
    this.#revealMs = revealMs;
  }

  /** As long as the swarm usually takes to pass a piece on, and a little more (the shape of RFC 6298). */
  get patienceMs(): Milliseconds {
    const usualMs = this.#passMs ? this.#passMs.mean + 4 * this.#passMs.deviation : 0;
    return Math.min(PATIENCE_REVEALS_MAX * this.#revealMs, Math.max(this.#revealMs, usualMs));
  }

  /** How much of what it was dealt this neighbour has passed on in time, 0 to 1; undefined while it has been dealt nothing. */
  of(peer: ConnectionId): number | undefined {
    const record = this.#records.get(peer);
    return record && (record.restUntil > this.windows ? record.passed / 2 ** record.doublings : record.passed);
  }

  /** A piece has gone on. `peer`: to whom it was dealt; undefined: to somebody who is gone. */
  notePassed(peer: ConnectionId | undefined, tookMs: Milliseconds): void {
    const record = peer === undefined ? undefined : this.#open(peer);
    if (record) {
      record.passed += RECORD_GAIN * (1 - record.passed);
      record.passedEver += RECORD_GAIN * (1 - record.passedEver);
      record.pieces += 1;
      if (record.passed > RECORD_INITIAL) record.doublings = 0;
    }
    const before = this.#passMs;
    this.#passMs = before
      ? {
          mean: before.mean + (tookMs - before.mean) / 8,
          deviation: before.deviation + (Math.abs(tookMs - before.mean) - before.deviation) / 4,
        }
      : { mean: tookMs, deviation: tookMs / 2 };
  }

  /** A piece went no further. `isVain`: no patience would have helped. */
  noteStopped(peer: ConnectionId | undefined, isVain: boolean): void {
    const { mean, deviation } = this.#passMs ?? { mean: this.#revealMs / 2, deviation: this.#revealMs / 8 };
    if (!isVain) this.#passMs = { mean: Math.min(PATIENCE_REVEALS_MAX * this.#revealMs, mean * PATIENCE_GROWTH), deviation };
    if (peer === undefined) return;
    const record = this.#open(peer);
    record.passed -= RECORD_GAIN * record.passed;
    record.passedEver -= RECORD_GAIN * record.passedEver;
    record.pieces += 1;
    if (record.passed >= RECORD_MIN) return;
    // When it is back, one piece decides.
    record.passed = RECORD_MIN;
    record.restUntil = this.windows + REST_WINDOWS * 2 ** record.doublings;
    record.doublings = Math.min(REST_DOUBLINGS_MAX, record.doublings + 1);
  }

  /** Those who pass on what they get, and the best in a swarm in trouble, where hardly anybody does in time; everybody while there are fewer than two. */
  reliable(able: readonly ConnectionId[]): readonly ConnectionId[] {
    const passedBy = (peer: ConnectionId): number => this.#records.get(peer)?.passedEver ?? RECORD_INITIAL;
    const [, secondBest = 0] = able.map(passedBy).sort((one, other) => other - one);
    const reliable = able.filter((peer) => {
      const record = this.#records.get(peer);
      const isAwake = (record?.restUntil ?? 0) <= this.windows;
      return isAwake || (record !== undefined && record.pieces >= BEST_PIECES_MIN && record.passedEver >= BEST_RATIO * secondBest);
    });
    return reliable.length < 2 ? able : reliable;
  }

  /** It is gone. */
  drop(peer: ConnectionId): void {
    this.#records.delete(peer);
  }

  #open(peer: ConnectionId): PassRecord {
    const record = this.#records.get(peer) ?? { passed: RECORD_INITIAL, passedEver: RECORD_INITIAL, pieces: 0, restUntil: 0, doublings: 0 };
    this.#records.set(peer, record);
    return record;
  }
}
