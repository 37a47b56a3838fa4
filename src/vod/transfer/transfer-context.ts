/**
 * What the parts of one title's session share: its shape, its sets of pieces, its neighbours, the time of this step, and the effects of it.
 *
 * A part never calls the part that called it. What a step makes necessary at its end (dropping, planning, counting) is noted here, and
 * `TitleSession` sees to it once, however often it was noted.
 */
import type { DisconnectReason } from '../../kernel/protocol.js';
import type { Rng } from '../../kernel/rng.js';
import type { TokenBucket } from '../../kernel/token-bucket.js';
import type { Bytes, ConnectionId, Milliseconds } from '../../kernel/units.js';
import type { PeerMessage } from '../peer-message.js';
import { type Row, TaskList } from '../task-list.js';
import type { TitleEffect, TitleEvent, TitleShape, TitleTimer } from '../title-protocol.js';
import { Line } from './line.js';
import { Needs } from './needs.js';
import type { Neighbour } from './neighbour.js';
import { Rarity } from './rarity.js';
import { TRANSFER_PARAMETERS, type TransferParameters } from './transfer-parameters.js';
import { Wanted } from './wanted.js';

export interface TitleSessionOptions {
  readonly shape: TitleShape;
  readonly rng: Rng;
  /** Shared by all titles of the process. */
  readonly uplink: TokenBucket;
  readonly downlink: TokenBucket;
  /** Likewise; its own when left out. */
  readonly line?: Line;
  /** What is not given is as in `TRANSFER_PARAMETERS`. */
  readonly parameters?: Partial<TransferParameters>;
}

/** What has been counted since the start. */
export interface TransferCounts {
  downBytes: Bytes;
  upBytes: Bytes;
  /** The part of what came that neighbours sent that hold everything. */
  fromSeedersBytes: Bytes;
  /** Of blocks that were here already when they came. */
  duplicateBytes: Bytes;
  /** Of blocks that nobody had asked for; not stored. */
  unaskedBytes: Bytes;
  /** Of blocks that turned out wrong, with those that lay in one piece with them. */
  wastedBytes: Bytes;
  badPieces: number;
  cancels: number;
  /** Requests that got no answer in time. */
  timeouts: number;
}

export class TransferContext {
  readonly options: TitleSessionOptions;
  readonly shape: TitleShape;
  readonly parameters: TransferParameters;
  readonly rng: Rng;
  readonly tasks = new TaskList<Neighbour>();
  readonly line: Line;
  readonly rarity: Rarity;
  readonly wanted: Wanted;
  readonly needs: Needs;
  readonly neighbours = new Map<ConnectionId, Neighbour>();
  readonly counts: TransferCounts = {
    downBytes: 0,
    upBytes: 0,
    fromSeedersBytes: 0,
    duplicateBytes: 0,
    unaskedBytes: 0,
    wastedBytes: 0,
    badPieces: 0,
    cancels: 0,
    timeouts: 0,
  };
  nowMs: Milliseconds = 0;
  hasStarted = false;
  /** Something may be asked of somebody. */
  planDue = false;
  /** Handed to the store and not written yet. */
  unstoredBytes: Bytes = 0;
  /** Whether all was here that readers are still to read, when these were the revisions. */
  #ahead: { readonly ofWanted: number; readonly ofNeeds: number; readonly isHere: boolean } | undefined;
  readonly #accused = new Map<Neighbour, DisconnectReason>();
  #effects: TitleEffect[] = [];

  constructor(options: TitleSessionOptions) {
    this.options = options;
    this.shape = options.shape;
    this.parameters = { ...TRANSFER_PARAMETERS, ...options.parameters };
    this.rng = options.rng;
    this.line = options.line ?? new Line();
    this.rarity = new Rarity(options.shape.pieceCount);
    this.wanted = new Wanted(options.shape, this.tasks, this.rarity);
    this.needs = new Needs(options.shape, this.parameters);
  }

  /** Length of a piece; the last one is shorter. */
  pieceBytes(piece: number): Bytes {
    const { pieceLengthBytes, totalBytes } = this.shape;
    return Math.min(pieceLengthBytes, totalBytes - piece * pieceLengthBytes);
  }

  /** All that is wanted is here. */
  get isComplete(): boolean {
    return this.wanted.missing.count === 0;
  }

  /** Nothing is wanted, nor will be while the readers there are read on: of what lies before them only the nearest counts as wanted. */
  get isContent(): boolean {
    if (!this.isComplete) return false;
    if (this.wanted.own.isFull || this.needs.isEmpty) return true;
    // Asked after every message, and a reader may have a hundred thousand pieces before it.
    const [ofWanted, ofNeeds] = [this.wanted.revision, this.needs.revision];
    if (this.#ahead?.ofWanted !== ofWanted || this.#ahead.ofNeeds !== ofNeeds)
      this.#ahead = { ofWanted, ofNeeds, isHere: this.#isAheadHere() };
    return this.#ahead.isHere;
  }

  /** Whether all that the readers are still to read is here. */
  #isAheadHere(): boolean {
    const { own } = this.wanted;
    return this.needs.all.every(({ urgentPiece, lastPiece }) => {
      for (let piece = urgentPiece + 1; piece <= lastPiece; piece++) if (!own.has(piece)) return false;
      return true;
    });
  }

  /** The row of a piece that is begun, if need be now. */
  openRow(piece: number): Row<Neighbour> {
    return this.tasks.row(piece) ?? this.tasks.open(piece, this.pieceBytes(piece));
  }

  /** The neighbour is banned at the end of this step. */
  accuse(neighbour: Neighbour, detail: string): void {
    if (this.#accused.get(neighbour)?.kind !== 'misbehaved') this.#accused.set(neighbour, { kind: 'misbehaved', detail });
  }

  /** The neighbour is let go at the end of this step; it may come back. */
  dismiss(neighbour: Neighbour, reason: DisconnectReason): void {
    if (!this.#accused.has(neighbour)) this.#accused.set(neighbour, reason);
  }

  isAccused(neighbour: Neighbour): boolean {
    return this.#accused.has(neighbour);
  }

  takeAccused(): readonly (readonly [Neighbour, DisconnectReason])[] {
    if (this.#accused.size === 0) return [];
    const accused = [...this.#accused];
    this.#accused.clear();
    return accused;
  }

  send(neighbour: Neighbour, message: PeerMessage): void {
    this.#effects.push({ kind: 'send', to: neighbour.id, message });
  }

  emit(event: TitleEvent): void {
    this.#effects.push({ kind: 'emit', event });
  }

  schedule(timer: TitleTimer, delayMs: Milliseconds): void {
    this.#effects.push({ kind: 'schedule', timer, delayMs });
  }

  connect(want: number): void {
    this.#effects.push({ kind: 'connect', want });
  }

  disconnect(peer: ConnectionId, reason: DisconnectReason): void {
    this.#effects.push({ kind: 'disconnect', peer, reason });
  }

  takeEffects(): readonly TitleEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
