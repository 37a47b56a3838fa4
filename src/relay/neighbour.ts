/**
 * All that the exchange remembers of one neighbour: what it holds, how fast it answers, what it was told, how it behaved.
 */
import type { Bytes, ConnectionId, Milliseconds, WindowNumber } from '../kernel/units.js';
import { BufferMap } from './buffer-map.js';
import { WaitTime } from './wait-time.js';

export class Neighbour {
  readonly id: ConnectionId;
  readonly map = new BufferMap();
  readonly wait = new WaitTime();
  /** It said that it holds the source. Hearsay, used only to spare it. */
  publisher = false;
  /** Its hello has come. */
  greeted = false;
  /** Its outgoing buffer on our side is full. */
  blocked = false;
  lastHeardMs: Milliseconds;
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
  /** Windows with news it has not been told yet. */
  readonly news = new Set<WindowNumber>();
  lastNewsMs: Milliseconds = 0;
  /** It has got one map with all details. */
  informed = false;
  constructor(id: ConnectionId, nowMs: Milliseconds) {
    this.id = id;
    this.lastHeardMs = nowMs;
  }
}
