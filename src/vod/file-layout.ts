/**
 * Where the bytes of a title lie: byte ranges of the title as spans of its files, and files as ranges of pieces.
 *
 * The bytes of a title are those of its files one after the other. Offsets and lengths are exact below 2^53. Lookups take logarithmic time in
 * the number of files.
 *
 * Source: BEP 3 ("the files are concatenated in the order they appear").
 */
import type { Bytes, PieceIndex } from '../kernel/units.js';
import type { Metainfo, TitleFile } from './metainfo.js';

/** A run of bytes within one file. */
export interface FileSpan {
  readonly file: TitleFile;
  /** From the file's beginning. */
  readonly offsetBytes: Bytes;
  /** At least 1. */
  readonly lengthBytes: Bytes;
  /** How far into the range that was asked for this span begins. */
  readonly atBytes: Bytes;
}

/** Pieces from `firstPiece` to `lastPiece`, both included. */
export interface PieceRun {
  readonly firstPiece: PieceIndex;
  readonly lastPiece: PieceIndex;
}

/** The spans that hold `lengthBytes` bytes of the title from `offsetBytes` on, in order; what lies past the title's end is left out. Empty files never occur. */
export function spansOf(metainfo: Pick<Metainfo, 'files'>, offsetBytes: Bytes, lengthBytes: Bytes): FileSpan[] {
  const { files } = metainfo;
  const spans: FileSpan[] = [];
  const endBytes = offsetBytes + lengthBytes;
  for (let index = firstFileBeyond(files, offsetBytes); index < files.length; index++) {
    const file = files[index] as TitleFile;
    if (file.offsetBytes >= endBytes) break;
    const fromBytes = Math.max(offsetBytes, file.offsetBytes);
    const toBytes = Math.min(endBytes, file.offsetBytes + file.lengthBytes);
    if (fromBytes >= toBytes) continue;
    spans.push({ file, offsetBytes: fromBytes - file.offsetBytes, lengthBytes: toBytes - fromBytes, atBytes: fromBytes - offsetBytes });
  }
  return spans;
}

/** The spans that hold a piece. */
export function spansOfPiece(metainfo: Pick<Metainfo, 'files' | 'pieceLengthBytes'>, piece: PieceIndex): FileSpan[] {
  return spansOf(metainfo, piece * metainfo.pieceLengthBytes, metainfo.pieceLengthBytes);
}

/** The pieces that hold bytes `fromByte` up to, not including, `toByte` of the title; undefined for an empty range. */
export function piecesOfRange(metainfo: Pick<Metainfo, 'pieceLengthBytes'>, fromByte: Bytes, toByte: Bytes): PieceRun | undefined {
  if (fromByte >= toByte) return undefined;
  const { pieceLengthBytes } = metainfo;
  return { firstPiece: Math.floor(fromByte / pieceLengthBytes), lastPiece: Math.floor((toByte - 1) / pieceLengthBytes) };
}

/** The pieces that hold a file, which may begin and end with bytes of its neighbours; undefined for an empty file. */
export function piecesOfFile(metainfo: Pick<Metainfo, 'pieceLengthBytes'>, file: TitleFile): PieceRun | undefined {
  return piecesOfRange(metainfo, file.offsetBytes, file.offsetBytes + file.lengthBytes);
}

/** Where a file belongs on disk, below the folder that all titles share. */
export function pathOnDisk(metainfo: Pick<Metainfo, 'name' | 'isSingleFile'>, file: TitleFile): readonly string[] {
  return metainfo.isSingleFile ? file.path : [metainfo.name, ...file.path];
}

/** Index of the first file that ends after `offsetBytes`. */
function firstFileBeyond(files: readonly TitleFile[], offsetBytes: Bytes): number {
  let low = 0;
  let high = files.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const file = files[middle] as TitleFile;
    if (file.offsetBytes + file.lengthBytes > offsetBytes) high = middle;
    else low = middle + 1;
  }
  return low;
}
