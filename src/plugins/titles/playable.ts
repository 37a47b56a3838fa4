/**
 * What playback needs to know of a title: its files, and a way to read any part of one while it downloads.
 *
 * Playback is written against these shapes alone. Behind them stands a title of the swarm; in tests, a plain file.
 */
import type { Bytes, InfoHash } from '../../kernel/units.js';

export interface PlayableTitle {
  readonly infoHash: InfoHash;
  readonly name: string;
  /** Without padding files. `index` of each is that of the torrent, so there may be gaps. */
  readonly files: readonly PlayableFile[];
  /** When the torrent was made, seconds since 1970, by its own account; undefined when it does not say. */
  readonly createdS?: number | undefined;
  /** The owner lets other machines fetch its files by plain HTTP (BEP 19): they are then public under `/seed`. */
  readonly isPublicSeed?: boolean | undefined;
}

export interface PlayableFile {
  readonly index: number;
  /** Safe components, never empty; the last one is the file's name. */
  readonly path: readonly string[];
  readonly lengthBytes: Bytes;
  /** Whether every byte is here and verified. */
  isComplete(): boolean;
  /**
   * Begins to read bytes from `fromByte` up to but not including `toByte`. Costs nothing before the first `next`.
   *
   * Each reading is one player's position; several of one file live side by side.
   */
  open(fromByte: Bytes, toByte: Bytes): FileReading;
}

/** One run through a part of a file. */
export interface FileReading {
  /**
   * The next bytes in order, at least one and at most `maxBytes`; null at the end. Called again only after the last call has settled.
   * The bytes belong to the caller and never change afterwards.
   *
   * Rejects when they will never come: the title was removed, or its file cannot be read.
   */
  next(maxBytes: Bytes): Promise<Uint8Array | null>;
  /** Frees the need at once, whether or not a `next` is under way; that one may settle in any way, or never. May be called again. */
  close(): void;
}

/** The titles of this process. */
export interface PlayableLibrary {
  /** By info hash in lower-case hex, or by whatever other name the library gives its titles in addresses. */
  title(id: string): PlayableTitle | undefined;
  list(): readonly PlayableTitle[];
}
