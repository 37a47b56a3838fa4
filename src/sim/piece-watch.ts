/**
 * What viewers of a simulated channel received, piece by piece: which pieces came after the player needed them, when the first came from a viewer, and how
 * many wrong ones each took from whom.
 *
 * It looks at every step of every viewer and compares with what was really cut; the exchange knows nothing of it.
 */
import type { Bytes, ConnectionId, Milliseconds, PieceIndex, WindowNumber } from '../kernel/units.js';
import type { LiveEvent } from '../relay/exchange/live-exchange.js';
import { LivePlayer } from './live-player.js';
import type { LiveStep } from './live-world.js';
import type { SimPeer } from './sim-peer.js';

export interface PieceWatchOptions {
  readonly pieceBytes: Bytes;
  readonly windowMs: Milliseconds;
  /** With which players begin. */
  readonly bufferMs: Milliseconds;
  /** What was cut under a number, and when. */
  readonly cutOf: (number: WindowNumber) => { readonly content: { readonly bytes: Uint8Array }; readonly atMs: Milliseconds } | undefined;
  /** Pieces that come later than this after their window was cut are slow, whatever the player makes of it. */
  readonly slowMs: Milliseconds;
  /** Who sends anything wrong on purpose; nobody else's pieces are compared. */
  readonly isWrongdoer: (name: string) => boolean;
  readonly publisher: string;
}

/** What one viewer received. */
export class Receipts {
  /** By delivery, in order: pieces that came too late for it, or not at all. */
  readonly latePieces: number[] = [];
  /** By delivery, in order: pieces that were slow, or never came. */
  readonly slowPieces: number[] = [];
  firstFromViewerMs: Milliseconds | undefined;
  /** Wrong pieces, by sender. */
  readonly wrongFrom = new Map<string, number>();
  readonly #player: LivePlayer;
  /** When pieces of windows that are yet to be delivered came first. */
  readonly #cameMs = new Map<WindowNumber, Map<PieceIndex, Milliseconds>>();

  constructor(player: LivePlayer) {
    this.#player = player;
  }

  came(window: WindowNumber, piece: PieceIndex, nowMs: Milliseconds): void {
    const pieces = this.#cameMs.get(window) ?? new Map<PieceIndex, Milliseconds>();
    this.#cameMs.set(window, pieces);
    if (!pieces.has(piece)) pieces.set(piece, nowMs);
  }

  /** @param slowFromMs when a piece of it begins to be slow. */
  delivered(window: WindowNumber, pieceCount: number, slowFromMs: Milliseconds, nowMs: Milliseconds): void {
    const deadlineMs = this.#player.deadlineMs(window) ?? Number.POSITIVE_INFINITY;
    this.#player.take(window, nowMs);
    const cameMs = [...(this.#cameMs.get(window)?.values() ?? [])];
    const after = (limitMs: Milliseconds): number => Math.max(0, pieceCount - cameMs.filter((atMs) => atMs <= limitMs).length);
    this.latePieces.push(after(deadlineMs));
    this.slowPieces.push(after(slowFromMs));
    for (const number of this.#cameMs.keys()) if (number <= window) this.#cameMs.delete(number);
  }
}

export class PieceWatch {
  readonly #options: PieceWatchOptions;
  readonly #receipts = new Map<SimPeer, Receipts>();
  readonly #senders = new Map<ConnectionId, string>();

  constructor(options: PieceWatchOptions) {
    this.#options = options;
  }

  of(peer: SimPeer): Receipts {
    const { bufferMs, windowMs } = this.#options;
    const receipts = this.#receipts.get(peer) ?? new Receipts(new LivePlayer(bufferMs, windowMs));
    this.#receipts.set(peer, receipts);
    return receipts;
  }

  /** What was delivered is looked at after what came in the same step. */
  readonly onStep = ({ peer, input, effects, nowMs }: LiveStep): void => {
    if (input.kind === 'message' && input.message.kind === 'piece') {
      const { window, piece, payload } = input.message;
      this.#onPiece(peer, this.#senderOf(peer, input.from), { window, piece, payload, nowMs });
    }
    for (const effect of effects) if (effect.kind === 'emit' && effect.event.kind === 'window') this.#onWindow(peer, effect.event, nowMs);
  };

  #onPiece(peer: SimPeer, sender: string, { window, piece, payload, nowMs }: Arrival): void {
    const { pieceBytes, cutOf, isWrongdoer, publisher } = this.#options;
    const receipts = this.of(peer);
    if (isWrongdoer(sender)) {
      const right = cutOf(window)?.content.bytes.subarray(piece * pieceBytes, (piece + 1) * pieceBytes);
      if (!right || !isEqual(right, payload)) return void receipts.wrongFrom.set(sender, (receipts.wrongFrom.get(sender) ?? 0) + 1);
    }
    if (sender !== publisher) receipts.firstFromViewerMs ??= nowMs;
    receipts.came(window, piece, nowMs);
  }

  #onWindow(peer: SimPeer, { manifest }: LiveEvent & { kind: 'window' }, nowMs: Milliseconds): void {
    const { cutOf, slowMs } = this.#options;
    const slowFromMs = (cutOf(manifest.number)?.atMs ?? nowMs) + slowMs;
    this.of(peer).delivered(manifest.number, manifest.pieceHashes.length, slowFromMs, nowMs);
  }

  #senderOf(peer: SimPeer, from: ConnectionId): string {
    const known = this.#senders.get(from) ?? peer.links.find(({ id }) => id === from)?.peerId ?? '';
    this.#senders.set(from, known);
    return known;
  }
}

interface Arrival {
  readonly window: WindowNumber;
  readonly piece: PieceIndex;
  readonly payload: Uint8Array;
  readonly nowMs: Milliseconds;
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
