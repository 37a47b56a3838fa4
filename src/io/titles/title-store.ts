/**
 * A title on the disk: what of it is there, written block by block, verified piece by piece, and known again after any end of the process.
 *
 * What is claimed to be there is there: a block counts from the moment its write has finished, a piece from the moment its hash was right, and both
 * are recorded in the same breath (`progress-record.ts`). Opening reads no data; what changed behind our back is found by length and time,
 * checked by `settle` before the title is used, and a few random pieces are checked later even so. Nothing is ever written over a verified piece.
 *
 * Bounds: bytes waiting for the disk (`pendingBytes`), early blocks held for hashing, and, over all titles, open files and cached extents.
 */
import { createHash, randomBytes } from 'node:crypto';
import { Bitfield } from '../../kernel/bitfield.js';
import { invariant, ShoalError } from '../../kernel/errors.js';
import type { Log } from '../../kernel/ports.js';
import { Rng } from '../../kernel/rng.js';
import type { Bytes, Milliseconds, PieceIndex } from '../../kernel/units.js';
import { BLOCK_BYTES } from '../../vod/block.js';
import { pieceSpanBytes } from '../../vod/metainfo.js';
import { PIECE_HEADER_BYTES } from '../../vod/peer-message.js';
import { blockMemory } from '../block-memory.js';
import { makeFolder } from '../files/atomic-file.js';
import { collision, dataMissing, diskError, titleClosed } from './disk-error.js';
import { DiskFlush } from './disk-flush.js';
import { EXTENT_BYTES, type ExtentCache, sharedExtents } from './extent-cache.js';
import { FileNotes } from './file-notes.js';
import { type HashWorkers, sharedHashWorkers } from './hash-workers.js';
import { type OpenFiles, sharedOpenFiles } from './open-files.js';
import { PathClaim } from './path-claim.js';
import { PieceCheck } from './piece-check.js';
import { ProgressFile } from './progress-file.js';
import type { ProgressRecord, StoreLayout } from './progress-record.js';
import { RunningHashes } from './running-hashes.js';
import { rangeOf, type StoredTitle, spansOf, storedFiles } from './stored-files.js';
import { TitleDisk } from './title-disk.js';
import { type ByteRun, markPads, surveyTitle } from './title-survey.js';
import { WriteQueue } from './write-queue.js';

export interface TitleStoreOptions {
  readonly metainfo: StoredTitle;
  /** Where the title's file or folder lies; made when there is none. */
  readonly folder: string;
  /** Where records of titles lie; made when there is none. */
  readonly recordFolder: string;
  readonly log: Log;
  /** `files` for what the user keeps, `pieces` for what is only cached and may be given up piece by piece. Default: files. */
  readonly layout?: StoreLayout;
  /** The files are known to be the title's, since it was made of them just now: a new record takes them as verified. */
  readonly isComplete?: boolean;
  /** The files are somebody's own, and nothing is ever written to them. Several titles may then be made of the same files. */
  readonly isReadOnly?: boolean;
  /** Verified pieces turned out to be damaged or gone: nobody must be promised them any more. */
  readonly onLost?: (pieces: readonly PieceIndex[]) => void;
  /** Bytes waiting for the disk from which `isFull`. Default: 16 MiB. */
  readonly fullBytes?: Bytes;
  /** For tests; by default what all titles of the process share. */
  readonly hashWorkers?: HashWorkers;
  readonly openFiles?: OpenFiles;
  readonly extents?: ExtentCache;
  readonly rng?: Rng;
}

export interface CheckOptions {
  readonly onProgress?: (doneBytes: Bytes, totalBytes: Bytes) => void;
  /** Ends the check; what it has not reached stays doubtful, also after another start. */
  readonly signal?: AbortSignal;
}

/** When the random check runs: after the busy start. */
const SAMPLE_DELAY_MS: Milliseconds = 10_000;
const SAMPLE_PIECES_COUNT = 3;
const VERIFIED_READ_BYTES_MAX: Bytes = 1_048_576;

export class TitleStore {
  readonly #title: StoredTitle;
  readonly #layout: StoreLayout;
  readonly #log: Log;
  readonly #progress: ProgressFile;
  readonly #record: ProgressRecord;
  readonly #disk: TitleDisk;
  readonly #queue: WriteQueue;
  readonly #hashes = new RunningHashes();
  readonly #workers: HashWorkers;
  readonly #extents: ExtentCache;
  readonly #rng: Rng;
  readonly #onLost: (pieces: readonly PieceIndex[]) => void;
  readonly #claim: PathClaim;
  readonly #check: PieceCheck;
  readonly #flush: DiskFlush;
  readonly #notes: FileNotes;
  readonly #isReadOnly: boolean;
  readonly #doubtful = new Set<PieceIndex>();
  readonly #foreign: number[] = [];
  /** Blocks on their way to the disk, by their first byte. */
  readonly #flying = new Map<Bytes, Promise<void>>();
  readonly #closing = new AbortController();
  #sampleTimer: NodeJS.Timeout | undefined;
  #hasEmptyFiles = false;

  private constructor(options: TitleStoreOptions) {
    this.#title = options.metainfo;
    this.#layout = options.layout ?? 'files';
    this.#log = options.log;
    this.#workers = options.hashWorkers ?? sharedHashWorkers;
    this.#extents = options.extents ?? sharedExtents;
    this.#rng = options.rng ?? new Rng(randomBytes(4).readUInt32BE());
    this.#onLost = options.onLost ?? (() => undefined);
    const files = storedFiles(this.#title, this.#layout);
    const witness = { beforeWriting: (index: number, isNew: boolean): void => this.#beforeWriting(index, isNew) };
    this.#disk = new TitleDisk(options.folder, files, options.openFiles ?? sharedOpenFiles, witness);
    this.#queue = new WriteQueue({
      write: (fromByte, buffers) => this.#write(fromByte, buffers),
      ...(options.fullBytes === undefined ? {} : { fullBytes: options.fullBytes }),
    });
    this.#isReadOnly = options.isReadOnly === true;
    this.#claim = new PathClaim(this.#disk.rootPath, this.#title.infoHash, this.#isReadOnly);
    try {
      this.#progress = ProgressFile.open(options.recordFolder, this.#shape(files.count), this.#log);
      this.#record = this.#progress.record;
    } catch (error) {
      this.#claim.free();
      throw error;
    }
    const [title, disk, workers, hashes] = [this.#title, this.#disk, this.#workers, this.#hashes];
    this.#check = new PieceCheck({ title, disk, workers, hashes, closing: this.#closing.signal });
    this.#flush = new DiskFlush(disk, this.#progress, this.#log);
    const isQuiet = (): boolean => this.#queue.pendingBytes === 0;
    this.#notes = new FileNotes({ disk, progress: this.#progress, isQuiet, giveUpGone: (indices) => void this.#findGone(indices) });
  }

  /**
   * Opens a title, also one of which nothing is there yet. Reads no data.
   *
   * When `doubtfulPieces` is not 0, call `settle` before anything else.
   *
   * @throws ShoalError `TITLE_COLLISION` when something else lies in its place; `DATA_DIR_UNUSABLE`, `TITLE_DISK_…` when the folders can't be used.
   */
  static async open(options: TitleStoreOptions): Promise<TitleStore> {
    if (options.isReadOnly !== true) makeTitleFolder(options.folder);
    const store = new TitleStore(options);
    try {
      store.#survey(options.isComplete === true);
      store.#progress.flush();
    } catch (error) {
      await store.close();
      throw error;
    }
    store.#sampleTimer = unheldTimer(() => void store.#checkSample(), SAMPLE_DELAY_MS);
    return store;
  }

  /** Pieces that are there and right, as a new bitfield (BEP 3). */
  get have(): Uint8Array {
    const { pieceCount } = this.#title;
    const field = new Bitfield(pieceCount);
    for (let piece = 0; piece < pieceCount; piece++) if (this.#record.hasPiece(piece)) field.add(piece);
    return field.bytes;
  }

  /** Of pieces that are partly there: which blocks, as bitfields (BEP 3). */
  get blocks(): Map<PieceIndex, Uint8Array> {
    const blocks = new Map<PieceIndex, Uint8Array>();
    for (let piece = 0; piece < this.#title.pieceCount; piece++) {
      const held = this.#record.hasPiece(piece) || this.#doubtful.has(piece) ? undefined : this.#record.blocksOf(piece);
      if (held) blocks.set(piece, held);
    }
    return blocks;
  }

  /** Pieces that may be there, which only `settle` can say. */
  get doubtfulPieces(): number {
    return this.#doubtful.size;
  }

  hasPiece(piece: PieceIndex): boolean {
    return this.#record.hasPiece(piece);
  }

  /** Bytes that wait for the disk. */
  get pendingBytes(): Bytes {
    return this.#queue.pendingBytes;
  }

  /** Too much waits for the disk: ask for no more until `drained`. At four times as much, blocks are refused. */
  get isFull(): boolean {
    return this.#queue.isFull;
  }

  drained(): Promise<void> {
    return this.#queue.drained();
  }

  /**
   * Checks what is doubtful; afterwards `have` and `blocks` are final. Returns at once when nothing is.
   *
   * @throws ShoalError `TITLE_COLLISION` when files were there before, and none of them holds a single piece of this title.
   */
  async settle({ onProgress, signal }: CheckOptions = {}): Promise<void> {
    await this.#checkDoubtful(onProgress, signal);
    if (this.#doubtful.size > 0) return;
    this.#refuseForeign();
    this.#notes.noteAllFound();
    this.#progress.flush();
  }

  /**
   * Looks whether the files that were written are still in their places. What lay in one that is not is given up, and reported as lost.
   *
   * @returns whether all are.
   */
  async lookAgain(): Promise<boolean> {
    // A write that is under way would be noted for a file that it did not go to.
    while (this.#queue.pendingBytes > 0) await this.#queue.idle();
    return this.#closing.signal.aborted || this.#findGone(this.#notes.noted());
  }

  /**
   * Checks all that lies on the disk, whatever the record says. Pieces that are damaged are reported as lost. Of one that is not whole nobody can tell which of its
   * blocks are right: they are given up.
   */
  async recheck(options: CheckOptions = {}): Promise<void> {
    await this.#queue.idle();
    const before = new Set<PieceIndex>();
    for (let piece = 0; piece < this.#title.pieceCount; piece++) {
      if (this.#record.hasPiece(piece)) before.add(piece);
      this.#hashes.drop(piece);
      this.#doubt(piece);
    }
    this.#progress.flush();
    await this.#checkDoubtful(options.onProgress, options.signal);
    const lost = [...before].filter((piece) => !this.#record.hasPiece(piece) && !this.#doubtful.has(piece));
    if (lost.length > 0) this.#onLost(lost);
    this.#progress.flush();
  }

  /**
   * Stores blocks of a piece. Resolves when they are with the system and recorded; until it settles the bytes must not change, and afterwards nobody here
   * looks at them. Blocks that are there already are left as they are.
   *
   * @param offsetBytes of a block; `bytes` are one block or several whole ones.
   * @throws ShoalError `TITLE_DISK_…`, `TITLE_COLLISION`, `TITLE_STORE_BUSY`, `TITLE_STORE_CLOSED`: nothing was stored, and what was before still stands.
   */
  writeBlock(piece: PieceIndex, offsetBytes: Bytes, bytes: Uint8Array): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.reject(titleClosed(this.#claim.path));
    invariant(!this.#isReadOnly, 'Nothing is written to files that are not ours.');
    this.#invariantRange(piece, offsetBytes, bytes.length);
    const fromByte = piece * this.#title.pieceLengthBytes + offsetBytes;
    const flying = this.#flying.get(fromByte);
    if (flying) return flying;
    if (this.#hasBlocks(piece, offsetBytes, bytes.length)) return Promise.resolve();
    this.#hashes.add(piece, offsetBytes, bytes, this.#record.hasBlock(piece, 0));
    const written = this.#queue.push(fromByte, bytes).then(
      () => void this.#flying.delete(fromByte),
      (error) => {
        this.#flying.delete(fromByte);
        this.#hashes.drop(piece);
        throw error;
      },
    );
    this.#flying.set(fromByte, written);
    return written;
  }

  /**
   * Whether the piece is right, once all its blocks are stored. A piece that is not is forgotten, blocks and all, unless `keepsWrong`: then `dropBlocks` says
   * which of them go.
   *
   * @throws ShoalError `TITLE_DATA_MISSING` when blocks are missing, or the disk gives them back no more: the fault of nobody who sent them.
   */
  async checkPiece(piece: PieceIndex, { keepsWrong = false }: { readonly keepsWrong?: boolean } = {}): Promise<boolean> {
    if (this.#record.hasPiece(piece)) return true;
    await this.#landed(piece);
    if (!this.#record.hasAllBlocks(piece)) throw dataMissing(this.#claim.path, `piece ${piece} has blocks that were not stored`);
    const isRight = await this.#check.isRightAsStored(piece);
    if (isRight || !keepsWrong) this.#conclude(piece, isRight);
    this.#progress.flush();
    return isRight;
  }

  /** Forgets some blocks of a piece that is not verified: they are to be stored anew. Resolves when they may come. */
  async dropBlocks(piece: PieceIndex, blocks: readonly number[]): Promise<void> {
    await this.#landed(piece);
    if (this.#record.hasPiece(piece)) return;
    this.#hashes.drop(piece);
    this.#dropExtents(piece);
    for (const block of blocks) this.#record.setBlock(piece, block, false);
    this.#progress.flush();
  }

  /**
   * A digest of each block of a piece as it lies on the disk now, in hex: to tell whose block was wrong when the piece comes again.
   *
   * @throws ShoalError when the disk does not give the bytes.
   */
  async digestBlocks(piece: PieceIndex): Promise<string[]> {
    await this.#landed(piece);
    const { fromByte, toByte } = rangeOf(this.#title, piece);
    const bytes = await this.#disk.read(fromByte, toByte);
    const digests: string[] = [];
    for (let at = 0; at < bytes.length; at += BLOCK_BYTES)
      digests.push(
        createHash('sha1')
          .update(bytes.subarray(at, at + BLOCK_BYTES))
          .digest('hex'),
      );
    return digests;
  }

  /**
   * Bytes of a verified piece, for a peer: a copy, of `blockMemory` if it is a block or less, with `PIECE_HEADER_BYTES` free before it.
   *
   * @throws ShoalError `TITLE_DATA_MISSING` when the piece is not there; when it was thought to be, `onLost` is told.
   */
  async readBlock(piece: PieceIndex, offsetBytes: Bytes, lengthBytes: Bytes): Promise<Uint8Array> {
    this.#refuseUnverified(piece);
    const frame = lengthBytes <= BLOCK_BYTES ? blockMemory.take() : new Uint8Array(PIECE_HEADER_BYTES + lengthBytes);
    const bytes = frame.subarray(PIECE_HEADER_BYTES, PIECE_HEADER_BYTES + lengthBytes);
    for (let done = 0; done < lengthBytes; ) done += await this.#copyOut(piece, offsetBytes + done, bytes.subarray(done));
    return bytes;
  }

  /** Where the run of verified bytes that begins at `fromByte` ends; `fromByte` itself when its piece is not there. Never beyond `toByte`. */
  verifiedUntil(fromByte: Bytes, toByte: Bytes): Bytes {
    const { pieceLengthBytes, totalBytes } = this.#title;
    const end = Math.min(toByte, totalBytes);
    let at = fromByte;
    while (at < end) {
      const piece = Math.floor(at / pieceLengthBytes);
      if (!this.#record.hasPiece(piece)) break;
      at = (piece + 1) * pieceLengthBytes;
    }
    return Math.max(fromByte, Math.min(at, end));
  }

  /**
   * Verified bytes of the title from `fromByte` on: at most 1 MiB, never beyond `toByte` or the first piece that is not there; empty when there are none.
   *
   * @throws ShoalError when the disk does not give them; `onLost` is told.
   */
  async readVerified(fromByte: Bytes, toByte: Bytes): Promise<Uint8Array> {
    const end = this.verifiedUntil(fromByte, Math.min(toByte, fromByte + VERIFIED_READ_BYTES_MAX));
    if (end <= fromByte) return new Uint8Array(0);
    try {
      return await this.#disk.read(fromByte, end);
    } catch (error) {
      const { pieceLengthBytes } = this.#title;
      for (let piece = Math.floor(fromByte / pieceLengthBytes); piece * pieceLengthBytes < end; piece++) this.#suspect(piece, error);
      throw error;
    }
  }

  /**
   * Gives a piece up. @returns bytes that became free on the disk: all of the piece in the layout `pieces`; in the layout `files` those behind the last
   * byte still held of a file that Shoal made, which may be none.
   */
  async removePiece(piece: PieceIndex): Promise<Bytes> {
    await this.#landed(piece);
    this.#forget(piece);
    this.#progress.flush();
    if (this.#layout === 'pieces') return this.#disk.delete(piece);
    let freedBytes = 0;
    const { fromByte, toByte } = rangeOf(this.#title, piece);
    for (const { index } of [...spansOf(this.#disk.files, fromByte, toByte)]) freedBytes += this.#freeTail(index);
    return freedBytes;
  }

  /** Bytes that the title takes up on the disk. */
  diskBytes(): Bytes {
    let bytes = 0;
    for (let index = 0; index < this.#disk.files.count; index++) {
      if (!this.#disk.files.at(index).isPad) bytes += (this.#disk.look(index)?.blocks ?? 0) * 512;
    }
    return bytes;
  }

  /**
   * Forgets the title. With data: deletes the files that Shoal made, and folders that are empty then; files that were there before stay.
   * Without: the record of what Shoal made is kept beside the files, so that they are its own when the title is added again.
   */
  async remove({ withData }: { readonly withData: boolean }): Promise<void> {
    await this.#stop();
    const made: number[] = [];
    for (let index = 0; index < this.#disk.files.count; index++) if (this.#notes.isMade(index)) made.push(index);
    if (!withData) this.#notes.rest();
    this.#disk.close();
    if (withData) for (const index of made) await this.#disk.delete(index);
    if (withData) await this.#disk.deleteEmptyFolders(made);
    if (withData || made.length === 0) this.#progress.delete();
    else this.#progress.close();
    this.#claim.free();
  }

  /** Writes what waits, notes the files as they are, and closes them. */
  async close(): Promise<void> {
    if (!this.#claim.isHeld) return;
    await this.#stop();
    this.#notes.rest();
    this.#progress.close();
    this.#disk.close();
    this.#claim.free();
  }

  async #stop(): Promise<void> {
    this.#closing.abort();
    this.#notes.stop();
    this.#flush.stop();
    clearTimeout(this.#sampleTimer);
    await this.#queue.idle();
  }

  #shape(fileCount: number): ProgressRecord['shape'] {
    const { infoHash, pieceLengthBytes, pieceCount, totalBytes } = this.#title;
    const layout = this.#layout;
    return { infoHash, layout, pieceLengthBytes, pieceCount, totalBytes, fileCount: layout === 'files' ? fileCount : 0 };
  }

  #survey(isComplete: boolean): void {
    if (isComplete && this.#progress.state === 'new') return this.#takeAsComplete();
    const { lost, hopeless, doubtful, foreign } = surveyTitle(this.#title, this.#disk, this.#progress);
    if (this.#progress.state === 'known') for (const run of lost) this.#loseRun(run);
    for (const piece of hopeless) this.#forget(piece);
    for (const piece of doubtful) this.#doubt(piece);
    this.#foreign.push(...foreign);
    this.#markPads();
  }

  /** Blocks that reach into the run are gone, and pieces are no longer whole. */
  #loseRun({ fromByte, toByte }: ByteRun): void {
    const { pieceLengthBytes } = this.#title;
    for (let piece = Math.floor(fromByte / pieceLengthBytes); piece * pieceLengthBytes < toByte; piece++) {
      const start = piece * pieceLengthBytes;
      const end = Math.min(toByte - start, pieceLengthBytes);
      this.#record.setPiece(piece, false);
      for (let block = Math.floor(Math.max(0, fromByte - start) / BLOCK_BYTES); block * BLOCK_BYTES < end; block++) {
        this.#record.setBlock(piece, block, false);
      }
    }
  }

  #takeAsComplete(): void {
    for (let index = 0; index < this.#disk.files.count; index++) {
      const { isPad, lengthBytes } = this.#disk.files.at(index);
      const found = this.#disk.look(index);
      if (!isPad && found?.size !== lengthBytes) throw dataMissing(this.#disk.pathOf(index), `the file has not ${lengthBytes} bytes`);
      this.#notes.noteFound(index);
    }
    for (let piece = 0; piece < this.#title.pieceCount; piece++) this.#record.completePiece(piece);
  }

  #refuseForeign(): void {
    const [index] = this.#foreign;
    if (index === undefined) return;
    for (let piece = 0; piece < this.#title.pieceCount; piece++) if (this.#record.hasPiece(piece)) return;
    throw collision(this.#disk.pathOf(index), 'was there before, and holds not one piece of this title: it is another file');
  }

  async #checkDoubtful(onProgress: CheckOptions['onProgress'], signal?: AbortSignal): Promise<void> {
    const pieces = [...this.#doubtful];
    const totalBytes = pieces.reduce((sum, piece) => sum + pieceSpanBytes(this.#title, piece), 0);
    const signals = AbortSignal.any([this.#closing.signal, ...(signal ? [signal] : [])]);
    let doneBytes = 0;
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let piece = pieces[next++]; piece !== undefined && !signals.aborted; piece = pieces[next++]) {
        const isRight = await this.#check.isRightOnDisk(piece, signals);
        if (isRight === undefined) return;
        // What was given up meanwhile is not here, whatever was read.
        if (this.#doubtful.has(piece)) this.#conclude(piece, isRight);
        doneBytes += pieceSpanBytes(this.#title, piece);
        onProgress?.(doneBytes, totalBytes);
      }
    };
    await Promise.all(Array.from({ length: this.#workers.depth }, lane));
    if (this.#closing.signal.aborted) return;
    this.#markPads();
    this.#progress.flush();
  }

  #markPads(): void {
    if (this.#layout === 'files') markPads(this.#disk, this.#progress);
  }

  #conclude(piece: PieceIndex, isRight: boolean): void {
    this.#doubtful.delete(piece);
    if (!isRight) return this.#forget(piece);
    this.#record.completePiece(piece);
    this.#flush.addPiece(piece);
  }

  #doubt(piece: PieceIndex): void {
    this.#dropExtents(piece);
    this.#doubtful.add(piece);
    this.#record.doubtPiece(piece);
  }

  #forget(piece: PieceIndex): void {
    this.#dropExtents(piece);
    this.#hashes.drop(piece);
    this.#doubtful.delete(piece);
    this.#flush.forgetPiece(piece);
    this.#record.clearPiece(piece);
  }

  /** A verified piece that could not be read is given up, unless the disk as a whole or our own limits are to blame. */
  #suspect(piece: PieceIndex, error: unknown): void {
    if (!(error instanceof ShoalError) || error.code !== 'TITLE_DATA_MISSING' || !this.#record.hasPiece(piece)) return;
    this.#log.warn('bytes of a title are gone from the disk and are fetched again', { piece, reason: error.message });
    this.#forget(piece);
    this.#progress.flush();
    this.#onLost([piece]);
  }

  #refuseUnverified(piece: PieceIndex): void {
    if (!this.#record.hasPiece(piece)) throw dataMissing(this.#claim.path, `piece ${piece} is not there`);
  }

  /** Fills `target` from there on, as far as one extent reaches. @returns how far. */
  async #copyOut(piece: PieceIndex, offsetBytes: Bytes, target: Uint8Array): Promise<Bytes> {
    const { fromByte, toByte } = rangeOf(this.#title, piece);
    const extent = Math.floor(offsetBytes / EXTENT_BYTES);
    const start = fromByte + extent * EXTENT_BYTES;
    const at = offsetBytes - extent * EXTENT_BYTES;
    const countBytes = Math.min(target.length, EXTENT_BYTES - at);
    const load = (memory: Uint8Array): Promise<void> => this.#disk.readInto(memory, start);
    const copy = (bytes: Uint8Array): void => target.set(bytes.subarray(at, at + countBytes));
    try {
      await this.#extents.use(this.#extentName(piece, extent), Math.min(toByte - start, EXTENT_BYTES), load, copy);
      return countBytes;
    } catch (error) {
      this.#suspect(piece, error);
      throw error;
    }
  }

  #dropExtents(piece: PieceIndex): void {
    if (!this.#record.hasPiece(piece)) return;
    const count = Math.ceil(pieceSpanBytes(this.#title, piece) / EXTENT_BYTES);
    for (let extent = 0; extent < count; extent++) this.#extents.drop(this.#extentName(piece, extent));
  }

  #extentName(piece: PieceIndex, extent: number): string {
    return `${this.#claim.path}\n${piece}\n${extent}`;
  }

  async #write(fromByte: Bytes, buffers: readonly Uint8Array[]): Promise<void> {
    this.#makeEmptyFiles();
    await this.#disk.write(fromByte, buffers);
    this.#markBlocks(fromByte, buffers);
    this.#progress.flush();
  }

  #makeEmptyFiles(): void {
    if (this.#hasEmptyFiles || this.#layout === 'pieces') return;
    this.#disk.makeEmptyFiles();
    this.#hasEmptyFiles = true;
  }

  #markBlocks(fromByte: Bytes, buffers: readonly Uint8Array[]): void {
    const toByte = buffers.reduce((end, { length }) => end + length, fromByte);
    const { pieceLengthBytes } = this.#title;
    for (let at = fromByte; at < toByte; ) {
      const piece = Math.floor(at / pieceLengthBytes);
      const block = Math.floor((at - piece * pieceLengthBytes) / BLOCK_BYTES);
      this.#record.setBlock(piece, block, true);
      at = Math.min(piece * pieceLengthBytes + (block + 1) * BLOCK_BYTES, (piece + 1) * pieceLengthBytes);
    }
  }

  #beforeWriting(index: number, isNew: boolean): void {
    this.#flush.addFile(index);
    this.#notes.beforeWriting(index, isNew);
  }

  /** Whether all of these files are where they were. */
  #findGone(indices: Iterable<number>): boolean {
    const lost: PieceIndex[] = [];
    for (const index of indices) {
      const { isPad, startBytes, lengthBytes } = this.#disk.files.at(index);
      if (isPad || lengthBytes === 0 || this.#disk.isInPlace(index)) continue;
      const pieces = this.#loseFile({ fromByte: startBytes, toByte: startBytes + lengthBytes });
      if (pieces.length > 0)
        this.#log.warn('a file of a title is gone from its place: it is fetched again', { path: this.#disk.pathOf(index) });
      this.#disk.letGo(index);
      this.#notes.forget(index);
      lost.push(...pieces);
    }
    if (lost.length === 0) return true;
    this.#markPads();
    this.#progress.flush();
    this.#onLost(lost);
    return false;
  }

  /** @returns the pieces of which something was there. */
  #loseFile(run: ByteRun): PieceIndex[] {
    const { pieceLengthBytes } = this.#title;
    const pieces: PieceIndex[] = [];
    for (let piece = Math.floor(run.fromByte / pieceLengthBytes); piece * pieceLengthBytes < run.toByte; piece++) {
      if (!this.#record.blocksOf(piece)) continue;
      pieces.push(piece);
      this.#dropExtents(piece);
      this.#hashes.drop(piece);
      this.#doubtful.delete(piece);
      this.#flush.forgetPiece(piece);
    }
    this.#loseRun(run);
    return pieces;
  }

  /** Checks a few random pieces. One that is wrong puts all others in doubt. */
  async #checkSample(): Promise<void> {
    for (const piece of this.#sample()) {
      const isRight = await this.#check.isRightInParts(piece);
      if (isRight !== false || !this.#record.hasPiece(piece)) continue;
      this.#log.warn('a piece on the disk is damaged: the whole title is checked', { path: this.#claim.path, piece });
      return this.#checkVerified();
    }
  }

  #sample(): Set<PieceIndex> {
    const pieces = new Set<PieceIndex>();
    for (let tries = 0; tries < 100 && pieces.size < SAMPLE_PIECES_COUNT; tries++) {
      const piece = this.#rng.below(this.#title.pieceCount);
      if (this.#record.hasPiece(piece)) pieces.add(piece);
    }
    return pieces;
  }

  /** Checks every verified piece while the title is in use; those that are wrong are given up one by one. */
  async #checkVerified(): Promise<void> {
    for (let piece = 0; piece < this.#title.pieceCount; piece++) {
      if (!this.#record.hasPiece(piece)) continue;
      const isRight = await this.#check.isRightOnDisk(piece);
      if (isRight === undefined) return;
      if (!isRight) this.#suspect(piece, dataMissing(this.#claim.path, `piece ${piece} is damaged`));
    }
  }

  /** Resolves when no block of the piece is on its way; a write that failed was its caller's to hear of. */
  async #landed(piece: PieceIndex): Promise<void> {
    if (this.#flying.size === 0) return;
    const { fromByte, toByte } = rangeOf(this.#title, piece);
    const flights: Promise<void>[] = [];
    for (let at = fromByte; at < toByte; at += BLOCK_BYTES) {
      const flight = this.#flying.get(at);
      if (flight) flights.push(flight);
    }
    await Promise.allSettled(flights);
  }

  #freeTail(index: number): Bytes {
    const { startBytes, lengthBytes } = this.#disk.files.at(index);
    if (!this.#record.file(index)?.isMade) return 0;
    const { pieceLengthBytes } = this.#title;
    const first = Math.floor(startBytes / pieceLengthBytes);
    let piece = Math.floor((startBytes + lengthBytes - 1) / pieceLengthBytes);
    const emptyFrom = piece;
    while (piece >= first && !this.#record.blocksOf(piece)) piece--;
    if (piece === emptyFrom) return 0;
    return this.#disk.freeTail(index, Math.max(0, (piece + 1) * pieceLengthBytes - startBytes));
  }

  #hasBlocks(piece: PieceIndex, offsetBytes: Bytes, lengthBytes: Bytes): boolean {
    const end = Math.ceil((offsetBytes + lengthBytes) / BLOCK_BYTES);
    for (let block = offsetBytes / BLOCK_BYTES; block < end; block++) if (!this.#record.hasBlock(piece, block)) return false;
    return true;
  }

  #invariantRange(piece: PieceIndex, offsetBytes: Bytes, lengthBytes: Bytes): void {
    const end = offsetBytes + lengthBytes;
    invariant(piece >= 0 && piece < this.#title.pieceCount, 'A block is of a piece of the title.');
    invariant(offsetBytes % BLOCK_BYTES === 0 && lengthBytes > 0, 'A write begins where a block begins.');
    invariant(
      end === pieceSpanBytes(this.#title, piece) || (end % BLOCK_BYTES === 0 && end < pieceSpanBytes(this.#title, piece)),
      'A write ends where a block ends.',
    );
  }
}

/** The same folder may be anywhere: what is wrong with it is no matter of the data folder. */
function makeTitleFolder(folder: string): void {
  try {
    makeFolder(folder);
  } catch (error) {
    if (!(error instanceof ShoalError)) throw diskError(error, folder);
    throw error.cause === undefined ? collision(folder, 'is no folder, or lies below a file') : diskError(error.cause, folder);
  }
}

/** A timer that keeps no process alive. */
function unheldTimer(task: () => void, delayMs: Milliseconds): NodeJS.Timeout {
  return setTimeout(task, delayMs).unref();
}
