/**
 * What is missing and could be asked for now: every piece that is neither here nor on its way, and that somebody holds who may be asked now.
 */
import type { Bitfield } from '../../kernel/bitfield.js';
import type { Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import { type BufferMap, covers } from './buffer-map.js';
import type { Downloads } from './downloads.js';
import type { ExchangeContext } from './exchange-context.js';
import type { Lineage } from './lineage.js';
import type { LiveMessage, WindowAvailability } from './live-message.js';
import { type ContentVersion, pieceSizeBytes } from './manifest.js';
import type { Neighbour } from './neighbour.js';
import { EARLY_PIECES_MAX, type PendingWindows } from './pending-windows.js';
import type { Playout } from './playout.js';
import { deadlineClass, isFree, isHandy, type Need } from './scheduler.js';
import type { Subscriptions } from './subscriptions.js';
import type { BufferedWindow } from './window-buffer.js';

/** A piece that no neighbour shows is asked of a publisher, which may not have shown it to us yet, when the player has so little left. */
const RESCUE_SLACK_MS: Milliseconds = 150;

/** What the list of needs is made from. */
export interface NeedsView {
  readonly context: ExchangeContext;
  readonly playout: Playout;
  readonly downloads: Downloads;
  readonly pending: PendingWindows;
  readonly lineage: Lineage;
  readonly subscriptions: Subscriptions;
}

/** One window in want of something. */
interface Want {
  readonly number: WindowNumber;
  readonly window: BufferedWindow | undefined;
  /** Windows that come before it and after the playhead. */
  readonly windowsAhead: number;
  /** Who speaks of the content that is wanted, and what each says of it. */
  readonly holders: readonly Neighbour[];
  readonly claims: readonly WindowAvailability[];
}

/** From the window to be played next on, whatever anybody announces, as far as the buffer reaches. */
export function listNeeds(view: NeedsView): readonly Need[] {
  const { context, playout } = view;
  const neighbours = context.neighbours.values();
  const needs: Need[] = [];
  if (isNothingOffered(view)) return needs;
  const free = neighbours.filter((neighbour) => isFree(neighbour, context.nowMs));
  if (free.length === 0) return needs;
  const handy = free.filter(isHandy);
  const first = playout.next ?? 0;
  const numbers = announcedFrom(first, context);
  // Nobody speaks of the window that the player waits for, and of a later one they do.
  if (playout.lastDelivered && (numbers[0] ?? first) > first)
    addNeeds({ number: first, window: undefined, windowsAhead: 0, holders: [], claims: [] }, view, needs);
  for (let windowsAhead = 0; windowsAhead < numbers.length; windowsAhead++) {
    const number = numbers[windowsAhead] as WindowNumber;
    const window = context.buffer.get(number);
    if (window ? isUnderWay(window, view.downloads) : view.pending.full || view.lineage.waits(number)) continue;
    const isRescued = deadlineClass(windowsAhead) === 0 && slackOf(number, windowsAhead, view) <= RESCUE_SLACK_MS;
    if (window && !isRescued && !isOffered(window, context, view.downloads)) continue;
    const version = view.lineage.of(number);
    if (deadlineClass(windowsAhead) > 0 && !isWorthALook(number, version, window, handy, view.downloads)) continue;
    addNeeds({ number, window, windowsAhead, ...claimsOf(number, neighbours, version) }, view, needs);
  }
  return needs;
}

/**
 * Whatever is neither here nor on its way, nobody has ever claimed to hold: the usual case, seen without a look at any neighbour. What the player is about to
 * lack may be asked of a publisher that has not claimed it.
 */
function isNothingOffered(view: NeedsView): boolean {
  const { context, playout, downloads } = view;
  const { buffer, newestTold, parameters } = context;
  const first = playout.next ?? 0;
  if (newestTold - first >= parameters.bufferWindows || slackOf(first, 0, view) <= RESCUE_SLACK_MS) return false;
  for (let number = first; number <= newestTold; number++) {
    const window = buffer.get(number);
    if (!window || (!isUnderWay(window, downloads) && isOffered(window, context, downloads))) return false;
  }
  return true;
}

/**
 * Whether this word of a neighbour may make a difference to the needs: it speaks of a piece that is neither here nor on its way, or takes something back. Most news come
 * from neighbours that have caught up with us. To be asked before the word is taken.
 */
export function changesNeeds(neighbour: Neighbour, word: LiveMessage & { readonly kind: 'map' }, view: NeedsView): boolean {
  if (neighbour.onAir !== (word.onAir === true)) return true;
  for (const window of word.windows) if (isOfInterest(window, view)) return true;
  return takesBack(neighbour.map, word, view.playout.next ?? 0);
}

/** Windows from `first` on are not spoken of any more, or less is said of them, or something else. */
function takesBack(map: BufferMap, { full, tail = 0, windows }: LiveMessage & { readonly kind: 'map' }, first: WindowNumber): boolean {
  if (tail > first) return true;
  if (!full) return false;
  for (let number = map.firstFrom(first); number !== undefined; number = map.firstFrom(number + 1)) {
    const wanted = number;
    const now = windows.findLast((window) => window.number === wanted);
    if (!now || !comprises(now, map.get(number) as WindowAvailability)) return true;
  }
  return false;
}

/** It says at least as much of the same content. */
function comprises(now: WindowAvailability, before: WindowAvailability): boolean {
  if (now.version !== undefined && now.version !== before.version) return false;
  if (now.held === null) return now.pieceCount === 0 || now.pieceCount >= before.pieceCount;
  if (before.held === null) return false;
  return before.held.isWithin(now.held);
}

function isOfInterest(claim: WindowAvailability, view: NeedsView): boolean {
  const { context, playout, downloads } = view;
  const { number, held } = claim;
  if (playout.next !== undefined && number < playout.next) return false;
  const window = context.buffer.get(number);
  if (!window) return !isExpected(claim, view);
  return !isUnderWay(window, downloads) && hasMissing(held, window, downloads);
}

/** Each piece that it names, of a window whose manifest is not here, has come early or has been asked for; and it is of the content that is wanted. */
function isExpected(claim: WindowAvailability, { downloads, pending, lineage }: NeedsView): boolean {
  const { number, pieceCount, version } = claim;
  if (pieceCount === 0 || (version !== undefined && version !== lineage.of(number))) return false;
  const awaited = downloads.awaitedOf(number);
  if (!awaited && !pending.hasAny(number)) return false;
  for (let piece = 0; piece < Math.min(pieceCount, EARLY_PIECES_MAX); piece++)
    if (covers(claim, piece) && !awaited?.has(piece) && !pending.has(number, piece)) return false;
  return true;
}

/** While nothing but time passes, there is nothing more to ask for than now before somebody may be asked again, or the player is about to run dry. */
export function idleUntilMs({ context, playout }: NeedsView): Milliseconds {
  const { nowMs } = context;
  let untilMs = playout.deadlineMs(playout.next ?? 0, nowMs) - RESCUE_SLACK_MS;
  for (const { busyUntilMs } of context.neighbours.values()) if (busyUntilMs > nowMs) untilMs = Math.min(untilMs, busyUntilMs);
  return untilMs;
}

/** Some neighbour has claimed a piece of it that is neither here nor on its way. */
function isOffered(window: BufferedWindow, { neighbours }: ExchangeContext, downloads: Downloads): boolean {
  const { number } = window;
  const offered = window.offered(() =>
    neighbours
      .values()
      .flatMap(({ map }) => map.get(number) ?? [])
      .map((claim) => claim.held),
  );
  return hasMissing(offered, window, downloads);
}

/** Each piece of it is here or has been asked for. */
function isUnderWay({ number, missingCount }: BufferedWindow, downloads: Downloads): boolean {
  return missingCount === 0 || downloads.countOf(number) >= missingCount;
}

/** Whether a piece is among these, all if null, that is neither here nor on its way. */
function hasMissing(claimed: Bitfield | null, { number, held }: BufferedWindow, downloads: Downloads): boolean {
  // Most have what we have.
  if (claimed?.isWithin(held)) return false;
  const awaited = downloads.awaitedOf(number);
  for (let piece = 0; piece < held.length; piece++)
    if ((claimed === null || claimed.has(piece)) && !held.has(piece) && !awaited?.has(piece)) return true;
  return false;
}

/** Whether one of those who may be asked claims something of it that is neither here nor on its way. */
function isWorthALook(
  number: WindowNumber,
  version: ContentVersion | undefined,
  window: BufferedWindow | undefined,
  handy: readonly Neighbour[],
  downloads: Downloads,
): boolean {
  for (const { map } of handy) {
    const claim = map.claim(number, version);
    if (claim && (!window || claim.held === null || hasMissing(claim.held, window, downloads))) return true;
  }
  return false;
}

function claimsOf(
  number: WindowNumber,
  neighbours: readonly Neighbour[],
  version: ContentVersion | undefined,
): Pick<Want, 'holders' | 'claims'> {
  const holders: Neighbour[] = [];
  const claims: WindowAvailability[] = [];
  for (const neighbour of neighbours) {
    const claim = neighbour.map.claim(number, version);
    if (!claim) continue;
    holders.push(neighbour);
    claims.push(claim);
  }
  return { holders, claims };
}

/** Numbers that somebody speaks of, or that are here, the lowest first. Between two of them there may be none: numbers jump when a publisher restarts. */
function announcedFrom(first: WindowNumber, { newestTold, neighbours, buffer, parameters }: ExchangeContext): readonly WindowNumber[] {
  const countMax = parameters.bufferWindows;
  const numbers: WindowNumber[] = [];
  if (newestTold - first >= countMax) {
    const all = new Set(neighbours.values().flatMap(({ map }) => map.numbersFrom(first)));
    for (let window = buffer.after(first - 1); window; window = buffer.after(window.number)) all.add(window.number);
    return [...all].sort((a, b) => a - b).slice(0, countMax);
  }
  // As a rule they lie close together: to look each one up is cheaper than to sort what all maps name.
  for (let number = first; number <= newestTold && numbers.length < countMax; number++)
    if (buffer.get(number) || isSpokenOf(number, neighbours.values())) numbers.push(number);
  return numbers;
}

function isSpokenOf(number: WindowNumber, neighbours: readonly Neighbour[]): boolean {
  for (const { map } of neighbours) if (map.get(number)) return true;
  return false;
}

function addNeeds({ number, window, windowsAhead, holders, claims }: Want, view: NeedsView, needs: Need[]): void {
  const { context, downloads, pending } = view;
  const { pieceBytes } = context.parameters;
  const slackMs = slackOf(number, windowsAhead, view);
  const pieceCount = window?.held.length ?? Math.min(EARLY_PIECES_MAX, claimedCount(claims));
  const isAmongOthers = context.neighbours.values().some(({ publisher }) => !publisher);
  const awaited = downloads.awaitedOf(number);
  const isEarly = pending.hasAny(number);
  for (let piece = 0; piece < pieceCount; piece++) {
    if (window?.held.has(piece) || awaited?.has(piece) || (isEarly && pending.has(number, piece))) continue;
    const showing = holders.filter((_, at) => covers(claims[at] as WindowAvailability, piece));
    if (view.subscriptions.awaits(number, piece, slackMs, showing)) continue;
    // Whoever may not be asked, because it owes as much as it may spoil, does not keep the rescue away.
    const isShown = showing.some((holder) => holder.bearsAnother);
    const having = isShown || slackMs > RESCUE_SLACK_MS ? showing : publishersOf(number, piece, view);
    if (!having.some((holder) => isFree(holder, context.nowMs))) continue;
    const sizeBytes = window ? pieceSizeBytes(window.manifest, piece, pieceBytes) : pieceBytes;
    const dealt = isAmongOthers && having.every(({ publisher, map }) => publisher && !map.holdsAll(number));
    needs.push({ window: number, piece, sizeBytes, slackMs, deadlineClass: deadlineClass(windowsAhead), dealt, holders: having });
  }
}

function claimedCount(claims: readonly WindowAvailability[]): number {
  let most = 1;
  for (const { pieceCount } of claims) most = Math.max(most, pieceCount);
  return most;
}

/** Publishers that may have the piece, though they may not have shown it. */
function publishersOf(number: WindowNumber, piece: PieceIndex, { context, lineage }: NeedsView): readonly Neighbour[] {
  return context.neighbours.values().filter((neighbour) => lineage.isPublisherOf(neighbour, number) && mayHave(neighbour, number, piece));
}

/** Not if it says that the window has fewer pieces. */
function mayHave({ map }: Neighbour, number: WindowNumber, piece: PieceIndex): boolean {
  const pieceCount = map.get(number)?.pieceCount ?? 0;
  return pieceCount === 0 || piece < pieceCount;
}

/** Time until the player wants the window. Numbers that nobody has heard of take no time. */
function slackOf(number: WindowNumber, windowsAhead: number, { context, playout }: NeedsView): Milliseconds {
  const next = playout.next ?? number;
  return playout.deadlineMs(next + Math.min(number - next, windowsAhead), context.nowMs) - context.nowMs;
}
