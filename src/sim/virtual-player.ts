/**
 * Somebody who watches: a player that begins with enough media ahead, stalls when it has none, goes on when there is enough again, and jumps.
 *
 * It plays a constant bit rate. It is told when more can be read and asks for nothing itself; what it waited for, and how long, is its record.
 */
import type { Bytes, BytesPerSecond, Milliseconds } from '../kernel/units.js';
import type { VirtualClock } from './virtual-clock.js';

export interface PlayerOptions {
  readonly clock: VirtualClock;
  readonly totalBytes: Bytes;
  readonly bytesPerSecond: BytesPerSecond;
  /** Media ahead with which it begins, after a start, a jump and a stall. */
  readonly startBufferMs: Milliseconds;
  /** How far ahead of the picture it reads. */
  readonly readAheadMs: Milliseconds;
  /** End of what can be read without a gap from there. */
  readonly readableTo: (fromByte: Bytes) => Bytes;
  /** Something a person would notice. */
  readonly onMoment: (moment: PlayerMoment) => void;
}

export type PlayerMoment = 'starts' | 'stalls' | 'goes on' | 'seeks' | 'arrives' | 'ends';

/** What a person waited for. */
export interface PlayerRecord {
  startUpMs: Milliseconds | undefined;
  readonly seekMs: Milliseconds[];
  /** Jumps that were left before a picture came. */
  abandonedSeeks: number;
  stalls: number;
  stallMs: Milliseconds;
  playedMs: Milliseconds;
}

type Waiting = 'start' | 'seek' | 'stall';

export class VirtualPlayer {
  readonly record: PlayerRecord = { startUpMs: undefined, seekMs: [], abandonedSeeks: 0, stalls: 0, stallMs: 0, playedMs: 0 };
  readonly #options: PlayerOptions;
  #positionBytes: Bytes;
  /** Null while it plays. */
  #waiting: Waiting | null = 'start';
  /** Since when it waits, or since when the position counts. */
  #sinceMs: Milliseconds;
  #ended = false;
  #cancel: (() => void) | undefined;

  constructor(options: PlayerOptions, fromByte: Bytes) {
    this.#options = options;
    this.#positionBytes = fromByte;
    this.#sinceMs = options.clock.nowMs();
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  get isWaiting(): boolean {
    return this.#waiting !== null;
  }

  /** What it will read next: all up to there has been read. */
  readByte(): Bytes {
    this.#settle();
    const { bytesPerSecond, readAheadMs, readableTo } = this.#options;
    return Math.floor(Math.min(readableTo(this.#positionBytes), this.#positionBytes + (bytesPerSecond * readAheadMs) / 1000));
  }

  /** A person drags the handle. */
  seek(toByte: Bytes): void {
    if (this.#ended) return;
    this.#settle();
    const nowMs = this.#options.clock.nowMs();
    if (this.#waiting === 'seek') this.record.abandonedSeeks += 1;
    if (this.#waiting === 'stall') this.record.stallMs += nowMs - this.#sinceMs;
    // Who jumps before the first picture still waits for the start.
    const isStart = this.#waiting === 'start';
    this.#positionBytes = toByte;
    if (!isStart) {
      this.#waiting = 'seek';
      this.#sinceMs = nowMs;
    }
    this.#options.onMoment('seeks');
    this.update();
  }

  /** Something may have become readable, or time has passed. */
  update(): void {
    if (this.#ended) return;
    this.#settle();
    const { bytesPerSecond, startBufferMs, readableTo, totalBytes, clock } = this.#options;
    const readableBytes = readableTo(this.#positionBytes) - this.#positionBytes;
    if (this.#waiting === null && this.#positionBytes >= totalBytes) return this.#end();
    if (this.#waiting === null && readableBytes <= 0) this.#stall();
    else if (this.#waiting !== null) {
      const wantedBytes = Math.min((bytesPerSecond * startBufferMs) / 1000, totalBytes - this.#positionBytes);
      if (readableBytes >= wantedBytes) this.#go(this.#waiting);
    }
    this.#cancel?.();
    this.#cancel = this.#waiting === null ? clock.schedule(() => this.update(), (readableBytes * 1000) / bytesPerSecond) : undefined;
  }

  /** The person leaves. */
  stop(): void {
    if (this.#ended) return;
    this.#settle();
    if (this.#waiting === 'stall') this.record.stallMs += this.#options.clock.nowMs() - this.#sinceMs;
    if (this.#waiting === 'seek') this.record.abandonedSeeks += 1;
    this.#ended = true;
    this.#cancel?.();
  }

  /** Brings the position up to now. */
  #settle(): void {
    if (this.#waiting !== null || this.#ended) return;
    const { clock, bytesPerSecond, readableTo } = this.#options;
    const nowMs = clock.nowMs();
    const byTime = this.#positionBytes + ((nowMs - this.#sinceMs) * bytesPerSecond) / 1000;
    // Division and multiplication leave a trace of a byte; a picture does not stall for that.
    const end = readableTo(this.#positionBytes);
    this.record.playedMs += nowMs - this.#sinceMs;
    this.#positionBytes = end - byTime < 1 ? end : byTime;
    this.#sinceMs = nowMs;
  }

  #stall(): void {
    this.#waiting = 'stall';
    this.#sinceMs = this.#options.clock.nowMs();
    this.record.stalls += 1;
    this.#options.onMoment('stalls');
  }

  #go(from: Waiting): void {
    const nowMs = this.#options.clock.nowMs();
    const waitedMs = nowMs - this.#sinceMs;
    if (from === 'start') this.record.startUpMs = waitedMs;
    else if (from === 'seek') this.record.seekMs.push(waitedMs);
    else this.record.stallMs += waitedMs;
    this.#waiting = null;
    this.#sinceMs = nowMs;
    this.#options.onMoment(from === 'start' ? 'starts' : from === 'seek' ? 'arrives' : 'goes on');
  }

  #end(): void {
    this.#ended = true;
    this.#cancel?.();
    this.#options.onMoment('ends');
  }
}
