/**
 * One BitTorrent connection over one socket: frame guard in front, the wire package behind, bounded and timed in every direction.
 *
 * The only file that knows the package bittorrent-protocol. Nothing a peer sends can throw out of it, hang it or grow it without
 * bound: lengths and ids are checked before buffering (`FrameGuard`), the wire decodes only extended handshakes that we have
 * rewritten ourselves, every handler runs inside `#guarded`, a peer that reads too slowly is dropped at 8 MiB, and one that says
 * nothing whole for 120 s is closed. What is sent within one tick leaves in one system call.
 *
 * Source: BEP 3, BEP 10; the limits are libtorrent's where it has them.
 */
import type { Socket } from 'node:net';
import Wire from 'bittorrent-protocol';
import { Malformed } from '../../kernel/errors.js';
import { formatAddress, normaliseHost, type PeerAddress } from '../../kernel/peer-address.js';
import type { Clock } from '../../kernel/ports.js';
import type { Bytes, InfoHash, Milliseconds } from '../../kernel/units.js';
import { decodeExtendedHandshake, type ExtendedHandshake, encodeExtendedHandshake, extendedHandshakeFields } from './extended-handshake.js';
import { FrameGuard, type FrameRules, LIVE_FRAME_RULES } from './frame-guard.js';

/** Times and sizes of a connection. Only tests change them. */
export interface PeerWireLimits {
  /** From the first moment to both handshakes (libtorrent: 10 s). */
  readonly handshakeMs: Milliseconds;
  /** Without one whole message (libtorrent's `peer_timeout`). */
  readonly silenceMs: Milliseconds;
  /** Between our keep-alives; BEP 3 asks for one in two minutes. */
  readonly keepAliveMs: Milliseconds;
  /** `onDrain` is owed once the buffer has passed this. */
  readonly highWaterBytes: Bytes;
  /** And is called when the buffer has fallen under this. */
  readonly lowWaterBytes: Bytes;
  /** A peer whose buffer grows beyond this is dropped: 26 s of a 2.5 Mbit/s channel. */
  readonly bufferBytesMax: Bytes;
}

export const PEER_WIRE_LIMITS: PeerWireLimits = {
  handshakeMs: 10_000,
  silenceMs: 120_000,
  keepAliveMs: 55_000,
  highWaterBytes: 262_144,
  lowWaterBytes: 65_536,
  bufferBytesMax: 8_388_608,
};

/** Honest peers send one, and another when something changed. */
const EXTENDED_HANDSHAKES_MAX = 32;
/** How long a connection that we end may take to send what it still holds. */
const FAREWELL_MS: Milliseconds = 1_000;
const EXTENDED_ID = 20;
/** Length prefix, id of the message, id of the extension. */
const EXTENDED_HEADER_BYTES: Bytes = 6;
/** Frames may share memory with what the socket read; a small message that is kept must not keep 64 KiB alive. */
const COPY_BELOW_BYTES: Bytes = 32_768;

const NOWHERE: PeerAddress = { host: 'unknown', port: 0 };

/** The remote end's BitTorrent handshake. */
export interface RemoteHandshake {
  readonly infoHash: InfoHash;
  /** 40 hex digits. */
  readonly peerId: string;
  /** Whether it speaks BEP 10. */
  readonly extended: boolean;
}

/** Why a connection ended: `malformed` is the remote end's fault, `fault` our own. */
export interface WireEnd {
  readonly kind: 'closed' | 'malformed' | 'fault';
  readonly reason: string;
}

/** What the owner of a connection hears. */
export interface PeerWireEvents {
  /** The remote handshake. On an incoming connection the owner answers with `greet` or closes. */
  onHandshake(remote: RemoteHandshake): void;
  onExtendedHandshake(handshake: ExtendedHandshake): void;
  /** A message of one of our own extensions; the bytes belong to the receiver. */
  onExtensionMessage(name: string, bytes: Uint8Array): void;
  onDrain(): void;
  /** Exactly once, and the last call. */
  onClose(end: WireEnd): void;
}

/** What we say of ourselves. */
export interface Greeting {
  readonly infoHash: InfoHash;
  readonly peerId: string;
  /** Extensions we speak, in the order of their ids. */
  readonly extensions: readonly string[];
  readonly handshake: Omit<ExtendedHandshake, 'extensions'>;
}

/** The wire, with its own exceptions caught: they would surface in a microtask that nobody can wrap. */
class FencedWire extends Wire {
  onFault: (error: unknown) => void = () => {};

  override _write(frame: Uint8Array, done: (error: Error | null) => void): void {
    try {
      super._write(frame, done);
    } catch (error) {
      this.onFault(error);
      done(null);
    }
  }
}

export class PeerWire {
  readonly outgoing: boolean;
  /** Resolves when the socket is really gone. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  #remote: PeerAddress;
  readonly #clock: Clock;
  readonly #limits: PeerWireLimits;
  readonly #guard: FrameGuard;
  readonly #wire: FencedWire;
  readonly #cancels = new Map<'handshake' | 'silence' | 'keep-alive' | 'farewell', () => void>();
  /** Extended handshakes on their way through the wire, which keeps their order among the other messages. */
  readonly #pendingHandshakes: ExtendedHandshake[] = [];
  readonly #remoteIds = new Map<string, number>();
  #greeting: Greeting | undefined;
  #events: PeerWireEvents;
  #extendedHandshakeCount = 0;
  #heardMs: Milliseconds;
  #corked = false;
  #wasHigh = false;
  #end: WireEnd | undefined;

  constructor(options: {
    readonly socket: Socket;
    readonly outgoing: boolean;
    readonly clock: Clock;
    readonly events: PeerWireEvents;
    readonly limits?: PeerWireLimits;
    readonly rules?: FrameRules;
    /** What was dialled; the socket's own address is not known before it connects. */
    readonly dialled?: PeerAddress;
  }) {
    const { socket, outgoing, clock } = options;
    this.outgoing = outgoing;
    this.#remote = options.dialled ?? NOWHERE;
    this.#socket = socket;
    this.#clock = clock;
    this.#limits = options.limits ?? PEER_WIRE_LIMITS;
    this.#guard = new FrameGuard(options.rules ?? LIVE_FRAME_RULES);
    this.#wire = new FencedWire(outgoing ? 'tcpOutgoing' : 'tcpIncoming', 0);
    this.#events = options.events;
    this.#heardMs = clock.nowMs();
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    this.#attachWire();
    this.#attachSocket();
    this.#startTimers();
  }

  /** The remote IP address in normal form; what was dialled until the socket has connected. */
  get host(): string {
    return this.#remote.host;
  }

  /** host:port of the remote socket. */
  get address(): string {
    return formatAddress(this.#remote);
  }

  /** Why it ended; undefined while it lives. */
  get end(): WireEnd | undefined {
    return this.#end;
  }

  /** Bytes that have been sent here but not yet taken by the operating system. */
  get bufferedBytes(): Bytes {
    return this.#end === undefined ? this.#socket.writableLength + this.#wire._readableState.buffered : 0;
  }

  /** Raw bytes of the socket since it opened, all headers of the wire included. */
  get traffic(): { readonly upBytes: Bytes; readonly downBytes: Bytes } {
    return { upBytes: this.#socket.bytesWritten, downBytes: this.#socket.bytesRead };
  }

  /** Hands the connection to another owner. */
  listen(events: PeerWireEvents): void {
    this.#events = events;
  }

  /** Sends our handshake: at once on an outgoing connection, as the answer in `onHandshake` on an incoming one. */
  greet(greeting: Greeting): void {
    if (this.#end !== undefined || this.#greeting !== undefined) return;
    this.#greeting = greeting;
    this.#wire.extendedHandshake = extendedHandshakeFields(greeting.handshake);
    for (const name of greeting.extensions) this.#register(name);
    this.#wire.handshake(greeting.infoHash, greeting.peerId, { dht: false, fast: false });
  }

  /** Sends a further extended handshake when something of it has changed (BEP 10: it is additive). */
  renew(handshake: Omit<ExtendedHandshake, 'extensions'>): void {
    if (this.#end !== undefined || this.#greeting === undefined) return;
    const extensions = new Map(this.#greeting.extensions.map((name, i) => [name, i + 1]));
    this.#wire.extendedHandshake = extendedHandshakeFields(handshake);
    // Before the remote handshake the wire has not sent the first one yet, and will take the new fields itself.
    if (this.#cancels.has('handshake')) return;
    this.#wire.extended(0, encodeExtendedHandshake({ ...handshake, extensions }));
  }

  /** Whether the remote end maps the extension. */
  supports(name: string): boolean {
    return this.#remoteIds.has(name);
  }

  /** Sends one message of an extension; without effect when the remote end does not map it or the connection has ended. */
  sendExtension(name: string, bytes: Uint8Array): void {
    const id = this.#remoteIds.get(name);
    if (this.#end !== undefined || id === undefined) return;
    this.#wire.extended(id, bytes);
    const bufferedBytes = this.bufferedBytes;
    if (bufferedBytes > this.#limits.highWaterBytes) this.#wasHigh = true;
    if (bufferedBytes > this.#limits.bufferBytesMax) this.close('reads too slowly');
  }

  /** Ends the connection at once: nothing more is received, and what is held is not sent. */
  close(reason: string): void {
    this.#terminate('closed', reason);
  }

  /** Ends the connection because our own code failed on something the peer sent; `where` names the handler for the log. */
  fail(where: string, error: unknown): void {
    this.#fault(`the ${where} handler failed`, error);
  }

  /** Ends the connection after what has been sent is written, or a second later. */
  closeGently(reason: string): void {
    if (this.#end !== undefined) return;
    // Each read passes what it takes through the `data` listener, which writes it.
    while (this.#wire.read() !== null);
    this.#uncork();
    this.#finish({ kind: 'closed', reason }, () => {
      this.#cancels.set(
        'farewell',
        this.#clock.schedule(() => this.#socket.destroy(), FAREWELL_MS),
      );
      this.#socket.resume();
      this.#socket.destroySoon();
    });
  }

  #attachWire(): void {
    this.#wire.onFault = (error) => this.#fault('the wire failed', error);
    this.#wire.on('error', (error) => this.#fault('the wire failed', error));
    this.#wire.on('data', (bytes) => this.#write(bytes));
    this.#wire.on('handshake', (infoHash, peerId, extensions) => {
      this.#guarded('handshake', () => this.#onHandshake({ infoHash, peerId, extended: extensions.extended }));
    });
    this.#wire.on('extended', (extension) => {
      if (extension === 'handshake') this.#guarded('extended handshake', () => this.#onExtendedHandshake());
    });
  }

  #attachSocket(): void {
    this.#noteRemote();
    this.#socket.setNoDelay(true);
    this.#socket.on('connect', () => this.#noteRemote());
    this.#socket.on('data', (chunk) => this.#guarded('socket', () => this.#receive(chunk)));
    this.#socket.on('error', (error) => this.close(`connection failed: ${error.message}`));
    this.#socket.on('end', () => this.close('the peer closed the connection'));
    this.#socket.on('close', () => {
      this.close('the connection closed');
      this.#cancel('farewell');
    });
  }

  /** Kept, because a socket forgets its remote address when it closes. */
  #noteRemote(): void {
    const { remoteAddress, remotePort } = this.#socket;
    if (remoteAddress !== undefined) this.#remote = { host: normaliseHost(remoteAddress) ?? remoteAddress, port: remotePort ?? 0 };
  }

  #startTimers(): void {
    const { handshakeMs, silenceMs, keepAliveMs } = this.#limits;
    this.#cancels.set(
      'handshake',
      this.#clock.schedule(() => this.close('no handshake in time'), handshakeMs),
    );
    this.#watchSilence(silenceMs);
    const beat = (): void => {
      if (!this.#cancels.has('handshake')) this.#wire.keepAlive();
      this.#cancels.set('keep-alive', this.#clock.schedule(beat, keepAliveMs));
    };
    this.#cancels.set('keep-alive', this.#clock.schedule(beat, keepAliveMs));
  }

  #watchSilence(delayMs: Milliseconds): void {
    const check = (): void => {
      const restMs = this.#heardMs + this.#limits.silenceMs - this.#clock.nowMs();
      if (restMs <= 0) this.close('silent for too long');
      else this.#watchSilence(restMs);
    };
    this.#cancels.set('silence', this.#clock.schedule(check, delayMs));
  }

  #cancel(name: 'handshake' | 'silence' | 'keep-alive' | 'farewell'): void {
    this.#cancels.get(name)?.();
    this.#cancels.delete(name);
  }

  #receive(chunk: Uint8Array): void {
    if (this.#end !== undefined) return;
    const frameCountBefore = this.#guard.frameCount;
    const frames = this.#guard.push(chunk);
    if (frames instanceof Malformed) {
      this.#reject(frames.reason);
      return;
    }
    if (this.#guard.frameCount > frameCountBefore) this.#heardMs = this.#clock.nowMs();
    for (const frame of frames) {
      if (this.#end !== undefined) return;
      this.#feed(frame);
    }
  }

  #feed(frame: Uint8Array): void {
    const isExtendedHandshake = frame[4] === EXTENDED_ID && frame[5] === 0 && !this.#isBitTorrentHandshake(frame);
    if (!isExtendedHandshake) {
      this.#wire.write(frame);
      return;
    }
    const handshake = decodeExtendedHandshake(frame.subarray(EXTENDED_HEADER_BYTES));
    if (handshake instanceof Malformed) {
      this.#reject(handshake.reason);
      return;
    }
    this.#extendedHandshakeCount++;
    if (this.#extendedHandshakeCount > EXTENDED_HANDSHAKES_MAX) {
      this.#reject('floods with extended handshakes');
      return;
    }
    this.#pendingHandshakes.push(handshake);
    this.#wire.write(extendedFrame(encodeExtendedHandshake(handshake)));
  }

  /** The protocol's name has a letter where a message has its id, so nothing else begins like it within the length cap. */
  #isBitTorrentHandshake(frame: Uint8Array): boolean {
    return frame[0] === 19;
  }

  #onHandshake(remote: RemoteHandshake): void {
    const greeting = this.#greeting;
    if (greeting !== undefined && remote.infoHash !== greeting.infoHash) {
      this.#reject('answered for another info hash');
      return;
    }
    this.#events.onHandshake(remote);
    if (this.#end === undefined && this.#greeting !== undefined) this.#cancel('handshake');
  }

  #onExtendedHandshake(): void {
    const handshake = this.#pendingHandshakes.shift();
    if (handshake === undefined) return;
    for (const name of this.#greeting?.extensions ?? []) {
      const id = handshake.extensions.get(name);
      if (id === 0) this.#remoteIds.delete(name);
      else if (id !== undefined) this.#remoteIds.set(name, id);
    }
    this.#events.onExtendedHandshake(handshake);
  }

  #register(name: string): void {
    const deliver = (bytes: Uint8Array): void => this.#guarded(name, () => this.#events.onExtensionMessage(name, own(bytes)));
    class Extension {
      onMessage(bytes: Uint8Array): void {
        deliver(bytes);
      }
    }
    Object.defineProperty(Extension.prototype, 'name', { value: name });
    this.#wire.use(Extension);
  }

  /** Runs what a peer's bytes have set off. An exception there ends this connection, never the process. */
  #guarded(where: string, task: () => void): void {
    if (this.#end !== undefined) return;
    try {
      task();
    } catch (error) {
      this.fail(where, error);
    }
  }

  #fault(what: string, error: unknown): void {
    this.#terminate('fault', `${what}: ${error instanceof Error ? error.message : String(error)}`);
  }

  #reject(reason: string): void {
    this.#terminate('malformed', reason);
  }

  #terminate(kind: WireEnd['kind'], reason: string): void {
    this.#finish({ kind, reason }, () => this.#socket.destroy());
  }

  #write(bytes: Uint8Array): void {
    if (this.#end !== undefined || !this.#socket.writable) return;
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => this.#uncork());
    }
    this.#socket.write(bytes, () => this.#onWritten());
  }

  #uncork(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#socket.uncork();
  }

  #onWritten(): void {
    if (!this.#wasHigh || this.bufferedBytes >= this.#limits.lowWaterBytes) return;
    this.#wasHigh = false;
    this.#guarded('drain', () => this.#events.onDrain());
  }

  #finish(end: WireEnd, disposeSocket: () => void): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    for (const name of ['handshake', 'silence', 'keep-alive'] as const) this.#cancel(name);
    this.#wire.destroy();
    disposeSocket();
    this.#events.onClose(end);
  }
}

function extendedFrame(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(EXTENDED_HEADER_BYTES + payload.length);
  new DataView(frame.buffer).setUint32(0, frame.length - 4);
  frame.set([EXTENDED_ID, 0], 4);
  frame.set(payload, EXTENDED_HEADER_BYTES);
  return frame;
}

function own(bytes: Uint8Array): Uint8Array {
  return bytes.length < COPY_BELOW_BYTES ? new Uint8Array(bytes) : bytes;
}
