/**
 * Which file on the disk holds which bytes of a title, for the two ways in which a title may lie there.
 *
 * `files`: as the title has them, `folder/<name>` or `folder/<name>/<path>`: what the user wants to keep, and other programs open.
 * `pieces`: one file a piece, `folder/<info hash>/<number>`: what is only cached. Node can neither punch holes nor allocate, so giving up one piece of
 * a file as it is gives no room back; deleting a file does, at once and on every file system, and the byte quota stays honest.
 */

import type { Bytes, InfoHash, PieceIndex } from '../../kernel/units.js';
import { type Metainfo, pieceSpanBytes } from '../../vod/metainfo.js';
import type { StoreLayout } from './progress-record.js';

/** What the store needs to know of a title. */
export type StoredTitle = Pick<
  Metainfo,
  'infoHash' | 'name' | 'pieceLengthBytes' | 'pieceCount' | 'pieceHashes' | 'totalBytes' | 'files' | 'isSingleFile'
>;

/** A file on the disk and the bytes of the title that it holds. */
export interface StoredFile {
  /** Below the folder, its own name last. */
  readonly names: readonly string[];
  /** Where its first byte is in the title. */
  readonly startBytes: Bytes;
  readonly lengthBytes: Bytes;
  /** Is not on the disk; its bytes are zeros. */
  readonly isPad: boolean;
}

/** A run of bytes within one file. */
export interface StoredSpan {
  readonly index: number;
  readonly file: StoredFile;
  readonly offsetBytes: Bytes;
  readonly lengthBytes: Bytes;
}

export interface StoredFiles {
  readonly count: number;
  /** The name below the folder that everything of the title bears or is below. */
  readonly rootName: string;
  at(index: number): StoredFile;
  /** The file that holds that byte. */
  indexOf(byte: Bytes): number;
}

/** The files of a title in a layout. */
export function storedFiles(title: StoredTitle, layout: StoreLayout): StoredFiles {
  return layout === 'files' ? new WholeFiles(title) : new PieceFiles(title);
}

/** The runs that bytes `fromByte` to `toByte` (exclusive) of the title lie in, in order. Files without bytes are in none. */
export function* spansOf(files: StoredFiles, fromByte: Bytes, toByte: Bytes): Generator<StoredSpan> {
  let at = fromByte;
  for (let index = fromByte < toByte ? files.indexOf(fromByte) : files.count; at < toByte; index++) {
    const file = files.at(index);
    const lengthBytes = Math.min(toByte, file.startBytes + file.lengthBytes) - at;
    if (lengthBytes > 0) yield { index, file, offsetBytes: at - file.startBytes, lengthBytes };
    at += Math.max(0, lengthBytes);
  }
}

/** The bytes of the title that a piece holds; `toByte` is the first that it does not. */
export function rangeOf(title: StoredTitle, piece: PieceIndex): { readonly fromByte: Bytes; readonly toByte: Bytes } {
  const fromByte = piece * title.pieceLengthBytes;
  return { fromByte, toByte: fromByte + pieceSpanBytes(title, piece) };
}

class WholeFiles implements StoredFiles {
  readonly rootName: string;
  readonly #files: readonly StoredFile[];

  constructor({ name, files, isSingleFile }: StoredTitle) {
    this.rootName = name;
    this.#files = files.map(({ path, offsetBytes, lengthBytes, isPad }) => ({
      names: isSingleFile ? [name] : [name, ...path],
      startBytes: offsetBytes,
      lengthBytes,
      isPad,
    }));
  }

  get count(): number {
    return this.#files.length;
  }

  at(index: number): StoredFile {
    return this.#files[index] as StoredFile;
  }

  /** The last file that begins at or before the byte: among several that begin there, the only one that is not empty. */
  indexOf(byte: Bytes): number {
    let low = 0;
    let high = this.#files.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.at(middle).startBytes <= byte) low = middle;
      else high = middle;
    }
    return low;
  }
}

class PieceFiles implements StoredFiles {
  readonly count: number;
  readonly rootName: InfoHash;
  readonly #title: StoredTitle;

  constructor(title: StoredTitle) {
    this.count = title.pieceCount;
    this.rootName = title.infoHash;
    this.#title = title;
  }

  at(index: number): StoredFile {
    const startBytes = index * this.#title.pieceLengthBytes;
    const lengthBytes = pieceSpanBytes(this.#title, index);
    return { names: [this.rootName, String(index).padStart(7, '0')], startBytes, lengthBytes, isPad: false };
  }

  indexOf(byte: Bytes): number {
    return Math.floor(byte / this.#title.pieceLengthBytes);
  }
}
