/**
 * BitTorrent's stream encryption (MSE/PE), one connection's negotiation from either end, in front of the frame guard.
 *
 * A state machine without sockets and clocks: bytes in, bytes to send out, and in the end what the stream is from there on. Bounded
 * everywhere: pads of at most 512 bytes, a search for the synchronisation mark over as many, initial payload of at most 4 KiB; what does not
 * fit is `Malformed`. Our own, since the wire package's stands behind the guard, where it would see what the guard cannot check, and
 * takes pads up to 64 KiB.
 *
 * | step | from      | bytes                                                                                                |
 * |------|-----------|------------------------------------------------------------------------------------------------------|
 * | 1    | initiator | public key (96), pad (0 to 512)                                                                      |
 * | 2    | responder | public key (96), pad (0 to 512)                                                                      |
 * | 3    | initiator | HASH('req1', S), HASH('req2', SKEY) xor HASH('req3', S), then encrypted: 8 zeros, what it can (4), pad length (2), pad, payload length (2), payload |
 * | 4    | responder | encrypted: 8 zeros, what it chose (4), pad length (2), pad; then the stream as chosen                |
 *
 * S is the shared secret, SKEY the info hash. The initiator's key stream is RC4 under HASH('keyA', S, SKEY), the responder's under 'keyB'.
 *
 * Source: Message Stream Encryption, version 1.0 (Vuze wiki).
 */
import { Malformed } from '../../kernel/errors.js';
import type { Bytes } from '../../kernel/units.js';
import { PRIVATE_KEY_BYTES, PUBLIC_KEY_BYTES, publicKey, sharedSecret } from './key-exchange.js';
import { Rc4 } from './rc4.js';

/** What a stream can be after the negotiation; the values are the protocol's bits. */
export type StreamMethod = typeof PLAIN_METHOD | typeof RC4_METHOD;
export const PLAIN_METHOD = 1;
export const RC4_METHOD = 2;

/** Where the negotiation needs the world. */
export interface EncryptionWorld {
  random(lengthBytes: Bytes): Uint8Array;
  sha1(bytes: Uint8Array): Uint8Array;
}

export interface InitiatorOptions {
  readonly role: 'initiator';
  readonly infoHash: Uint8Array;
  /** What we can, in the order of our liking: the responder chooses. */
  readonly methods: readonly StreamMethod[];
  /** Asked for what to send along with the request, usually our handshake; only where the stream stays encrypted. */
  initialPayload(): Uint8Array;
}

export interface ResponderOptions {
  readonly role: 'responder';
  /** What we accept, the better first. */
  readonly methods: readonly StreamMethod[];
  /** The info hash for which HASH('req2', info hash) is this, in hex; undefined when we have no such swarm. */
  findInfoHash(request: string): Uint8Array | undefined;
}

/** The stream from here on. Ciphers work in place and are undefined when the rest is plain. */
export interface EstablishedStream {
  readonly method: StreamMethod;
  readonly incoming: Rc4 | undefined;
  readonly outgoing: Rc4 | undefined;
  /** The first bytes of the stream that have come already, in the clear. */
  readonly early: Uint8Array;
}

/** What one portion of bytes has led to. */
export interface NegotiationStep {
  readonly send: readonly Uint8Array[];
  readonly established?: EstablishedStream;
}

const PAD_BYTES_MAX: Bytes = 512;
const INITIAL_PAYLOAD_BYTES_MAX: Bytes = 4096;
const HASH_BYTES: Bytes = 20;
const VERIFICATION = new Uint8Array(8);
const METHOD_BYTES: Bytes = 4;
const LENGTH_BYTES: Bytes = 2;
const NOTHING = new Uint8Array(0);

/** What HASH('req2', SKEY) is for a swarm, in hex: by this an incoming request is found. */
export function encryptedRequestKey(infoHash: Uint8Array, sha1: EncryptionWorld['sha1']): string {
  return toHex(sha1(join(text('req2'), infoHash)));
}

type Stage = 'key' | 'mark' | 'request' | 'offer' | 'offer-pad' | 'payload' | 'choice' | 'choice-pad';

/** One negotiation. After `Malformed` or an established stream it must not be used any more. */
export class StreamEncryption {
  readonly #options: InitiatorOptions | ResponderOptions;
  readonly #world: EncryptionWorld;
  readonly #privateKey: Uint8Array;
  #stage: Stage = 'key';
  #buffer: Uint8Array = NOTHING;
  /** Bytes of the remote pad that the search for the mark has passed. */
  #secret: Uint8Array = NOTHING;
  #mark: Uint8Array = NOTHING;
  #method: StreamMethod = RC4_METHOD;
  #incoming: Rc4 | undefined;
  #outgoing: Rc4 | undefined;
  /** Length of the pad or payload that comes next. */
  #nextBytes: Bytes = 0;
  #send: Uint8Array[] = [];
  #established: EstablishedStream | undefined;

  constructor(options: InitiatorOptions | ResponderOptions, world: EncryptionWorld) {
    this.#options = options;
    this.#world = world;
    this.#privateKey = world.random(PRIVATE_KEY_BYTES);
  }

  /** What the initiator begins with. */
  start(): Uint8Array {
    return join(publicKey(this.#privateKey), this.#pad());
  }

  /** Takes what the socket brought, cut in any way. */
  receive(chunk: Uint8Array): NegotiationStep | Malformed {
    this.#buffer = join(this.#buffer, chunk);
    this.#send = [];
    for (let goesOn = true; goesOn && this.#established === undefined; ) {
      const result = this.#advance();
      if (result instanceof Malformed) return result;
      goesOn = result;
    }
    return this.#established === undefined ? { send: this.#send } : { send: this.#send, established: this.#established };
  }

  /** One step, if enough has come for it. */
  #advance(): boolean | Malformed {
    switch (this.#stage) {
      case 'key':
        return this.#withNext(PUBLIC_KEY_BYTES, (key) => this.#onKey(key));
      case 'mark':
        return this.#findMark();
      case 'request':
        return this.#withNext(HASH_BYTES, (request) => this.#onRequest(request));
      case 'offer':
        return this.#withNext(VERIFICATION.length + METHOD_BYTES + LENGTH_BYTES, (offer) => this.#onOffer(this.#decrypt(offer)));
      case 'offer-pad':
        return this.#withNext(this.#nextBytes + LENGTH_BYTES, (pad) => this.#onOfferPad(this.#decrypt(pad)));
      case 'payload':
        return this.#withNext(this.#nextBytes, (payload) => this.#finish(this.#decrypt(payload)));
      case 'choice':
        return this.#withNext(METHOD_BYTES + LENGTH_BYTES, (choice) => this.#onChoice(this.#decrypt(choice)));
      case 'choice-pad':
        return this.#withNext(this.#nextBytes, (pad) => {
          this.#decrypt(pad);
          return this.#finish(NOTHING);
        });
    }
  }

  #withNext(lengthBytes: Bytes, task: (bytes: Uint8Array) => boolean | Malformed): boolean | Malformed {
    if (this.#buffer.length < lengthBytes) return false;
    const bytes = this.#buffer.slice(0, lengthBytes);
    this.#buffer = this.#buffer.subarray(lengthBytes);
    return task(bytes);
  }

  #onKey(remoteKey: Uint8Array): true | Malformed {
    const secret = sharedSecret(this.#privateKey, remoteKey);
    if (secret === undefined) return new Malformed('encryption: a public key that gives no secret');
    this.#secret = secret;
    if (this.#options.role === 'responder') {
      this.#send.push(this.start());
      this.#mark = this.#hash('req1', secret);
    } else {
      this.#request(this.#options);
    }
    this.#stage = 'mark';
    return true;
  }

  /** The initiator's third step. */
  #request({ infoHash, methods, initialPayload }: InitiatorOptions): void {
    this.#startCiphers(infoHash);
    const offered = methods.reduce<number>((bits, method) => bits | method, 0);
    const pad = this.#pad();
    // Transmission 3 reads a payload that came with the request as the chosen stream, and closes when that is the plain one.
    const payload = methods.includes(PLAIN_METHOD) ? NOTHING : initialPayload();
    const offer = join(
      VERIFICATION,
      bigEndian(offered, METHOD_BYTES),
      bigEndian(pad.length, LENGTH_BYTES),
      pad,
      bigEndian(payload.length, LENGTH_BYTES),
      payload,
    );
    this.#outgoing?.apply(offer);
    this.#send.push(this.#hash('req1', this.#secret), xor(this.#hash('req2', infoHash), this.#hash('req3', this.#secret)), offer);
    // The responder's eight zeros, encrypted, are the mark that its pad ends with.
    this.#mark = new Uint8Array(VERIFICATION);
    this.#incoming?.apply(this.#mark);
  }

  #findMark(): boolean | Malformed {
    const at = Buffer.from(this.#buffer.buffer, this.#buffer.byteOffset, this.#buffer.length).indexOf(this.#mark);
    if (at > PAD_BYTES_MAX || (at < 0 && this.#buffer.length >= PAD_BYTES_MAX + this.#mark.length)) {
      return new Malformed('encryption: no synchronisation mark within 512 bytes');
    }
    if (at < 0) return false;
    this.#buffer = this.#buffer.subarray(at + this.#mark.length);
    this.#stage = this.#options.role === 'responder' ? 'request' : 'choice';
    return true;
  }

  #onRequest(request: Uint8Array): true | Malformed {
    if (this.#options.role !== 'responder') return new Malformed('encryption: a request nobody waits for');
    const infoHash = this.#options.findInfoHash(toHex(xor(request, this.#hash('req3', this.#secret))));
    if (infoHash === undefined) return new Malformed('encryption: for an info hash that is not ours');
    this.#startCiphers(infoHash);
    this.#stage = 'offer';
    return true;
  }

  #onOffer(offer: Uint8Array): true | Malformed {
    const view = viewOf(offer);
    if (offer.subarray(0, VERIFICATION.length).some((byte) => byte !== 0)) return new Malformed('encryption: the verification is wrong');
    const offered = view.getUint32(VERIFICATION.length);
    const method = this.#options.methods.find((wanted) => (offered & wanted) !== 0);
    if (method === undefined) return new Malformed('encryption: no method in common');
    this.#method = method;
    this.#stage = 'offer-pad';
    return this.#expectPad(view.getUint16(VERIFICATION.length + METHOD_BYTES));
  }

  #onOfferPad(pad: Uint8Array): true | Malformed {
    this.#nextBytes = viewOf(pad).getUint16(pad.length - LENGTH_BYTES);
    if (this.#nextBytes > INITIAL_PAYLOAD_BYTES_MAX) return new Malformed(`encryption: initial payload of ${this.#nextBytes} bytes`);
    const pad4 = this.#pad();
    const choice = join(VERIFICATION, bigEndian(this.#method, METHOD_BYTES), bigEndian(pad4.length, LENGTH_BYTES), pad4);
    this.#outgoing?.apply(choice);
    this.#send.push(choice);
    this.#stage = 'payload';
    return true;
  }

  #onChoice(choice: Uint8Array): true | Malformed {
    const view = viewOf(choice);
    const chosen = view.getUint32(0);
    const method = this.#options.methods.find((offered) => offered === chosen);
    if (method === undefined) return new Malformed(`encryption: chose method ${chosen}, which was not offered`);
    this.#method = method;
    this.#stage = 'choice-pad';
    return this.#expectPad(view.getUint16(METHOD_BYTES));
  }

  #expectPad(lengthBytes: Bytes): true | Malformed {
    this.#nextBytes = lengthBytes;
    return lengthBytes > PAD_BYTES_MAX ? new Malformed(`encryption: a pad of ${lengthBytes} bytes`) : true;
  }

  /** @param payload what came inside the negotiation; the rest of the buffer follows it as the chosen method says. */
  #finish(payload: Uint8Array): true {
    const rest = this.#buffer.slice();
    const isEncrypted = this.#method === RC4_METHOD;
    if (isEncrypted) this.#incoming?.apply(rest);
    const [incoming, outgoing] = isEncrypted ? [this.#incoming, this.#outgoing] : [undefined, undefined];
    this.#established = { method: this.#method, incoming, outgoing, early: join(payload, rest) };
    return true;
  }

  #startCiphers(infoHash: Uint8Array): void {
    const [ofInitiator, ofResponder] = ['keyA', 'keyB'].map((name) => new Rc4(this.#hash(name, this.#secret, infoHash)));
    const isInitiator = this.#options.role === 'initiator';
    this.#incoming = isInitiator ? ofResponder : ofInitiator;
    this.#outgoing = isInitiator ? ofInitiator : ofResponder;
  }

  #decrypt(bytes: Uint8Array): Uint8Array {
    this.#incoming?.apply(bytes);
    return bytes;
  }

  #hash(name: string, ...parts: readonly Uint8Array[]): Uint8Array {
    return this.#world.sha1(join(text(name), ...parts));
  }

  /** 0 to 512 random bytes, the length random too. */
  #pad(): Uint8Array {
    const length = viewOf(this.#world.random(2)).getUint16(0) % (PAD_BYTES_MAX + 1);
    return this.#world.random(length);
  }
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, i) => byte ^ (b[i] ?? 0));
}

function text(value: string): Uint8Array {
  return Uint8Array.from(value, (character) => character.charCodeAt(0));
}

function bigEndian(value: number, lengthBytes: Bytes): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => (value >>> (8 * (lengthBytes - 1 - i))) & 0xff);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
