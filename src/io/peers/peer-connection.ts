/**
 * The `Connection` of one peer in one swarm: an extension of its BitTorrent wire, with a small inbox until the engine listens.
 *
 * Messages may come before anybody listens: while a viewer still fetches the descriptor, or between `onConnection` and `listen`.
 * They wait here in order, 1024 of them or 4 MiB at most; a peer that sends more meanwhile is let go. Messages that waited, and the
 * end, reach the engine from a fresh stack, so that neither `listen` nor `close` calls back into it.
 */
import type { Connection, ConnectionEvents } from '../../kernel/connection.js';
import { invariant } from '../../kernel/errors.js';
import type { DisconnectReason } from '../../kernel/protocol.js';
import type { Bytes, ConnectionId } from '../../kernel/units.js';
import type { PeerWire } from './bittorrent-wire.js';

const INBOX_MESSAGES_MAX = 1024;
const INBOX_BYTES_MAX: Bytes = 4_194_304;

export class PeerConnection implements Connection {
  readonly id: ConnectionId;
  readonly peerId: string;
  readonly address: string;
  readonly #wire: PeerWire;
  readonly #extension: string;
  readonly #onMisbehaved: (detail: string) => void;
  readonly #inbox: Uint8Array[] = [];
  #inboxBytes: Bytes = 0;
  #events: ConnectionEvents | undefined;
  #endReason: string | undefined;
  #direct = false;

  constructor(options: {
    readonly id: ConnectionId;
    readonly peerId: string;
    readonly wire: PeerWire;
    readonly extension: string;
    /** The engine calls the peer misbehaved: ban it and close. */
    readonly onMisbehaved: (detail: string) => void;
  }) {
    this.id = options.id;
    this.peerId = options.peerId;
    this.address = options.wire.address;
    this.#wire = options.wire;
    this.#extension = options.extension;
    this.#onMisbehaved = options.onMisbehaved;
  }

  get bufferedBytes(): Bytes {
    return this.#wire.bufferedBytes;
  }

  send(message: Uint8Array): void {
    this.#wire.sendExtension(this.#extension, message);
  }

  close(reason: DisconnectReason): void {
    if (reason.kind === 'misbehaved') this.#onMisbehaved(reason.detail);
    else this.#wire.closeGently(`${reason.kind}: ${reason.detail}`);
  }

  listen(events: ConnectionEvents): void {
    invariant(this.#events === undefined, 'A connection has one listener.');
    this.#events = events;
    queueMicrotask(() => this.#flush());
  }

  /** The wire brings a message. */
  deliver(bytes: Uint8Array): void {
    if (this.#endReason !== undefined) return;
    if (this.#direct) {
      this.#events?.onMessage(bytes);
      return;
    }
    this.#inbox.push(bytes);
    this.#inboxBytes += bytes.length;
    const isFull = this.#inbox.length > INBOX_MESSAGES_MAX || this.#inboxBytes > INBOX_BYTES_MAX;
    if (isFull) this.#wire.close('sent too much before anybody listened');
  }

  /** The wire has drained. */
  drained(): void {
    if (this.#endReason === undefined) this.#events?.onDrain();
  }

  /** The wire has ended; `onClose` follows, also for a listener that comes later. */
  ended(reason: string): void {
    if (this.#endReason !== undefined) return;
    this.#endReason = reason;
    if (this.#events !== undefined) queueMicrotask(() => this.#flush());
  }

  /** Everything that waited, then the end if it has come. Runs again when the end comes later. */
  #flush(): void {
    const events = this.#events;
    if (events === undefined) return;
    try {
      for (let bytes = this.#inbox.shift(); bytes !== undefined; bytes = this.#inbox.shift()) events.onMessage(bytes);
      this.#inboxBytes = 0;
      this.#direct = true;
    } catch (error) {
      this.#inbox.length = 0;
      this.#wire.fail('message', error);
    }
    if (this.#endReason === undefined) return;
    this.#events = undefined;
    events.onClose(this.#endReason);
  }
}
