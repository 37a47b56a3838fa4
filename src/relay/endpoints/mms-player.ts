/**
 * What the session of one local MMS player is told and can ask for: the contract of `MmshSession`, `MmstSession` and `MmsPort`.
 *
 * A session is a pure core for one TCP connection. It answers; media it leaves to the shell, which encodes a packet once for all players of
 * one framing and merges writes: nothing in the bytes belongs to a single player (see `encodeMmsPacket`).
 */
import type { Milliseconds } from '../../kernel/units.js';
import { encodeMmshData } from '../../media/mmsh-chunk.js';
import { encodeMmstData } from '../../media/mmst-message.js';

/** `step`: the player must say the next thing. `ping`: it is asked whether it is still there. `header`: a channel's header may be here now. */
export type PlayerTimer = 'step' | 'ping' | 'header';

export type PlayerInput =
  | { readonly kind: 'start' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'timer'; readonly timer: PlayerTimer }
  /** The channel's stream is over, or its header changed, which open players survive only by coming again. */
  | { readonly kind: 'end' };

/** How packets are wrapped: MMSH, or MMST with the incarnation that the player chose. Players of equal framing get equal bytes. */
export type Framing = 'mmsh' | `mmst:${number}`;

/**
 * What a session serves: something with a header, null while there is none yet. At most 65527 bytes can be served.
 *
 * Asking for the header says that a player waits for it: a channel that is made on demand begins then.
 */
export interface MmsChannel {
  header(): Uint8Array | null;
}

/** What stands at a path: a channel, nothing, or `busy` when this player has asked too often. Called with paths like `/name`. */
export type ChannelLookup<Channel extends MmsChannel> = (path: string) => Channel | 'busy' | undefined;

export type PlayerEvent<Channel extends MmsChannel> =
  /** Header and answers are sent: from now on packets may follow, prelude first. Said again when the player starts over. */
  | { readonly kind: 'play'; readonly channel: Channel; readonly framing: Framing }
  /** The player wants no packets for now. */
  | { readonly kind: 'pause' }
  /** Why the session closes or refuses; for the log at `debug`. Never holds bytes of the player. */
  | { readonly kind: 'refused'; readonly detail: string };

export type PlayerEffect<Channel extends MmsChannel> =
  /** One write for each: players take one segment for one message. */
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  /** After what was sent has left. */
  | { readonly kind: 'close' }
  | { readonly kind: 'schedule'; readonly timer: PlayerTimer; readonly delayMs: Milliseconds }
  | { readonly kind: 'cancel'; readonly timer: PlayerTimer }
  | { readonly kind: 'emit'; readonly event: PlayerEvent<Channel> };

export interface PlayerSession<Channel extends MmsChannel> {
  handle(input: PlayerInput, nowMs: Milliseconds): readonly PlayerEffect<Channel>[];
  /** Undefined while no packets may be sent. */
  readonly framing: Framing | undefined;
  /** The wire bytes of a packet for this player; undefined while none may be sent. */
  packet(locationId: number, payload: Uint8Array): Uint8Array | undefined;
  /** Media was written, so that the player needs no ping. */
  mediaSent(nowMs: Milliseconds): void;
}

/** A player whose channel has no header yet is kept waiting this long, looking this often: a conversion takes two or three seconds to begin. */
export const HEADER_WAIT_MS: Milliseconds = 8_000;
export const HEADER_POLL_MS: Milliseconds = 100;

/** Each step of a player's dialogue must be complete within this. */
export const PLAYER_STEP_MS: Milliseconds = 10_000;

/**
 * A packet as players of `framing` get it. The payload must be at most 65527 bytes.
 *
 * AFFlags is a rolling counter. It counts with the packet's own number: over a run without holes that is exactly what a counter of the
 * connection does from another start, and the bytes can be shared by all players.
 */
export function encodeMmsPacket(framing: Framing, locationId: number, payload: Uint8Array): Uint8Array {
  const afFlags = locationId & 0xff;
  if (framing === 'mmsh') return encodeMmshData(locationId, afFlags, payload);
  return encodeMmstData(locationId, Number(framing.slice('mmst:'.length)), afFlags, payload);
}

/** Looks a path up as written, without its query, and decoded: clients differ in what they decode. */
export function findChannel<Channel extends MmsChannel>(lookup: ChannelLookup<Channel>, rawPath: string): Channel | 'busy' | undefined {
  const [bare = ''] = rawPath.split('?', 1);
  for (const path of new Set([rawPath, bare, decoded(bare)])) {
    const found = lookup(path);
    if (found !== undefined) return found;
  }
  return undefined;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
