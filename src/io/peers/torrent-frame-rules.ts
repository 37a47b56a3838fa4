/**
 * What a peer of a torrent may send, message by message: lengths exactly where the protocol knows them, bounds elsewhere.
 *
 * Ordinary clients send more than we have a use for (the hash requests of BEP 52, private inventions), so ids that are
 * not listed are skipped without being kept; the guard ends a connection that sends nothing but. Messages of the fast extension
 * are an offence where it was not negotiated (BEP 6). The rules of a swarm are shared by its connections.
 */
import type { Bytes } from '../../kernel/units.js';
import { ACCEPTED_BLOCK_BYTES_MAX, BITFIELD_BYTES_MAX, EXTENDED_ID, TITLE_MESSAGE_BYTES_MAX } from '../../vod/torrent-frame.js';
import { ANY_OTHER_ID, type FrameRule, type FrameRules, MESSAGE_BYTES_MAX } from './frame-guard.js';

/** The port message of BEP 5: where the peer's DHT node listens. It ends in the swarm. */
export const DHT_PORT_ID = 9;
/** Id, piece and offset in front of a block. */
const PIECE_HEADER_BYTES: Bytes = 9;
/** Id and sub-id in front of an extension's bytes. */
const EXTENDED_HEADER_BYTES: Bytes = 2;

const between = (leastBytes: Bytes, mostBytes: Bytes): FrameRule => ({ leastBytes, mostBytes, direct: true });
const exactly = (bytes: Bytes): FrameRule => between(bytes, bytes);
const skipped = (leastBytes: Bytes, mostBytes: Bytes): FrameRule => ({ leastBytes, mostBytes, swallow: true });

const BASIC_RULES: readonly (readonly [number, FrameRule])[] = [
  [0, exactly(1)],
  [1, exactly(1)],
  [2, exactly(1)],
  [3, exactly(1)],
  [4, exactly(5)],
  [6, exactly(13)],
  [7, between(PIECE_HEADER_BYTES + 1, PIECE_HEADER_BYTES + ACCEPTED_BLOCK_BYTES_MAX)],
  [8, exactly(13)],
  [DHT_PORT_ID, exactly(3)],
  [EXTENDED_ID, { leastBytes: EXTENDED_HEADER_BYTES, mostBytes: EXTENDED_HEADER_BYTES + TITLE_MESSAGE_BYTES_MAX }],
  [ANY_OTHER_ID, skipped(1, MESSAGE_BYTES_MAX)],
];

const FAST_RULES: readonly (readonly [number, FrameRule])[] = [
  [13, exactly(5)],
  [14, exactly(1)],
  [15, exactly(1)],
  [16, exactly(13)],
  [17, exactly(5)],
];

const NEVER: FrameRule = { leastBytes: 1, mostBytes: 0 };

/** The rules for a connection; `pieceCount` is undefined until the metadata is known. */
export function torrentFrameRules(fast: boolean, pieceCount: number | undefined): FrameRules {
  const bitfield = pieceCount === undefined ? between(2, 1 + BITFIELD_BYTES_MAX) : exactly(1 + Math.ceil(pieceCount / 8));
  const fastRules = fast ? FAST_RULES : FAST_RULES.map(([id]) => [id, NEVER] as const);
  return new Map([...BASIC_RULES, ...fastRules, [5, bitfield]]);
}
