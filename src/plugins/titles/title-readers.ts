/** The players that read a title now, and what is remembered of those that have left. */
import type { Bytes, BytesPerSecond, Milliseconds } from '../../kernel/units.js';
import type { TitleFile } from '../../vod/metainfo.js';
import type { FileReading } from './playable.js';
import { type ReadableTitle, TitleReading, UNKNOWN_BYTES_PER_SECOND } from './title-reading.js';

/** A reading after a pause shorter than this is a jump of the same player. */
const JUMP_MS: Milliseconds = 10_000;

export class TitleReaders {
  readonly #nowMs: () => Milliseconds;
  readonly #readings = new Set<TitleReading>();
  /** How fast players went through each file, from the reading before. */
  readonly #paces = new Map<number, BytesPerSecond>();
  /** When a player last hung up. */
  #readMs = Number.NEGATIVE_INFINITY;

  constructor(nowMs: () => Milliseconds) {
    this.#nowMs = nowMs;
  }

  get count(): number {
    return this.#readings.size;
  }

  /** Whoever comes now is a player that comes when nobody had read for a while. */
  get isQuiet(): boolean {
    return this.#readings.size === 0 && this.#nowMs() - this.#readMs > JUMP_MS;
  }

  /** How they do, for the budget over all titles. */
  get playing(): { readonly bytesPerSecond: BytesPerSecond; readonly bufferMs: Milliseconds } {
    const readings = [...this.#readings];
    return {
      bytesPerSecond: readings.reduce((sum, reading) => sum + (reading.bytesPerSecond || UNKNOWN_BYTES_PER_SECOND), 0),
      bufferMs: Math.min(Number.POSITIVE_INFINITY, ...readings.map(({ bufferMs }) => bufferMs)),
    };
  }

  /** From `fromByte` of the file up to but not including `toByte`. `onClosed` is called when the player has hung up. */
  open(title: ReadableTitle, file: TitleFile, fromByte: Bytes, toByte: Bytes, onClosed: () => void): FileReading {
    const known = this.#paces.get(file.index) ?? 0;
    const reading = new TitleReading(title, file.offsetBytes + fromByte, file.offsetBytes + toByte, known);
    this.#readings.add(reading);
    return {
      next: (maxBytes) => reading.next(maxBytes),
      close: () => {
        this.#readMs = this.#nowMs();
        if (reading.bytesPerSecond > 0) this.#paces.set(file.index, reading.bytesPerSecond);
        this.#readings.delete(reading);
        reading.close();
        onClosed();
      },
    };
  }

  /** Each says again where it stands: to an exchange that has just begun. */
  tellAgain(): void {
    for (const reading of this.#readings) reading.tellAgain();
  }

  closeAll(): void {
    for (const reading of this.#readings) reading.close();
  }
}
