/**
 * Torrents as they are written: the info dictionary of a new title, and the `.torrent` file around any info dictionary.
 *
 * The info dictionary goes into the file byte by byte, so a title that came from peers keeps its info hash when it is saved. No tracker is
 * ever added to those that are given.
 *
 * Source: BEP 3, 5, 12, 19, 27.
 */
import { type BencodeInput, encodeBencode } from '../kernel/bencode.js';
import { invariant } from '../kernel/errors.js';
import type { PeerAddress } from '../kernel/peer-address.js';
import type { Bytes } from '../kernel/units.js';

/** One file of a title to be. */
export interface FileDraft {
  /** Below the folder; the file's name last. */
  readonly path: readonly string[];
  readonly lengthBytes: Bytes;
}

/** What is hashed of a title to be. */
export interface InfoDraft {
  /** Of the file, or of the folder. */
  readonly name: string;
  readonly pieceLengthBytes: Bytes;
  /** 20 bytes a piece, of all files one after the other. */
  readonly pieceHashes: Uint8Array;
  /** A length makes a title of one file named `name`, a list a folder. */
  readonly content: Bytes | readonly FileDraft[];
  readonly isPrivate: boolean;
}

/** A `.torrent` file to be; every `Metainfo` is one. */
export interface TorrentDraft {
  /** As it is hashed. */
  readonly infoBytes: Uint8Array;
  readonly trackerTiers: readonly (readonly string[])[];
  readonly webSeeds: readonly string[];
  readonly dhtNodes: readonly PeerAddress[];
  /** Left out when empty, as is `createdBy`. */
  readonly comment: string;
  readonly createdBy: string;
  /** Seconds since 1970; undefined leaves it out. */
  readonly createdS: number | undefined;
}

/** The bytes of an info dictionary, in canonical order. What makes no torrent is our bug and throws `INVARIANT`. */
export function encodeInfo(draft: InfoDraft): Uint8Array {
  const { content } = draft;
  const totalBytes = typeof content === 'number' ? content : content.reduce((sum, file) => sum + file.lengthBytes, 0);
  const pieceCount = Math.ceil(totalBytes / draft.pieceLengthBytes);
  invariant(totalBytes > 0, 'A title has at least one byte.');
  invariant(
    draft.pieceHashes.length === 20 * pieceCount,
    `A title of ${pieceCount} pieces has not ${draft.pieceHashes.length / 20} hashes.`,
  );
  return encodeBencode({
    name: draft.name,
    'piece length': draft.pieceLengthBytes,
    pieces: draft.pieceHashes,
    ...(draft.isPrivate ? { private: 1 } : {}),
    ...(typeof content === 'number'
      ? { length: content }
      : { files: content.map(({ path, lengthBytes }) => ({ length: lengthBytes, path })) }),
  });
}

/** The bytes of a `.torrent` file. */
export function encodeTorrent(draft: TorrentDraft): Uint8Array {
  const tiers = draft.trackerTiers.filter((tier) => tier.length > 0);
  const trackers = tiers.flat();
  const fields: Record<string, BencodeInput | undefined> = {
    announce: trackers[0],
    // One tracker needs no tiers, and there are readers that know `announce` only.
    'announce-list': trackers.length > 1 ? tiers : undefined,
    comment: draft.comment === '' ? undefined : draft.comment,
    'created by': draft.createdBy === '' ? undefined : draft.createdBy,
    'creation date': draft.createdS,
    nodes: draft.dhtNodes.length === 0 ? undefined : draft.dhtNodes.map(({ host, port }) => [host, port]),
    'url-list': draft.webSeeds.length === 0 ? undefined : draft.webSeeds,
  };
  const entries = Object.entries(fields).flatMap(([key, value]) => (value === undefined ? [] : [[key, encodeBencode(value)] as const]));
  return dictionaryOf([...entries, ['info', draft.infoBytes]]);
}

/** A dictionary of values that are encoded already. */
function dictionaryOf(entries: readonly (readonly [key: string, bytes: Uint8Array])[]): Uint8Array {
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  const parts = sorted.flatMap(([key, bytes]) => [encodeBencode(key), bytes]);
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 2));
  whole[0] = 'd'.charCodeAt(0);
  let offset = 1;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  whole[offset] = 'e'.charCodeAt(0);
  return whole;
}
