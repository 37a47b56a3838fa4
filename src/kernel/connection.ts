/**
 * One link to one peer, as a core's engine sees it: bytes out, bytes in, how full it is, and its end.
 *
 * In the real world it is a BEP 10 extension of a BitTorrent wire, in the simulator a virtual link. A connection belongs to one swarm.
 */
import type { DisconnectReason } from './protocol.js';
import type { Bytes, ConnectionId } from './units.js';

/** What the engine registers with a connection. Nothing is called after `onClose`. */
export interface ConnectionEvents {
  /** One whole message of the extension. The bytes belong to the receiver. */
  onMessage(bytes: Uint8Array): void;
  /** `bufferedBytes` has fallen to zero or near it after having been high. */
  onDrain(): void;
  /** The link is gone, for whichever reason. Called exactly once. */
  onClose(reason: string): void;
}

export interface Connection {
  readonly id: ConnectionId;
  /** Stable identity of the remote peer (20-byte peer id in hex); two connections to one peer share it. */
  readonly peerId: string;
  /** For the log at `debug` and for the page: host:port, or a name in the simulator. */
  readonly address: string;
  /** What the remote end's site is likely to hold of the address space (`addressBlock`); absent where that means nothing. */
  readonly addressBlock?: string;
  /** Bytes handed to `send` that have not left this machine yet. */
  readonly bufferedBytes: Bytes;
  /** Takes one message whole. Never blocks; the engine watches `bufferedBytes`. */
  send(message: Uint8Array): void;
  /** Closes the link; what becomes of the peer depends on the reason. */
  close(reason: DisconnectReason): void;
  listen(events: ConnectionEvents): void;
}
