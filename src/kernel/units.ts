/**
 * Branded number types, so that an index is never passed where a count is due.
 *
 * A brand costs nothing at run time. Numbers enter a brand where they are made (a decoder, a clock) and nowhere else.
 */
declare const brand: unique symbol;
type Branded<Name extends string> = number & { readonly [brand]?: Name };

/** Milliseconds; a duration or a point on some clock, as the name of the value says. */
export type Milliseconds = Branded<'Milliseconds'>;
/** A number of bytes, 0 or more. */
export type Bytes = Branded<'Bytes'>;
/** Bytes per second; 0 stands for "no limit" where a limit is meant. */
export type BytesPerSecond = Branded<'BytesPerSecond'>;
/** Absolute number of a window of a channel; only grows (0 … 2^32 − 1). */
export type WindowNumber = Branded<'WindowNumber'>;
/** 0-based place of a piece in its window. */
export type PieceIndex = Branded<'PieceIndex'>;
/** 20 bytes as 40 lower-case hex digits: a channel id, which is the info hash of its swarm. */
export type InfoHash = string;
/** Names a connection for the life of the process; never reused. */
export type ConnectionId = string;
