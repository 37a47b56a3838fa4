/**
 * What the session knows of one neighbour. Web seeds are neighbours, too: they hold everything, never choke, and are asked for ranges.
 */
import type { Bytes, ConnectionId, Milliseconds } from '../../kernel/units.js';
import { Column, type Row } from '../task-list.js';
import type { Introduction } from '../title-protocol.js';
import { CalledOff } from './called-off.js';
import { Manners } from './manners.js';
import { Pace } from './pace.js';
import { PieceSet } from './piece-set.js';
import { Standing } from './standing.js';

/** Pieces it lets us ask for while it chokes us; ordinary clients name 5 to 10. */
export const ALLOWED_FAST_MAX = 32;
const REST_FIRST_MS: Milliseconds = 1_000;
const REST_MAX_MS: Milliseconds = 16_000;
/** Whoever stands still answers everything at once when it goes on, too late: it is not tried often. */
const REST_GROWTH = 4;

/** A range of the title that a web seed is sending. */
export interface Fetching {
  readonly fromByte: Bytes;
  readonly toByte: Bytes;
}

export class Neighbour {
  /** 1, 2, …: never used again, so that a block remembers who sent it. */
  readonly number: number;
  readonly id: ConnectionId;
  readonly introduction: Introduction;
  readonly isWebSeed: boolean;
  readonly pieceCount: number;
  readonly column: Column<Neighbour>;
  readonly pace = new Pace();
  readonly manners: Manners;
  readonly calledOff = new CalledOff();
  readonly standing: Standing;
  readonly sinceMs: Milliseconds;
  readonly allowedFast = new Set<number>();
  /** What it holds; null: everything. */
  holds: PieceSet | null;
  /** Its first message has come: unless that says what it holds, it holds nothing. */
  hasSpoken = false;
  /** It has told of pieces that left it. From then on it is counted piece by piece, so that to and fro costs nothing. */
  hasLost = false;
  /** Pieces it holds and that are wanted and missing here. */
  usefulCount = 0;
  uploadOnly: boolean;
  /** Somebody watches the title there, as far as it has told; null: it has not told. */
  watching: boolean | null = null;
  /** Pieces without which the picture there stands still, or soon will. */
  awaited: readonly number[] = [];
  amInterested = false;
  amChoking = true;
  isChoking = true;
  isInterested = false;
  /** Its outgoing buffer on our side is full. */
  blocked = false;
  /** It let its requests run into their timeout and has sent nothing since. */
  snubbed = false;
  /** It is not asked for anything before this time. */
  restUntilMs: Milliseconds = 0;
  /** The piece it is working on for later. */
  row: Row<Neighbour> | undefined;
  /** The piece that it was chosen for, to find out who spoils it. */
  parole: Row<Neighbour> | undefined;
  /** It has been asked for something, so blocks from it may be late answers. */
  hasBeenAsked = false;
  /** A web seed's range in flight. */
  fetching: Fetching | undefined;
  /** Pieces that it had a part in and that turned out right, and wrong. */
  goodPieces = 0;
  badPieces = 0;
  downBytes: Bytes = 0;
  upBytes: Bytes = 0;
  #rests = 0;

  constructor(number: number, introduction: Introduction, pieceCount: number, nowMs: Milliseconds, isWebSeed = false) {
    this.number = number;
    this.id = introduction.peer;
    this.introduction = introduction;
    this.isWebSeed = isWebSeed;
    this.pieceCount = pieceCount;
    this.column = new Column<Neighbour>(this);
    this.manners = new Manners(nowMs, pieceCount);
    this.standing = new Standing();
    this.sinceMs = nowMs;
    this.uploadOnly = introduction.uploadOnly;
    this.holds = isWebSeed ? null : new PieceSet(pieceCount);
    this.isChoking = !isWebSeed;
  }

  /** What it tells of its viewers. */
  hears(watching: boolean, awaited: readonly number[]): void {
    this.watching = watching;
    this.awaited = awaited;
  }

  has(piece: number): boolean {
    return this.holds === null || this.holds.has(piece);
  }

  get isSeeder(): boolean {
    return this.holds === null || this.holds.isFull;
  }

  /** How often it was there when a piece was spoilt; an innocent one has good pieces to weigh against it. */
  get suspicion(): number {
    return this.badPieces / (1 + this.goodPieces);
  }

  /** It would answer a request for this piece now. */
  serves(piece: number, nowMs: Milliseconds): boolean {
    if (this.restUntilMs > nowMs || !this.has(piece)) return false;
    return !this.isChoking || this.allowedFast.has(piece);
  }

  /** It did not do what it was asked: leave it alone, longer each time until it answers. */
  rest(nowMs: Milliseconds): void {
    this.restUntilMs = nowMs + Math.min(REST_MAX_MS, REST_FIRST_MS * REST_GROWTH ** this.#rests);
    this.#rests += 1;
  }

  /** It answers what was called off: it lives, and may be asked again. */
  revived(): void {
    this.snubbed = false;
    this.restUntilMs = 0;
    this.#rests = 0;
  }

  /** It sent a block that was wanted. */
  delivered(sizeBytes: Bytes): void {
    this.downBytes += sizeBytes;
    this.standing.received(sizeBytes);
    this.snubbed = false;
    this.#rests = 0;
  }
}
