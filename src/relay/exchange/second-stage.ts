/**
 * The second of two timeouts: what is done when asking others for a piece is not enough, because it is the neighbourhood that fails.
 *
 * It acts when this viewer has fallen behind everybody else, when too few neighbours are left that send anything, when it stands still while others go on, or
 * when it has met nobody who holds anything; at most once in `secondStageMs`. Neighbours that have fallen silent are let go, and others are looked for: at the tracker, by peer exchange, among
 * the addresses known. Where to go on is `Delivery`'s affair, from fresh maps. CoolFish's second timeout; algorithm sheet 5.7.
 */
import { median } from '../../kernel/median.js';
import type { Milliseconds, WindowNumber } from '../../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import type { Neighbour } from './neighbour.js';
import type { NeighbourChoice } from './neighbour-choice.js';
import type { Playout } from './playout.js';

/** Why it acted. */
export type SecondStageCause = 'expired' | 'orphaned' | 'stranded' | 'stuck';

/** A neighbour that has said nothing at all for this long is not waited for any more once there is trouble: two whole maps, as shipped, are missing by then. */
const SILENT_IN_TROUBLE_MS: Milliseconds = 5_000;
/** Neighbours lost within this time count as lost at once. */
const LOSS_PERIOD_MS: Milliseconds = 5_000;
/** Who has sent no piece for this long delivers nothing. */
const DELIVERS_PERIOD_MS: Milliseconds = 3_000;
/** Whom nobody has told of any window for this long after it began has met only others who are as lost: an island. */
const STRANDED_MS: Milliseconds = 10_000;
/** Trouble is over when nothing was wrong for this long. */
const CALM_MS: Milliseconds = 30_000;
/** Losses that are remembered; more say nothing more. */
const LOSSES_MAX = 64;

export class SecondStage {
  readonly #context: ExchangeContext;
  readonly #playout: Playout;
  readonly #choice: NeighbourChoice;
  /** When neighbours were lost, of late. */
  #losses: Milliseconds[] = [];
  /** The window that is waited for, since when, and how far others were then. */
  #waiting: { readonly next: WindowNumber; readonly sinceMs: Milliseconds; readonly othersHead: WindowNumber } | undefined;
  #lastMs: Milliseconds | undefined;
  #firstCheckMs: Milliseconds | undefined;
  #isTroubled = false;
  /** How often it acted. */
  count = 0;

  constructor(context: ExchangeContext, playout: Playout, choice: NeighbourChoice) {
    this.#context = context;
    this.#playout = playout;
    this.#choice = choice;
  }

  /** A neighbour is gone. One that has hardly come had no room for us, and takes nothing away. */
  noteLoss({ sinceMs }: Neighbour): void {
    const { nowMs } = this.#context;
    if (this.#losses.length < LOSSES_MAX && nowMs - sinceMs >= LOSS_PERIOD_MS) this.#losses.push(nowMs);
  }

  /** Every tick of a viewer. */
  check(): void {
    const { nowMs, parameters } = this.#context;
    if (this.#losses.length > 0) this.#losses = this.#losses.filter((atMs) => nowMs - atMs < LOSS_PERIOD_MS);
    this.#firstCheckMs ??= nowMs;
    if (parameters.secondStageMs === 0) return;
    const { next } = this.#playout;
    const cause = next === undefined ? this.#causeAtStart(this.#firstCheckMs) : this.#cause(next);
    const hasActed = this.#lastMs !== undefined && nowMs - this.#lastMs < parameters.secondStageMs;
    // Who fell silent with the others had perhaps not been silent for long enough by then, and keeps a place that somebody else could have.
    if (hasActed) this.#dismissSilent();
    if (cause === undefined) return this.#calmDown();
    if (hasActed) return;
    this.#lastMs = nowMs;
    this.#isTroubled = true;
    this.count += 1;
    this.#dismissSilent();
    this.#choice.trouble(true);
    this.#context.emit({ kind: 'second-stage', cause });
  }

  #cause(next: WindowNumber): SecondStageCause | undefined {
    const { nowMs, parameters } = this.#context;
    if (this.#waiting?.next !== next) this.#waiting = { next, sinceMs: nowMs, othersHead: this.#othersHead() };
    if (this.#isExpired(next)) return 'expired';
    if (this.#isOrphaned(next)) return 'orphaned';
    const waitedMs = nowMs - this.#waiting.sinceMs;
    const isStuck = waitedMs > 2 * parameters.windowMs && this.#isDry(next) && this.#othersHead() >= this.#waiting.othersHead + 2;
    return isStuck ? 'stuck' : undefined;
  }

  /** Nobody speaks of anything. Beside a publisher there is nobody to look for: it will have something to say once it is on the air. */
  #causeAtStart(sinceMs: Milliseconds): SecondStageCause | undefined {
    const { nowMs, neighbours } = this.#context;
    const isLost =
      nowMs - sinceMs >= STRANDED_MS && neighbours.values().every(({ publisher, map }) => !publisher && map.head === undefined);
    return isLost ? 'stranded' : undefined;
  }

  /** Most neighbours have thrown away what this viewer waits for. */
  #isExpired(next: WindowNumber): boolean {
    if (this.#context.highestTail <= next) return false;
    let known = 0;
    let past = 0;
    for (const { map } of this.#context.neighbours.values()) {
      if (map.head === undefined) continue;
      known += 1;
      if (map.tail > next) past += 1;
    }
    return past * 2 > known;
  }

  /** More than half of the neighbours went at once; or the player has run dry, and more than half have fallen silent or hardly anybody sends anything. */
  #isOrphaned(next: WindowNumber): boolean {
    const { neighbours, nowMs } = this.#context;
    const lost = this.#losses.length;
    if (lost >= 2 && lost > neighbours.size) return true;
    if (!this.#isDry(next)) return false;
    const silent = this.#silent().length;
    if (silent >= 2 && silent * 2 > neighbours.size) return true;
    return neighbours.values().filter(({ lastPieceMs }) => nowMs - lastPieceMs < DELIVERS_PERIOD_MS).length < 2;
  }

  /** The player waits for this window. */
  #isDry(next: WindowNumber): boolean {
    const { nowMs } = this.#context;
    return this.#playout.lastDelivered !== undefined && this.#playout.deadlineMs(next, nowMs) < nowMs;
  }

  #othersHead(): WindowNumber {
    return median(this.#context.maps().flatMap((map) => map.head ?? [])) ?? 0;
  }

  #silent(): readonly Neighbour[] {
    const { neighbours, nowMs } = this.#context;
    return neighbours.values().filter(({ lastHeardMs }) => nowMs - lastHeardMs > SILENT_IN_TROUBLE_MS);
  }

  #dismissSilent(): void {
    const { nowMs } = this.#context;
    for (const neighbour of this.#silent()) {
      const silentS = Math.round((nowMs - neighbour.lastHeardMs) / 1000);
      this.#context.dismiss(neighbour, `nothing heard for ${silentS} s, and others are needed`);
    }
  }

  #calmDown(): void {
    const { nowMs } = this.#context;
    if (!this.#isTroubled || this.#lastMs === undefined || nowMs - this.#lastMs < CALM_MS) return;
    this.#isTroubled = false;
    this.#choice.trouble(false);
  }
}
