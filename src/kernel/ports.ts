/**
 * The ports between the cores and a runtime. `io/` implements them for the real world, `sim/` for a virtual one; nothing else differs.
 */
import type { Malformed } from './errors.js';
import type { Milliseconds } from './units.js';

/** Monotonic time and timers. */
export interface Clock {
  /** Milliseconds since an arbitrary origin; never goes back. */
  nowMs(): Milliseconds;
  /** Runs `task` once, `delayMs` or more from now; returns what cancels it. */
  schedule(task: () => void, delayMs: Milliseconds): () => void;
}

/** Turns messages into bytes and back. `decode` never throws. */
export interface Codec<Message> {
  encode(message: Message): Uint8Array;
  decode(bytes: Uint8Array): Message | Malformed;
}

/** Hashes; the same bytes give the same digest everywhere. */
export interface Hasher {
  /** 20 bytes. */
  sha1(bytes: Uint8Array): Uint8Array;
  /** 32 bytes. */
  sha256(bytes: Uint8Array): Uint8Array;
}

/** Checks an Ed25519 signature (RFC 8032). Never throws; a key or signature of the wrong length is simply wrong. */
export interface Verifier {
  verify(publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean;
}

/** Signs with one Ed25519 private key (RFC 8032). */
export interface Signer {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** 64 bytes. */
  sign(bytes: Uint8Array): Uint8Array;
}

/** Where one line of a log goes. Fields are plain values with units in their names; no secrets, no addresses at `info`. */
export interface Log {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** A log whose every line carries `fields` too. */
  child(fields: Readonly<Record<string, unknown>>): Log;
}
