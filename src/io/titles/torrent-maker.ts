/**
 * Makes the torrent of a file or folder: version 1, hashed in threads, with no tracker but those that are given.
 *
 * A title is refused rather than published wrong: when a file can't be read, changes while it is hashed, or has a name that other
 * machines could not give it. Memory is bounded by the threads' buffers, 20 bytes a piece and the list of files.
 */
import { invariant, Malformed, ShoalError } from '../../kernel/errors.js';
import type { Bytes } from '../../kernel/units.js';
import { spansOfPiece } from '../../vod/file-layout.js';
import { type Metainfo, PIECES_MAX_COUNT, parseTorrent, type TitleFile, TORRENT_BYTES_MAX } from '../../vod/metainfo.js';
import { encodeInfo, encodeTorrent } from '../../vod/torrent-draft.js';
import { nodeHasher } from '../crypto.js';
import { type FileSpan, type HashFailure, type HashWorkers, sharedHashWorkers } from './hash-workers.js';
import { changedFiles, listSource, nameSome, type SkippedEntry, type SourceFile, type TitleSource } from './title-source.js';

export interface TorrentMaking {
  /** Path of the file or folder. */
  readonly source: string;
  /** Default: that of the file or folder. */
  readonly name?: string;
  /** Exactly these; default none. */
  readonly trackerTiers?: readonly (readonly string[])[];
  readonly webSeeds?: readonly string[];
  readonly isPrivate?: boolean;
  readonly comment?: string;
  /** Seconds since 1970; left out by default, so that the same source gives the same file. */
  readonly createdS?: number;
  /** A multiple of 16 KiB from 16 KiB to 128 MiB. Default: see `choosePieceLength`. */
  readonly pieceLengthBytes?: Bytes;
  /** Default: the threads that all titles share. */
  readonly workers?: HashWorkers;
  /** Called after every piece. */
  readonly onProgress?: (doneBytes: Bytes, totalBytes: Bytes) => void;
  /** Ends the making; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface MadeTorrent {
  readonly metainfo: Metainfo;
  /** The `.torrent` file. */
  readonly torrentBytes: Uint8Array;
  /** The folder that holds the file or folder, links resolved: with the title's name, where it can be seeded from. */
  readonly folder: string;
  /** What the file or folder is called there, links resolved. */
  readonly diskName: string;
  /** What of the folder is not part of the title. */
  readonly skipped: readonly SkippedEntry[];
}

const PIECE_LENGTH_BYTES_CHOSEN_MIN = 16_384;
const PIECE_LENGTH_BYTES_CHOSEN_MAX = 16_777_216;
/** A torrent file of 30 KB; pieces are checked often enough to play early. */
const PIECES_AIM_COUNT = 1500;

/** The power of two from 16 KiB to 16 MiB that gives at most 1500 pieces, or as few more as can be. */
export function choosePieceLength(totalBytes: Bytes): Bytes {
  let lengthBytes = PIECE_LENGTH_BYTES_CHOSEN_MIN;
  while (lengthBytes < PIECE_LENGTH_BYTES_CHOSEN_MAX && totalBytes > lengthBytes * PIECES_AIM_COUNT) lengthBytes *= 2;
  return lengthBytes;
}

/**
 * Makes a torrent.
 *
 * @throws ShoalError `TITLE_UNREADABLE`, `TITLE_EMPTY`, `TITLE_CHANGED` (while hashing) or `TITLE_NAME` (a name others could not give a file).
 */
export async function makeTorrent(making: TorrentMaking): Promise<MadeTorrent> {
  making.signal?.throwIfAborted();
  const source = await listSource(making.source, making.signal);
  const files = layOut(source.files);
  const totalBytes = files.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  const pieceLengthBytes = making.pieceLengthBytes ?? choosePieceLength(totalBytes);
  const pieceCount = Math.ceil(totalBytes / pieceLengthBytes);
  if (pieceCount > PIECES_MAX_COUNT) throw tooLarge(making.source, `${pieceCount} pieces; at most ${PIECES_MAX_COUNT}`);
  const pieceHashes = await new Hashing(source.files, { files, pieceLengthBytes, totalBytes }, making).run();
  const changed = await changedFiles(source.files);
  if (changed.length > 0) throw changedError(changed);
  const infoBytes = encodeInfo({
    name: making.name ?? source.name,
    pieceLengthBytes,
    pieceHashes,
    content: source.isSingleFile ? totalBytes : source.files,
    isPrivate: making.isPrivate ?? false,
  });
  return { ...finish(infoBytes, making), folder: source.folder, diskName: source.name, skipped: source.skipped };
}

function finish(infoBytes: Uint8Array, making: TorrentMaking): { metainfo: Metainfo; torrentBytes: Uint8Array } {
  const torrentBytes = encodeTorrent({
    infoBytes,
    trackerTiers: making.trackerTiers ?? [],
    webSeeds: making.webSeeds ?? [],
    dhtNodes: [],
    comment: making.comment ?? '',
    createdBy: 'Shoal',
    createdS: making.createdS,
  });
  if (torrentBytes.length > TORRENT_BYTES_MAX) throw tooLarge(making.source, `a torrent of ${torrentBytes.length} bytes`);
  const metainfo = parseTorrent(torrentBytes, nodeHasher);
  if (metainfo instanceof Malformed) {
    throw new ShoalError('TITLE_NAME', `${making.source} can't be published: ${metainfo.reason}`, { path: making.source });
  }
  checkNames(metainfo);
  return { metainfo, torrentBytes };
}

/** Whoever seeds from this folder finds files by their safe names, so these must be the names. */
function checkNames(metainfo: Metainfo): void {
  const names = metainfo.files.map(({ path, originalPath }) => [originalPath.join('/'), path.join('/')] as const);
  const wrong = [[metainfo.originalName, metainfo.name] as const, ...names].find(([original, safe]) => original !== safe);
  if (wrong === undefined) return;
  const [original, safe] = wrong.map((name) => JSON.stringify(name));
  const text = `${original} can't be published under this name, since not every system could store it beside the others; ${safe} would do.`;
  throw new ShoalError('TITLE_NAME', text, { name: wrong[0], suggestion: wrong[1] });
}

function layOut(files: readonly SourceFile[]): readonly TitleFile[] {
  let offsetBytes = 0;
  return files.map(({ path, lengthBytes }, index) => {
    const file: TitleFile = { index, path, originalPath: path, offsetBytes, lengthBytes, isPad: false };
    offsetBytes += lengthBytes;
    return file;
  });
}

type Layout = Pick<Metainfo, 'files' | 'pieceLengthBytes' | 'totalBytes'>;

/** The hashing of one source. */
class Hashing {
  readonly #sources: TitleSource['files'];
  readonly #layout: Layout;
  readonly #making: TorrentMaking;
  readonly #hashes: Uint8Array;
  #nextPiece = 0;
  #doneBytes: Bytes = 0;

  constructor(sources: TitleSource['files'], layout: Layout, making: TorrentMaking) {
    this.#sources = sources;
    this.#layout = layout;
    this.#making = making;
    this.#hashes = new Uint8Array(20 * Math.ceil(layout.totalBytes / layout.pieceLengthBytes));
  }

  async run(): Promise<Uint8Array> {
    const workers = this.#making.workers ?? sharedHashWorkers;
    try {
      await Promise.all(Array.from({ length: workers.depth }, () => this.#lane(workers)));
    } catch (error) {
      // The other lanes end with the piece they are at.
      this.#nextPiece = Number.POSITIVE_INFINITY;
      throw error;
    }
    return this.#hashes;
  }

  async #lane(workers: HashWorkers): Promise<void> {
    while (this.#nextPiece * 20 < this.#hashes.length) {
      const piece = this.#nextPiece++;
      const spans = spansOfPiece(this.#layout, piece);
      const onDisk = spans.map(({ file, offsetBytes, lengthBytes }) => ({ path: this.#pathOf(file), offsetBytes, lengthBytes }));
      const outcome = await workers.hashSpans(onDisk satisfies FileSpan[], this.#making.signal);
      this.#making.signal?.throwIfAborted();
      if (!(outcome instanceof Uint8Array)) throw failureError(outcome);
      this.#hashes.set(outcome, piece * 20);
      this.#doneBytes += spans.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
      this.#making.onProgress?.(this.#doneBytes, this.#layout.totalBytes);
    }
  }

  #pathOf(file: TitleFile): string {
    const source = this.#sources[file.index];
    invariant(source !== undefined, 'Every file of the title has a source.');
    return source.diskPath;
  }
}

function failureError({ why, path, detail }: HashFailure): ShoalError {
  if (why === 'missing' || why === 'too-short') return changedError([path]);
  const texts = {
    cancelled: `${path} was not hashed: the program is ending.`,
    thread: `${path} was not hashed: ${detail}. Publish it again.`,
    unreadable: `${path} can't be read (${detail}).`,
  };
  return new ShoalError('TITLE_UNREADABLE', texts[why], { path });
}

function changedError(paths: readonly string[]): ShoalError {
  const text = `${nameSome(paths)} changed while being hashed. Publish again when nothing writes to it any more.`;
  return new ShoalError('TITLE_CHANGED', text, { paths });
}

function tooLarge(source: string, what: string): ShoalError {
  return new ShoalError('TITLE_UNREADABLE', `${source} can't be published: it makes ${what} are accepted. Choose longer pieces.`, {
    path: source,
  });
}
