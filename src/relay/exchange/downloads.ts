/**
 * The table of pieces that are on their way: whom we asked, when, and whether the one-shot timeout has been used.
 *
 * At most one original request and its hedge are out for a piece (invariant L4); an answer from any of them is good, however late.
 */
import type { Bytes, ConnectionId, Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import type { ContentVersion } from './manifest.js';

/** One request to one neighbour. */
export interface Asked {
  readonly peer: ConnectionId;
  readonly askedMs: Milliseconds;
  readonly predictedMs: Milliseconds;
  /** Nothing else was outstanding at the neighbour: the answer's time is a round trip. */
  readonly wasIdle: boolean;
  readonly sizeBytes: Bytes;
  /** The content that it named when it was asked; undefined when it named none. */
  readonly version: ContentVersion | undefined;
}

export interface Download {
  readonly window: WindowNumber;
  readonly piece: PieceIndex;
  readonly asked: Asked[];
  /** The one-shot timeout has fired for this piece. */
  overdue: boolean;
  /** Others have been asked after it. */
  hedged: boolean;
  waitMs: Milliseconds;
}

const NONE: readonly Download[] = [];

export class Downloads {
  readonly #byWindow = new Map<WindowNumber, Map<PieceIndex, Download>>();

  get(window: WindowNumber, piece: PieceIndex): Download | undefined {
    return this.#byWindow.get(window)?.get(piece);
  }

  open(window: WindowNumber, piece: PieceIndex, waitMs: Milliseconds): Download {
    const pieces = this.#byWindow.get(window) ?? new Map<PieceIndex, Download>();
    this.#byWindow.set(window, pieces);
    const download: Download = { window, piece, asked: [], overdue: false, hedged: false, waitMs };
    pieces.set(piece, download);
    return download;
  }

  remove(window: WindowNumber, piece: PieceIndex): void {
    const pieces = this.#byWindow.get(window);
    pieces?.delete(piece);
    if (pieces?.size === 0) this.#byWindow.delete(window);
  }

  /** Forgets one neighbour's part in a piece; returns what was asked of it. */
  release(download: Download, peer: ConnectionId): Asked | undefined {
    const at = download.asked.findIndex((asked) => asked.peer === peer);
    return at < 0 ? undefined : download.asked.splice(at, 1)[0];
  }

  /** The pieces awaited of this window, for whoever looks at many of them; undefined when there are none. */
  awaitedOf(window: WindowNumber): ReadonlyMap<PieceIndex, Download> | undefined {
    return this.#byWindow.get(window);
  }

  /** How many pieces are awaited of this window. */
  countOf(window: WindowNumber): number {
    return this.#byWindow.get(window)?.size ?? 0;
  }

  /** Every piece awaited of this window. */
  of(window: WindowNumber): readonly Download[] {
    const pieces = this.#byWindow.get(window);
    return pieces ? [...pieces.values()] : NONE;
  }

  /** Every piece awaited from this neighbour. */
  from(peer: ConnectionId): readonly Download[] {
    return [...this.all()].filter((download) => download.asked.some((asked) => asked.peer === peer));
  }

  /** Every piece awaited of windows below `window`. */
  below(window: WindowNumber): readonly Download[] {
    // Asked at every tick, and hardly ever are there any.
    let below: Download[] | undefined;
    for (const [number, pieces] of this.#byWindow) if (number < window) below = [...(below ?? []), ...pieces.values()];
    return below ?? NONE;
  }

  *all(): IterableIterator<Download> {
    for (const pieces of this.#byWindow.values()) yield* pieces.values();
  }
}
