/**
 * Counts the bytes of one channel's exchange by what they carried, and turns totals into rates.
 */
import type { Bytes, BytesPerSecond, Milliseconds } from '../kernel/units.js';
import type { TrafficByKind } from '../relay/endpoints/channel-status.js';
import { type LiveMessage, TRAFFIC_KIND } from '../relay/exchange/live-message.js';

type Direction = 'up' | 'down';
type Kind = Exclude<keyof TrafficByKind, 'total'>;

/** Rates are means over about this long. */
const RATE_MS: Milliseconds = 3_000;

export class TrafficMeter {
  readonly #bytes: Record<Direction, Record<Kind, Bytes>> = {
    up: { media: 0, manifest: 0, map: 0, request: 0, control: 0 },
    down: { media: 0, manifest: 0, map: 0, request: 0, control: 0 },
  };
  readonly #samples: { atMs: Milliseconds; up: Bytes; down: Bytes }[] = [];

  count(direction: Direction, message: LiveMessage, sizeBytes: Bytes): void {
    const kinds = this.#bytes[direction];
    if (message.kind !== 'piece') {
      kinds[TRAFFIC_KIND[message.kind]] += sizeBytes;
      return;
    }
    kinds.media += message.payload.length;
    kinds.control += sizeBytes - message.payload.length;
  }

  totals(direction: Direction): TrafficByKind {
    const kinds = this.#bytes[direction];
    const total = kinds.media + kinds.manifest + kinds.map + kinds.request + kinds.control;
    return { ...kinds, total };
  }

  /** Takes a sample; call about once a second. */
  sample(nowMs: Milliseconds): void {
    this.#samples.push({ atMs: nowMs, up: this.totals('up').total, down: this.totals('down').total });
    while ((this.#samples[1]?.atMs ?? nowMs) <= nowMs - RATE_MS) this.#samples.shift();
  }

  bytesPerSecond(direction: Direction): BytesPerSecond {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || last.atMs <= first.atMs) return 0;
    return Math.round(((last[direction] - first[direction]) * 1000) / (last.atMs - first.atMs));
  }
}
