/**
 * A rate limit that owes nothing to a clock: the caller brings the time.
 *
 * Credit grows at `bytesPerSecond` up to `burstBytes`. Taking may overdraw once (a piece is never split), and the debt is paid
 * before the next take, so over any stretch of time T at most `bytesPerSecond · T + burst + one piece` pass.
 */
import type { Bytes, BytesPerSecond, Milliseconds } from './units.js';

export class TokenBucket {
  readonly bytesPerSecond: BytesPerSecond;
  readonly #burstBytes: Bytes;
  #creditBytes: Bytes;
  #updatedMs: Milliseconds | undefined;

  /** @param bytesPerSecond 0 means no limit. */
  constructor(bytesPerSecond: BytesPerSecond, burstBytes: Bytes = Math.max(16_384, bytesPerSecond / 10)) {
    this.bytesPerSecond = bytesPerSecond;
    this.#burstBytes = burstBytes;
    this.#creditBytes = burstBytes;
  }

  /** How long until the next take is allowed; 0 when it is allowed now. */
  delayMs(nowMs: Milliseconds): Milliseconds {
    if (this.bytesPerSecond <= 0) return 0;
    this.#refill(nowMs);
    return this.#creditBytes > 0 ? 0 : Math.ceil(((1 - this.#creditBytes) * 1000) / this.bytesPerSecond);
  }

  /** Takes `bytes` whatever the credit is; ask `delayMs` first unless the bytes cannot wait (control messages). */
  take(bytes: Bytes, nowMs: Milliseconds): void {
    if (this.bytesPerSecond <= 0) return;
    this.#refill(nowMs);
    this.#creditBytes -= bytes;
  }

  #refill(nowMs: Milliseconds): void {
    const elapsedMs = Math.max(0, nowMs - (this.#updatedMs ?? nowMs));
    this.#updatedMs = nowMs;
    this.#creditBytes = Math.min(this.#burstBytes, this.#creditBytes + (elapsedMs * this.bytesPerSecond) / 1000);
  }
}
