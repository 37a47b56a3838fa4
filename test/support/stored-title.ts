/** Titles made of reproducible bytes, for what stores and serves them. */
import { createHash } from 'node:crypto';
import type { StoredTitle } from '../../src/io/titles/stored-files.js';
import { Rng } from '../../src/kernel/rng.js';
import { BLOCK_BYTES } from '../../src/vod/block.js';

export interface TitleDraft {
  readonly name?: string;
  readonly pieceLengthBytes?: number;
  /** Files in order; a pad file begins with `.pad`. One file without a path makes a single-file title. */
  readonly files: readonly (readonly [path: string, lengthBytes: number])[];
  readonly seed?: number;
}

/** A title and all its bytes, pad files being zeros. */
export interface TitleFixture {
  readonly title: StoredTitle;
  readonly bytes: Uint8Array;
}

export function makeTitle({ name = 'title', pieceLengthBytes = 65_536, files, seed = 1 }: TitleDraft): TitleFixture {
  const totalBytes = files.reduce((sum, [, lengthBytes]) => sum + lengthBytes, 0);
  const bytes = randomBytesOf(totalBytes, seed);
  let offsetBytes = 0;
  const titleFiles = files.map(([path, lengthBytes], index) => {
    const isPad = path.startsWith('.pad');
    if (isPad) bytes.fill(0, offsetBytes, offsetBytes + lengthBytes);
    const names = path === '' ? [name] : path.split('/');
    const file = { index, path: names, originalPath: names, offsetBytes, lengthBytes, isPad };
    offsetBytes += lengthBytes;
    return file;
  });
  const pieceCount = Math.ceil(totalBytes / pieceLengthBytes);
  const pieceHashes = Buffer.concat(
    Array.from({ length: pieceCount }, (_, piece) =>
      createHash('sha1')
        .update(bytes.subarray(piece * pieceLengthBytes, (piece + 1) * pieceLengthBytes))
        .digest(),
    ),
  );
  const infoHash = createHash('sha1').update(pieceHashes).update(name).digest('hex');
  const isSingleFile = files.length === 1 && files[0]?.[0] === '';
  return { title: { infoHash, name, pieceLengthBytes, pieceCount, pieceHashes, totalBytes, files: titleFiles, isSingleFile }, bytes };
}

/** One block of a title, as a neighbour would send it. */
export interface SentBlock {
  readonly piece: number;
  readonly offsetBytes: number;
  readonly bytes: Uint8Array;
}

/** The blocks of a piece in order, each with memory of its own. */
export function blocksOf({ title, bytes }: TitleFixture, piece: number): SentBlock[] {
  const start = piece * title.pieceLengthBytes;
  const end = Math.min(start + title.pieceLengthBytes, title.totalBytes);
  const blocks: SentBlock[] = [];
  for (let at = start; at < end; at += BLOCK_BYTES) {
    blocks.push({ piece, offsetBytes: at - start, bytes: new Uint8Array(bytes.subarray(at, Math.min(end, at + BLOCK_BYTES))) });
  }
  return blocks;
}

function randomBytesOf(lengthBytes: number, seed: number): Uint8Array {
  const rng = new Rng(seed);
  const words = new Uint32Array(Math.ceil(lengthBytes / 4));
  for (let index = 0; index < words.length; index++) words[index] = rng.uint32();
  return new Uint8Array(words.buffer, 0, lengthBytes);
}
