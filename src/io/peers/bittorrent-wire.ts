/**
 * One BitTorrent connection over one socket: frame guard in front, the wire package behind, bounded and timed in every direction.
 *
 * The only file that knows the package bittorrent-protocol. Nothing a peer sends can throw out of it, hang it or grow it without
 * bound: lengths and ids are checked before buffering (`FrameGuard`), the wire decodes only extended handshakes that we have
 * rewritten ourselves, every handler runs inside `#guarded`, a peer that reads too slowly is dropped at 8 MiB, and one that says
 * nothing whole for 120 s is closed. What is sent within one tick leaves in one system call.
 *
 * In a torrent swarm the frames that BitTorrent itself defines go from the guard to the owner and from the owner to the socket as
 * they are, without the package and without a copy; handshakes and extension messages still pass it, at once instead of in a
 * microtask, so that everything keeps its order.
 *
 * Source: BEP 3, BEP 10; the limits are libtorrent's where it has them.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import Wire from 'bittorrent-protocol';
import { Malformed } from '../../kernel/errors.js';
import { formatAddress, normaliseHost, type PeerAddress } from '../../kernel/peer-address.js';
import type { Clock } from '../../kernel/ports.js';
import type { Bytes, InfoHash, Milliseconds } from '../../kernel/units.js';
import { blockMemory } from '../block-memory.js';
import { nodeHasher } from '../crypto.js';
import { decodeExtendedHandshake, type ExtendedHandshake, encodeExtendedHandshake, extendedHandshakeFields } from './extended-handshake.js';
import { ANY_OTHER_ID, FrameGuard, type FrameRules, LIVE_FRAME_RULES } from './frame-guard.js';
import { PeerStream, type StreamStart } from './peer-stream.js';
import type { EncryptionWorld } from './stream-encryption.js';
import { TurnBudget } from './turn-budget.js';

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

const ENCRYPTION_WORLD: EncryptionWorld = { random: (lengthBytes) => randomBytes(lengthBytes), sha1: nodeHasher.sha1 };

const NOWHERE: PeerAddress = { host: 'unknown', port: 0 };

/** The remote end's BitTorrent handshake. */
export interface RemoteHandshake {
  readonly infoHash: InfoHash;
  /** 40 hex digits. */
  readonly peerId: string;
  /** Whether it speaks BEP 10. */
  readonly extended: boolean;
  /** Whether it speaks the fast extension (BEP 6). */
  readonly fast: boolean;
  /** Whether it takes part in the DHT (BEP 5). */
  readonly dht: boolean;
}

/** Which frames a connection may carry, once the remote handshake shows what it is for. */
export type ChooseRules = (remote: { readonly infoHash: InfoHash; readonly fast: boolean }) => FrameRules;

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
  /**
   * A whole frame that the rules let through directly, length prefix included; torrents only. The bytes belong to the receiver, but may
   * be part of a larger buffer: what is kept for long should be copied.
   */
  onFrame?(frame: Uint8Array): void;
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
  /** Whether we speak the fast extension here. Default false. */
  readonly fast?: boolean;
  /** Whether we take part in the DHT. Default false. */
  readonly dht?: boolean;
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
  readonly #stream: PeerStream;
  readonly #guard: FrameGuard;
  readonly #budget: TurnBudget;
  readonly #wire: FencedWire;
  readonly #cancels = new Map<'handshake' | 'silence' | 'keep-alive' | 'farewell', () => void>();
  /** Extended handshakes on their way through the wire, which keeps their order among the other messages. */
  readonly #pendingHandshakes: ExtendedHandshake[] = [];
  readonly #remoteIds = new Map<string, number>();
  #greeting: Greeting | undefined;
  #events: PeerWireEvents;
  #extendedHandshakeCount = 0;
  #heardMs: Milliseconds;
  #reached = false;
  #corked = false;
  #wasHigh = false;
  #end: WireEnd | undefined;
  /** What the socket has not taken yet, in order: its memory may be used again afterwards. */
  readonly #unwritten: Uint8Array[] = [];
  /** One function for all writes, of which there are tens of thousands a second. */
  readonly #onWritten = (): void => {
    const written = this.#unwritten.shift();
    if (written !== undefined && this.#end === undefined) blockMemory.giveBack(written);
    if (!this.#wasHigh || this.bufferedBytes >= this.#limits.lowWaterBytes) return;
    this.#wasHigh = false;
    this.#guarded('drain', () => this.#events.onDrain());
  };

  constructor(options: {
    readonly socket: Socket;
    readonly outgoing: boolean;
    readonly clock: Clock;
    readonly events: PeerWireEvents;
    readonly limits?: PeerWireLimits;
    /** Default: the rules of live swarms. */
    readonly rules?: ChooseRules;
    /** What was dialled; the socket's own address is not known before it connects. */
    readonly dialled?: PeerAddress;
    /** Default: plain. */
    readonly stream?: StreamStart;
    /** Shared by the connections of a process. Default: one of its own. */
    readonly budget?: TurnBudget;
  }) {
    const { socket, outgoing, clock } = options;
    this.outgoing = outgoing;
    this.#remote = options.dialled ?? NOWHERE;
    this.#socket = socket;
    this.#clock = clock;
    this.#limits = options.limits ?? PEER_WIRE_LIMITS;
    const { rules } = options;
    this.#guard = new FrameGuard(rules === undefined ? LIVE_FRAME_RULES : (handshake) => rules(readHandshake(handshake)));
    this.#stream = new PeerStream(options.stream ?? { kind: 'plain' }, ENCRYPTION_WORLD);
    this.#wire = new FencedWire(outgoing ? 'tcpOutgoing' : 'tcpIncoming', 0);
    this.#events = options.events;
    this.#budget = options.budget ?? new TurnBudget();
    this.#heardMs = clock.nowMs();
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    this.#attachWire();
    this.#attachSocket();
    this.#startTimers();
    const opening = this.#stream.opening();
    if (opening.length > 0) this.#writeRaw(opening);
  }

  /** The remote IP address in normal form; what was dialled until the socket has connected. */
  get host(): string {
    return this.#remote.host;
  }

  /** host:port of the remote socket. */
  get address(): string {
    return formatAddress(this.#remote);
  }

  /** Whether the bytes are encrypted or obfuscated. */
  get encrypted(): boolean {
    return this.#stream.negotiated;
  }

  /** Whether the socket has been connected at all. */
  get reached(): boolean {
    return this.#reached;
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

  /** Other rules hold for frames from now on, because more is known of the swarm. */
  useRules(rules: FrameRules): void {
    this.#guard.use(rules);
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
    this.#wire.handshake(greeting.infoHash, greeting.peerId, { dht: greeting.dht === true, fast: greeting.fast === true });
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
    if (!this.#isLive) {
      this.sendFrames(extendedFrame(id, bytes));
      return;
    }
    this.#wire.extended(id, bytes);
    this.#checkBuffer();
  }

  /** Sends one whole frame, or several back to back, as they are and without a copy: they must not be looked at afterwards. */
  sendFrames(bytes: Uint8Array): void {
    if (this.#end !== undefined || this.#greeting === undefined) return;
    this.#flushWire();
    this.#write(bytes, true);
    this.#checkBuffer();
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
    this.#flushWire();
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

  #checkBuffer(): void {
    const bufferedBytes = this.bufferedBytes;
    if (bufferedBytes > this.#limits.highWaterBytes) this.#wasHigh = true;
    if (bufferedBytes > this.#limits.bufferBytesMax) this.close('reads too slowly');
  }

  #attachWire(): void {
    this.#wire.onFault = (error) => this.#fault('the wire failed', error);
    this.#wire.on('error', (error) => this.#fault('the wire failed', error));
    this.#wire.on('data', (bytes) => this.#write(bytes));
    this.#wire.on('handshake', (infoHash, peerId, extensions) => {
      this.#guarded('handshake', () => this.#onHandshake({ infoHash, peerId, ...featuresOf(extensions) }));
    });
    this.#wire.on('extended', (extension) => {
      if (extension === 'handshake') this.#guarded('extended handshake', () => this.#onExtendedHandshake());
    });
  }

  #attachSocket(): void {
    this.#noteRemote();
    this.#socket.setNoDelay(true);
    this.#socket.on('connect', () => {
      this.#reached = true;
      this.#noteRemote();
    });
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
    if (this.#stream.isPlain) {
      this.#receivePlain(chunk);
      return;
    }
    const step = this.#stream.receive(chunk);
    if (step instanceof Malformed) {
      this.#reject(step.reason);
      return;
    }
    for (const bytes of step.send) this.#writeRaw(bytes);
    if (step.plain.length > 0) this.#receivePlain(step.plain);
  }

  #receivePlain(chunk: Uint8Array): void {
    const frameCountBefore = this.#guard.frameCount;
    const frames = this.#guard.push(chunk);
    if (frames instanceof Malformed) {
      this.#reject(frames.reason);
      return;
    }
    const frameCount = this.#guard.frameCount - frameCountBefore;
    if (frameCount > 0) this.#heardMs = this.#clock.nowMs();
    const swallowedCount = frameCount - frames.length;
    const isTooMuch = this.#budget.take(swallowedCount) < swallowedCount;
    this.#feedAll(frames, 0, isTooMuch);
  }

  /** Feeds so many as this turn of the event loop may take; the others wait for the next ones, and the socket with them. */
  #feedAll(frames: readonly Uint8Array[], from: number, isTooMuch: boolean): void {
    const end = from + this.#budget.take(frames.length - from);
    for (let index = from; index < end; index++) {
      if (this.#end !== undefined) return;
      this.#feed(frames[index] as Uint8Array);
    }
    if (end < frames.length) this.#inNextTurn(() => this.#feedAll(frames, end, false));
    else if (from > 0) this.#socket.resume();
    else if (isTooMuch) this.#inNextTurn(() => this.#socket.resume());
  }

  #inNextTurn(task: () => void): void {
    if (this.#end !== undefined) return;
    this.#socket.pause();
    setImmediate(() => this.#guarded('socket', task));
  }

  #feed(frame: Uint8Array): void {
    if (this.#guard.rules.get(frame[4] ?? ANY_OTHER_ID)?.direct === true && !this.#isBitTorrentHandshake(frame)) {
      this.#events.onFrame?.(frame);
      return;
    }
    const isExtended = frame[4] === EXTENDED_ID && !this.#isBitTorrentHandshake(frame);
    if (!isExtended || (frame[5] !== 0 && this.#isLive)) this.#passToWire(frame);
    else if (frame[5] !== 0) this.#deliverExtension(frame);
    else this.#feedExtendedHandshake(frame);
  }

  /** The package would take ten times as long, and peers may send thousands at once. */
  #deliverExtension(frame: Uint8Array): void {
    const name = this.#greeting?.extensions[(frame[5] ?? 0) - 1];
    if (name !== undefined) this.#events.onExtensionMessage(name, own(frame.subarray(EXTENDED_HEADER_BYTES)));
  }

  #feedExtendedHandshake(frame: Uint8Array): void {
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
    this.#passToWire(extendedFrame(0, encodeExtendedHandshake(handshake)));
  }

  get #isLive(): boolean {
    return this.#guard.rules === LIVE_FRAME_RULES;
  }

  /** Among frames that go past the package, what passes through it must not wait for a microtask. */
  #passToWire(frame: Uint8Array): void {
    if (this.#isLive) {
      this.#wire.write(frame);
      return;
    }
    this.#wire._write(frame, () => {});
    this.#flushWire();
  }

  /** Each read passes what it takes through the `data` listener, which writes it. */
  #flushWire(): void {
    while (this.#wire._readableState.buffered > 0 && this.#wire.read() !== null);
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

  /** @param isOurs nobody else looks at these bytes, so they may be encrypted where they are. */
  #write(bytes: Uint8Array, isOurs = false): void {
    const out = this.#stream.isPlain ? bytes : this.#stream.outgoing(bytes, isOurs);
    if (out === undefined) return;
    if (out !== bytes) blockMemory.giveBack(bytes);
    this.#writeRaw(out);
  }

  #writeRaw(bytes: Uint8Array): void {
    if (this.#end !== undefined || !this.#socket.writable) return;
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => this.#uncork());
    }
    this.#unwritten.push(bytes);
    this.#socket.write(bytes, this.#onWritten);
  }

  #uncork(): void {
    if (!this.#corked) return;
    this.#corked = false;
    this.#socket.uncork();
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

/** Where the handshake's eight reserved bytes begin, and its info hash. */
const RESERVED_OFFSET = 20;
const INFO_HASH_OFFSET = 28;
const FAST_BIT = 0x04;

function readHandshake(frame: Uint8Array): { readonly infoHash: InfoHash; readonly fast: boolean } {
  const infoHash = Buffer.from(frame.subarray(INFO_HASH_OFFSET, INFO_HASH_OFFSET + 20)).toString('hex');
  return { infoHash, fast: ((frame[RESERVED_OFFSET + 7] ?? 0) & FAST_BIT) !== 0 };
}

function featuresOf({ extended, fast, dht }: Omit<RemoteHandshake, 'infoHash' | 'peerId'>): Omit<RemoteHandshake, 'infoHash' | 'peerId'> {
  return { extended, fast, dht };
}

function extendedFrame(id: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(EXTENDED_HEADER_BYTES + payload.length);
  new DataView(frame.buffer).setUint32(0, frame.length - 4);
  frame.set([EXTENDED_ID, id], 4);
  frame.set(payload, EXTENDED_HEADER_BYTES);
  return frame;
}

function own(bytes: Uint8Array): Uint8Array {
  return bytes.length < COPY_BELOW_BYTES ? new Uint8Array(bytes) : bytes;
}
