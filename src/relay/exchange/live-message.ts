/**
 * The words of the live exchange and their bytes. They travel as one BEP 10 extension message each (`shoal_live`), big-endian.
 *
 * | type | message  | body                                                                                                  |
 * |------|----------|-------------------------------------------------------------------------------------------------------|
 * | 0    | hello    | version u8 (4), flags u8 (bit 0: holds the source), rank u32: drawn at random, orders publishers        |
 * | 1    | map      | flags u8 (bit 0: it replaces all that was said before; bit 1: publishing; bit 2: no tail follows; bit 3: feeding follows), tail u32, feeding: offered u8, fed u8, depth u4 for each of six substreams; entries to the end |
 * | 2    | request  | flags u8 (bit 0: send the manifest first), window u32, patience u16 ms, pieces u16… to the end          |
 * | 3    | manifest | age u32 ms since the window was cut, manifest to the end                                               |
 * | 4    | piece    | window u32, piece u16, payload to the end                                                              |
 * | 5    | cancel   | window u32, pieces u16… to the end                                                                     |
 * | 6    | refuse   | why u8 (0 busy, 1 not held), window u32, eta u16 ms, pieces u16… to the end                            |
 * | 7    | info     | signed stream info to the end                                                                          |
 * | 8    | revocations | signed revocation list to the end                                                                   |
 * | 9    | dissent  | signed dissent to the end                                                                               |
 * | 10   | have     | window u32, of which the details were told before; pieces u16… to the end, none: all of it              |
 * | 11   | manifest | the same as 3 without its certificate, which is the one of the last manifest that came with one          |
 * | 12   | subscribe | substreams u8, a bit for each (`substreams.ts`): send these unasked, and no others                     |
 * | 13   | feeding  | substreams u8: these are sent unasked; depth u4 for each of six: what has changed of either             |
 *
 * A map entry is a run of windows or one window in part. Its first byte says which:
 * 0: run, all pieces held: first window u32, count u8, then per window u16 = piece count | 0x8000 when it holds a key frame, and u32 = content
 *    version (`contentVersion`, 0 when unknown);
 * 1: run, all pieces held, details known to the receiver already: first window u32, count u8;
 * 2: part: window u32, u16 piece count and u32 version as above, ceil(count / 8) bytes of bitfield in BEP 3's bit order.
 */
import { Bitfield } from '../../kernel/bitfield.js';
import { ByteReader, ByteWriter } from '../../kernel/bytes.js';
import { Malformed } from '../../kernel/errors.js';
import type { Codec } from '../../kernel/ports.js';
import type { Milliseconds, PieceIndex, WindowNumber } from '../../kernel/units.js';
import { type ContentVersion, PIECES_MAX } from './manifest.js';
import { ALL_SUBSTREAMS, type FeedStatus, SUBSTREAMS, type SubstreamSet } from './substreams.js';

export const LIVE_VERSION = 4;
/** Windows one map may speak of; a buffer holds far fewer. */
export const MAP_WINDOWS_MAX = 1024;
/** Pieces one request, cancel, refusal or have may name. */
export const PIECES_PER_MESSAGE_MAX = 512;

/** What a peer says it holds of one window. `held` null: all of it. `pieceCount` 0: unknown, ask for the manifest. */
export interface WindowAvailability {
  readonly number: WindowNumber;
  readonly pieceCount: number;
  readonly key: boolean;
  readonly held: Bitfield | null;
  /** Which content it has under the number; left out when that has been said before. */
  readonly version?: ContentVersion | undefined;
}

export type LiveMessage =
  | { readonly kind: 'hello'; readonly version: number; readonly publisher: boolean; readonly rank: number }
  | {
      readonly kind: 'map';
      readonly full: boolean;
      /** The sender has the source and makes windows of it, or is about to. */
      readonly onAir?: boolean;
      /** Windows below it are gone at the sender; left out: as said before. */
      readonly tail?: WindowNumber;
      /** Its part in feeding; left out where it has none. */
      readonly feed?: FeedStatus;
      readonly windows: readonly WindowAvailability[];
    }
  /** A map of one window in fewer bytes, for whom its details have been told. No pieces: all of it. */
  | { readonly kind: 'have'; readonly window: WindowNumber; readonly pieces: readonly PieceIndex[] }
  | {
      readonly kind: 'request';
      readonly window: WindowNumber;
      readonly pieces: readonly PieceIndex[];
      readonly wantManifest: boolean;
      /** How long the asker will wait; an uploader that cannot do it in time says so instead of queueing. */
      readonly patienceMs: Milliseconds;
    }
  | {
      readonly kind: 'manifest';
      readonly ageMs: Milliseconds;
      readonly bytes: Uint8Array;
      /** Its certificate is left out: the receiver has had it with an earlier manifest. */
      readonly short?: boolean;
    }
  | { readonly kind: 'piece'; readonly window: WindowNumber; readonly piece: PieceIndex; readonly payload: Uint8Array }
  | { readonly kind: 'cancel'; readonly window: WindowNumber; readonly pieces: readonly PieceIndex[] }
  | {
      readonly kind: 'refuse';
      readonly why: 'busy' | 'not-held';
      readonly window: WindowNumber;
      readonly etaMs: Milliseconds;
      readonly pieces: readonly PieceIndex[];
    }
  | { readonly kind: 'info'; readonly bytes: Uint8Array }
  | { readonly kind: 'revocations'; readonly bytes: Uint8Array }
  | { readonly kind: 'dissent'; readonly bytes: Uint8Array }
  | { readonly kind: 'subscribe'; readonly substreams: SubstreamSet }
  | { readonly kind: 'feeding'; readonly substreams: SubstreamSet; readonly depths: readonly number[] };

const MAP_FULL = 1;
const MAP_ON_AIR = 2;
const MAP_WITHOUT_TAIL = 4;
const MAP_WITH_FEED = 8;
const KEY_BIT = 0x8000;
const UINT16_MAX = 0xffff;
const BITS_READ_SINGLY_MAX = 64;

/** How the traffic counters file a message (`ChannelStatus`). */
export const TRAFFIC_KIND = {
  hello: 'control',
  map: 'map',
  have: 'map',
  request: 'request',
  manifest: 'manifest',
  piece: 'media',
  cancel: 'request',
  refuse: 'request',
  info: 'control',
  dissent: 'control',
  revocations: 'control',
  subscribe: 'request',
  feeding: 'request',
} as const;

export const liveCodec: Codec<LiveMessage> = { encode: encodeLiveMessage, decode: decodeLiveMessage };

function encodeLiveMessage(message: LiveMessage): Uint8Array {
  switch (message.kind) {
    case 'hello':
      return new ByteWriter(7)
        .uint8(0)
        .uint8(message.version)
        .uint8(message.publisher ? 1 : 0)
        .uint32(message.rank)
        .finish();
    case 'map':
      return encodeMap(message);
    case 'request': {
      const writer = new ByteWriter(8 + message.pieces.length * 2)
        .uint8(2)
        .uint8(message.wantManifest ? 1 : 0)
        .uint32(message.window);
      return writePieces(writer.uint16(Math.min(UINT16_MAX, message.patienceMs)), message.pieces);
    }
    case 'manifest':
      return new ByteWriter(5 + message.bytes.length)
        .uint8(message.short ? 11 : 3)
        .uint32(Math.min(message.ageMs, 0xffff_ffff))
        .bytes(message.bytes)
        .finish();
    case 'piece':
      return new ByteWriter(7 + message.payload.length)
        .uint8(4)
        .uint32(message.window)
        .uint16(message.piece)
        .bytes(message.payload)
        .finish();
    case 'cancel':
      return writePieces(new ByteWriter(5 + message.pieces.length * 2).uint8(5).uint32(message.window), message.pieces);
    case 'refuse': {
      const writer = new ByteWriter(8 + message.pieces.length * 2)
        .uint8(6)
        .uint8(message.why === 'busy' ? 0 : 1)
        .uint32(message.window);
      return writePieces(writer.uint16(Math.min(UINT16_MAX, message.etaMs)), message.pieces);
    }
    case 'info':
      return new ByteWriter(1 + message.bytes.length).uint8(7).bytes(message.bytes).finish();
    case 'revocations':
      return new ByteWriter(1 + message.bytes.length).uint8(8).bytes(message.bytes).finish();
    case 'have':
      return writePieces(new ByteWriter(5 + message.pieces.length * 2).uint8(10).uint32(message.window), message.pieces);
    case 'dissent':
      return new ByteWriter(1 + message.bytes.length).uint8(9).bytes(message.bytes).finish();
    case 'subscribe':
      return new ByteWriter(2).uint8(12).uint8(message.substreams).finish();
    case 'feeding':
      return writeDepths(new ByteWriter(5).uint8(13).uint8(message.substreams), message.depths).finish();
  }
}

function writePieces(writer: ByteWriter, pieces: readonly PieceIndex[]): Uint8Array {
  for (const piece of pieces) writer.uint16(piece);
  return writer.finish();
}

function writeDepths(writer: ByteWriter, depths: readonly number[]): ByteWriter {
  for (let substream = 0; substream < SUBSTREAMS; substream += 2)
    writer.uint8(((depths[substream] ?? 0) << 4) | (depths[substream + 1] ?? 0));
  return writer;
}

/** Folds windows that follow each other and are held whole into runs. */
function encodeMap({ full, onAir, tail, feed, windows }: LiveMessage & { readonly kind: 'map' }): Uint8Array {
  const said = (tail === undefined ? MAP_WITHOUT_TAIL : 0) | (feed ? MAP_WITH_FEED : 0);
  const writer = new ByteWriter(64).uint8(1).uint8((full ? MAP_FULL : 0) | (onAir ? MAP_ON_AIR : 0) | said);
  if (tail !== undefined) writer.uint32(tail);
  if (feed) {
    writeDepths(writer.uint8(feed.offered).uint8(feed.fed), feed.depths);
  }
  let at = 0;
  while (at < windows.length) {
    const first = windows[at];
    if (!first) break;
    if (first.held && !first.held.full) {
      writer
        .uint8(2)
        .uint32(first.number)
        .uint16(countField(first))
        .uint32(first.version ?? 0)
        .bytes(first.held.bytes);
      at += 1;
      continue;
    }
    const run = runFrom(windows, at);
    const detailed = first.pieceCount > 0;
    writer
      .uint8(detailed ? 0 : 1)
      .uint32(first.number)
      .uint8(run.length);
    if (detailed) for (const window of run) writer.uint16(countField(window)).uint32(window.version ?? 0);
    at += run.length;
  }
  return writer.finish();
}

function runFrom(windows: readonly WindowAvailability[], at: number): readonly WindowAvailability[] {
  const detailed = (windows[at]?.pieceCount ?? 0) > 0;
  let end = at + 1;
  while (end < windows.length && end - at < 255) {
    const window = windows[end];
    const follows = window?.number === (windows[end - 1]?.number ?? 0) + 1;
    if (!window || !follows || (window.held && !window.held.full) || window.pieceCount > 0 !== detailed) break;
    end += 1;
  }
  return windows.slice(at, end);
}

function countField(window: WindowAvailability): number {
  return window.pieceCount | (window.key ? KEY_BIT : 0);
}

function decodeLiveMessage(bytes: Uint8Array): LiveMessage | Malformed {
  const reader = new ByteReader(bytes);
  const type = reader.uint8();
  const message = decodeBody(type, reader);
  if (message instanceof Malformed) return message;
  return reader.ok ? message : new Malformed(`live message ${type} of ${bytes.length} bytes is cut off`);
}

function decodeBody(type: number, reader: ByteReader): LiveMessage | Malformed {
  switch (type) {
    case 0:
      return decodeHello(reader);
    case 1:
      return decodeMap(reader);
    case 2: {
      const wantManifest = (reader.uint8() & 1) !== 0;
      const window = reader.uint32();
      const patienceMs = reader.uint16();
      return withPieces(reader, (pieces) => ({ kind: 'request', window, wantManifest, patienceMs, pieces }));
    }
    case 3:
      return { kind: 'manifest', ageMs: reader.uint32(), bytes: reader.rest() };
    case 4:
      return { kind: 'piece', window: reader.uint32(), piece: reader.uint16(), payload: reader.rest() };
    case 5: {
      const window = reader.uint32();
      return withPieces(reader, (pieces) => ({ kind: 'cancel', window, pieces }));
    }
    case 6: {
      const why = reader.uint8() === 0 ? 'busy' : 'not-held';
      const window = reader.uint32();
      const etaMs = reader.uint16();
      return withPieces(reader, (pieces) => ({ kind: 'refuse', why, window, etaMs, pieces }));
    }
    case 7:
      return { kind: 'info', bytes: reader.rest() };
    case 8:
      return { kind: 'revocations', bytes: reader.rest() };
    case 9:
      return { kind: 'dissent', bytes: reader.rest() };
    case 10: {
      const window = reader.uint32();
      return withPieces(reader, (pieces) => ({ kind: 'have', window, pieces }));
    }
    case 11:
      return { kind: 'manifest', ageMs: reader.uint32(), bytes: reader.rest(), short: true };
    case 12:
      return { kind: 'subscribe', substreams: reader.uint8() & ALL_SUBSTREAMS };
    case 13:
      return { kind: 'feeding', substreams: reader.uint8() & ALL_SUBSTREAMS, depths: decodeDepths(reader) };
    default:
      return new Malformed(`live message of unknown type ${type}`);
  }
}

/** Of another version only the version is read. */
function decodeHello(reader: ByteReader): LiveMessage {
  const version = reader.uint8();
  const publisher = (reader.uint8() & 1) !== 0;
  return { kind: 'hello', version, publisher, rank: version === LIVE_VERSION ? reader.uint32() : 0 };
}

function withPieces(reader: ByteReader, make: (pieces: readonly PieceIndex[]) => LiveMessage): LiveMessage | Malformed {
  const count = reader.remainingBytes >> 1;
  if (count > PIECES_PER_MESSAGE_MAX) return new Malformed(`${count} pieces named in one message, at most ${PIECES_PER_MESSAGE_MAX}`);
  const pieces: PieceIndex[] = [];
  for (let at = 0; at < count; at++) pieces.push(reader.uint16());
  return make(pieces);
}

function decodeMap(reader: ByteReader): LiveMessage | Malformed {
  const flags = reader.uint8();
  const tail = (flags & MAP_WITHOUT_TAIL) === 0 ? reader.uint32() : undefined;
  const feed = (flags & MAP_WITH_FEED) === 0 ? undefined : decodeFeed(reader);
  const windows: WindowAvailability[] = [];
  while (reader.ok && reader.remainingBytes > 0) {
    const entry = decodeEntry(reader, windows);
    if (entry) return entry;
    if (windows.length > MAP_WINDOWS_MAX) return new Malformed(`map of more than ${MAP_WINDOWS_MAX} windows`);
  }
  const full = (flags & MAP_FULL) !== 0;
  const isOnAir = (flags & MAP_ON_AIR) !== 0;
  // The usual one without any spreading, which takes longer than all its fields.
  if (!isOnAir && tail === undefined && feed === undefined) return { kind: 'map', full, windows };
  return {
    kind: 'map',
    full,
    ...(isOnAir ? { onAir: true } : {}),
    ...(tail === undefined ? {} : { tail }),
    ...(feed === undefined ? {} : { feed }),
    windows,
  };
}

function decodeFeed(reader: ByteReader): FeedStatus {
  const offered = reader.uint8() & ALL_SUBSTREAMS;
  const fed = reader.uint8() & ALL_SUBSTREAMS;
  return { offered, fed, depths: decodeDepths(reader) };
}

function decodeDepths(reader: ByteReader): readonly number[] {
  const depths: number[] = [];
  while (depths.length < SUBSTREAMS) {
    const both = reader.uint8();
    depths.push(both >> 4, both & 0xf);
  }
  return depths;
}

/** Appends the windows of one entry, or says what is wrong with it. */
function decodeEntry(reader: ByteReader, windows: WindowAvailability[]): Malformed | undefined {
  const entryType = reader.uint8();
  const first = reader.uint32();
  if (entryType === 2) {
    const field = reader.uint16();
    const pieceCount = field & ~KEY_BIT;
    if (pieceCount === 0 || pieceCount > PIECES_MAX) return new Malformed(`window ${first} of ${pieceCount} pieces in a map`);
    const version = reader.uint32();
    const held = readBitfield(reader, pieceCount);
    windows.push(availability(first, field, version, held));
    return undefined;
  }
  if (entryType > 2) return new Malformed(`map entry of unknown type ${entryType}`);
  const count = reader.uint8();
  for (let index = 0; index < count; index++) {
    const field = entryType === 0 ? reader.uint16() : 0;
    const version = entryType === 0 ? reader.uint32() : 0;
    const pieceCount = field & ~KEY_BIT;
    if (pieceCount > PIECES_MAX) return new Malformed(`window ${first + index} of ${pieceCount} pieces in a map`);
    windows.push(availability(first + index, field, version, null));
  }
  return undefined;
}

/** Bit by bit where there are few: a view of some bytes costs more than all else in a map of one window. */
function readBitfield(reader: ByteReader, length: number): Bitfield {
  if (length > BITS_READ_SINGLY_MAX) return new Bitfield(length, reader.bytes(Math.ceil(length / 8)));
  const held = new Bitfield(length);
  for (let first = 0; first < length; first += 8) {
    const byte = reader.uint8();
    for (let index = first; index < Math.min(first + 8, length); index++) if ((byte & (0x80 >> (index - first))) !== 0) held.add(index);
  }
  return held;
}

/** A version of 0 stands for none. */
function availability(number: WindowNumber, field: number, version: number, held: Bitfield | null): WindowAvailability {
  const [pieceCount, key] = [field & ~KEY_BIT, (field & KEY_BIT) !== 0];
  return version === 0 ? { number, pieceCount, key, held } : { number, pieceCount, key, held, version };
}
