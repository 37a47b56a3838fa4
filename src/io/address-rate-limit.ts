/**
 * How often one remote address may ask: a token bucket per address, in bounded memory.
 *
 * An IPv6 customer owns a /64 at least, so those addresses share one bucket. When more addresses ask than are kept, the one that
 * has been silent longest is forgotten, which at worst gives it a full bucket again.
 */
import type { Milliseconds } from '../kernel/units.js';

export interface AddressRateLimitOptions {
  /** Requests per second that one address may keep up for ever. */
  readonly requestsPerSecond: number;
  /** Requests at once after a silence. */
  readonly burstCount: number;
  /** Addresses remembered. */
  readonly addressesMaxCount: number;
}

export class AddressRateLimit {
  readonly #options: AddressRateLimitOptions;
  readonly #buckets = new Map<string, { creditCount: number; updatedMs: Milliseconds }>();

  constructor(options: AddressRateLimitOptions) {
    this.#options = options;
  }

  /** Whether the address may ask now; a yes is counted. */
  take(address: string, nowMs: Milliseconds): boolean {
    const key = addressGroup(address);
    const { requestsPerSecond, burstCount, addressesMaxCount } = this.#options;
    const bucket = this.#buckets.get(key) ?? { creditCount: burstCount, updatedMs: nowMs };
    const earnedCount = (Math.max(0, nowMs - bucket.updatedMs) * requestsPerSecond) / 1000;
    bucket.creditCount = Math.min(burstCount, bucket.creditCount + earnedCount);
    bucket.updatedMs = nowMs;
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > addressesMaxCount) this.#forgetOldest();
    if (bucket.creditCount < 1) return false;
    bucket.creditCount--;
    return true;
  }

  #forgetOldest(): void {
    for (const key of this.#buckets.keys()) {
      this.#buckets.delete(key);
      return;
    }
  }
}

/** What one customer owns: the IPv4 address itself (also when mapped into IPv6), or the /64 of an IPv6 address. */
export function addressGroup(address: string): string {
  const bare = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (!bare.includes(':')) return bare;
  const [head = '', tail] = bare.split('::');
  const headGroups = head.split(':').filter((group) => group !== '');
  const tailGroups = (tail ?? '').split(':').filter((group) => group !== '');
  const missingCount = tail === undefined ? 0 : Math.max(0, 8 - headGroups.length - tailGroups.length);
  const groups = [...headGroups, ...Array.from({ length: missingCount }, () => '0'), ...tailGroups];
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, '').toLowerCase())
    .join(':')}::/64`;
}
