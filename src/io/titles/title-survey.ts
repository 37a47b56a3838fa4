/**
 * What became of a title's files since they were last seen: which pieces are gone, and which have to be checked.
 *
 * Looks at names, lengths and times only and reads no data, so that an intact title is ready in milliseconds, whatever its size. Where a file was being
 * written when the process died, its time is measured against the record's, which is written in the same breath.
 */
import type { Stats } from 'node:fs';
import type { Bytes, Milliseconds, PieceIndex } from '../../kernel/units.js';
import { BLOCK_BYTES } from '../../vod/block.js';
import { collision } from './disk-error.js';
import type { ProgressFile } from './progress-file.js';
import type { FileNote } from './progress-record.js';
import type { StoredFile, StoredTitle } from './stored-files.js';
import type { TitleDisk } from './title-disk.js';

/** Bytes of the title, `toByte` exclusive. */
export interface ByteRun {
  readonly fromByte: Bytes;
  readonly toByte: Bytes;
}

export interface Survey {
  /** Bytes that are not there (any more); blocks beside them may be. */
  readonly lost: ByteRun[];
  /** Pieces that cannot be whole, and of whose blocks nothing is certain. */
  readonly hopeless: Set<PieceIndex>;
  /** Pieces that may be whole. */
  readonly doubtful: Set<PieceIndex>;
  /** Files with bytes that Shoal knows nothing of: somebody's copy of the title, or something else. */
  readonly foreign: number[];
}

type Verdict = 'same' | 'perhaps' | 'changed';

/** The system gives a write and the record of it the same time, up to a tick of its coarse clock. */
const SAME_BREATH_MS: Milliseconds = 50;
/** A write that was under way when the process died may be later than the record by as long as the disk kept it waiting. */
const LAST_WRITE_MS: Milliseconds = 5000;
/** Some file systems keep small files where no blocks are counted. */
const COUNTED_BYTES_MIN: Bytes = 65_536;

/** Compares what the record says with what lies on the disk. @throws ShoalError `TITLE_COLLISION` when another thing has a file's name. */
export function surveyTitle(title: StoredTitle, disk: TitleDisk, progress: ProgressFile): Survey {
  const survey: Survey = { lost: [], hopeless: new Set(), doubtful: new Set(progress.record.doubtfulPieces), foreign: [] };
  for (let index = 0; index < disk.files.count; index++) {
    const file = disk.files.at(index);
    if (!file.isPad && file.lengthBytes > 0) lookAt(index, file);
  }
  if (progress.isAfterRestart) addUnflushed(title, progress, survey);
  const unchecked = uncheckedPieces(title, progress);
  for (const { fromByte, toByte } of survey.lost) {
    for (const piece of piecesIn(fromByte, toByte)) {
      if (survey.doubtful.delete(piece)) survey.hopeless.add(piece);
      unchecked.delete(piece);
    }
  }
  for (const piece of unchecked) survey.doubtful.add(piece);
  return survey;

  function lookAt(index: number, file: StoredFile): void {
    const found = disk.look(index);
    const note = noteOf(index, file);
    if (found) checkKind(disk.pathOf(index), found, file, note);
    const verdict = found ? verdictOn(found, note, progress.changedMs) : 'changed';
    const presentBytes = !found || (verdict === 'changed' && isEmpty(found)) ? 0 : Math.min(found.size, file.lengthBytes);
    const presentEnd = file.startBytes + presentBytes;
    if (presentBytes < file.lengthBytes) survey.lost.push({ fromByte: presentEnd, toByte: file.startBytes + file.lengthBytes });
    if (presentBytes > 0 && note === undefined && progress.state !== 'damaged') survey.foreign.push(index);
    if (verdict === 'same') return;
    for (const piece of piecesIn(file.startBytes, presentEnd)) {
      if (verdict === 'changed' || progress.record.hasPiece(piece)) survey.doubtful.add(piece);
    }
  }

  /** Files of single pieces are ours by their place, and are never noted. */
  function noteOf(index: number, file: StoredFile): FileNote | undefined {
    if (progress.record.shape.layout === 'files') return progress.record.file(index);
    return { isMade: true, isBeingWritten: progress.state === 'known', lengthBytes: file.lengthBytes, changedMs: 0 };
  }

  function* piecesIn(fromByte: Bytes, toByte: Bytes): Generator<PieceIndex> {
    for (let piece = Math.floor(fromByte / title.pieceLengthBytes); piece * title.pieceLengthBytes < toByte; piece++) {
      if (fromByte < toByte) yield piece;
    }
  }
}

/** Marks the blocks that lie in pad files alone: nobody asks for them, and they are there. */
export function markPads(disk: TitleDisk, { record }: ProgressFile): void {
  const { pieceLengthBytes } = record.shape;
  for (let index = 0; index < disk.files.count; index++) {
    const { isPad, startBytes, lengthBytes } = disk.files.at(index);
    if (!isPad) continue;
    const endBytes = startBytes + lengthBytes;
    for (let at = startBytes; at < endBytes; ) {
      const piece = Math.floor(at / pieceLengthBytes);
      const block = Math.floor((at - piece * pieceLengthBytes) / BLOCK_BYTES);
      const blockStart = piece * pieceLengthBytes + block * BLOCK_BYTES;
      const blockEnd = Math.min(blockStart + BLOCK_BYTES, (piece + 1) * pieceLengthBytes, record.shape.totalBytes);
      if (blockStart >= startBytes && blockEnd <= endBytes) record.setBlock(piece, block, true);
      at = blockEnd;
    }
  }
}

function checkKind(path: string, found: Stats, file: StoredFile, note: FileNote | undefined): void {
  if (!found.isFile()) throw collision(path, 'is not an ordinary file, and a file of the title belongs there');
  if (found.size <= file.lengthBytes || note?.isMade) return;
  throw collision(path, `has ${found.size} bytes, and the title's file only ${file.lengthBytes}: it is another file`);
}

/** A file without a single block on the disk holds nothing but zeros; asked only of files that are not as we left them, since compression may have that too. */
function isEmpty({ size, blocks }: Stats): boolean {
  return size === 0 || (blocks === 0 && size >= COUNTED_BYTES_MIN);
}

function verdictOn({ size, mtimeMs }: Stats, note: FileNote | undefined, recordMs: Milliseconds): Verdict {
  if (!note) return 'changed';
  if (!note.isBeingWritten) return size === note.lengthBytes && mtimeMs === note.changedMs ? 'same' : 'changed';
  if (mtimeMs <= recordMs + SAME_BREATH_MS) return 'same';
  return mtimeMs <= recordMs + LAST_WRITE_MS ? 'perhaps' : 'changed';
}

/** Pieces whose last block came just before the end: all blocks are there, and nobody has looked at them. */
function uncheckedPieces({ pieceCount }: StoredTitle, { record }: ProgressFile): Set<PieceIndex> {
  const pieces = new Set<PieceIndex>();
  for (let piece = 0; piece < pieceCount; piece++) if (!record.hasPiece(piece) && record.hasAllBlocks(piece)) pieces.add(piece);
  return pieces;
}

/** After a power cut: all that may not have reached the disk. Blocks of unfinished pieces cannot be checked, and are few. */
function addUnflushed({ pieceCount }: StoredTitle, { record }: ProgressFile, survey: Survey): void {
  for (let piece = 0; piece < pieceCount; piece++) {
    if (record.isFlushed(piece)) continue;
    if (record.hasPiece(piece) || record.hasAllBlocks(piece)) survey.doubtful.add(piece);
    else if (record.blocksOf(piece)) survey.hopeless.add(piece);
  }
}
