/**
 * What our own line carries upwards, learnt from neighbours that have not got what was handed to it long ago.
 *
 * A process sees what its sockets hold back, but not what the system, the modem and the line have taken up. Whoever waits for that asks somebody else, and what then comes
 * twice fills the lines of others. So what neighbours say counts: one that calls a piece off, or leaves it out of a whole map, had not got it when it said so. Once half of
 * those served of late say so of pieces that are overdue, the line is taken for full: for a moment nothing is sent, and from then on a little less than before. After
 * some time without such words the limit grows again, if it is what holds us back. Until the first of them there is none.
 *
 * It may be the neighbour's line that is full, and it may lie: one of several that are served never counts alone, and one that tells of nothing it holds does not count at
 * all. Nor does a publisher: it takes samples to compare, of which its maps never tell. Whatever all of them say, a piece still goes out each second, and after a while
 * without such words the limit grows however little of it is used. Bounded: `SENT_MAX` pieces of each neighbour.
 */
import type { Bytes, BytesPerSecond, ConnectionId, Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import type { LiveMessage } from './live-message.js';
import type { Neighbour } from './neighbour.js';

// What is measured here is `live-unequal-lines` without Shoal's own limits, 3 to 6 seeds, with the estimate as it was when the constant was chosen.

/**
 * A piece that is not there after a round trip and this much longer waits in a line. Where lines have no limits it took 320 ms at most with round trips of 20 to 120 ms, where
 * they are full a second and more. With 450 ms viewers behind equal lines were 3.9 s behind in the median instead of 3.5 s.
 */
const LATE_MS: Milliseconds = 350;
/** Of a neighbour that has sent us nothing, as to a publisher none does: by satellite it is longer, but few have one. */
const ROUND_TRIP_MS_UNKNOWN: Milliseconds = 400;
/** So many neighbours at least must say so, if so many are served. With three and unequal lines 0.7 % of pieces were late instead of 0.3 %. */
const LATE_NEIGHBOURS_MIN = 2;
/** And this share of those served of late. With 0.3 those with good lines were blamed for weak ones: continuity 0.88 instead of 0.96. */
const LATE_SHARE = 1 / 2;
/** What was served, and said, so long ago is not of late any more: eight pieces of a line of half of 500 kbit/s. */
const RECENT_MS: Milliseconds = 4_000;
/** Who has told of nothing for so long does not count: five whole maps. */
const TELLS_MS: Milliseconds = 10_000;
/** Pieces of one neighbour that are remembered until it shows them: as many as it may have asked for. */
const SENT_MAX = 64;
/** What is not shown for so long never will be. */
const FORGET_MS: Milliseconds = 20_000;
/** A full line gets so much of what it was given. 0.7 and 0.9 are as good, within chance. */
const DECREASE_RATIO = 0.8;
/** The queue is at least as long as a piece is late: nothing is sent for half of that. With no pause viewers stand still 6.2 % of the time instead of 5.3 %. */
const PAUSE_SHARE = 1 / 2;
/** Nobody waits longer for a piece than twice that. With two seconds it is no better. */
const PAUSE_MS_MAX: Milliseconds = 1_000;
/** After a decrease the queue has so long to get shorter, before there is more again. With 4 s it is the same. */
const GROW_AFTER_MS: Milliseconds = 2_000;
/**
 * As long as the limit holds us back it grows each second: by a hundredth, then two, up to `GROWTHS_MAX`. With 5 % each time what came twice was 32 % instead of 30 %; with 2 %
 * good lines that had been blamed for weak ones took a minute to come back.
 */
const GROWTH_STEP_RATIO = 0.01;
/** Steps of growth, at most: doubled in thirteen seconds. */
const GROWTHS_MAX = 8;
const GROW_EVERY_MS: Milliseconds = 1_000;
/** A limit of which less than this is used holds up bursts only; without this it grew to twenty times what was sent. */
const USED_SHARE = 0.8;
/**
 * But one that has stood for so long is too low, if it holds us back: it would make every burst late for good, as one learnt in error did for a minute in a test. 24 seeds, unequal
 * lines: the same continuity and stalls as with none, 24.6 % instead of 23.7 % came twice.
 */
const STANDS_MS: Milliseconds = 20_000;
/** Whoever has had a late piece promises nothing for so long. */
const DOUBT_MS: Milliseconds = 60_000;
/** A line that was found full is one of which no more is promised than it carried then, for so long. */
const PROVEN_MS: Milliseconds = 300_000;
/** What is sent is measured over so long. With 2 s bursts were taken for what the line carries: 0.6 % late pieces instead of 0.4 %, with unequal lines. */
const RATE_SPAN_MS: Milliseconds = 4_000;

/** What one neighbour has been sent, and says of it. */
interface Served {
  /** By window and piece: when it was handed over, until it is shown or called off. */
  readonly sent: Map<number, Milliseconds>;
  lastSentMs: Milliseconds;
  /** When it last said that an overdue piece had not come. */
  lateMs: Milliseconds;
  /** When it last told of anything that it holds. */
  toldMs: Milliseconds;
  /** The least so far: while lines are full it is longer. */
  roundTripMs: Milliseconds;
}

export class LineEstimate {
  readonly #pieceBytes: Bytes;
  readonly #served = new Map<ConnectionId, Served>();
  #bytesPerSecond: BytesPerSecond = 0;
  #creditBytes: Bytes = 0;
  #refilledMs: Milliseconds = 0;
  /** When the limit last held anything back. */
  #heldBackMs: Milliseconds = Number.NEGATIVE_INFINITY;
  /** What was handed over before says nothing about the limit as it is now. */
  #sinceMs: Milliseconds = Number.NEGATIVE_INFINITY;
  #grewMs: Milliseconds = 0;
  #shrunkMs: Milliseconds = 0;
  #lateMs: Milliseconds = Number.NEGATIVE_INFINITY;
  /** What the last decrease came to: so much is known to pass. */
  #provenBytesPerSecond: BytesPerSecond = 0;
  /** Since the last decrease. */
  #growths = 0;
  #spanMs: Milliseconds = 0;
  #spanBytes: Bytes = 0;
  #lastSpanBytesPerSecond: BytesPerSecond = 0;

  constructor(pieceBytes: Bytes) {
    this.#pieceBytes = pieceBytes;
  }

  /** What may be sent; 0: nothing speaks for a limit. */
  get bytesPerSecond(): BytesPerSecond {
    return this.#bytesPerSecond;
  }

  /**
   * What may be promised; 0: nothing speaks for a limit. Not what the limit has grown to since it was found: that is hope, and those who were promised more than the line
   * carries fill it again.
   */
  provenBytesPerSecond(nowMs: Milliseconds): BytesPerSecond {
    return nowMs - this.#shrunkMs < PROVEN_MS ? Math.min(this.#bytesPerSecond, this.#provenBytesPerSecond) : this.#bytesPerSecond;
  }

  /** Somebody has said of late that a piece had not come: no line is found full for that, but one that is may show itself so first. */
  isDoubtful(nowMs: Milliseconds): boolean {
    return nowMs - this.#lateMs < DOUBT_MS;
  }

  /** How long until the next piece may go; 0 when it may go now. */
  delayMs(nowMs: Milliseconds): Milliseconds {
    if (this.#bytesPerSecond === 0) return 0;
    this.#refill(nowMs);
    this.#grow(nowMs);
    if (this.#creditBytes > 0) return 0;
    this.#heldBackMs = nowMs;
    return Math.ceil(((1 - this.#creditBytes) * 1000) / this.#bytesPerSecond);
  }

  /** Time until so much would have been sent. */
  uploadMs(sizeBytes: Bytes, nowMs: Milliseconds): Milliseconds {
    if (this.#bytesPerSecond === 0) return 0;
    this.#refill(nowMs);
    return ((sizeBytes - Math.min(0, this.#creditBytes)) * 1000) / this.#bytesPerSecond;
  }

  /** A piece has been handed to the line. */
  noteSent(neighbour: Neighbour, window: WindowNumber, piece: PieceIndex, sizeBytes: Bytes, nowMs: Milliseconds): void {
    this.#countSpan(sizeBytes, nowMs);
    if (this.#bytesPerSecond > 0) this.#creditBytes -= sizeBytes;
    if (neighbour.publisher) return;
    const served = this.#served.get(neighbour.id) ?? newlyServed();
    this.#served.set(neighbour.id, served);
    served.lastSentMs = nowMs;
    served.sent.delete(keyOf(window, piece));
    served.sent.set(keyOf(window, piece), nowMs);
    const [oldest] = served.sent.keys();
    if (served.sent.size > SENT_MAX && oldest !== undefined) served.sent.delete(oldest);
  }

  /** It does not wait for these any more: those that were on their way had not come. */
  noteCalledOff(neighbour: Neighbour, window: WindowNumber, pieces: readonly PieceIndex[], nowMs: Milliseconds): void {
    const served = this.#served.get(neighbour.id);
    if (!served) return;
    for (const piece of pieces) {
      const sentMs = served.sent.get(keyOf(window, piece));
      if (sentMs === undefined) continue;
      served.sent.delete(keyOf(window, piece));
      this.#noteMissing(neighbour, served, sentMs, nowMs);
    }
  }

  /** A whole map says what has come. A window that it does not name may wait for its manifest, or not be wanted any more. */
  noteMap(neighbour: Neighbour, { full, tail = 0, windows }: LiveMessage & { readonly kind: 'map' }, nowMs: Milliseconds): void {
    const served = this.#served.get(neighbour.id);
    if (!served || !full) return;
    if (windows.length > 0) served.toldMs = nowMs;
    for (const [key, sentMs] of served.sent) {
      const number = Math.floor(key / 0x1_0000);
      const window = windows.find((told) => told.number === number);
      const isShown = window !== undefined && (window.held === null || window.held.has(key % 0x1_0000));
      if (isShown || number < tail || nowMs - sentMs > FORGET_MS) served.sent.delete(key);
      else if (window) this.#noteMissing(neighbour, served, sentMs, nowMs);
    }
  }

  dropPeer(peer: ConnectionId): void {
    this.#served.delete(peer);
  }

  /** This process stood still: what neighbours say of that time is no matter of the line. */
  onWake(): void {
    this.#served.clear();
  }

  #noteMissing(neighbour: Neighbour, served: Served, sentMs: Milliseconds, nowMs: Milliseconds): void {
    const ageMs = nowMs - sentMs;
    // What has been on its way for so long was lost otherwise, and would speak against the line map after map.
    if (sentMs < this.#sinceMs || ageMs < this.#dueMs(neighbour, served) || ageMs > RECENT_MS) return;
    served.lateMs = this.#lateMs = nowMs;
    if (this.#isFull(nowMs)) this.#shrink(ageMs, nowMs);
  }

  /** How long after it was handed over a piece may be on its way: on a slow line it takes long by itself. */
  #dueMs({ wait, mediaDownBytes }: Neighbour, served: Served): Milliseconds {
    if (mediaDownBytes > 0) served.roundTripMs = Math.min(wait.roundTripMs, served.roundTripMs);
    const pieceMs = this.#bytesPerSecond === 0 ? 0 : (this.#pieceBytes * 1000) / this.#bytesPerSecond;
    return served.roundTripMs + LATE_MS + pieceMs;
  }

  #isFull(nowMs: Milliseconds): boolean {
    const fromMs = Math.max(this.#sinceMs, nowMs - RECENT_MS);
    const recent = [...this.#served.values()].filter(({ lastSentMs }) => lastSentMs >= fromMs);
    const telling = recent.filter(({ toldMs }) => nowMs - toldMs < TELLS_MS);
    const late = telling.filter(({ lateMs }) => lateMs >= fromMs);
    return late.length >= Math.min(LATE_NEIGHBOURS_MIN, recent.length) && late.length >= LATE_SHARE * telling.length && late.length > 0;
  }

  #shrink(lateMs: Milliseconds, nowMs: Milliseconds): void {
    const spanMs = Math.max(RATE_SPAN_MS / 2, nowMs - this.#spanMs);
    const usedBytesPerSecond = Math.max(this.#lastSpanBytesPerSecond, (this.#spanBytes * 1000) / spanMs);
    const before = this.#bytesPerSecond === 0 ? usedBytesPerSecond : Math.min(this.#bytesPerSecond, usedBytesPerSecond);
    this.#bytesPerSecond = Math.max(this.#pieceBytes, before * DECREASE_RATIO);
    const pauseMs = Math.min(PAUSE_MS_MAX, lateMs * PAUSE_SHARE);
    this.#refilledMs = nowMs;
    this.#creditBytes = (-pauseMs * this.#bytesPerSecond) / 1000;
    this.#sinceMs = nowMs + pauseMs;
    this.#grewMs = nowMs + pauseMs + GROW_AFTER_MS;
    this.#growths = 0;
    this.#shrunkMs = nowMs;
    this.#provenBytesPerSecond = this.#bytesPerSecond;
  }

  #grow(nowMs: Milliseconds): void {
    if (nowMs - this.#grewMs < GROW_EVERY_MS || nowMs - this.#heldBackMs > GROW_EVERY_MS) return;
    const isUsed = this.#lastSpanBytesPerSecond >= USED_SHARE * this.#bytesPerSecond;
    if (!isUsed && nowMs - this.#shrunkMs < STANDS_MS) return;
    this.#grewMs = nowMs;
    this.#growths = Math.min(GROWTHS_MAX, this.#growths + 1);
    this.#bytesPerSecond *= 1 + GROWTH_STEP_RATIO * this.#growths;
  }

  /** After a pause one piece may go at once. */
  #refill(nowMs: Milliseconds): void {
    const elapsedMs = Math.max(0, nowMs - this.#refilledMs);
    this.#refilledMs = nowMs;
    this.#creditBytes = Math.min(this.#pieceBytes, this.#creditBytes + (elapsedMs * this.#bytesPerSecond) / 1000);
  }

  #countSpan(sizeBytes: Bytes, nowMs: Milliseconds): void {
    const spanMs = nowMs - this.#spanMs;
    if (spanMs >= RATE_SPAN_MS) {
      this.#lastSpanBytesPerSecond = (this.#spanBytes * 1000) / spanMs;
      this.#spanMs = nowMs;
      this.#spanBytes = 0;
    }
    this.#spanBytes += sizeBytes;
  }
}

function newlyServed(): Served {
  const never = Number.NEGATIVE_INFINITY;
  return { sent: new Map(), lastSentMs: never, lateMs: never, toldMs: never, roundTripMs: ROUND_TRIP_MS_UNKNOWN };
}

/** Piece indices travel as 16 bits. */
function keyOf(window: WindowNumber, piece: PieceIndex): number {
  return window * 0x1_0000 + piece;
}
