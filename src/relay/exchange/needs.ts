/**
 * What is missing and could be asked for now: every piece that somebody holds, and that is neither here nor on its way.
 */
import type { Milliseconds, WindowNumber } from '../../kernel/units.js';
import type { Downloads } from './downloads.js';
import type { ExchangeContext } from './exchange-context.js';
import type { Lineage } from './lineage.js';
import { pieceSizeBytes } from './manifest.js';
import type { Neighbour } from './neighbour.js';
import { EARLY_PIECES_MAX, type PendingWindows } from './pending-windows.js';
import type { Playout } from './playout.js';
import { deadlineClass, type Need } from './scheduler.js';
import type { BufferedWindow } from './window-buffer.js';

/** What the list of needs is made from. */
export interface NeedsView {
  readonly context: ExchangeContext;
  readonly playout: Playout;
  readonly downloads: Downloads;
  readonly pending: PendingWindows;
  readonly lineage: Lineage;
}

/** One window in want of something. */
interface Want {
  readonly number: WindowNumber;
  readonly window: BufferedWindow | undefined;
  /** Windows that come before it and after the playhead. */
  readonly windowsAhead: number;
  readonly holders: readonly Neighbour[];
}

/** From the window to be played next on, whatever anybody announces, as far as the buffer reaches. */
export function listNeeds(view: NeedsView): readonly Need[] {
  const { context, playout } = view;
  const neighbours = [...context.neighbours.values()];
  const needs: Need[] = [];
  for (const [windowsAhead, number] of announcedFrom(playout.next ?? 0, neighbours, context.parameters.bufferWindows).entries()) {
    const window = context.buffer.get(number);
    if (window?.complete || (!window && (view.pending.full || view.lineage.waits(number)))) continue;
    const holders = neighbours.filter((neighbour) => view.lineage.has(neighbour, number));
    addNeeds({ number, window, windowsAhead, holders }, view, needs);
  }
  return needs;
}

/** Numbers that somebody speaks of, the lowest first. Between two of them there may be none: numbers jump when a publisher restarts. */
function announcedFrom(first: WindowNumber, neighbours: readonly Neighbour[], countMax: number): readonly WindowNumber[] {
  const numbers = new Set<WindowNumber>();
  for (const neighbour of neighbours) for (const number of neighbour.map.numbers()) if (number >= first) numbers.add(number);
  return [...numbers].sort((a, b) => a - b).slice(0, countMax);
}

function addNeeds({ number, window, windowsAhead, holders }: Want, view: NeedsView, needs: Need[]): void {
  const { context, downloads, pending } = view;
  const { pieceBytes } = context.parameters;
  const slackMs = slackOf(number, windowsAhead, view);
  const claimedCount = (): number => Math.max(1, ...holders.map((holder) => holder.map.get(number)?.pieceCount ?? 0));
  const pieceCount = window?.held.length ?? Math.min(EARLY_PIECES_MAX, claimedCount());
  for (let piece = 0; piece < pieceCount; piece++) {
    if (window?.held.has(piece) || pending.has(number, piece) || downloads.get(number, piece)) continue;
    const having = holders.filter((holder) => holder.map.holds(number, piece));
    if (having.length === 0) continue;
    const sizeBytes = window ? pieceSizeBytes(window.manifest, piece, pieceBytes) : pieceBytes;
    needs.push({ window: number, piece, sizeBytes, slackMs, deadlineClass: deadlineClass(windowsAhead), holders: having });
  }
}

/** Time until the player wants the window. Numbers that nobody has heard of take no time. */
function slackOf(number: WindowNumber, windowsAhead: number, { context, playout }: NeedsView): Milliseconds {
  const next = playout.next ?? number;
  return playout.deadlineMs(next + Math.min(number - next, windowsAhead), context.nowMs) - context.nowMs;
}
