/**
 * Who publishes a channel, and who contradicts whom: what people need to know of the publishers, for the page and the log.
 *
 * A conflict stands as long as it is seen again and again; it is logged when it begins, when others take part, and once a minute.
 */
import type { Log } from '../kernel/ports.js';
import type { Milliseconds, WindowNumber } from '../kernel/units.js';
import type { ConflictStatus, PublisherStatus } from '../relay/endpoints/channel-status.js';

/** Publishers remembered; a channel has a handful. */
const PUBLISHERS_MAX = 16;
/** Evidence is looked for every few seconds; without any for this long the conflict is over. */
const CONFLICT_MS: Milliseconds = 15_000;
const LOG_STEP_MS: Milliseconds = 60_000;

export class PublisherRecord {
  readonly #log: Log;
  readonly #publishers = new Map<string, { windows: number; lastMs: Milliseconds }>();
  #conflict: { readonly publishers: readonly [string, string]; readonly number: WindowNumber; readonly atMs: Milliseconds } | undefined;
  #loggedMs: Milliseconds = Number.NEGATIVE_INFINITY;

  constructor(log: Log) {
    this.#log = log;
  }

  /** A window of this publisher has been played. */
  noteWindow(publisher: Uint8Array, nowMs: Milliseconds): void {
    const key = nameOf(publisher);
    const known = this.#publishers.get(key) ?? { windows: 0, lastMs: nowMs };
    this.#publishers.delete(key);
    this.#publishers.set(key, { windows: known.windows + 1, lastMs: nowMs });
    for (const oldest of this.#publishers.keys()) if (this.#publishers.size > PUBLISHERS_MAX) this.#publishers.delete(oldest);
  }

  /** The first of the two is followed. */
  noteConflict(number: WindowNumber, [followed, other]: readonly [Uint8Array, Uint8Array], nowMs: Milliseconds): void {
    const publishers = [nameOf(followed), nameOf(other)] as const;
    const isNew = this.conflict(nowMs) === null || !publishers.every((name) => this.#conflict?.publishers.includes(name));
    this.#conflict = { publishers, number, atMs: nowMs };
    if (!isNew && nowMs - this.#loggedMs < LOG_STEP_MS) return;
    this.#loggedMs = nowMs;
    this.#log.warn(`publishers ${publishers[0]} and ${publishers[1]} show different content; the first one is followed`, {
      window: number,
    });
  }

  publishers(nowMs: Milliseconds): readonly PublisherStatus[] {
    return [...this.#publishers].map(([key, { windows, lastMs }]) => ({
      key,
      windows,
      lastSeconds: Math.round((nowMs - lastMs) / 100) / 10,
    }));
  }

  conflict(nowMs: Milliseconds): ConflictStatus | null {
    const conflict = this.#conflict;
    if (!conflict || nowMs - conflict.atMs > CONFLICT_MS) return null;
    return { publishers: conflict.publishers, window: conflict.number };
  }
}

/** A publisher's public key in hex: 64 digits. */
export function nameOf(publisher: Uint8Array): string {
  return Buffer.from(publisher).toString('hex');
}
