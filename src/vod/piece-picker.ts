/**
 * Most-needed-first: which piece a neighbour is asked for next.
 *
 * 1. The piece that it was chosen for, because somebody spoilt it before (parole).
 * 2. What a reader waits for, by deadline, unless the neighbour would bring it too late and somebody else sooner.
 * 3. Later: the piece it is working on; heads and tails of files, where containers keep their index; pieces that were begun and left; then the rarest, weighted
 *    by their distance ahead of the nearest reader, so that the swarm stays healthy without the reader running dry; behind all readers last.
 *    Nobody reads yet: random first pieces, then rarest first.
 * 4. Nothing open: a copy of a request that is late, or that it would answer much sooner than whoever has it (the end game, piece by piece).
 *
 * Each step looks at a bounded number of pieces, or walks sets 32 pieces at a time. Sources: CoolFish's most-needed-first; libtorrent's
 * time-critical pieces; the observation that a purely sequential order starves swarms (peers.md 1.2).
 */
import type { Rng } from '../kernel/rng.js';
import type { ConnectionId, Milliseconds } from '../kernel/units.js';
import { BLOCK_BYTES } from './block.js';
import type { Row, Task, TaskList } from './task-list.js';
import type { Line } from './transfer/line.js';
import type { Needs } from './transfer/needs.js';
import type { Neighbour } from './transfer/neighbour.js';
import type { Rarity } from './transfer/rarity.js';
import type { TransferParameters } from './transfer/transfer-parameters.js';
import type { Wanted } from './transfer/wanted.js';

/** What the picker looks at. */
export interface PickerView {
  readonly parameters: TransferParameters;
  readonly rng: Rng;
  readonly wanted: Wanted;
  readonly rarity: Rarity;
  readonly needs: Needs;
  readonly tasks: TaskList<Neighbour>;
  readonly neighbours: ReadonlyMap<ConnectionId, Neighbour>;
  readonly line: Line;
}

export interface Pick {
  readonly piece: number;
  readonly urgent: boolean;
}

/** Pieces looked at among the rarest, and among the nearest. */
const PROBES = 16;
/** Begun pieces looked at for one that nobody works on. */
const LEFT_PROBES = 8;
/** A doubling of the distance counts as much as so many more holders. */
const DOUBLING_HOLDERS = 3;
/** Beyond this a piece is common. */
const COMMON_HOLDERS = 64;
/** Behind all readers: after everything that lies ahead. */
const BEHIND_SCORE = 1_000;
/** Peers that see the same swarm should not all make the same choice. */
const JITTER_SCORE = 1.5;
/** Pieces begun at random before the rarest are preferred: something to trade soon (BEP 3). */
const RANDOM_FIRST_PIECES = 4;
/** A slower neighbour may still take an urgent block if it is at most so much slower than the best. */
const SLOWER_RATIO = 2;
/** Requests of one block at once. */
const COPIES_MAX = 2;
const URGENT_COPIES_MAX = 4;
/** Pieces and requests looked at for a copy. */
const COPY_ROWS = 4;
const COPY_TASKS = 64;

export class PiecePicker {
  readonly #view: PickerView;

  constructor(view: PickerView) {
    this.#view = view;
  }

  /** @param mayLater whether it may be something that no reader waits for. */
  pick(neighbour: Neighbour, nowMs: Milliseconds, mayLater: boolean): Pick | undefined {
    const { needs, parameters } = this.#view;
    const { parole } = neighbour;
    if (parole !== undefined && parole.openCount > 0) return { piece: parole.piece, urgent: needs.isUrgent(parole.piece) };
    if (neighbour.isChoking) return this.#allowed(neighbour);
    if (parameters.strategy === 'needed-first' && !needs.isEmpty) {
      const piece = this.#urgent(neighbour, nowMs);
      if (piece >= 0) return { piece, urgent: true };
    }
    if (!mayLater) return undefined;
    const piece = this.#later(neighbour);
    return piece < 0 ? undefined : { piece, urgent: false };
  }

  /** A request of somebody else that this neighbour should get as well. @param mayGuess also one that is not late yet. */
  pickCopy(neighbour: Neighbour, nowMs: Milliseconds, mayGuess: boolean, urgentOnly: boolean): Task<Neighbour> | undefined {
    const { needs, wanted, tasks } = this.#view;
    for (const need of needs.all) {
      let looked = 0;
      for (let piece = need.firstPiece; piece <= need.urgentPiece && looked < COPY_ROWS; piece++) {
        if (wanted.own.has(piece)) continue;
        looked += 1;
        const task = this.#copyIn(tasks.row(piece), neighbour, nowMs, mayGuess, needs.deadlineOf(need, piece));
        if (task !== undefined) return task;
      }
    }
    if (urgentOnly) return undefined;
    let looked = 0;
    for (const row of tasks.rows()) {
      if (++looked > COPY_ROWS) return undefined;
      const task = this.#copyIn(row, neighbour, nowMs, mayGuess, Number.POSITIVE_INFINITY);
      if (task !== undefined) return task;
    }
    return undefined;
  }

  #allowed(neighbour: Neighbour): Pick | undefined {
    const { wanted, needs } = this.#view;
    for (const piece of neighbour.allowedFast) {
      if (wanted.open.has(piece) && neighbour.has(piece)) return { piece, urgent: needs.isUrgent(piece) };
    }
    return undefined;
  }

  #urgent(neighbour: Neighbour, nowMs: Milliseconds): number {
    const { needs, wanted } = this.#view;
    let first = -1;
    let firstMs = Number.POSITIVE_INFINITY;
    for (const need of needs.all) {
      const piece = wanted.open.next(neighbour.holds, need.firstPiece, need.urgentPiece);
      if (piece < 0) continue;
      const deadlineMs = needs.deadlineOf(need, piece);
      if (deadlineMs >= firstMs) continue;
      first = piece;
      firstMs = deadlineMs;
    }
    if (first < 0) return -1;
    if (neighbour.isSeeder) {
      const scarce = this.#scarce(neighbour);
      if (scarce >= 0) return scarce;
    }
    const arrivalMs = nowMs + neighbour.pace.predictMs();
    if (arrivalMs <= firstMs || this.#isAmongBest(neighbour, first, nowMs)) return first;
    for (const need of needs.all) {
      const piece = wanted.open.next(neighbour.holds, Math.max(need.firstPiece, needs.pieceDue(need, arrivalMs)), need.urgentPiece);
      if (piece >= 0) return piece;
    }
    return -1;
  }

  /** The soonest due of what only seeders hold: for the rest there are others. */
  #scarce(neighbour: Neighbour): number {
    const { needs, wanted, rarity } = this.#view;
    let best = -1;
    let bestMs = Number.POSITIVE_INFINITY;
    for (const need of needs.all) {
      let piece = need.firstPiece - 1;
      for (let probe = 0; probe < PROBES; probe++) {
        piece = wanted.open.next(neighbour.holds, piece + 1, need.urgentPiece);
        if (piece < 0 || needs.deadlineOf(need, piece) >= bestMs) break;
        if (rarity.partialHolders(piece) > 0) continue;
        best = piece;
        bestMs = needs.deadlineOf(need, piece);
        break;
      }
    }
    return best;
  }

  /** Nobody who holds the piece would bring it in half the time. */
  #isAmongBest(neighbour: Neighbour, piece: number, nowMs: Milliseconds): boolean {
    const limitMs = neighbour.pace.predictMs() / SLOWER_RATIO;
    for (const other of this.#view.neighbours.values()) {
      if (other === neighbour || other.snubbed || !other.serves(piece, nowMs)) continue;
      if (other.pace.predictMs() < limitMs) return false;
    }
    return true;
  }

  #later(neighbour: Neighbour): number {
    const { wanted, tasks, parameters, neighbours } = this.#view;
    const { row, holds } = neighbour;
    if (row !== undefined && tasks.row(row.piece) === row && wanted.open.has(row.piece) && neighbour.has(row.piece)) return row.piece;
    const from = this.#playhead();
    if (parameters.strategy === 'sequential') return nextAround(wanted.open.next.bind(wanted.open, holds), from, wanted.pieceCount);
    if (wanted.edges.count > 0) {
      const edge = nextAround(wanted.edges.next.bind(wanted.edges, holds), from, wanted.pieceCount);
      if (edge >= 0) return edge;
    }
    const left = this.#left(neighbour, from);
    if (left >= 0) return left;
    const isCrowded = tasks.rowCount >= neighbours.size + parameters.spareRows;
    if (isCrowded) {
      const begun = nextAround(wanted.partial.next.bind(wanted.partial, holds), from, wanted.pieceCount);
      if (begun >= 0) return begun;
    }
    const fresh = this.#rarest(neighbour);
    return fresh >= 0 ? fresh : nextAround(wanted.open.next.bind(wanted.open, holds), from, wanted.pieceCount);
  }

  /** A begun piece that nobody works on. */
  #left(neighbour: Neighbour, from: number): number {
    const { wanted, tasks } = this.#view;
    if (wanted.partial.count === 0) return -1;
    let piece = from - 1;
    for (let probe = 0; probe < LEFT_PROBES; probe++) {
      piece = wanted.partial.next(neighbour.holds, piece + 1, wanted.pieceCount);
      if (piece < 0) return -1;
      if (tasks.row(piece)?.first === undefined) return piece;
    }
    return -1;
  }

  #rarest(neighbour: Neighbour): number {
    const { rarity, wanted } = this.#view;
    for (let level = 3; level >= 1; level--) {
      if (rarity.size(level) === 0) continue;
      if (this.#isBeginning()) {
        const piece = this.#nearest(neighbour, level, this.#view.rng.below(wanted.pieceCount), 1);
        if (piece >= 0) return piece;
      }
      const piece = this.#best(neighbour, level);
      if (piece >= 0) return piece;
    }
    return -1;
  }

  #isBeginning(): boolean {
    const { needs, wanted, tasks } = this.#view;
    return needs.isEmpty && wanted.own.count + tasks.rowCount < RANDOM_FIRST_PIECES;
  }

  #best(neighbour: Neighbour, level: number): number {
    const { needs, wanted, rng, parameters } = this.#view;
    let best = this.#probe(neighbour, level);
    const hasReaders = !needs.isEmpty && parameters.strategy === 'needed-first';
    if (hasReaders) {
      for (const need of needs.all) best = this.#better(best, this.#nearest(neighbour, level, need.urgentPiece + 1, PROBES));
    } else if (best < 0) best = this.#nearest(neighbour, level, rng.below(wanted.pieceCount), PROBES);
    return best >= 0 || !hasReaders ? best : this.#nearest(neighbour, level, 0, PROBES);
  }

  /** The best of the first few in the order of rarity that the neighbour holds. */
  #probe(neighbour: Neighbour, level: number): number {
    const { rarity, rng } = this.#view;
    // What a neighbour holds that has not everything has one holder at least.
    const start = rarity.start(level, neighbour.holds === null ? 0 : 1);
    const size = rarity.size(level);
    if (start >= size) return -1;
    const bucketEnd = rarity.start(level, rarity.partialHolders(rarity.at(level, start)) + 1);
    const width = Math.max(1, bucketEnd - start);
    const turn = rng.below(width);
    let best = -1;
    for (let probe = 0; probe < PROBES && start + probe < size; probe++) {
      const piece = rarity.at(level, start + (probe < width ? (turn + probe) % width : probe));
      if (neighbour.has(piece)) best = this.#better(best, piece);
    }
    return best;
  }

  /** The best of the first few from a place on that the neighbour holds. */
  #nearest(neighbour: Neighbour, level: number, from: number, hits: number): number {
    const { wanted, tasks } = this.#view;
    let best = -1;
    let at = from;
    for (let probe = 0, found = 0; found < hits && probe < 4 * PROBES; probe++) {
      const piece = wanted.open.next(neighbour.holds, at, wanted.pieceCount);
      if (piece < 0) return best;
      at = piece + 1;
      if (wanted.priority(piece) !== level || tasks.row(piece) !== undefined) continue;
      best = this.#better(best, piece);
      found += 1;
    }
    return best;
  }

  #better(a: number, b: number): number {
    if (a < 0 || b < 0) return Math.max(a, b);
    return this.#score(b) + (this.#view.rng.float() - 0.5) * JITTER_SCORE < this.#score(a) ? b : a;
  }

  /** Lower goes first. */
  #score(piece: number): number {
    const { rarity, needs, parameters } = this.#view;
    const holders = Math.min(COMMON_HOLDERS, rarity.partialHolders(piece));
    if (needs.isEmpty || parameters.strategy !== 'needed-first') return holders;
    const distance = needs.distance(piece);
    if (distance === Number.POSITIVE_INFINITY) return holders + BEHIND_SCORE;
    const [need] = needs.all;
    const zone = need === undefined ? 1 : need.urgentPiece - need.firstPiece + 1;
    return holders + DOUBLING_HOLDERS * Math.log2(1 + distance / zone);
  }

  #copyIn(
    row: Row<Neighbour> | undefined,
    neighbour: Neighbour,
    nowMs: Milliseconds,
    mayGuess: boolean,
    deadlineMs: Milliseconds,
  ): Task<Neighbour> | undefined {
    if (row === undefined || row.phase !== 'fetching' || !neighbour.serves(row.piece, nowMs)) return undefined;
    if (row.chosen !== undefined && !row.chosen.has(neighbour)) return undefined;
    const { line } = this.#view;
    const predictMs = Math.max(neighbour.pace.predictMs(), line.takesMs((this.#view.tasks.count + 1) * BLOCK_BYTES) ?? 0);
    const isUrgent = deadlineMs !== Number.POSITIVE_INFINITY;
    let looked = 0;
    for (const task of row.tasks()) {
      if (++looked > COPY_TASKS) return undefined;
      const { owner } = task.column;
      if (owner === neighbour || row.copies(task.block) >= (isUrgent ? URGENT_COPIES_MAX : COPIES_MAX)) continue;
      const leftMs = task.askedMs + task.predictedMs - nowMs;
      const isLate = leftMs < -owner.pace.lateMs || owner.snubbed;
      const isTooLate = isUrgent && nowMs + leftMs > deadlineMs && predictMs < leftMs / SLOWER_RATIO;
      const isSlow = leftMs > 2 * SLOWER_RATIO * predictMs;
      if (!isLate && !(mayGuess && (isTooLate || isSlow))) continue;
      if (row.copies(task.block) > 1 && tasksOf(row, task.block, neighbour)) continue;
      return task;
    }
    return undefined;
  }

  #playhead(): number {
    return this.#view.needs.all[0]?.firstPiece ?? 0;
  }
}

/** Whether the neighbour has been asked for this block of the row. */
function tasksOf(row: Row<Neighbour>, block: number, neighbour: Neighbour): boolean {
  for (const task of row.tasks()) if (task.block === block && task.column.owner === neighbour) return true;
  return false;
}

/** The first from a place on, then from the beginning. */
function nextAround(next: (from: number, to: number) => number, from: number, pieceCount: number): number {
  const piece = next(from, pieceCount - 1);
  return piece >= 0 || from === 0 ? piece : next(0, from - 1);
}
