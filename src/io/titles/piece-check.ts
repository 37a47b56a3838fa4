/**
 * Whether a piece of a title is right as it lies on the disk: in a thread, or here where that costs less.
 */
import { createHash } from 'node:crypto';
import { sameBytes } from '../../kernel/bytes.js';
import type { Bytes, PieceIndex } from '../../kernel/units.js';
import { pieceHash } from '../../vod/metainfo.js';
import { dataMissing, titleClosed } from './disk-error.js';
import { EXTENT_BYTES } from './extent-cache.js';
import type { HashWorkers } from './hash-workers.js';
import type { RunningHashes } from './running-hashes.js';
import { rangeOf, type StoredTitle } from './stored-files.js';
import type { TitleDisk } from './title-disk.js';
import type { ByteRun } from './title-survey.js';

export interface PieceCheckParts {
  readonly title: StoredTitle;
  readonly disk: TitleDisk;
  readonly workers: HashWorkers;
  /** Of pieces whose blocks have just come. */
  readonly hashes: RunningHashes;
  /** The title is closed: nothing is read any more. */
  readonly closing: AbortSignal;
}

/** Rests of pieces up to here are hashed on the main thread, in about a millisecond; longer ones by a worker. */
const INLINE_BYTES_MAX: Bytes = 1_048_576;

export class PieceCheck {
  readonly #title: StoredTitle;
  readonly #disk: TitleDisk;
  readonly #workers: HashWorkers;
  readonly #hashes: RunningHashes;
  readonly #closing: AbortSignal;

  constructor({ title, disk, workers, hashes, closing }: PieceCheckParts) {
    this.#title = title;
    this.#disk = disk;
    this.#workers = workers;
    this.#hashes = hashes;
    this.#closing = closing;
  }

  /** Of a piece all blocks of which have come, as far as possible from memory. @throws ShoalError `TITLE_DATA_MISSING`, `TITLE_STORE_CLOSED`. */
  async isRightAsStored(piece: PieceIndex): Promise<boolean> {
    return sameBytes(await this.#hashOf(piece), pieceHash(this.#title, piece));
  }

  /** In a thread. Undefined when the check was ended. What can't be read is not right. */
  async isRightOnDisk(piece: PieceIndex, signal = this.#closing): Promise<boolean | undefined> {
    const { fromByte, toByte } = rangeOf(this.#title, piece);
    const outcome = await this.#workers.hashSpans(this.#disk.hashSpans(fromByte, toByte), signal);
    if (outcome instanceof Uint8Array) return sameBytes(outcome, pieceHash(this.#title, piece));
    // Nobody's pieces are given up because a thread has died.
    if (outcome.why === 'thread') return signal.aborted ? undefined : this.isRightInParts(piece);
    return outcome.why === 'cancelled' ? undefined : false;
  }

  /** The same, for a few pieces: here and not in a thread, which for three would cost more memory than all the rest of a transfer. */
  async isRightInParts(piece: PieceIndex): Promise<boolean | undefined> {
    try {
      const hash = await this.#hashInParts(rangeOf(this.#title, piece));
      return hash && sameBytes(hash, pieceHash(this.#title, piece));
    } catch {
      return false;
    }
  }

  /** Undefined when the title is closed meanwhile. */
  async #hashInParts({ fromByte, toByte }: ByteRun): Promise<Uint8Array | undefined> {
    const part = new Uint8Array(EXTENT_BYTES);
    const hash = createHash('sha1');
    for (let at = fromByte; at < toByte; at += part.length) {
      if (this.#closing.aborted) return undefined;
      const target = part.subarray(0, toByte - at);
      await this.#disk.readInto(target, at);
      hash.update(target);
    }
    return hash.digest();
  }

  async #hashOf(piece: PieceIndex): Promise<Uint8Array> {
    const { fromByte, toByte } = rangeOf(this.#title, piece);
    const { hash, doneBytes } = this.#hashes.take(piece);
    const restBytes = toByte - fromByte - doneBytes;
    if (restBytes > INLINE_BYTES_MAX) return this.#hashInWorker({ fromByte, toByte });
    if (restBytes > 0) hash.update(await this.#disk.read(fromByte + doneBytes, toByte));
    return hash.digest();
  }

  async #hashInWorker(range: ByteRun): Promise<Uint8Array> {
    const { fromByte, toByte } = range;
    const outcome = await this.#workers.hashSpans(this.#disk.hashSpans(fromByte, toByte), this.#closing);
    if (outcome instanceof Uint8Array) return outcome;
    const hash = outcome.why === 'thread' ? await this.#hashInParts(range) : undefined;
    if (hash) return hash;
    if (outcome.why === 'cancelled' || this.#closing.aborted) throw titleClosed(this.#disk.rootPath);
    throw dataMissing(outcome.path, `can't be read back (${outcome.detail || outcome.why})`);
  }
}
