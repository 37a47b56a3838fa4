/**
 * The library of titles as the page, the API and the command line see it. Whoever keeps titles implements `TitleLibraryPort`.
 *
 * Names, paths and client names come from strangers: they are text, of any length and with any character, and never markup.
 */

import type { Bytes, BytesPerSecond, InfoHash } from '../../kernel/units.js';
import type { CachingFigures } from '../../vod/caching-statistics.js';
import type { MediaKind } from '../../vod/content-type.js';
import type { CachingMode } from '../../vod/transfer-budget.js';

/** `idle`: all there, and no longer seeding, as the seeding policy says. */
export const TITLE_STATES = ['metadata', 'checking', 'downloading', 'seeding', 'idle', 'paused', 'failed'] as const;
export type TitleState = (typeof TITLE_STATES)[number];

export interface TitleFileView {
  /** That of the torrent; padding files are left out, so there may be gaps. */
  readonly index: number;
  /** Folders and name, joined by `/`. */
  readonly path: string;
  readonly sizeBytes: Bytes;
  readonly haveBytes: Bytes;
  readonly kind: MediaKind;
  /** False for a file that is not to be downloaded. */
  readonly wanted: boolean;
  /** Path from the server's root, for players: the file as it is. */
  readonly play: string;
  /** Path that a browser plays: the file, or an `.m3u8` of its conversion; for a subtitle its WebVTT. Null when no browser can. */
  readonly browser: string | null;
  /** Path of the `.m3u8` of its conversion, for a browser that cannot play the file itself. Null for what is no film or sound. */
  readonly converted: string | null;
}

export interface TitleView {
  readonly id: InfoHash;
  /** Empty while nothing is known of it. */
  readonly name: string;
  /** Magnet form. */
  readonly link: string;
  readonly state: TitleState;
  /** Why it failed, in words; null when it did not. */
  readonly error: string | null;
  /** Made from files of this machine, which stay where they are. */
  readonly published: boolean;
  /** Peers come from its trackers alone (BEP 27), whose addresses mostly name who asks. */
  readonly isPrivate: boolean;
  /** Its owner keeps it: it never gives way to what is watched. */
  readonly pinned: boolean;
  readonly sizeBytes: Bytes;
  readonly haveBytes: Bytes;
  /** 0 to 1, of the wanted bytes. */
  readonly progress: number;
  readonly pieceCount: number;
  readonly pieceLengthBytes: Bytes;
  readonly downBytesPerSecond: BytesPerSecond;
  readonly upBytesPerSecond: BytesPerSecond;
  /** Payload since it was added. */
  readonly downloadedBytes: Bytes;
  readonly uploadedBytes: Bytes;
  /** Uploaded over downloaded, or over the size for what was never downloaded. */
  readonly ratio: number;
  readonly peers: number;
  readonly seeders: number;
  /** ISO 8601. */
  readonly addedAt: string;
  /** Path of a JPEG; null while there is none. */
  readonly picture: string | null;
  /** Path of the m3u8 playlist for players; null when nothing in it can be played. */
  readonly playlist: string | null;
  readonly files: readonly TitleFileView[];
}

export interface TitlePeerView {
  /** As it calls itself, or by its peer id. */
  readonly client: string;
  readonly address: string;
  readonly kind: 'peer' | 'web-seed';
  /** 0 to 1. */
  readonly progress: number;
  readonly downBytesPerSecond: BytesPerSecond;
  readonly upBytesPerSecond: BytesPerSecond;
  /** Its share of our upload, 0 to 1. */
  readonly priority: number;
  readonly encrypted: boolean;
}

export interface TitleTrackerView {
  readonly url: string;
  /** In words: `working`, `no answer since 12:03`, … */
  readonly state: string;
  readonly peers: number;
}

export interface TitleDetail extends TitleView {
  /** Bitfield of the pieces that are here and verified, base64; empty before the metadata is known. */
  readonly have: string;
  /** Pieces that are on their way. */
  readonly requested: readonly number[];
  readonly peerList: readonly TitlePeerView[];
  readonly trackers: readonly TitleTrackerView[];
  readonly comment: string;
}

export type TitleSource = { readonly link: string } | { readonly torrent: Uint8Array };

/** What sharing line and disk among several titles is worth to whoever watches, since the process began, and by which rule they are shared. */
export type CachingView = CachingFigures & { readonly mode: CachingMode };

export interface TitleLibraryPort {
  /** How many there are. */
  readonly count: number;
  readonly caching: CachingView;
  /** `withFiles`: default true. Without them it costs little, however many files there are. */
  list(options?: { readonly withFiles?: boolean }): readonly TitleView[];
  detail(id: InfoHash, options?: { readonly withFiles?: boolean }): TitleDetail | undefined;
  /**
   * Adds a title, or finds the one that is there already.
   *
   * @throws ShoalError with words for a person: what is wrong with the link or file, and where.
   */
  add(source: TitleSource): Promise<TitleView>;
  /** `withData`: its files are deleted too. */
  remove(id: InfoHash, options: { readonly withData: boolean }): Promise<void>;
  pause(id: InfoHash): Promise<void>;
  resume(id: InfoHash): Promise<void>;
  /** Begins to check all that lies on the disk, whatever is known of it. @throws ShoalError `METADATA_UNKNOWN` while nobody knows what belongs there. */
  recheck(id: InfoHash): Promise<void>;
  /** A pinned title never gives way to what is watched. */
  pin(id: InfoHash, isPinned: boolean): void;
  /** A JPEG; null while there is none. */
  picture(id: InfoHash): Promise<Uint8Array | null>;
  /** The `.torrent` file; null before the metadata is known. */
  torrent(id: InfoHash): Promise<Uint8Array | null>;
}
