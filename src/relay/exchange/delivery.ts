/**
 * Hands windows out in order, chooses where to start, and jumps over what cannot be had any more.
 */
import type { Bytes, Milliseconds, WindowNumber } from '../../kernel/units.js';
import type { Gap } from '../../media/holed-window.js';
import type { BufferMap } from './buffer-map.js';
import type { ExchangeContext } from './exchange-context.js';
import type { Lineage } from './lineage.js';
import type { ManifestKeyMark } from './manifest.js';
import type { PendingWindows } from './pending-windows.js';
import type { Playout } from './playout.js';
import type { Requester } from './requester.js';
import { chooseFromOne, chooseStart, firstInPart, newestWindow } from './start-choice.js';
import type { BufferedWindow } from './window-buffer.js';

/** A first map from a publisher alone waits this long for a viewer's, to spare the publisher. */
const START_PATIENCE_MS: Milliseconds = 150;
/** While neighbours name no common window to start at, they are given this long to agree. */
const AGREEMENT_PATIENCE_MS: Milliseconds = 500;
/** A chosen start whose manifest nobody could show in this time was a lie, or is gone. */
const START_TRIAL_MS: Milliseconds = 1_500;
/** Windows that nobody holds are given up after this long: a publisher deals a piece that went no further to somebody else within 1.6 s as a rule, and it has to get here. */
const UNOBTAINABLE_MS: Milliseconds = 2_500;

/** Up to this share, one window behind it is enough to go on with (algorithm sheet 5.3: one of eight pieces is "a few"). */
const FEW_MISSING = 1 / 8;
/** In a stall picture and sound stand still, after a loss the picture alone: so it costs half as much, for as long as it lasts. */
const FREEZE_COST = 1 / 2;
/** What follows is here when this share of its pieces is. */
const NEARLY_WHOLE = 0.9;

export interface DeliveryParts {
  readonly context: ExchangeContext;
  readonly playout: Playout;
  readonly requester: Requester;
  readonly pending: PendingWindows;
  readonly lineage: Lineage;
}

/** A window that goes out with gaps. */
interface WindowInPart {
  readonly window: BufferedWindow;
  /** What the mender made of it. */
  readonly bytes: Uint8Array;
  readonly lossOffsets: readonly Bytes[];
  readonly gaps: readonly Gap[];
  readonly keyMarks: readonly ManifestKeyMark[];
}

export class Delivery {
  readonly #context: ExchangeContext;
  readonly #playout: Playout;
  readonly #requester: Requester;
  readonly #pending: PendingWindows;
  readonly #lineage: Lineage;
  /** The first window that a jump leaves out. */
  #gapFrom: WindowNumber | undefined;
  /** When what was played was last left for something ahead. */
  #jumpedMs: Milliseconds = Number.NEGATIVE_INFINITY;
  #firstMapMs: Milliseconds | undefined;
  #firstWholeMs: Milliseconds | undefined;
  windowsDelivered = 0;
  windowsSkipped = 0;
  /** Of those delivered: how many had gaps, and how many pieces those lacked. */
  windowsInPart = 0;
  piecesMissed = 0;
  /** Windows that came after their deadline. */
  stalls = 0;
  /** Of the last window: how old its oldest media was when it was delivered. */
  delayMs: Milliseconds | null = null;

  constructor({ context, playout, requester, pending, lineage }: DeliveryParts) {
    this.#lineage = lineage;
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

  /** Windows being fetched that are not wanted any more are forgotten. */
  prune(): void {
    const lowest = this.lowestWanted;
    if (this.#pending.count > 0) this.#prunePending(lowest);
    this.#requester.abandonBelow(lowest);
  }

  #prunePending(lowest: WindowNumber): void {
    const neighbours = this.#context.neighbours.values();
    // A window that nobody speaks of any more was made up, or is gone; but the next one may be asked of a publisher that has not shown it. The next one only:
    // a publisher seems to have any number, and there is no end to those that can be made up. What is fed comes before any word of it: thrown away, the only copy that
    // has left a publisher would be lost, and all others would wait for it.
    const isTold = (number: WindowNumber): boolean =>
      this.#pending.isFed(number) ||
      neighbours.some(
        (neighbour) =>
          neighbour.map.get(number) !== undefined || (number === this.#playout.next && this.#lineage.isPublisherOf(neighbour, number)),
      );
    const { count } = this.#pending;
    this.#context.noteUnjudged(this.#pending.keepOnly((number) => number >= lowest && isTold(number)));
    if (this.#pending.count < count) this.#requester.wake();
  }

  noteMap(): void {
    this.#firstMapMs ??= this.#context.nowMs;
  }

  /** Delivers every window that is whole and next, and one with gaps where waiting for the rest would cost more. */
  deliver(): void {
    const { nowMs } = this.#context;
    if (this.#holdsBack()) return;
    for (let dueMs = this.#dueMs(); ; dueMs = this.#dueMs()) {
      const before = this.#playout.lastDelivered;
      const inPart = this.#mendNext(dueMs);
      const window = this.#playout.deliver(nowMs, inPart?.window);
      if (!window) return;
      if (dueMs !== undefined && dueMs < nowMs) this.stalls += 1;
      this.#reportGap(window.number);
      this.#emit(window, before, inPart);
    }
  }

  #emit(window: BufferedWindow, before: BufferedWindow | undefined, inPart: WindowInPart | undefined): void {
    const { nowMs, parameters, intake } = this.#context;
    const delayMs = Math.max(0, nowMs - window.originMs) + window.manifest.durationMs;
    this.delayMs = delayMs;
    this.windowsDelivered += 1;
    if (inPart) {
      this.windowsInPart += 1;
      this.piecesMissed += window.missingCount;
    }
    const crosses = before !== undefined && this.#lineage.breaks(before.manifest, window.manifest);
    const manifest = crosses ? { ...window.manifest, discontinuity: true } : window.manifest;
    this.#context.emit({
      kind: 'window',
      manifest: inPart ? { ...manifest, keyMarks: inPart.keyMarks } : manifest,
      bytes: inPart ? inPart.bytes : intake.whole(window.manifest, () => window.join(parameters.pieceBytes)),
      gaps: inPart ? inPart.gaps : [],
      lossOffsets: inPart ? inPart.lossOffsets : [],
      delayMs,
      publisher: this.#context.signerOf(manifest),
    });
  }

  /**
   * The next window with its gaps mended, if waiting for the rest costs more than the gaps do. What waiting will cost nobody knows; so the player is kept waiting
   * for as long as the loss is worth, and no longer: that costs at most twice what the better of the two would have. Nothing is gained while what
   * follows is missing as well. When the stream itself stood still, the player ran dry long before
   * there was anything to wait for: so it counts from when the window's manifest came.
   */
  #mendNext(dueMs: Milliseconds | undefined): WindowInPart | undefined {
    const { nowMs, options, parameters } = this.#context;
    const window = this.#playout.anchor === undefined ? this.#playout.candidate() : undefined;
    if (!options.mend || dueMs === undefined || dueMs > nowMs || !window || window.complete) return undefined;
    const share = window.missingCount / window.held.length;
    if (share > parameters.missingShareMax || !this.#isFollowed(window, share <= FEW_MISSING ? 1 : 2)) return undefined;
    const gaps = window.gaps(parameters.pieceBytes);
    if (nowMs - Math.max(dueMs, window.openedMs) < Math.max(share * window.manifest.durationMs, FREEZE_COST * this.#frozenMs(window, gaps)))
      return undefined;
    const { keyMarks } = window.manifest;
    const keyOffsets = keyMarks.map(({ offsetBytes }) => offsetBytes);
    const mended = options.mend({ bytes: window.join(parameters.pieceBytes), gaps, keyOffsets });
    if (!mended) return undefined;
    const movedMarks = keyMarks.map((mark, index) => ({ ...mark, offsetBytes: mended.keyOffsets[index] ?? 0 }));
    return { window, bytes: mended.bytes, lossOffsets: mended.lossOffsets, gaps, keyMarks: movedMarks };
  }

  /** How long the picture stands still: pictures depend on each other up to the next key frame, and no browser shows one without what it depends on. */
  #frozenMs(window: BufferedWindow, gaps: readonly Gap[]): Milliseconds {
    const { startMs, durationMs, sizeBytes, keyMarks } = window.manifest;
    const fromBytes = gaps[0]?.offsetBytes ?? 0;
    const fromMs = startMs + (fromBytes / sizeBytes) * durationMs;
    const here = keyMarks.find(({ offsetBytes }) => offsetBytes >= fromBytes);
    if (here) return startMs + here.afterStartMs - fromMs;
    const ahead = this.#playout.following(window, Number.POSITIVE_INFINITY);
    const next = ahead.find(({ key }) => key) ?? ahead.at(-1);
    return next ? Math.max(0, next.manifest.startMs + (next.manifest.keyMarks[0]?.afterStartMs ?? 0) - fromMs) : durationMs;
  }

  #isFollowed(window: BufferedWindow, count: number): boolean {
    const following = this.#playout.following(window, count);
    return following.length === count && following.every(({ held }) => held.count >= NEARLY_WHOLE * held.length);
  }

  /** A jump is told of once it has come off, so that a jump that was called off is not. */
  #reportGap(to: WindowNumber): void {
    const from = this.#gapFrom;
    this.#gapFrom = undefined;
    if (from === undefined || to <= from) return;
    this.windowsSkipped += to - from;
    this.#context.emit({ kind: 'skipped', from, to });
  }

  /**
   * The very first window waits until the stream is `startLagMs` ahead of it. That is so at once in a stream that has been on the air for a while; at the
   * start of a stream everybody would otherwise play without any reserve.
   */
  #holdsBack(): boolean {
    const { nowMs, parameters, buffer } = this.#context;
    const first = this.#playout.lastDelivered ? undefined : this.#playout.candidate();
    if (!first?.complete) return false;
    this.#firstWholeMs ??= nowMs;
    const aheadWindows = (newestWindow(this.#credibleMaps(), buffer.head) ?? 0) - first.number;
    return aheadWindows * parameters.windowMs < parameters.startLagMs && nowMs - this.#firstWholeMs < parameters.startLagMs;
  }

  /** Chooses where to start, if that has not been done. False while it cannot be chosen yet. */
  start(): boolean {
    if (this.#playout.started) return true;
    const { neighbours, nowMs } = this.#context;
    const waitedMs = this.#firstMapMs === undefined ? 0 : nowMs - this.#firstMapMs;
    const onlyPublishers = neighbours.values().every((neighbour) => neighbour.publisher);
    if (onlyPublishers && waitedMs < START_PATIENCE_MS) return false;
    const start = this.#chooseStart(-1, waitedMs >= AGREEMENT_PATIENCE_MS);
    if (start === undefined) return false;
    this.#playout.moveTo(start);
    return true;
  }

  /** Jumps over what cannot be had any more, to the next start that can. */
  skipIfHopeless(): void {
    const { nowMs, parameters } = this.#context;
    const next = this.#playout.next;
    if (next === undefined) return;
    if (this.#playout.candidate()?.complete || this.#mendNext(this.#dueMs())) {
      this.#context.deliverDue = true;
      return;
    }
    if (this.#anchorIsHearsay) return this.#startWasFalse() ? this.#dropStart() : undefined;
    if (!this.#isAhead(next)) return this.#playout.idle(nowMs);
    const blockedMs = this.#playout.blockedMs(nowMs);
    const lateMs = this.#playout.lastDelivered ? nowMs - this.#playout.deadlineMs(next, nowMs) : blockedMs;
    const unobtainable = blockedMs > UNOBTAINABLE_MS && this.#context.neighbours.size > 0 && !this.#obtainable(next);
    if (!unobtainable && !(blockedMs > parameters.giveUpMs && lateMs > parameters.giveUpMs)) return;
    // One jump in this time, as of all that the second stage does: whoever jumps again at once jumps on hearsay, and may only be further away.
    if (nowMs - this.#jumpedMs < parameters.secondStageMs) return;
    const target = this.#nextStart(next);
    if (target !== undefined) this.#skipTo(next, target);
  }

  /** The stream has gone on behind this window, as far as we believe what we hear. */
  #isAhead(number: WindowNumber): boolean {
    const { buffer, newestTold } = this.#context;
    // As a rule it shows without a look at what each neighbour says.
    if ((buffer.head ?? 0) > number) return true;
    return newestTold > number && (newestWindow(this.#credibleMaps(), buffer.head) ?? 0) > number;
  }

  /** A start has been chosen, and nobody has shown the owner's signature for it yet. */
  get #anchorIsHearsay(): boolean {
    const { anchor } = this.#playout;
    return anchor !== undefined && this.#context.buffer.get(anchor) === undefined;
  }

  #startWasFalse(): boolean {
    const { anchor } = this.#playout;
    const blockedMs = this.#playout.blockedMs(this.#context.nowMs);
    return blockedMs > START_TRIAL_MS || !this.#context.maps().some((map) => anchor !== undefined && map.get(anchor));
  }

  /** Those who named it are not listened to when another start is chosen, unless there is nobody else. */
  #dropStart(): void {
    const { anchor } = this.#playout;
    for (const neighbour of this.#context.neighbours.values()) {
      if (anchor !== undefined && neighbour.map.get(anchor)) neighbour.credible = false;
    }
    this.#requester.wake();
    this.#playout.forgetAnchor();
    const start = this.#chooseStart(this.#playout.lastDelivered?.number ?? -1, true);
    if (start !== undefined) this.#playout.moveTo(start);
  }

  /** `alone`: one neighbour's word is enough, because others have had time to speak. */
  #chooseStart(above: WindowNumber, alone: boolean): WindowNumber | undefined {
    const { parameters } = this.#context;
    const maps = this.#credibleMaps().filter((map) => map.head !== undefined);
    const agreed = maps.length > 1 ? chooseStart(maps, { above, witnesses: 2, parameters }) : undefined;
    if (agreed !== undefined || (maps.length > 1 && !alone)) return agreed;
    return chooseStart(maps, { above, witnesses: 1, parameters }) ?? firstInPart(maps, above) ?? chooseFromOne(maps, above, parameters);
  }

  #credibleMaps(): readonly BufferMap[] {
    const neighbours = this.#context.neighbours.values();
    const credible = neighbours.filter((neighbour) => neighbour.credible);
    return (credible.length > 0 ? credible : neighbours).map(({ map }) => map);
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
    if (this.#pending.hasAny(wanted) || this.#requester.awaits(wanted) || this.#isAtPublisher(wanted)) return true;
    return this.#context.maps().some((map) => {
      if (!window) return map.get(wanted) !== undefined;
      for (let piece = 0; piece < window.held.length; piece++)
        if (!window.held.has(piece) && map.holds(wanted, piece, window.version)) return true;
      return false;
    });
  }

  /** A publisher of our line that is awake has it, and gives it to whoever needs it, even if it has not shown it yet. */
  #isAtPublisher(number: WindowNumber): boolean {
    const { neighbours, nowMs } = this.#context;
    return neighbours
      .values()
      .some((neighbour) => nowMs - neighbour.lastHeardMs < UNOBTAINABLE_MS && this.#lineage.isPublisherOf(neighbour, number));
  }

  #nextStart(after: WindowNumber): WindowNumber | undefined {
    const { buffer } = this.#context;
    for (const window of buffer.windows()) if (window.number > after && window.key && window.complete) return window.number;
    return this.#chooseStart(after, true);
  }

  #skipTo(from: WindowNumber, to: WindowNumber): void {
    this.#playout.moveTo(to);
    this.#requester.abandonBelow(to);
    // While nothing has been played, nothing is missing in what was.
    if (this.#playout.lastDelivered) {
      this.#gapFrom ??= from;
      this.#jumpedMs = this.#context.nowMs;
    }
    this.#context.deliverDue = true;
  }
}
