/** Torrents of test titles (BEP 3, 12, 19), made here and not by the code under test, so that a mistake there can't hide itself. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { encodeBencode } from '../../src/kernel/bencode.js';

export interface TorrentOptions {
  /** Default 256 KiB. */
  readonly pieceLengthBytes?: number;
  /** Default false. */
  readonly isPrivate?: boolean;
}

/** What one client is told beside the title itself. */
export interface Hints {
  /** One tier each. */
  readonly trackers?: readonly string[];
  readonly webSeeds?: readonly string[];
  /** `host:port`, in a magnet only (BEP 9, `x.pe`). */
  readonly peers?: readonly string[];
}

export interface TestTorrent {
  readonly infoHash: string;
  readonly name: string;
  readonly totalBytes: number;
  readonly pieceCount: number;
  /** The whole .torrent. */
  file(hints?: Hints): Uint8Array;
  magnet(hints?: Hints): string;
}

interface Part {
  /** Below the title's folder; empty for the only file of a title. */
  readonly path: readonly string[];
  readonly lengthBytes: number;
}

const PIECE_LENGTH_BYTES = 262_144;

/** Of a file, or of a folder with everything below it. */
export function makeTorrent(path: string, options: TorrentOptions = {}): TestTorrent {
  const { pieceLengthBytes = PIECE_LENGTH_BYTES, isPrivate = false } = options;
  const isFolder = statSync(path).isDirectory();
  const parts = isFolder ? partsBelow(path, []) : [{ path: [], lengthBytes: statSync(path).size }];
  const totalBytes = parts.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  const pieces = hashPieces(path, parts, pieceLengthBytes);
  const layout = isFolder ? { files: parts.map((part) => ({ length: part.lengthBytes, path: part.path })) } : { length: totalBytes };
  const name = basename(path);
  const info = { ...layout, name, 'piece length': pieceLengthBytes, pieces, ...(isPrivate ? { private: 1 } : {}) };
  const infoHash = createHash('sha1').update(encodeBencode(info)).digest('hex');
  return {
    infoHash,
    name,
    totalBytes,
    pieceCount: pieces.length / 20,
    file: ({ trackers = [], webSeeds = [] } = {}) =>
      encodeBencode({
        ...(trackers[0] ? { announce: trackers[0], 'announce-list': trackers.map((tracker) => [tracker]) } : {}),
        ...(webSeeds.length > 0 ? { 'url-list': webSeeds } : {}),
        info,
      }),
    magnet: (hints = {}) => magnetOf(infoHash, name, hints),
  };
}

function magnetOf(infoHash: string, name: string, { trackers = [], webSeeds = [], peers = [] }: Hints): string {
  const words = [
    `xt=urn:btih:${infoHash}`,
    `dn=${encodeURIComponent(name)}`,
    ...trackers.map((tracker) => `tr=${encodeURIComponent(tracker)}`),
    ...webSeeds.map((seed) => `ws=${encodeURIComponent(seed)}`),
    ...peers.map((peer) => `x.pe=${peer}`),
  ];
  return `magnet:?${words.join('&')}`;
}

/** In the order of their raw names, as most programs do it. */
function partsBelow(folder: string, path: readonly string[]): Part[] {
  const entries = readdirSync(folder, { withFileTypes: true }).toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  return entries.flatMap((entry): Part[] => {
    const inner = [...path, entry.name];
    if (entry.isDirectory()) return partsBelow(join(folder, entry.name), inner);
    return [{ path: inner, lengthBytes: statSync(join(folder, entry.name)).size }];
  });
}

/** Pieces run on from one file into the next. */
function hashPieces(root: string, parts: readonly Part[], pieceLengthBytes: number): Uint8Array {
  const hashes: Buffer[] = [];
  const piece = new Uint8Array(pieceLengthBytes);
  let filledBytes = 0;
  for (const { path } of parts) {
    const file = openSync(join(root, ...path), 'r');
    for (let readBytes = -1; readBytes !== 0; ) {
      readBytes = readSync(file, piece, filledBytes, pieceLengthBytes - filledBytes, null);
      filledBytes += readBytes;
      if (filledBytes < pieceLengthBytes) continue;
      hashes.push(createHash('sha1').update(piece).digest());
      filledBytes = 0;
    }
    closeSync(file);
  }
  if (filledBytes > 0) hashes.push(createHash('sha1').update(piece.subarray(0, filledBytes)).digest());
  return Buffer.concat(hashes);
}
