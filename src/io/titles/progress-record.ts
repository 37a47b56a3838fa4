/**
 * What of a title is on the disk, as bytes that survive the process: the layout, and the bits.
 *
 * A record is a row of lines of 64 bytes. The last four bytes of a line are the CRC-32 of its sixty others and of its place in this title's record, so
 * that a line that was torn, damaged, moved or taken from another title is noticed; what it said is then doubted, not believed. A change
 * rewrites the lines it touches in place, and 64 aligned bytes lie in one sector of a disk.
 *
 * | lines | content (integers big-endian) |
 * |---|---|
 * | 1 | header, below |
 * | one for 3 files | per file 20 bytes, below; none when the layout is `pieces` |
 * | one for 480 pieces | a bit a piece: its hash was right when it was checked |
 * | one for 480 pieces | a bit a piece: it was verified, and then flushed to the disk |
 * | one for 480 blocks | a bit a block of 16 KiB: its write has finished |
 *
 * Bits are in BEP 3's order. The blocks of a piece begin at `piece × blocks of a whole piece`.
 *
 * | header offset | size | field |
 * |---|---|---|
 * | 0 | 4 | `ShPR` |
 * | 4 | 2 | version, 1 |
 * | 6 | 1 | layout: 0 files, 1 pieces |
 * | 7 | 1 | zero |
 * | 8 | 20 | info hash |
 * | 28 | 4 | piece length, bytes |
 * | 32 | 4 | number of pieces |
 * | 36 | 4 | number of files |
 * | 40 | 6 | length of the title, bytes |
 * | 46 | 8 | mark of the system's start during which this was written: after another, what was not flushed may be lost |
 * | 54 | 6 | zero |
 *
 * | file offset | size | field |
 * |---|---|---|
 * | 0 | 1 | 1: noted · 2: made by Shoal · 4: being written, so that length and time are not exact |
 * | 1 | 6 | length when last seen, bytes |
 * | 7 | 8 | time of the last change when last seen, milliseconds since 1970 as a binary64 |
 * | 15 | 5 | zero |
 */
import { crc32 } from 'node:zlib';
import { Bitfield } from '../../kernel/bitfield.js';
import { Malformed } from '../../kernel/errors.js';
import type { Bytes, InfoHash, PieceIndex } from '../../kernel/units.js';
import { BLOCK_BYTES, blockCount } from '../../vod/block.js';
import { pieceSpanBytes } from '../../vod/metainfo.js';

/** How the bytes of a title lie on the disk: as its files, or as one file a piece. */
export type StoreLayout = 'files' | 'pieces';

/** What a record belongs to; two titles never have the same. */
export interface RecordShape {
  readonly infoHash: InfoHash;
  readonly layout: StoreLayout;
  readonly pieceLengthBytes: Bytes;
  readonly pieceCount: number;
  readonly totalBytes: Bytes;
  /** Files that are noted; 0 for the layout `pieces`. */
  readonly fileCount: number;
}

/** A file as it was last seen. */
export interface FileNote {
  readonly isMade: boolean;
  readonly isBeingWritten: boolean;
  readonly lengthBytes: Bytes;
  readonly changedMs: number;
}

/** A run of bytes of the record that has to go to the disk. */
export interface RecordChange {
  readonly offsetBytes: Bytes;
  readonly bytes: Uint8Array;
}

const LINE_BYTES = 64;
const PAYLOAD_BYTES = 60;
const LINE_BITS = PAYLOAD_BYTES * 8;
const FILE_BYTES = 20;
const FILES_PER_LINE = PAYLOAD_BYTES / FILE_BYTES;
const MAGIC = 0x53685052;
const VERSION = 1;
const LAYOUTS: readonly StoreLayout[] = ['files', 'pieces'];
const NOTED = 1;
const MADE = 2;
const BEING_WRITTEN = 4;
const BOOT_OFFSET = 46;
const BOOT_BYTES = 8;

export class ProgressRecord {
  readonly shape: RecordShape;
  readonly blocksPerPiece: number;
  /** Pieces about which a damaged line says nothing any more; to be checked. */
  readonly doubtfulPieces: ReadonlySet<PieceIndex>;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #places: Places;
  readonly #changedLines = new Set<number>();

  private constructor(shape: RecordShape, bytes: Uint8Array, doubtfulPieces: ReadonlySet<PieceIndex>) {
    this.shape = shape;
    this.blocksPerPiece = Math.ceil(shape.pieceLengthBytes / BLOCK_BYTES);
    this.doubtfulPieces = doubtfulPieces;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#places = placesOf(shape);
  }

  /** A record of nothing. All of it has to be written. */
  static create(shape: RecordShape): ProgressRecord {
    const record = new ProgressRecord(shape, new Uint8Array(placesOf(shape).lineCount * LINE_BYTES), new Set());
    record.#bytes.set(headerOf(shape));
    record.touchAll();
    return record;
  }

  /** The record that the bytes are, if they are one of this title. Takes the bytes over. Damage below the header is not refused but doubted. */
  static decode(bytes: Uint8Array, shape: RecordShape): ProgressRecord | Malformed {
    const places = placesOf(shape);
    if (bytes.length !== places.lineCount * LINE_BYTES) return new Malformed('the record has another length than a record of this title');
    if (!isLineWhole(bytes, 0, shape)) return new Malformed('the header of the record is damaged');
    const expected = headerOf(shape);
    for (let at = 0; at < BOOT_OFFSET; at++)
      if (bytes[at] !== expected[at]) return new Malformed('the record is of another title or version');
    const damagedLines: number[] = [];
    for (let line = 1; line < places.lineCount; line++) if (!isLineWhole(bytes, line, shape)) damagedLines.push(line);
    const record = new ProgressRecord(shape, bytes, piecesOf(damagedLines, shape));
    for (const line of damagedLines) record.#blank(line);
    return record;
  }

  /** 8 bytes that are the same until the system starts anew. */
  get boot(): Uint8Array {
    return this.#bytes.subarray(BOOT_OFFSET, BOOT_OFFSET + BOOT_BYTES);
  }

  set boot(mark: Uint8Array) {
    this.#bytes.set(mark.subarray(0, BOOT_BYTES), BOOT_OFFSET);
    this.#changedLines.add(0);
  }

  hasPiece(piece: PieceIndex): boolean {
    return this.#bit(this.#places.pieceLine, piece);
  }

  setPiece(piece: PieceIndex, isVerified: boolean): void {
    this.#setBit(this.#places.pieceLine, piece, isVerified);
    if (!isVerified) this.setFlushed(piece, false);
  }

  /** Whether a verified piece has outlived the page cache: it needs no new check after a power cut. */
  isFlushed(piece: PieceIndex): boolean {
    return this.#bit(this.#places.flushedLine, piece);
  }

  setFlushed(piece: PieceIndex, isFlushed: boolean): void {
    this.#setBit(this.#places.flushedLine, piece, isFlushed);
  }

  hasBlock(piece: PieceIndex, block: number): boolean {
    return this.#bit(this.#places.blockLine, piece * this.blocksPerPiece + block);
  }

  setBlock(piece: PieceIndex, block: number, isWritten: boolean): void {
    this.#setBit(this.#places.blockLine, piece * this.blocksPerPiece + block, isWritten);
  }

  /** How many blocks the piece has: fewer in a shorter last one. */
  blockCountOf(piece: PieceIndex): number {
    return blockCount(pieceSpanBytes(this.shape, piece));
  }

  hasAllBlocks(piece: PieceIndex): boolean {
    const count = this.blockCountOf(piece);
    for (let block = 0; block < count; block++) if (!this.hasBlock(piece, block)) return false;
    return true;
  }

  /** The blocks of a piece that are there, as a bitfield in BEP 3's order; undefined when none is. */
  blocksOf(piece: PieceIndex): Uint8Array | undefined {
    const held = new Bitfield(this.blockCountOf(piece));
    for (let block = 0; block < held.length; block++) if (this.hasBlock(piece, block)) held.add(block);
    return held.count > 0 ? held.bytes : undefined;
  }

  /** All blocks are said to be there, and nobody knows whether they are right: what a check has to settle, also after another start. */
  doubtPiece(piece: PieceIndex): void {
    this.completePiece(piece);
    this.setPiece(piece, false);
  }

  /** Nothing of the piece is there. */
  clearPiece(piece: PieceIndex): void {
    this.setPiece(piece, false);
    for (let block = 0; block < this.blocksPerPiece; block++) this.setBlock(piece, block, false);
  }

  /** The piece is there and its hash is right. */
  completePiece(piece: PieceIndex): void {
    this.setPiece(piece, true);
    const count = this.blockCountOf(piece);
    for (let block = 0; block < count; block++) this.setBlock(piece, block, true);
  }

  /** A file as last seen; undefined when it was never noted, or its note is damaged. */
  file(index: number): FileNote | undefined {
    const at = this.#fileOffset(index);
    const flags = this.#view.getUint8(at);
    if ((flags & NOTED) === 0) return undefined;
    return {
      isMade: (flags & MADE) !== 0,
      isBeingWritten: (flags & BEING_WRITTEN) !== 0,
      lengthBytes: this.#view.getUint16(at + 1) * 0x1_0000_0000 + this.#view.getUint32(at + 3),
      changedMs: this.#view.getFloat64(at + 7),
    };
  }

  noteFile(index: number, note: FileNote): void {
    const at = this.#fileOffset(index);
    this.#view.setUint8(at, NOTED | (note.isMade ? MADE : 0) | (note.isBeingWritten ? BEING_WRITTEN : 0));
    this.#view.setUint16(at + 1, Math.floor(note.lengthBytes / 0x1_0000_0000));
    this.#view.setUint32(at + 3, note.lengthBytes % 0x1_0000_0000);
    this.#view.setFloat64(at + 7, note.changedMs);
    this.#changedLines.add(Math.floor(at / LINE_BYTES));
  }

  forgetFile(index: number): void {
    const at = this.#fileOffset(index);
    this.#bytes.fill(0, at, at + FILE_BYTES);
    this.#changedLines.add(Math.floor(at / LINE_BYTES));
  }

  /** Makes the header due to be written as it is, which renews the time of the record's last change. */
  touch(): void {
    this.#changedLines.add(0);
  }

  /** Makes all of it due to be written: it is new, or a write of it has failed. */
  touchAll(): void {
    for (let line = 0; line < this.#places.lineCount; line++) this.#changedLines.add(line);
  }

  /** What has changed since the last call, as few runs as possible, in no fixed order. The bytes are views: write them before the next change. */
  takeChanges(): RecordChange[] {
    const changes: RecordChange[] = [];
    for (const line of this.#changedLines) {
      this.#view.setUint32(line * LINE_BYTES + PAYLOAD_BYTES, checksum(this.#bytes, line, this.shape));
    }
    for (const first of this.#changedLines) {
      if (this.#changedLines.has(first - 1)) continue;
      let end = first + 1;
      while (this.#changedLines.has(end)) end++;
      changes.push({ offsetBytes: first * LINE_BYTES, bytes: this.#bytes.subarray(first * LINE_BYTES, end * LINE_BYTES) });
    }
    this.#changedLines.clear();
    return changes;
  }

  #bit(firstLine: number, index: number): boolean {
    return ((this.#bytes[byteOf(firstLine, index)] ?? 0) & (0x80 >> (index & 7))) !== 0;
  }

  #setBit(firstLine: number, index: number, isSet: boolean): void {
    const at = byteOf(firstLine, index);
    const before = this.#bytes[at] ?? 0;
    const after = isSet ? before | (0x80 >> (index & 7)) : before & ~(0x80 >> (index & 7));
    if (after === before) return;
    this.#bytes[at] = after;
    this.#changedLines.add(firstLine + Math.floor(index / LINE_BITS));
  }

  #fileOffset(index: number): Bytes {
    return (1 + Math.floor(index / FILES_PER_LINE)) * LINE_BYTES + (index % FILES_PER_LINE) * FILE_BYTES;
  }

  #blank(line: number): void {
    this.#bytes.fill(0, line * LINE_BYTES, (line + 1) * LINE_BYTES);
    this.#changedLines.add(line);
  }
}

/** Where each kind of line begins. */
interface Places {
  readonly pieceLine: number;
  readonly flushedLine: number;
  readonly blockLine: number;
  readonly lineCount: number;
}

function placesOf({ fileCount, pieceCount, pieceLengthBytes }: RecordShape): Places {
  const pieceLines = Math.ceil(pieceCount / LINE_BITS);
  const blockLines = Math.ceil((pieceCount * Math.ceil(pieceLengthBytes / BLOCK_BYTES)) / LINE_BITS);
  const pieceLine = 1 + Math.ceil(fileCount / FILES_PER_LINE);
  const flushedLine = pieceLine + pieceLines;
  const blockLine = flushedLine + pieceLines;
  return { pieceLine, flushedLine, blockLine, lineCount: blockLine + blockLines };
}

function byteOf(firstLine: number, index: number): Bytes {
  const line = Math.floor(index / LINE_BITS);
  return (firstLine + line) * LINE_BYTES + ((index - line * LINE_BITS) >> 3);
}

function headerOf(shape: RecordShape): Uint8Array {
  const header = new Uint8Array(PAYLOAD_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, MAGIC);
  view.setUint16(4, VERSION);
  view.setUint8(6, LAYOUTS.indexOf(shape.layout));
  for (let at = 0; at < 20; at++) view.setUint8(8 + at, Number.parseInt(shape.infoHash.slice(at * 2, at * 2 + 2), 16));
  view.setUint32(28, shape.pieceLengthBytes);
  view.setUint32(32, shape.pieceCount);
  view.setUint32(36, shape.fileCount);
  view.setUint16(40, Math.floor(shape.totalBytes / 0x1_0000_0000));
  view.setUint32(42, shape.totalBytes % 0x1_0000_0000);
  return header;
}

function isLineWhole(bytes: Uint8Array, line: number, shape: RecordShape): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset + line * LINE_BYTES, LINE_BYTES);
  return view.getUint32(PAYLOAD_BYTES) === checksum(bytes, line, shape);
}

/** The line's place and the beginning of the info hash go in as the value to begin with: a line copied from elsewhere is damaged here. */
function checksum(bytes: Uint8Array, line: number, shape: RecordShape): number {
  const start = (Number.parseInt(shape.infoHash.slice(0, 8), 16) ^ Math.imul(line + 1, 0x9e3779b9)) >>> 0;
  return crc32(bytes.subarray(line * LINE_BYTES, line * LINE_BYTES + PAYLOAD_BYTES), start);
}

/** The pieces whose state stood in these lines. A lost note of a file is no doubt about pieces: the file itself is then one that was never seen. */
function piecesOf(lines: readonly number[], shape: RecordShape): Set<PieceIndex> {
  const { pieceLine, flushedLine, blockLine } = placesOf(shape);
  const blocksPerPiece = Math.ceil(shape.pieceLengthBytes / BLOCK_BYTES);
  const pieces = new Set<PieceIndex>();
  for (const line of lines) {
    if (line < pieceLine) continue;
    const isBlocks = line >= blockLine;
    const firstBit = (line - (isBlocks ? blockLine : line >= flushedLine ? flushedLine : pieceLine)) * LINE_BITS;
    const bitsPerPiece = isBlocks ? blocksPerPiece : 1;
    const last = Math.min(shape.pieceCount - 1, Math.floor((firstBit + LINE_BITS - 1) / bitsPerPiece));
    for (let piece = Math.floor(firstBit / bitsPerPiece); piece <= last; piece++) pieces.add(piece);
  }
  return pieces;
}
