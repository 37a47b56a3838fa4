/**
 * What peers ask for, read a quarter of a megabyte at a time: sixteen requests in a row cost one read.
 *
 * Holds verified bytes only, which never change until they are given up; bounded over all titles of the process, least recently used first. The memory
 * of an extent that is given up is used for the next one, as soon as nobody looks at it any more.
 */
import type { Bytes } from '../../kernel/units.js';

interface Extent {
  readonly memory: Uint8Array;
  readonly bytes: Promise<Uint8Array>;
  readonly lengthBytes: Bytes;
  /** Of those who wait for the bytes or look at them. */
  userCount: number;
}

/** One read brings this much. Larger ones cost a random reader more than they save a steady one. */
export const EXTENT_BYTES = 262_144;
/** Sixteen neighbours that read in different places. */
const TOTAL_BYTES_MAX = 4_194_304;
/** Kept for the next extents. */
const FREE_MAX_COUNT = 4;

export class ExtentCache {
  readonly #limitBytes: Bytes;
  readonly #extents = new Map<string, Extent>();
  readonly #free: Uint8Array[] = [];
  #heldBytes: Bytes = 0;

  constructor(limitBytes: Bytes = TOTAL_BYTES_MAX) {
    this.#limitBytes = limitBytes;
  }

  get heldBytes(): Bytes {
    return this.#heldBytes;
  }

  /**
   * Shows the extent of that name to `look`, which keeps nothing of it. What is not here is brought by `load`, for all who wait for it; a load that fails is
   * not kept.
   *
   * @param lengthBytes at most `EXTENT_BYTES`.
   */
  async use<Result>(
    name: string,
    lengthBytes: Bytes,
    load: (target: Uint8Array) => Promise<void>,
    look: (bytes: Uint8Array) => Result,
  ): Promise<Result> {
    const extent = this.#touch(name) ?? this.#load(name, lengthBytes, load);
    extent.userCount++;
    try {
      return look(await extent.bytes);
    } finally {
      extent.userCount--;
      if (this.#extents.get(name) !== extent) this.#reuse(extent);
    }
  }

  drop(name: string): void {
    this.#remove(name, this.#extents.get(name));
  }

  #touch(name: string): Extent | undefined {
    const extent = this.#extents.get(name);
    if (extent === undefined) return undefined;
    this.#extents.delete(name);
    this.#extents.set(name, extent);
    return extent;
  }

  #load(name: string, lengthBytes: Bytes, load: (target: Uint8Array) => Promise<void>): Extent {
    const memory = this.#free.pop() ?? new Uint8Array(EXTENT_BYTES);
    const target = memory.subarray(0, lengthBytes);
    const extent: Extent = { memory, bytes: load(target).then(() => target), lengthBytes, userCount: 0 };
    this.#extents.set(name, extent);
    this.#heldBytes += lengthBytes;
    extent.bytes.catch(() => this.#remove(name, extent));
    this.#dropSurplus(extent);
    return extent;
  }

  #remove(name: string, extent: Extent | undefined): void {
    if (!extent || this.#extents.get(name) !== extent) return;
    this.#extents.delete(name);
    this.#heldBytes -= extent.lengthBytes;
    this.#reuse(extent);
  }

  #reuse({ memory, userCount }: Extent): void {
    if (userCount === 0 && this.#free.length < FREE_MAX_COUNT) this.#free.push(memory);
  }

  /** @param newest is about to be used. */
  #dropSurplus(newest: Extent): void {
    for (const [name, extent] of this.#extents) {
      if (this.#heldBytes <= this.#limitBytes || extent === newest) return;
      this.#remove(name, extent);
    }
  }
}

/** The cache of the process. */
export const sharedExtents = new ExtentCache();
