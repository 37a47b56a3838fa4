/**
 * The `Connection` of one peer in one swarm: an extension of its BitTorrent wire, or the wire's own frames, with a small inbox until the
 * engine listens.
 *
 * Messages may come before anybody listens: while a viewer still fetches the descriptor, or between `onConnection` and `listen`.
 * They wait here in order, 1024 messages of an extension or 4 MiB at most, of frames (which are small, and copied since they may be part of
 * a larger buffer) 8192 or 1 MiB; a peer that sends more meanwhile is let go. Messages that waited, and the
 * end, reach the engine from a fresh stack, so that neither `listen` nor `close` calls back into it.
 */
import type { Connection, ConnectionEvents } from '../../kernel/connection.js';
import { invariant } from '../../kernel/errors.js';
import { addressBlock } from '../../kernel/peer-address.js';
import type { DisconnectReason } from '../../kernel/protocol.js';
import type { Bytes, ConnectionId } from '../../kernel/units.js';
import { EXTENDED_ID, FRAME_EXTENSIONS } from '../../vod/torrent-frame.js';
import type { PeerWire } from './bittorrent-wire.js';

const INBOX_LIMITS: { readonly [kind in 'extension' | 'frames']: { readonly messages: number; readonly bytes: Bytes } } = {
  extension: { messages: 1024, bytes: 4_194_304 },
  frames: { messages: 8192, bytes: 1_048_576 },
};
const FRAME_EXTENSION_NAMES: readonly string[] = FRAME_EXTENSIONS;
/** Extensions whose messages have one length. */
const EXTENSION_BYTES: { readonly [name: string]: Bytes } = { lt_donthave: 4, upload_only: 1 };
/** Length prefix, id, sub-id. */
const EXTENDED_HEADER_BYTES: Bytes = 6;

export class PeerConnection implements Connection {
  readonly id: ConnectionId;
  readonly peerId: string;
  readonly address: string;
  readonly addressBlock: string;
  readonly #wire: PeerWire;
  readonly #extension: string | undefined;
  readonly #onMisbehaved: (detail: string) => void;
  readonly #onLetGo: (kind: 'surplus' | 'idle') => void;
  readonly #inbox: Uint8Array[] = [];
  #inboxBytes: Bytes = 0;
  #events: ConnectionEvents | undefined;
  #endReason: string | undefined;
  #direct = false;

  constructor(options: {
    readonly id: ConnectionId;
    readonly peerId: string;
    readonly wire: PeerWire;
    /** The extension that carries the messages; absent when they are the wire's own frames. */
    readonly extension?: string;
    /** The engine calls the peer misbehaved: ban it and close. */
    readonly onMisbehaved: (detail: string) => void;
    /** The engine has no room for the peer, or nothing to exchange with it, and is about to close. */
    readonly onLetGo: (kind: 'surplus' | 'idle') => void;
  }) {
    this.id = options.id;
    this.peerId = options.peerId;
    this.address = options.wire.address;
    this.addressBlock = addressBlock(options.wire.host);
    this.#wire = options.wire;
    this.#extension = options.extension;
    this.#onMisbehaved = options.onMisbehaved;
    this.#onLetGo = options.onLetGo;
  }

  get bufferedBytes(): Bytes {
    return this.#wire.bufferedBytes;
  }

  send(message: Uint8Array): void {
    if (this.#extension !== undefined) this.#wire.sendExtension(this.#extension, message);
    else if (message[4] === EXTENDED_ID) this.#sendTranslated(message);
    else this.#wire.sendFrames(message);
  }

  /** What waits for a listener, in order. */
  get waiting(): readonly Uint8Array[] {
    return this.#inbox;
  }

  close(reason: DisconnectReason): void {
    if (reason.kind === 'misbehaved') return this.#onMisbehaved(reason.detail);
    if (reason.kind === 'surplus' || reason.kind === 'idle') this.#onLetGo(reason.kind);
    this.#wire.closeGently(`${reason.kind}: ${reason.detail}`);
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
    const limits = INBOX_LIMITS[this.#extension === undefined ? 'frames' : 'extension'];
    this.#inbox.push(this.#extension === undefined ? new Uint8Array(bytes) : bytes);
    this.#inboxBytes += bytes.length;
    const isFull = this.#inbox.length > limits.messages || this.#inboxBytes > limits.bytes;
    if (isFull) this.#wire.close('sent too much before anybody listened');
  }

  /** The wire brings a message of an extension, to be handed on as a frame under our own sub-id. */
  deliverExtension(name: string, bytes: Uint8Array): void {
    const subId = FRAME_EXTENSION_NAMES.indexOf(name) + 1;
    const expectedBytes = EXTENSION_BYTES[name] ?? bytes.length;
    // One of another length means something that we do not know: BEP 10 asks for patience.
    if (subId > 0 && bytes.length === expectedBytes) this.deliver(extendedFrame(subId, bytes));
  }

  #sendTranslated(frame: Uint8Array): void {
    const name = FRAME_EXTENSIONS[(frame[5] ?? 0) - 1];
    if (name !== undefined) this.#wire.sendExtension(name, frame.subarray(EXTENDED_HEADER_BYTES));
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

function extendedFrame(subId: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(EXTENDED_HEADER_BYTES + payload.length);
  new DataView(frame.buffer).setUint32(0, frame.length - 4);
  frame.set([EXTENDED_ID, subId], 4);
  frame.set(payload, EXTENDED_HEADER_BYTES);
  return frame;
}
