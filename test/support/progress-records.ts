/** The records of the corpus `progress-record`: what each belongs to, and what it says. */
import { ProgressRecord, type RecordShape } from '../../src/io/titles/progress-record.js';

const FILES: RecordShape = {
  infoHash: '00112233445566778899aabbccddeeff00112233',
  layout: 'files',
  pieceLengthBytes: 65_536,
  pieceCount: 600,
  totalBytes: 600 * 65_536 - 40_000,
  fileCount: 4,
};

/** By the names of the corpus files. */
export const RECORD_SHAPES: Readonly<Record<string, RecordShape>> = {
  empty: FILES,
  half: { ...FILES, infoHash: 'ffeeddccbbaa99887766554433221100ffeeddcc' },
  pieces: {
    ...FILES,
    infoHash: '0123456789abcdef0123456789abcdef01234567',
    layout: 'pieces',
    fileCount: 0,
    pieceLengthBytes: 16_384,
    totalBytes: 600 * 16_384,
  },
};

/** The record as the corpus has it. */
export function makeRecord(name: string): ProgressRecord {
  const shape = RECORD_SHAPES[name];
  if (!shape) throw new Error(`the corpus has no ${name}`);
  const record = ProgressRecord.create(shape);
  record.boot = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  if (name === 'empty') return record;
  for (let piece = 0; piece < shape.pieceCount; piece += 2) record.completePiece(piece);
  for (let piece = 0; piece < shape.pieceCount; piece += 4) record.setFlushed(piece, true);
  for (let piece = 1; piece < 100; piece += 2) record.setBlock(piece, 0, true);
  for (let file = 0; file < shape.fileCount; file++) {
    record.noteFile(file, { isMade: file > 0, isBeingWritten: file === 2, lengthBytes: 2 ** 33 + file, changedMs: 1_795_000_000_000.25 });
  }
  return record;
}

/** All bytes of a record that was just made. */
export function bytesOf(record: ProgressRecord): Uint8Array {
  record.touchAll();
  return Buffer.concat(record.takeChanges().map(({ bytes }) => bytes));
}
