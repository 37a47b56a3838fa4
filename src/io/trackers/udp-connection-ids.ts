/**
 * Connection ids of a UDP tracker: proof that whoever announces receives what is sent to its address (BEP 15).
 *
 * An id is the HMAC-SHA-256 of the address under a secret that changes every minute, cut to 8 bytes; the secret before is still
 * accepted, so an id serves for one to two minutes, as BEP 15 asks. Nothing is kept per client.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Bytes, Milliseconds } from '../../kernel/units.js';

/** Length of a connection id. */
export const CONNECTION_ID_BYTES: Bytes = 8;

const ROTATION_MS: Milliseconds = 60_000;

export class UdpConnectionIds {
  #secret = randomBytes(32);
  #previousSecret = this.#secret;
  #rotatedMs: Milliseconds;

  constructor(nowMs: Milliseconds) {
    this.#rotatedMs = nowMs;
  }

  issue(address: string, nowMs: Milliseconds): Buffer {
    this.#rotate(nowMs);
    return idOf(address, this.#secret);
  }

  isValid(id: Uint8Array, address: string, nowMs: Milliseconds): boolean {
    if (id.length !== CONNECTION_ID_BYTES) return false;
    this.#rotate(nowMs);
    return [this.#secret, this.#previousSecret].some((secret) => timingSafeEqual(id, idOf(address, secret)));
  }

  #rotate(nowMs: Milliseconds): void {
    const ageMs = nowMs - this.#rotatedMs;
    if (ageMs < ROTATION_MS) return;
    const fresh = randomBytes(32);
    // After a long silence the current secret is as stale as the one before it.
    this.#previousSecret = ageMs < 2 * ROTATION_MS ? this.#secret : fresh;
    this.#secret = fresh;
    this.#rotatedMs = nowMs;
  }
}

function idOf(address: string, secret: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(address).digest().subarray(0, CONNECTION_ID_BYTES);
}
