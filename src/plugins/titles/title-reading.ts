/**
 * One player's way through a part of a file while the title downloads: it waits for pieces, tells the session where it stands, and measures how fast the
 * player goes on, so that deadlines are true.
 */
import { randomUUID } from 'node:crypto';
import { ShoalError } from '../../kernel/errors.js';
import type { Bytes, BytesPerSecond, Milliseconds, PieceIndex } from '../../kernel/units.js';
import type { FileReading } from './playable.js';
import { ReadingPace } from './reading-pace.js';

/** What a reading needs of its title. Offsets are of the title. */
export interface ReadableTitle {
  readonly pieceLengthBytes: Bytes;
  /** Verified bytes from here on, at most 1 MiB; empty when the piece is not there. */
  read(fromByte: Bytes, toByte: Bytes): Promise<Uint8Array>;
  verifiedUntil(fromByte: Bytes, toByte: Bytes): Bytes;
  /** Resolves when the piece may be there; rejects when it never will. */
  whenPiece(piece: PieceIndex, signal: AbortSignal): Promise<void>;
  /** `isIdle`: the player takes nothing for now. */
  need(reader: string, fromByte: Bytes, toByte: Bytes, bytesPerSecond: BytesPerSecond, isIdle: boolean): void;
  needGone(reader: string): void;
  nowMs(): Milliseconds;
  /** What happened to the player, for the statistics. */
  observe(observation: ReadingObservation): void;
}

/** The first bytes came; bytes had to be waited for later; bytes were given. */
export type ReadingObservation =
  | { readonly kind: 'first-bytes'; readonly delayMs: Milliseconds }
  | { readonly kind: 'waited'; readonly forMs: Milliseconds }
  | { readonly kind: 'gave'; readonly bytes: Bytes; readonly wasHere: boolean };

/** A reading says again where it stands after so much. */
const NEWS_BYTES: Bytes = 262_144;
/** One that waits says so at once, but not more often than this. */
const NEWS_MS: Milliseconds = 50;
/** A player that asks for nothing during so long takes nothing for now. */
const IDLE_MS: Milliseconds = 500;
/** Of a player whose speed is unknown: a film of 4 Mbit/s. */
export const UNKNOWN_BYTES_PER_SECOND: BytesPerSecond = 512 * 1024;

export class TitleReading implements FileReading {
  readonly #title: ReadableTitle;
  readonly #reader = randomUUID();
  readonly #toByte: Bytes;
  readonly #closing = new AbortController();
  readonly #pace: ReadingPace;
  #atByte: Bytes;
  #toldByte: Bytes | undefined;
  #toldMs: Milliseconds = 0;
  #hasBegun = false;
  #isIdle = false;
  #idleTimer: NodeJS.Timeout | undefined;

  /** From `fromByte` of the title up to but not including `toByte`. @param knownBytesPerSecond of the file, from readings before; 0 when unknown. */
  constructor(title: ReadableTitle, fromByte: Bytes, toByte: Bytes, knownBytesPerSecond: BytesPerSecond = 0) {
    this.#title = title;
    this.#atByte = fromByte;
    this.#toByte = toByte;
    this.#pace = new ReadingPace(knownBytesPerSecond);
  }

  /** How fast the player goes on; 0 while that is unknown. */
  get bytesPerSecond(): BytesPerSecond {
    return this.#pace.bytesPerSecond;
  }

  /** What is here for it without a gap, as time; infinite when that is all it will need. */
  get bufferMs(): Milliseconds {
    const until = this.#title.verifiedUntil(this.#atByte, this.#toByte);
    if (until >= this.#toByte) return Number.POSITIVE_INFINITY;
    return ((until - this.#atByte) * 1000) / (this.bytesPerSecond || UNKNOWN_BYTES_PER_SECOND);
  }

  async next(maxBytes: Bytes): Promise<Uint8Array | null> {
    const askedMs = this.#title.nowMs();
    let hasWaited = false;
    this.#wake();
    while (this.#atByte < this.#toByte) {
      const bytes = await this.#title.read(this.#atByte, Math.min(this.#toByte, this.#atByte + maxBytes));
      if (bytes.length > 0) return this.#give(bytes, askedMs, hasWaited);
      // Also when it was closed during the read: nobody would wake it any more.
      if (this.#closing.signal.aborted) throw new ShoalError('TITLE_GONE', 'This reading is closed.');
      // A piece that came while the answer was on its way has woken nobody.
      if (this.#title.verifiedUntil(this.#atByte, this.#toByte) > this.#atByte) continue;
      hasWaited = true;
      this.#tellOfWaiting();
      await this.#title.whenPiece(Math.floor(this.#atByte / this.#title.pieceLengthBytes), this.#closing.signal);
    }
    this.close();
    return null;
  }

  /** The session is a new one, and has heard nothing. */
  tellAgain(): void {
    if (!this.#closing.signal.aborted) this.#tell();
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    clearTimeout(this.#idleTimer);
    if (this.#toldByte !== undefined) this.#title.needGone(this.#reader);
  }

  #give(bytes: Uint8Array, askedMs: Milliseconds, hasWaited: boolean): Uint8Array {
    const nowMs = this.#title.nowMs();
    this.#atByte += bytes.length;
    this.#pace.took(bytes.length, hasWaited ? nowMs - askedMs : 0, nowMs);
    if (!this.#hasBegun) this.#title.observe({ kind: 'first-bytes', delayMs: nowMs - askedMs });
    else if (hasWaited) this.#title.observe({ kind: 'waited', forMs: nowMs - askedMs });
    this.#hasBegun = true;
    this.#title.observe({ kind: 'gave', bytes: bytes.length, wasHere: !hasWaited });
    this.#tellOfTaking();
    return bytes;
  }

  /** The player asks again. */
  #wake(): void {
    clearTimeout(this.#idleTimer);
    if (!this.#isIdle) return;
    this.#isIdle = false;
    this.#tell();
  }

  #tellOfTaking(): void {
    if (this.#closing.signal.aborted) return;
    if (this.#toldByte === undefined || this.#atByte - this.#toldByte >= NEWS_BYTES) this.#tell();
    this.#idleTimer = setTimeout(() => {
      this.#isIdle = true;
      this.#tell();
    }, IDLE_MS).unref();
  }

  /** So that of several players each comes first once in a while: deadlines count from when the waiting began. */
  #tellOfWaiting(): void {
    if (this.#closing.signal.aborted) return;
    const told = this.#toldByte;
    if (told === undefined || (told < this.#atByte && this.#title.nowMs() - this.#toldMs >= NEWS_MS)) this.#tell();
  }

  /** Also where everything is here: what a player reads must not be given up to make room. */
  #tell(): void {
    this.#toldByte = this.#atByte;
    this.#toldMs = this.#title.nowMs();
    this.#title.need(this.#reader, this.#atByte, this.#toByte, this.bytesPerSecond, this.#isIdle);
  }
}
