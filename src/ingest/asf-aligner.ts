/**
 * A publisher's ASF source among the other publishers of its channel: windows get the numbers that the swarm has for them already.
 *
 * Packets carry numbers that all clients of a server share, so there is no timeline to be found, only the base that was added to them when the
 * epoch began (`asf-cutter.ts`, "Numbers"). Publishers that watched the same break mostly agree on it; whoever did not watch it, or came later, reads it off a
 * window of the swarm: number − floor(first LocationId / N). Until that is done, or nobody is there to ask, windows are held. A pure core.
 */
import { sameBytes } from '../kernel/bytes.js';
import { Malformed } from '../kernel/errors.js';
import type { Milliseconds, WindowNumber } from '../kernel/units.js';
import { decodeAsfWindow } from '../media/asf-window.js';
import {
  type AlignmentEffect,
  type AlignmentState,
  FLOOR_PATIENCE_MS,
  matchMs,
  promiseMs,
  REPORT_MS,
  STANDBY_SURVEY_MS,
  SURVEY_STEP_MS,
  type SurveyedWindow,
  type SwarmOutlook,
  stallMs,
  turnMs,
} from './alignment.js';
import type { AsfCut, AsfCutter } from './asf-cutter.js';
import type { CutWindow } from './window-cutter.js';

/** As for FLV sources; see `aligned-cutter.ts`. */
const LOOK_MS: Milliseconds = 2_000;
const HELD_WINDOWS_MAX = 40;
const SAMPLES = 2;
const BASE_STEP = 16;

export class AsfAligner {
  readonly #cutter: AsfCutter;
  readonly #stallMs: Milliseconds;
  #state: AlignmentState = 'waiting';
  #effects: AlignmentEffect[] = [];
  #nowMs: Milliseconds = 0;
  #sinceMs: Milliseconds = 0;
  #held: CutWindow[] = [];
  #outlook: SwarmOutlook | undefined;
  #surveyedMs: Milliseconds = Number.NEGATIVE_INFINITY;
  #newest: SurveyedWindow | undefined;
  /** The highest number whose signature we have seen. */
  #signed: WindowNumber = -1;
  #lastNumber: WindowNumber = -1;
  #doubted = false;
  #contestedMs: Milliseconds = Number.NEGATIVE_INFINITY;
  #reportedMs: Milliseconds = Number.NEGATIVE_INFINITY;

  constructor(cutter: AsfCutter) {
    this.#cutter = cutter;
    this.#stallMs = stallMs(cutter.windowMs);
  }

  get state(): AlignmentState {
    return this.#state;
  }

  /** The source is connected, or connected again. */
  connected(nowMs: Milliseconds): readonly AlignmentEffect[] {
    this.#nowMs = nowMs;
    this.#look('the source is here');
    return this.#take();
  }

  disconnected(nowMs: Milliseconds): readonly AlignmentEffect[] {
    this.#nowMs = nowMs;
    this.#held = [];
    this.#enter('waiting', 'the source is gone');
    return this.#take();
  }

  /** What the cutter made. */
  push({ windows, epoch }: AsfCut, nowMs: Milliseconds): readonly AlignmentEffect[] {
    this.#nowMs = nowMs;
    if (epoch && epoch.reason !== 'first' && this.#onAir) this.#look('the source begins a new epoch');
    for (const window of windows) this.#pass(window);
    return this.#take();
  }

  tick(outlook: SwarmOutlook, nowMs: Milliseconds): readonly AlignmentEffect[] {
    this.#nowMs = nowMs;
    this.#outlook = outlook;
    if (this.#state === 'looking' || this.#state === 'standby') this.#decide();
    if (this.#onAir && this.#doubted) this.#survey(SURVEY_STEP_MS);
    return this.#take();
  }

  surveyed(window: SurveyedWindow, nowMs: Milliseconds): readonly AlignmentEffect[] {
    this.#nowMs = nowMs;
    this.#signed = Math.max(this.#signed, window.number);
    if (window.number >= (this.#newest?.number ?? 0)) this.#newest = window;
    if (this.#state === 'looking' || this.#state === 'standby') this.#decide();
    else if (this.#onAir && this.#doubted) this.#compare(window);
    return this.#take();
  }

  doubted(nowMs: Milliseconds): readonly AlignmentEffect[] {
    this.#nowMs = nowMs;
    if (!this.#onAir || nowMs - this.#contestedMs < STANDBY_SURVEY_MS) return this.#take();
    this.#doubted = true;
    this.#survey(SURVEY_STEP_MS);
    return this.#take();
  }

  get #onAir(): boolean {
    return this.#state === 'leading' || this.#state === 'aligned';
  }

  #look(detail: string): void {
    this.#held = [];
    this.#newest = undefined;
    this.#doubted = false;
    this.#surveyedMs = Number.NEGATIVE_INFINITY;
    this.#enter('looking', detail);
  }

  #pass(window: CutWindow): void {
    if (this.#onAir) return this.#publish(window);
    this.#held.push(window);
    if (this.#held.length > HELD_WINDOWS_MAX) this.#held.shift();
    this.#decide();
  }

  #decide(): void {
    const outlook = this.#outlook;
    if (outlook === undefined || this.#held.length === 0) return;
    const base = this.#baseOf(this.#newest);
    if (base !== undefined) return this.#align(base);
    const lookedMs = this.#nowMs - this.#sinceMs;
    const { upMs, head, publishers, onAir, before, quietMs } = outlook;
    // Another publisher has gone on the air and shows nothing yet.
    if (onAir > 0 && (head === null || quietMs >= this.#stallMs) && Math.min(quietMs, lookedMs) < promiseMs(this.#cutter.windowMs))
      return this.#survey(SURVEY_STEP_MS);
    const isAlone = head === null || (publishers === 0 && head <= this.#lastNumber && quietMs >= this.#stallMs);
    if (upMs >= LOOK_MS && lookedMs >= turnMs(before) && isAlone) return this.#lead('nobody else is publishing');
    if (Math.min(quietMs, lookedMs) >= this.#stallMs + turnMs(before)) {
      this.#survey(SURVEY_STEP_MS);
      const knowsFloor = this.#signed >= (head ?? 0) || Math.min(quietMs, lookedMs) >= this.#stallMs + FLOOR_PATIENCE_MS;
      if (knowsFloor) this.#lead('the other publishers have stopped');
      return;
    }
    if (this.#state === 'looking' && lookedMs > matchMs(this.#cutter.windowMs) && this.#newest) {
      this.#enter('standby', 'the swarm shows another stream than this source: not publishing');
      this.#reportedMs = Number.NEGATIVE_INFINITY;
    }
    this.#survey(this.#state === 'standby' ? STANDBY_SURVEY_MS : SURVEY_STEP_MS);
    if (this.#state === 'standby' && this.#newest && this.#nowMs - this.#reportedMs >= REPORT_MS) this.#report(this.#newest);
  }

  /** What was added to the packet numbers of our epoch, if the window is of it. */
  #baseOf(window: SurveyedWindow | undefined): number | undefined {
    const own = this.#cutter.numbering;
    const decoded = window && decodeAsfWindow(window.bytes);
    if (!own || !window || !decoded || decoded instanceof Malformed || !sameBytes(decoded.epochId, own.epochId)) return undefined;
    const [first] = decoded.records;
    return first && window.number - this.#cutter.indexOf(first.locationId);
  }

  #align(base: number): void {
    this.#renumber(base);
    this.#enter('aligned', 'on the numbers of the swarm');
    this.#release();
  }

  #lead(detail: string): void {
    const own = this.#cutter.numbering;
    const floor = this.#signed;
    const [first] = this.#held;
    if (own && first && first.number <= floor) this.#renumber(own.base + Math.ceil((floor + 1 - first.number) / BASE_STEP) * BASE_STEP);
    this.#enter('leading', detail);
    this.#release();
  }

  /** The windows that are held, and all behind them. */
  #renumber(base: number): void {
    const own = this.#cutter.numbering;
    if (!own || own.base === base) return;
    const by = base - own.base;
    this.#cutter.adopt({ epochId: own.epochId, base });
    this.#held = this.#held.map((window) => ({
      ...window,
      number: window.number + by,
      previous: window.previous === null ? null : window.previous + by,
    }));
  }

  #release(): void {
    const held = this.#held;
    this.#held = [];
    for (const window of held) this.#publish(window);
  }

  /** Numbers only grow, whatever base they had before. */
  #publish(window: CutWindow): void {
    if (window.number <= this.#lastNumber) return;
    this.#lastNumber = window.number;
    this.#effects.push({ kind: 'publish', window, confirm: false });
  }

  /** Of two bases for one epoch the higher one stays: viewers that follow it cannot go back. */
  #compare(window: SurveyedWindow): void {
    this.#doubted = false;
    const [base, own] = [this.#baseOf(window), this.#cutter.numbering];
    if (base === undefined || base === own?.base) {
      this.#contestedMs = this.#nowMs;
      this.#report(window);
    } else if (own && base > own.base) {
      this.#renumber(base);
      this.#enter('aligned', 'moved to the numbers of another publisher of this source');
    }
  }

  #report({ number, publisher }: SurveyedWindow): void {
    this.#reportedMs = this.#nowMs;
    this.#effects.push({ kind: 'conflict', number, publisher });
  }

  #survey(stepMs: Milliseconds): void {
    if (this.#nowMs - this.#surveyedMs < stepMs) return;
    this.#surveyedMs = this.#nowMs;
    this.#effects.push({ kind: 'survey', count: SAMPLES });
  }

  #enter(state: AlignmentState, detail: string): void {
    if (state === 'looking') this.#sinceMs = this.#nowMs;
    this.#state = state;
    this.#effects.push({ kind: 'state', state, detail });
  }

  #take(): readonly AlignmentEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
