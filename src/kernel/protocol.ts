/**
 * The contract of every protocol core in Shoal: input and time in, effects out.
 *
 * A core is synchronous and pure. It never throws on remote input, reads no clock and no random source but the ones it is
 * given, keeps no reference to a transport, and bounds every queue, map and message it holds. Timers are named; scheduling a
 * name again replaces the earlier one. Iteration follows insertion order or an explicit sort, so a run depends on its seed alone.
 */
import type { ConnectionId, Milliseconds } from './units.js';

/** What a core can be told. */
export type Input<Message, Command, Timer extends string> =
  | { readonly kind: 'message'; readonly from: ConnectionId; readonly message: Message }
  | { readonly kind: 'command'; readonly command: Command }
  | { readonly kind: 'timer'; readonly timer: Timer }
  /** `peerId`, `addressBlock`: as the connection says, see there. */
  | { readonly kind: 'peer-up'; readonly peer: ConnectionId; readonly peerId?: string; readonly addressBlock?: string }
  | { readonly kind: 'peer-down'; readonly peer: ConnectionId }
  /** The connection's outgoing buffer has passed its high-water mark: bulk data should wait. */
  | { readonly kind: 'peer-blocked'; readonly peer: ConnectionId }
  /** The connection's outgoing buffer has drained to its low-water mark. */
  | { readonly kind: 'peer-drained'; readonly peer: ConnectionId };

/**
 * Why a connection is dropped. `misbehaved` bans the peer. `surplus` tells it whom else there is, and it is neither dialled nor taken back for a while.
 * `idle`: neither side wants anything now; it is dialled again when we want something, and else once in a while.
 */
export interface DisconnectReason {
  readonly kind: 'misbehaved' | 'silent' | 'surplus' | 'idle' | 'leaving';
  readonly detail: string;
}

/** What a core can ask for. */
export type Effect<Message, Event, Timer extends string> =
  | { readonly kind: 'send'; readonly to: ConnectionId; readonly message: Message }
  | { readonly kind: 'schedule'; readonly timer: Timer; readonly delayMs: Milliseconds }
  | { readonly kind: 'cancel'; readonly timer: Timer }
  | { readonly kind: 'connect'; readonly want: number }
  | { readonly kind: 'disconnect'; readonly peer: ConnectionId; readonly reason: DisconnectReason }
  | { readonly kind: 'emit'; readonly event: Event };

/** One module's state machine. */
export interface Protocol<Message, Command, Event, Timer extends string> {
  handle(input: Input<Message, Command, Timer>, nowMs: Milliseconds): readonly Effect<Message, Event, Timer>[];
}
