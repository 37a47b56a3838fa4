/**
 * Who may sign for a channel, now: its owner, and the keys that the owner has delegated and neither let expire nor withdrawn.
 *
 * Certificates speak of calendar time, so the wall clock is asked here and nowhere else in the exchange; it is injected and may jump. The
 * certificates that the owner's signature has been checked on are remembered, so a window costs one signature check and not two. Only
 * what the owner signed is remembered, so strangers cannot fill that memory.
 */
import type { Verifier } from '../../kernel/ports.js';
import type { InfoHash, Milliseconds } from '../../kernel/units.js';
import { type Certificate, certificateIsSigned } from './certificate.js';
import { isRevoked, type RevocationList, revocationListIsSigned } from './revocation-list.js';
import { signatureHolds } from './signature.js';

/**
 * `foreign`: not signed by the owner or by a key that the owner ever delegated. `early`: the delegation has not begun. The others were once
 * valid, or would have been.
 */
export type Judgement = 'valid' | 'foreign' | 'early' | 'expired' | 'withdrawn';

/** Whatever ends with a signature: the certificate's key's, or the owner's where there is none. */
export interface Signed {
  readonly bytes: Uint8Array;
  readonly certificate: Certificate | null;
}

export interface AuthorityOptions {
  readonly channel: InfoHash;
  /** The owner's public key. */
  readonly owner: Uint8Array;
  readonly verifier: Verifier;
  /** Unix time. */
  readonly wallClockMs: () => Milliseconds;
}

/** A channel has a few publishers at a time; each renews its certificate every few weeks. */
const CERTIFICATES_KEPT = 64;

export class Authority {
  readonly #options: AuthorityOptions;
  /** Certificates that carry the owner's signature, by their bytes; the least recently used one leaves first. */
  readonly #genuine = new Set<string>();
  #list: RevocationList | undefined;
  /** The earliest end of a certificate that was judged valid since the last look. */
  #soonestEndMs: Milliseconds = Number.POSITIVE_INFINITY;

  constructor(options: AuthorityOptions) {
    this.#options = options;
  }

  /** The newest list of the owner that has been heard of. */
  get list(): RevocationList | undefined {
    return this.#list;
  }

  /** 0 while no list is known. */
  get serial(): number {
    return this.#list?.serial ?? 0;
  }

  /** Takes a list over if it is newer than the known one. `known`: it is not, and its signature was not looked at. */
  accept(list: RevocationList): 'newer' | 'known' | 'foreign' {
    const { channel, owner, verifier } = this.#options;
    if (this.#list && list.serial <= this.#list.serial) return 'known';
    if (!revocationListIsSigned(list, channel, owner, verifier)) return 'foreign';
    this.#list = list;
    return 'newer';
  }

  /** Judges something signed: its own signature, then its certificate's, then what has become of the certificate since. */
  judge(domain: string, { bytes, certificate }: Signed): Judgement {
    const { channel, owner, verifier } = this.#options;
    if (certificate && !this.#isGenuine(certificate)) return 'foreign';
    if (!signatureHolds(domain, bytes, channel, certificate?.key ?? owner, verifier)) return 'foreign';
    const standing = this.standing(certificate);
    if (standing === 'valid') this.#soonestEndMs = Math.min(this.#soonestEndMs, certificate?.untilMs ?? Number.POSITIVE_INFINITY);
    return standing;
  }

  /** What has become of a certificate that was judged before; null stands for the owner itself. */
  standing(certificate: Certificate | null): Exclude<Judgement, 'foreign'> {
    if (certificate === null) return 'valid';
    const nowMs = this.#options.wallClockMs();
    if (isRevoked(this.#list, certificate)) return 'withdrawn';
    if (nowMs >= certificate.untilMs) return 'expired';
    return nowMs < certificate.fromMs ? 'early' : 'valid';
  }

  /** Whether what was taken with this certificate may be kept. A clock that was set back takes nothing away. */
  stillHolds(certificate: Certificate | null): boolean {
    const standing = this.standing(certificate);
    return standing === 'valid' || standing === 'early';
  }

  /** Unix time, by the clock that certificates are judged by. */
  get wallMs(): Milliseconds {
    return this.#options.wallClockMs();
  }

  /** For how long a certificate has been expired; negative while it has not. */
  expiredForMs(certificate: Certificate): Milliseconds {
    return this.#options.wallClockMs() - certificate.untilMs;
  }

  /** Whether any certificate that was judged valid may have ended since the last call. */
  takeEnded(): boolean {
    // Asked at every step, and as a rule the owner signs itself.
    if (this.#soonestEndMs === Number.POSITIVE_INFINITY || this.#options.wallClockMs() < this.#soonestEndMs) return false;
    this.#soonestEndMs = Number.POSITIVE_INFINITY;
    return true;
  }

  /** Something signed with this certificate is still kept: its end matters. */
  noteKept(certificate: Certificate | null): void {
    if (certificate) this.#soonestEndMs = Math.min(this.#soonestEndMs, certificate.untilMs);
  }

  #isGenuine(certificate: Certificate): boolean {
    const { channel, owner, verifier } = this.#options;
    const name = String.fromCharCode(...certificate.bytes);
    if (!this.#genuine.delete(name) && !certificateIsSigned(certificate, channel, owner, verifier)) return false;
    this.#genuine.add(name);
    for (const oldest of this.#genuine) {
      if (this.#genuine.size <= CERTIFICATES_KEPT) break;
      this.#genuine.delete(oldest);
    }
    return true;
  }
}
