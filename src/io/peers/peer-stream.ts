/**
 * Between a socket and the frame guard: finds out whether the stream is plain or encrypted, negotiates, and runs the ciphers.
 *
 * An incoming stream that begins like a BitTorrent handshake is plain; anything else is taken for the public key of an encrypted one, so
 * a stranger of another protocol costs one key exchange, of which the owner may refuse any number. Once a stream is known to be plain
 * nothing of this remains on its way. What is sent before the negotiation is over waits here; that is one handshake.
 */
import { Malformed } from '../../kernel/errors.js';
import {
  type EncryptionWorld,
  type EstablishedStream,
  type InitiatorOptions,
  type ResponderOptions,
  StreamEncryption,
} from './stream-encryption.js';

/** How a stream begins. */
export type StreamStart =
  | { readonly kind: 'plain' }
  | { readonly kind: 'encrypted'; readonly options: Omit<InitiatorOptions, 'initialPayload' | 'role'> }
  /** What the remote end begins with decides. */
  | { readonly kind: 'detect'; readonly options: Omit<ResponderOptions, 'role'>; mayNegotiate(): boolean };

/** What a portion of bytes from the socket came to. */
export interface StreamStep {
  /** To be written as it is, before anything else. */
  readonly send: readonly Uint8Array[];
  /** For the frame guard; possibly empty. */
  readonly plain: Uint8Array;
}

const PROTOCOL_PREFIX = Uint8Array.from(`\u0013BitTorrent protocol`, (character) => character.charCodeAt(0));
const NOTHING = new Uint8Array(0);

export class PeerStream {
  readonly #start: StreamStart;
  readonly #world: EncryptionWorld;
  #state: 'plain' | 'detecting' | 'negotiating' | 'encrypted';
  #first: Uint8Array = NOTHING;
  #negotiation: StreamEncryption | undefined;
  #established: EstablishedStream | undefined;
  #waiting: Uint8Array[] = [];

  constructor(start: StreamStart, world: EncryptionWorld) {
    this.#start = start;
    this.#world = world;
    this.#state = start.kind === 'plain' ? 'plain' : start.kind === 'detect' ? 'detecting' : 'negotiating';
    if (start.kind === 'encrypted') {
      this.#negotiation = new StreamEncryption({ role: 'initiator', ...start.options, initialPayload: () => this.#takeWaiting() }, world);
    }
  }

  /** Whether bytes pass unchanged in both directions from now on. */
  get isPlain(): boolean {
    return this.#state === 'plain';
  }

  /** Whether the stream was negotiated, even if the rest of it is plain. */
  get negotiated(): boolean {
    return this.#established !== undefined;
  }

  /** What we send first, if we begin the negotiation. */
  opening(): Uint8Array {
    return this.#start.kind === 'encrypted' && this.#negotiation !== undefined ? this.#negotiation.start() : NOTHING;
  }

  /** Takes what the socket brought; the bytes are changed in place. */
  receive(chunk: Uint8Array): StreamStep | Malformed {
    switch (this.#state) {
      case 'plain':
        return { send: [], plain: chunk };
      case 'detecting':
        return this.#detect(chunk);
      case 'negotiating':
        return this.#negotiate(chunk);
      case 'encrypted':
        this.#established?.incoming?.apply(chunk);
        return { send: [], plain: chunk };
    }
  }

  /** What to write for these bytes; undefined while they must wait. @param mayChange the bytes are ours to change in place; otherwise they are not changed. */
  outgoing(bytes: Uint8Array, mayChange = false): Uint8Array | undefined {
    if (this.#state === 'plain') return bytes;
    if (this.#state !== 'encrypted') {
      this.#waiting.push(bytes);
      return undefined;
    }
    const sent = mayChange ? bytes : new Uint8Array(bytes);
    this.#established?.outgoing?.apply(sent);
    return sent;
  }

  #detect(chunk: Uint8Array): StreamStep | Malformed {
    this.#first = this.#first.length === 0 ? chunk : Buffer.concat([this.#first, chunk]);
    const first = this.#first;
    const knownBytes = Math.min(first.length, PROTOCOL_PREFIX.length);
    const isPlainSoFar = PROTOCOL_PREFIX.subarray(0, knownBytes).every((byte, i) => byte === first[i]);
    if (isPlainSoFar && knownBytes < PROTOCOL_PREFIX.length) return { send: [], plain: NOTHING };
    this.#first = NOTHING;
    if (isPlainSoFar) {
      this.#state = 'plain';
      return { send: [], plain: first };
    }
    return this.#respond(first);
  }

  #respond(first: Uint8Array): StreamStep | Malformed {
    if (this.#start.kind !== 'detect' || !this.#start.mayNegotiate()) return new Malformed('does not speak the BitTorrent protocol');
    this.#negotiation = new StreamEncryption({ role: 'responder', ...this.#start.options }, this.#world);
    this.#state = 'negotiating';
    return this.#negotiate(first);
  }

  #negotiate(chunk: Uint8Array): StreamStep | Malformed {
    const step = this.#negotiation?.receive(chunk) ?? new Malformed('encryption: nothing is negotiated');
    if (step instanceof Malformed) return step;
    if (step.established === undefined) return { send: step.send, plain: NOTHING };
    this.#negotiation = undefined;
    this.#established = step.established;
    this.#state = step.established.incoming === undefined ? 'plain' : 'encrypted';
    const waiting = this.#takeWaiting();
    const late = waiting.length === 0 ? [] : [this.outgoing(waiting) ?? NOTHING];
    return { send: [...step.send, ...late], plain: step.established.early };
  }

  #takeWaiting(): Uint8Array {
    const waiting = Buffer.concat(this.#waiting);
    this.#waiting = [];
    return waiting;
  }
}
