/**
 * Measures how long tags are under way, and whether a player with a second of buffer would have stopped.
 */
import { classifyTag, type FlvTag } from '../../src/media/flv.js';
import { FlvPlayer } from './flv-player.js';
import type { PacedPublisher } from './paced-publisher.js';
import { bodyKey } from './recording.js';

/** What `shoal watch --player` gives VLC and mpv. */
const PLAYER_BUFFER_MS = 1_000;

export class DelayMeter {
  readonly #publisher: PacedPublisher;
  #player: FlvPlayer | undefined;
  #delaysMs: number[] = [];
  #fromMs = Number.POSITIVE_INFINITY;
  #bytesBefore = 0;
  /** Arrival minus timestamp at which the player's clock runs; undefined before the first frame. */
  #clockMs: number | undefined;
  #stalls = 0;
  #stalledMs = 0;

  private constructor(publisher: PacedPublisher) {
    this.#publisher = publisher;
  }

  static async open(url: string, publisher: PacedPublisher): Promise<DelayMeter> {
    const meter = new DelayMeter(publisher);
    meter.#player = await FlvPlayer.open(url, (tag, arrivedMs) => meter.#take(tag, arrivedMs));
    return meter;
  }

  /** Counts from now on; what was sent before is old news (a player gets up to one group of pictures at once). */
  begin(): void {
    this.#fromMs = performance.now();
    this.#delaysMs = [];
    this.#bytesBefore = this.#player?.mediaBytes ?? 0;
    this.#stalls = 0;
    this.#stalledMs = 0;
  }

  get delaysMs(): readonly number[] {
    return this.#delaysMs;
  }

  /** Bytes of whole FLV tags since `begin`. */
  get mediaBytes(): number {
    return (this.#player?.mediaBytes ?? 0) - this.#bytesBefore;
  }

  /** Times since `begin` that a player with a second of buffer would have run dry, and for how long in all. */
  get stalls(): { readonly count: number; readonly totalMs: number } {
    return { count: this.#stalls, totalMs: this.#stalledMs };
  }

  close(): void {
    this.#player?.close();
  }

  #take(tag: FlvTag, arrivedMs: number): void {
    if (classifyTag(tag).kind !== 'frame') return;
    const sentMs = this.#publisher.sentMs(bodyKey(tag.body));
    if (sentMs !== undefined && sentMs >= this.#fromMs) this.#delaysMs.push(arrivedMs - sentMs);
    this.#play(tag.timestampMs, arrivedMs);
  }

  #play(timestampMs: number, arrivedMs: number): void {
    this.#clockMs ??= arrivedMs - timestampMs;
    const lateMs = arrivedMs - timestampMs - this.#clockMs - PLAYER_BUFFER_MS;
    if (lateMs <= 0) return;
    // It stops, fills its buffer again, and goes on that much later.
    this.#stalls += 1;
    this.#stalledMs += lateMs;
    this.#clockMs += lateMs + PLAYER_BUFFER_MS;
  }
}
