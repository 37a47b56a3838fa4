/**
 * What is missing and could be asked for now: every piece that somebody holds, and that is neither here nor on its way.
 */
import type { WindowNumber } from '../kernel/units.js';
import type { Downloads } from './downloads.js';
import type { ExchangeContext } from './exchange-context.js';
import { pieceSizeBytes } from './manifest.js';
import type { PendingWindows } from './pending-windows.js';
import type { Playout } from './playout.js';
import { deadlineClass, type Need } from './scheduler.js';

/** What the list of needs is made from. */
export interface NeedsView {
  readonly context: ExchangeContext;
  readonly playout: Playout;
  readonly downloads: Downloads;
  readonly pending: PendingWindows;
}

/** From the window to be played next to the newest one that anybody announces, as far as the buffer reaches. */
export function listNeeds(view: NeedsView): Need[] {
  const { context, playout } = view;
  const first = playout.next ?? 0;
  const heads = context.maps().map((map) => map.head ?? -1);
  const last = Math.min(Math.max(-1, ...heads), first + context.parameters.bufferWindows);
  const needs: Need[] = [];
  for (let number = first; number <= last; number++) if (!context.buffer.get(number)?.complete) addNeedsOf(number, first, view, needs);
  return needs;
}

function addNeedsOf(number: WindowNumber, first: WindowNumber, view: NeedsView, needs: Need[]): void {
  const { context, playout, downloads, pending } = view;
  const { nowMs, parameters } = context;
  const window = context.buffer.get(number);
  const holders = [...context.neighbours.values()].filter((neighbour) => neighbour.map.get(number) !== undefined);
  if (holders.length === 0) return;
  const slackMs = playout.deadlineMs(number, nowMs) - nowMs;
  const pieceCount = window?.held.length ?? Math.max(1, ...holders.map((holder) => holder.map.get(number)?.pieceCount ?? 0));
  for (let piece = 0; piece < pieceCount; piece++) {
    if (window?.held.has(piece) || pending.has(number, piece) || downloads.get(number, piece)) continue;
    const having = holders.filter((holder) => holder.map.holds(number, piece));
    if (having.length === 0) continue;
    const sizeBytes = window ? pieceSizeBytes(window.manifest, piece, parameters.pieceBytes) : parameters.pieceBytes;
    needs.push({ window: number, piece, sizeBytes, slackMs, deadlineClass: deadlineClass(number - first), holders: having });
  }
}
