/**
 * All that the exchange remembers of one neighbour: what it holds, how fast it answers, what it was told, how it behaved.
 */
import type { Bytes, ConnectionId, Milliseconds, WindowNumber } from '../../kernel/units.js';
import { BufferMap } from './buffer-map.js';
import type { LiveMessage } from './live-message.js';
import { WaitTime } from './wait-time.js';

/** Work a neighbour may cause: an honest one at 10 Mbit/s causes about a tenth of it. One unit is about ten microseconds here. */
const WORK_PER_SECOND = 2_000;
/** Saved up work: a neighbour that was asleep catches up at once. */
const WORK_BURST = 20_000;
/** Checking a signature costs as much as looking at this many pieces. */
const SIGNATURE_WORK = 20;
/** Windows in a map are cheap each, but a map may name a thousand of them. */
const WINDOWS_PER_WORK = 8;
/** A neighbour that fails again and again is left alone for at most eight times as long as the first time. */
const REST_DOUBLINGS_MAX = 3;

export class Neighbour {
  readonly id: ConnectionId;
  readonly map = new BufferMap();
  readonly wait = new WaitTime();
  /** It said that it holds the source. Hearsay, used only to spare it. */
  publisher = false;
  /** Its hello has come. */
  greeted = false;
  /** Since when its outgoing buffer on our side has been full. */
  blockedSinceMs: Milliseconds | undefined;
  lastHeardMs: Milliseconds;
  /** Its word counts when a start is chosen; lost by naming a start that nobody could send. */
  credible = true;
  /** Pieces that did not match their hash; two are enough for a ban. */
  badPieces = 0;
  /** Pieces sent to us that nobody asked for. */
  unasked = 0;
  /** Times it refused what it had announced. */
  brokenPromises = 0;
  /** Pieces asked of it and still awaited. */
  outstanding = 0;
  /** It was busy: do not ask it again before this time. */
  busyUntilMs: Milliseconds = 0;
  mediaDownBytes: Bytes = 0;
  mediaUpBytes: Bytes = 0;
  /** Windows with news it has not been told yet; all in the buffer. */
  readonly news = new Set<WindowNumber>();
  lastNewsMs: Milliseconds = 0;
  /** It has got one map with all details. */
  informed = false;
  #failures = 0;
  #work = WORK_BURST;
  #workMs: Milliseconds;

  constructor(id: ConnectionId, nowMs: Milliseconds) {
    this.id = id;
    this.lastHeardMs = nowMs;
    this.#workMs = nowMs;
  }

  get blocked(): boolean {
    return this.blockedSinceMs !== undefined;
  }

  /** Books the work of one message. False once it has caused more than any honest neighbour does. */
  affords(message: LiveMessage, nowMs: Milliseconds): boolean {
    this.#work = Math.min(WORK_BURST, this.#work + ((nowMs - this.#workMs) * WORK_PER_SECOND) / 1000);
    this.#workMs = nowMs;
    this.#work -= workOf(message);
    return this.#work > 0;
  }

  /** It would not, or did not, send what it was asked for: leave it alone, longer each time until it answers. */
  rest(forMs: Milliseconds, nowMs: Milliseconds): void {
    if (nowMs < this.busyUntilMs) return;
    this.busyUntilMs = nowMs + forMs * 2 ** Math.min(this.#failures, REST_DOUBLINGS_MAX);
    this.#failures += 1;
  }

  /** It sent something good. */
  succeeded(): void {
    this.#failures = 0;
    this.credible = true;
    // Good pieces make up for odd ones, or years of honest service would end in a ban.
    this.unasked = Math.max(0, this.unasked - 1);
    this.brokenPromises = Math.max(0, this.brokenPromises - 1);
  }

  /** Windows below this one are gone here. */
  forgetBelow(tail: WindowNumber): void {
    this.map.forgetBelow(tail);
    for (const number of this.news) if (number < tail) this.news.delete(number);
  }
}

function workOf(message: LiveMessage): number {
  switch (message.kind) {
    case 'map':
      return 1 + message.windows.length / WINDOWS_PER_WORK;
    case 'request':
      return 1 + message.pieces.length + (message.wantManifest ? SIGNATURE_WORK / 2 : 0);
    case 'cancel':
    case 'refuse':
      return 1 + message.pieces.length;
    case 'manifest':
    case 'info':
      return SIGNATURE_WORK;
    default:
      return 1;
  }
}
