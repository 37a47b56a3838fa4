/**
 * Hands windows out in order, chooses where to start, and jumps over what cannot be had any more.
 */
import type { Milliseconds, WindowNumber } from '../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import type { PendingWindows } from './pending-windows.js';
import { chooseStart, type Playout } from './playout.js';
import type { Requester } from './requester.js';

/** A first map from a publisher alone waits this long for a viewer's, to spare the publisher. */
const START_PATIENCE_MS: Milliseconds = 150;
/** Windows that nobody holds any more are given up after this long. */
const UNOBTAINABLE_MS: Milliseconds = 1_000;

export interface DeliveryParts {
  readonly context: ExchangeContext;
  readonly playout: Playout;
  readonly requester: Requester;
  readonly pending: PendingWindows;
}

export class Delivery {
  readonly #context: ExchangeContext;
  readonly #playout: Playout;
  readonly #requester: Requester;
  readonly #pending: PendingWindows;
  #firstMapMs: Milliseconds | undefined;
  windowsDelivered = 0;
  windowsSkipped = 0;
  /** Windows that came after their deadline. */
  stalls = 0;
  /** Of the last window: how old its oldest media was when it was delivered. */
  delayMs: Milliseconds | null = null;

  constructor({ context, playout, requester, pending }: DeliveryParts) {
    this.#context = context;
    this.#playout = playout;
    this.#requester = requester;
    this.#pending = pending;
  }

  /** Manifests below this number are not taken in any more. */
  get lowestWanted(): WindowNumber {
    const { tail, head } = this.#context.buffer;
    return Math.max(tail, Math.min(this.#playout.next ?? 0, head ?? Number.MAX_SAFE_INTEGER));
  }

  /** What is left until a player that has played from the start runs dry. */
  get bufferedMs(): Milliseconds {
    const dueMs = this.#dueMs();
    return dueMs === undefined ? 0 : Math.max(0, dueMs - this.#context.nowMs);
  }

  noteMap(): void {
    this.#firstMapMs ??= this.#context.nowMs;
  }

  /** Delivers every window that is whole and next. */
  deliver(): void {
    const { nowMs } = this.#context;
    for (let dueMs = this.#dueMs(); ; dueMs = this.#dueMs()) {
      const window = this.#playout.deliver(nowMs);
      if (!window) return;
      if (dueMs !== undefined && dueMs < nowMs) this.stalls += 1;
      const delayMs = Math.max(0, nowMs - window.originMs) + window.manifest.durationMs;
      this.delayMs = delayMs;
      this.windowsDelivered += 1;
      this.#context.emit({ kind: 'window', manifest: window.manifest, bytes: window.join(), delayMs });
    }
  }

  /** Chooses where to start, if that has not been done. False while it cannot be chosen yet. */
  start(): boolean {
    if (this.#playout.started) return true;
    const { neighbours, nowMs, parameters } = this.#context;
    const waitedMs = this.#firstMapMs === undefined ? 0 : nowMs - this.#firstMapMs;
    const onlyPublishers = [...neighbours.values()].every((neighbour) => neighbour.publisher);
    if (onlyPublishers && waitedMs < START_PATIENCE_MS) return false;
    const start = chooseStart(this.#context.maps(), -1, parameters);
    if (start === undefined) return false;
    this.#playout.moveTo(start);
    return true;
  }

  /** Jumps over what cannot be had any more, to the next start that can. */
  skipIfHopeless(): void {
    const { nowMs, parameters, buffer } = this.#context;
    const next = this.#playout.next;
    if (next === undefined || this.#playout.candidate()?.complete) return;
    const heads = this.#context.maps().flatMap((map) => (map.head === undefined ? [] : [map.head]));
    const newest = Math.max(...heads, buffer.head ?? 0);
    if (newest <= next) return this.#playout.idle(nowMs);
    const blockedMs = this.#playout.blockedMs(nowMs);
    const lateMs = nowMs - this.#playout.deadlineMs(next, nowMs);
    const unobtainable = blockedMs > UNOBTAINABLE_MS && heads.length > 0 && !this.#obtainable(next);
    if (!unobtainable && !(blockedMs > parameters.giveUpMs && lateMs > parameters.giveUpMs)) return;
    const target = this.#nextStart(next);
    if (target !== undefined) this.#skipTo(next, target);
  }

  /** When the player would run dry without the next window; undefined before the first delivery. */
  #dueMs(): Milliseconds | undefined {
    const next = this.#playout.next;
    return this.#playout.lastDelivered && next !== undefined ? this.#playout.deadlineMs(next, this.#context.nowMs) : undefined;
  }

  /** Somebody holds what the next window lacks; a window nobody has described yet counts as lacking everything. */
  #obtainable(number: WindowNumber): boolean {
    const window = this.#playout.candidate();
    const wanted = window?.number ?? number;
    if (this.#pending.hasAny(wanted) || this.#requester.awaits(wanted)) return true;
    return this.#context.maps().some((map) => {
      if (!window) return map.get(wanted) !== undefined;
      for (let piece = 0; piece < window.held.length; piece++) if (!window.held.has(piece) && map.holds(wanted, piece)) return true;
      return false;
    });
  }

  #nextStart(after: WindowNumber): WindowNumber | undefined {
    const { buffer, parameters } = this.#context;
    for (const window of buffer.windows()) if (window.number > after && window.key && window.complete) return window.number;
    return chooseStart(this.#context.maps(), after, parameters);
  }

  #skipTo(from: WindowNumber, to: WindowNumber): void {
    this.windowsSkipped += to - from;
    this.#playout.moveTo(to);
    this.#requester.abandonBelow(to);
    this.#pending.forgetBelow(to);
    this.#context.emit({ kind: 'skipped', from, to });
    this.deliver();
  }
}
