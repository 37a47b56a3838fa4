/** Torrents for tests: a valid one, and what becomes of it when fields are replaced. */
import { nodeHasher } from '../../src/io/crypto.js';
import { type BencodeInput, encodeBencode } from '../../src/kernel/bencode.js';
import { Malformed } from '../../src/kernel/errors.js';
import { type Metainfo, parseTorrent } from '../../src/vod/metainfo.js';

export type Fields = Readonly<Record<string, BencodeInput | undefined>>;

/** 40 000 bytes in one file: pieces of 16 KiB, three of them. */
const SINGLE_FILE: Fields = { name: 'film.mkv', 'piece length': 16_384, pieces: new Uint8Array(60), length: 40_000 };

/** The bytes of a torrent; an undefined field is left out. */
export function torrentBytes(info: Fields = {}, outer: Fields = {}): Uint8Array {
  return encodeBencode({ ...defined(outer), info: defined({ ...SINGLE_FILE, ...info }) });
}

/** A folder of files, with as many hashes as it needs. */
export function folderInfo(files: readonly Fields[], pieceLengthBytes = 16_384): Fields {
  const totalBytes = files.reduce((sum, { length }) => sum + Number(length), 0);
  const pieces = new Uint8Array(20 * Math.ceil(totalBytes / pieceLengthBytes));
  return { name: 'folder', 'piece length': pieceLengthBytes, length: undefined, pieces, files: files.map(defined) };
}

/** Read, or thrown with the reason why it is not. */
export function readTorrent(bytes: Uint8Array): Metainfo {
  const metainfo = parseTorrent(bytes, nodeHasher);
  if (metainfo instanceof Malformed) throw new Error(metainfo.reason);
  return metainfo;
}

function defined(fields: Fields): Record<string, BencodeInput> {
  return Object.fromEntries(Object.entries(fields).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
}
