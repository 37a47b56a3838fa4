/**
 * Torrents as they are read: the metainfo of a title, from a whole `.torrent` file or from the info dictionary that peers hand over.
 *
 * The info hash is the SHA-1 of the bytes as they came, never of a new encoding (BEP 52). Version 1 and hybrid torrents are read as
 * version 1; one that is version 2 only is refused with words. Reading never throws; the reason of a `Malformed` is a sentence that says what
 * is wrong and where. What only helps (trackers, web seeds, nodes) is left out when it makes no sense; what decides about bytes is refused.
 *
 * Source: BEP 3, 5 (`nodes`), 12 (tiers), 19 (`url-list`), 27 (`private`), 47 (`attr`), 52.
 */
import { type BencodeDictionary, type BencodeSpan, type BencodeValue, bencodeText, decodeBencodeDictionary } from '../kernel/bencode.js';
import { Malformed } from '../kernel/errors.js';
import { makeAddress, type PeerAddress } from '../kernel/peer-address.js';
import type { Hasher } from '../kernel/ports.js';
import type { Bytes, InfoHash, PieceIndex } from '../kernel/units.js';
import { PathNames, safeComponent, safePath } from './safe-path.js';
import { cleanTracker, cleanWebSeed } from './source-address.js';

/** One file of a title. */
export interface TitleFile {
  /** Its place in the torrent, pad files counted: what `so=` of a magnet link means. */
  readonly index: number;
  /** Safe names, the file's last; below the folder `name` where the title is a folder. Never empty, unique within the title. */
  readonly path: readonly string[];
  /** The names as the torrent has them, as text. Not safe for a disk; web seeds are asked by them. */
  readonly originalPath: readonly string[];
  /** Where the file begins in the title. */
  readonly offsetBytes: Bytes;
  readonly lengthBytes: Bytes;
  /** Zeros that align the next file (BEP 47): neither written nor shown, served as zeros. Its `path` may be that of another. */
  readonly isPad: boolean;
}

/** What a torrent says of a title. */
export interface Metainfo {
  readonly infoHash: InfoHash;
  /** The info dictionary as it came: what is hashed, and handed to peers. */
  readonly infoBytes: Uint8Array;
  /** Safe as the name of a file or folder; never empty. */
  readonly name: string;
  /** The name as the torrent has it. Not safe for a disk. */
  readonly originalName: string;
  /** 16 KiB to 128 MiB; not always a multiple of 16 KiB. */
  readonly pieceLengthBytes: Bytes;
  /** 1 to 2 097 152. */
  readonly pieceCount: number;
  /** 20 bytes a piece. */
  readonly pieceHashes: Uint8Array;
  /** 1 to 8 TiB. */
  readonly totalBytes: Bytes;
  /** In the order of their bytes; at least one. */
  readonly files: readonly TitleFile[];
  /** False where the title is a folder, even of one file. */
  readonly isSingleFile: boolean;
  readonly isPrivate: boolean;
  /** http, https and udp URLs in the torrent's order; shuffling within a tier is the announcer's. */
  readonly trackerTiers: readonly (readonly string[])[];
  /** http and https URLs. */
  readonly webSeeds: readonly string[];
  /** Empty for a private title. */
  readonly dhtNodes: readonly PeerAddress[];
  readonly comment: string;
  readonly createdBy: string;
  /** Seconds since 1970. */
  readonly createdS: number | undefined;
}

/** Largest `.torrent` file that is read. */
export const TORRENT_BYTES_MAX = 10_485_760;
/** Largest info dictionary from peers: what BEP 9 exchanges carry at most here. */
export const INFO_BYTES_MAX = 16_777_216;
/** As in libtorrent. */
export const PIECES_MAX_COUNT = 2_097_152;
export const PIECE_LENGTH_BYTES_MIN = 16_384;
export const PIECE_LENGTH_BYTES_MAX = 134_217_728;
/** 8 TiB. Of each block of a title one bit is kept, in memory and on the disk: 64 MiB of them at most, whatever a torrent claims. */
export const TOTAL_BYTES_MAX = 8_796_093_022_208;
/** Files of one title. The largest known collections have some ten thousand. */
export const FILES_MAX_COUNT = 100_000;
const HASH_BYTES = 20;
/** The deepest honest place is a component of a `path`: info, files, file, path. Version 2 nests folders, which are limited alike. */
const DEPTH_MAX = 64;
/** Ten for each of the most files; a torrent of nothing but tokens then takes some 200 MB for half a second. */
const TOKENS_MAX_COUNT = 1_000_000;
const TRACKERS_MAX_COUNT = 64;
const WEB_SEEDS_MAX_COUNT = 32;
const NODES_MAX_COUNT = 64;
/** Of a name or a comment. The longest names of file systems have 255; what is longer is shortened, what is absurd refused. */
const TEXT_BYTES_MAX = 4096;

type OuterFields = Pick<Metainfo, 'trackerTiers' | 'webSeeds' | 'dhtNodes' | 'comment' | 'createdBy' | 'createdS'>;

const NOTHING_OUTSIDE: OuterFields = {
  trackerTiers: [],
  webSeeds: [],
  dhtNodes: [],
  comment: '',
  createdBy: '',
  createdS: undefined,
};

/** Reads a `.torrent` file. */
export function parseTorrent(bytes: Uint8Array, hasher: Hasher): Metainfo | Malformed {
  if (bytes.length === 0) return new Malformed('The torrent file is empty.');
  if (bytes.length > TORRENT_BYTES_MAX) {
    return new Malformed(`The torrent file has ${bytes.length} bytes; at most ${TORRENT_BYTES_MAX} are read.`);
  }
  const decoded = decodeBencodeDictionary(bytes, { maxBytes: TORRENT_BYTES_MAX, maxDepth: DEPTH_MAX, maxTokens: TOKENS_MAX_COUNT });
  if (decoded instanceof Malformed) return new Malformed(`This is no torrent file: ${decoded.reason}.`);
  const info = decoded.dictionary.get('info');
  if (!isDictionary(info))
    return new Malformed(`The torrent has no "info" dictionary (${describe(info)} there); without it nothing is named.`);
  const span = decoded.spans.get('info') as BencodeSpan;
  return readInfo(new Uint8Array(bytes.subarray(span.startBytes, span.endBytes)), info, readOuter(decoded.dictionary, info), hasher);
}

/** Reads an info dictionary, which is all that peers hand over (BEP 9): no trackers, no web seeds. Whether its hash is the wanted one, see `infoHash`. */
export function parseInfo(infoBytes: Uint8Array, hasher: Hasher): Metainfo | Malformed {
  const decoded = decodeBencodeDictionary(infoBytes, { maxBytes: INFO_BYTES_MAX, maxDepth: DEPTH_MAX, maxTokens: TOKENS_MAX_COUNT });
  if (decoded instanceof Malformed) return new Malformed(`This is no info dictionary: ${decoded.reason}.`);
  return readInfo(new Uint8Array(infoBytes), decoded.dictionary, NOTHING_OUTSIDE, hasher);
}

/** Length of a piece: the last one of a title may be shorter; 0 past the end. */
export function pieceSpanBytes(metainfo: Pick<Metainfo, 'totalBytes' | 'pieceLengthBytes'>, piece: PieceIndex): Bytes {
  return Math.max(0, Math.min(metainfo.pieceLengthBytes, metainfo.totalBytes - piece * metainfo.pieceLengthBytes));
}

/** The 20 bytes that piece `piece` must hash to. */
export function pieceHash(metainfo: Pick<Metainfo, 'pieceHashes'>, piece: PieceIndex): Uint8Array {
  return metainfo.pieceHashes.subarray(piece * HASH_BYTES, (piece + 1) * HASH_BYTES);
}

function readInfo(infoBytes: Uint8Array, info: BencodeDictionary, outer: OuterFields, hasher: Hasher): Metainfo | Malformed {
  const version2 = refusedVersion(info);
  if (version2 !== undefined) return version2;
  const originalName = readName(info);
  const pieceLengthBytes = readPieceLength(info);
  const files = readFiles(info, originalName);
  if (originalName instanceof Malformed) return originalName;
  if (pieceLengthBytes instanceof Malformed) return pieceLengthBytes;
  if (files instanceof Malformed) return files;
  const last = files.at(-1);
  const totalBytes = last === undefined ? 0 : last.offsetBytes + last.lengthBytes;
  if (totalBytes === 0) return new Malformed('The torrent holds no bytes: every file of its info is empty.');
  const pieceHashes = readPieceHashes(info, Math.ceil(totalBytes / pieceLengthBytes), totalBytes);
  if (pieceHashes instanceof Malformed) return pieceHashes;
  return {
    infoHash: hexOf(hasher.sha1(infoBytes)),
    infoBytes,
    name: safeComponent(originalName),
    originalName,
    pieceLengthBytes,
    pieceCount: pieceHashes.length / HASH_BYTES,
    pieceHashes,
    totalBytes,
    files,
    isSingleFile: !info.has('files'),
    isPrivate: isPrivate(info),
    ...outer,
  };
}

function refusedVersion(info: BencodeDictionary): Malformed | undefined {
  if (info.has('pieces') || !(info.has('file tree') || info.get('meta version') === 2)) return undefined;
  return new Malformed(
    'The torrent is BitTorrent version 2 only (its info has a "file tree" and no "pieces"); expected a version 1 or hybrid torrent.',
  );
}

function readName(info: BencodeDictionary): string | Malformed {
  const name = textOf(info.get('name.utf-8')) ?? textOf(info.get('name'));
  if (name === undefined)
    return new Malformed(`The torrent's info.name is ${describe(info.get('name'))}; expected a name of at most ${TEXT_BYTES_MAX} bytes.`);
  return name;
}

function readPieceLength(info: BencodeDictionary): Bytes | Malformed {
  const length = info.get('piece length');
  if (typeof length === 'number' && length >= PIECE_LENGTH_BYTES_MIN && length <= PIECE_LENGTH_BYTES_MAX) return length;
  return new Malformed(
    `The torrent's info["piece length"] is ${describe(length)}; expected ${PIECE_LENGTH_BYTES_MIN} to ${PIECE_LENGTH_BYTES_MAX} bytes.`,
  );
}

function readPieceHashes(info: BencodeDictionary, pieceCount: number, totalBytes: Bytes): Uint8Array | Malformed {
  const pieces = info.get('pieces');
  if (!(pieces instanceof Uint8Array)) return new Malformed(`The torrent's info.pieces is ${describe(pieces)}; expected 20 bytes a piece.`);
  if (pieces.length % HASH_BYTES !== 0) {
    return new Malformed(`The torrent's info.pieces has ${pieces.length} bytes; expected a multiple of ${HASH_BYTES}.`);
  }
  if (pieceCount > PIECES_MAX_COUNT)
    return new Malformed(`The torrent has ${pieceCount} pieces; at most ${PIECES_MAX_COUNT} are accepted.`);
  if (totalBytes > TOTAL_BYTES_MAX)
    return new Malformed(`The torrent's files have ${totalBytes} bytes; at most ${TOTAL_BYTES_MAX} are accepted.`);
  if (pieces.length === pieceCount * HASH_BYTES) return pieces;
  return new Malformed(
    `The torrent's info.pieces has hashes of ${pieces.length / HASH_BYTES} pieces; its files of ${totalBytes} bytes have ${pieceCount}.`,
  );
}

function readFiles(info: BencodeDictionary, name: string | Malformed): readonly TitleFile[] | Malformed {
  if (name instanceof Malformed) return name;
  const list = info.get('files');
  if (list === undefined) return readSingleFile(info, name);
  if (info.has('length')) return new Malformed("The torrent's info has both length and files; expected one of them.");
  if (!Array.isArray(list)) return new Malformed(`The torrent's info.files is ${describe(list)}; expected a list.`);
  if (list.length > FILES_MAX_COUNT) {
    return new Malformed(`The torrent's info.files has ${list.length} entries; at most ${FILES_MAX_COUNT} are accepted.`);
  }
  return new FileReader().read(list);
}

function readSingleFile(info: BencodeDictionary, name: string): readonly TitleFile[] | Malformed {
  const lengthBytes = readLength(info, 'info');
  if (lengthBytes instanceof Malformed) return lengthBytes;
  if (isSymlink(info)) return refusedSymlink('info');
  return [{ index: 0, path: [safeComponent(name)], originalPath: [name], offsetBytes: 0, lengthBytes, isPad: false }];
}

/** The entries of `files`, one after the other. */
class FileReader {
  readonly #names = new PathNames();
  readonly #files: TitleFile[] = [];
  #offsetBytes: Bytes = 0;

  read(list: readonly BencodeValue[]): readonly TitleFile[] | Malformed {
    for (const [index, entry] of list.entries()) {
      const refused = this.#add(entry, index);
      if (refused !== undefined) return refused;
    }
    return this.#files;
  }

  #add(entry: BencodeValue, index: number): Malformed | undefined {
    const where = `info.files[${index}]`;
    if (!isDictionary(entry)) return new Malformed(`The torrent's ${where} is ${describe(entry)}; expected a dictionary.`);
    if (isSymlink(entry)) return refusedSymlink(where);
    const lengthBytes = readLength(entry, where);
    if (lengthBytes instanceof Malformed) return lengthBytes;
    if (!Number.isSafeInteger(this.#offsetBytes + lengthBytes)) {
      return new Malformed(`The torrent's files up to ${where} have more than 2^53 - 1 bytes.`);
    }
    const originalPath = readPath(entry, where);
    if (originalPath instanceof Malformed) return originalPath;
    const path = safePath(originalPath);
    if (path instanceof Malformed) return new Malformed(`The torrent's ${where}.path is refused: ${path.reason}.`);
    const isPad = attributesOf(entry).includes('p');
    // Pad files are never written, so they take no name from anybody.
    const names = isPad ? path : this.#names.claim(path);
    this.#files.push({ index, path: names, originalPath, offsetBytes: this.#offsetBytes, lengthBytes, isPad });
    this.#offsetBytes += lengthBytes;
    return undefined;
  }
}

function readPath(entry: BencodeDictionary, where: string): readonly string[] | Malformed {
  const list = componentsOf(entry.get('path.utf-8')) ?? componentsOf(entry.get('path'));
  if (list !== undefined) return list;
  return new Malformed(
    `The torrent's ${where}.path is ${describe(entry.get('path'))}; expected a list of names of at most ${TEXT_BYTES_MAX} bytes.`,
  );
}

function componentsOf(value: BencodeValue | undefined): string[] | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const components = value.map(textOf);
  return components.every((component) => component !== undefined) ? components : undefined;
}

function readLength(entry: BencodeDictionary, where: string): Bytes | Malformed {
  const length = entry.get('length');
  if (typeof length === 'number' && length >= 0) return length;
  return new Malformed(`The torrent's ${where}.length is ${describe(length)}; expected a number of bytes, 0 or more.`);
}

function isSymlink(entry: BencodeDictionary): boolean {
  return attributesOf(entry).includes('l') || entry.has('symlink path');
}

function refusedSymlink(where: string): Malformed {
  return new Malformed(`The torrent's ${where} is a symbolic link; links are refused, for they could lead out of the title's folder.`);
}

function attributesOf(entry: BencodeDictionary): string {
  return bencodeText(entry.get('attr')) ?? '';
}

function isPrivate(info: BencodeDictionary): boolean {
  return info.get('private') === 1;
}

function readOuter(torrent: BencodeDictionary, info: BencodeDictionary): OuterFields {
  const createdS = torrent.get('creation date');
  return {
    trackerTiers: readTiers(torrent),
    webSeeds: readWebSeeds(torrent.get('url-list')),
    dhtNodes: isPrivate(info) ? [] : readNodes(torrent.get('nodes')),
    comment: textOf(torrent.get('comment.utf-8')) ?? textOf(torrent.get('comment')) ?? '',
    createdBy: textOf(torrent.get('created by')) ?? '',
    createdS: typeof createdS === 'number' && createdS >= 0 ? createdS : undefined,
  };
}

/** BEP 12: `announce` counts only where `announce-list` names nobody. A tier that is a bare string is a mistake often seen, and clear. */
function readTiers(torrent: BencodeDictionary): readonly (readonly string[])[] {
  const list = torrent.get('announce-list');
  const seen = new Set<string>();
  const tiers = (Array.isArray(list) ? list : []).map((tier: BencodeValue) =>
    (Array.isArray(tier) ? tier : [tier]).flatMap((entry: BencodeValue) => {
      const tracker = cleanTracker(bencodeText(entry) ?? '');
      if (tracker === undefined || seen.has(tracker) || seen.size >= TRACKERS_MAX_COUNT) return [];
      seen.add(tracker);
      return [tracker];
    }),
  );
  if (seen.size > 0) return tiers.filter((tier) => tier.length > 0);
  const announce = cleanTracker(bencodeText(torrent.get('announce')) ?? '');
  return announce === undefined ? [] : [[announce]];
}

function readWebSeeds(value: BencodeValue | undefined): readonly string[] {
  const list = Array.isArray(value) ? value : [value];
  const seeds = new Set<string>();
  for (const entry of list) {
    const seed = cleanWebSeed(bencodeText(entry) ?? '');
    if (seed !== undefined && seeds.size < WEB_SEEDS_MAX_COUNT) seeds.add(seed);
  }
  return [...seeds];
}

function readNodes(value: BencodeValue | undefined): readonly PeerAddress[] {
  const nodes: PeerAddress[] = [];
  for (const entry of Array.isArray(value) ? value : []) {
    const [host, port] = Array.isArray(entry) ? entry : [];
    const address = typeof port === 'number' ? makeAddress(bencodeText(host) ?? '', port) : undefined;
    if (address !== undefined && nodes.length < NODES_MAX_COUNT) nodes.push(address);
  }
  return nodes;
}

function isDictionary(value: BencodeValue | undefined): value is BencodeDictionary {
  return value instanceof Map;
}

/**
 * A byte string of at most 4096 bytes as text: UTF-8, else Windows-1252, which reads any bytes. The key `encoding` is not obeyed: it stands outside of the info, so one
 * info hash would get two names.
 */
function textOf(value: BencodeValue | undefined): string | undefined {
  if (!(value instanceof Uint8Array) || value.length > TEXT_BYTES_MAX) return undefined;
  return bencodeText(value) ?? anyBytes.decode(value);
}

const anyBytes = new TextDecoder('windows-1252');

function describe(value: BencodeValue | undefined): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'number') return String(value);
  if (value instanceof Uint8Array) return `a string of ${value.length} bytes`;
  return Array.isArray(value) ? `a list of ${value.length}` : 'a dictionary';
}

function hexOf(bytes: Uint8Array): InfoHash {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
