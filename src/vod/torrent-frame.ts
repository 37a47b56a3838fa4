/**
 * The frames that a torrent's connections carry: whole BitTorrent messages, their four-byte length prefix included.
 *
 * Between a connection and the codec an extension message keeps the id 20 of BEP 10, but under a sub-id of our own that is the same
 * for every peer; the connection puts the peer's own id in its place, and leaves out what the peer does not map. Keep-alives, the
 * port message, extended handshakes, metadata and peer exchange never come this far.
 *
 * | offset | size | field                                                            |
 * |--------|------|------------------------------------------------------------------|
 * | 0      | 4    | length of what follows, big-endian                               |
 * | 4      | 1    | id: 0 to 8, 13 to 17, or 20                                      |
 * | 5      | …    | payload; with id 20 the sub-id first, then the extension's bytes |
 *
 * | sub-id | extension     | bytes                                        |
 * |--------|---------------|----------------------------------------------|
 * | 1      | `lt_donthave` | 4: the piece (BEP 54)                        |
 * | 2      | `upload_only` | 1: 0 for no, anything else for yes (BEP 21)  |
 * | 3      | `shoal_title` | what peers of our own kind say of a title    |
 *
 * Source: BEP 3, BEP 6, BEP 10, BEP 21, BEP 54.
 */
import type { Bytes } from '../kernel/units.js';

/** The id of an extension message (BEP 10). */
export const EXTENDED_ID = 20;
export const DONT_HAVE_SUB_ID = 1;
export const UPLOAD_ONLY_SUB_ID = 2;
export const TITLE_SUB_ID = 3;

/** The extensions by their names on the wire, in the order of their sub-ids. */
export const FRAME_EXTENSIONS = ['lt_donthave', 'upload_only', 'shoal_title'] as const;

/** The longest block accepted in a `piece`. Nobody should ask for more than 16 KiB; some old clients ask for 128 KiB of each other. */
export const ACCEPTED_BLOCK_BYTES_MAX: Bytes = 131_072;
/** The longest bitfield accepted while the number of pieces is unknown: a million pieces, more than 16 MiB of metadata can name. */
export const BITFIELD_BYTES_MAX: Bytes = 131_072;
/** The longest message of `shoal_title`. */
export const TITLE_MESSAGE_BYTES_MAX: Bytes = 131_072;
