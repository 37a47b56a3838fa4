/**
 * By what right this station publishes one channel: as its owner, by a grant, or not at all; and what a person should know of it.
 *
 * A station that holds the owner's key delegates its own publisher key to itself, for 30 days at a time, and renews that at half its life: so
 * two stations that share an owner's key sign with keys of their own and can be told apart. It does not do so once its key stands on the
 * list of withdrawn keys; a grant for its own key, made on purpose, brings it back.
 *
 * Everything is told once: when the right ends, a day before it does, and when it is back.
 */
import type { Log, Signer } from '../kernel/ports.js';
import type { InfoHash, Milliseconds } from '../kernel/units.js';
import type { ChannelStatus, PublishingRight } from '../relay/endpoints/channel-status.js';
import { type Certificate, signCertificate } from '../relay/exchange/certificate.js';
import { isRevoked, type RevocationList, revokedSinceMs } from '../relay/exchange/revocation-list.js';

const DAY_MS: Milliseconds = 86_400_000;
/** How long a certificate lasts unless a person says otherwise. */
export const CERTIFICATE_MS: Milliseconds = 30 * DAY_MS;
/** A certificate begins this long before it is issued, so that machines whose clocks are a few minutes behind take it at once. */
export const HEAD_START_MS: Milliseconds = 10 * 60_000;
/** What an owner delegates to itself begins this much earlier: nobody is kept out by it, and viewers' clocks are often wrong by a time zone. */
const OWN_HEAD_START_MS: Milliseconds = 2 * DAY_MS;
const WARNING_MS: Milliseconds = DAY_MS;

export interface StationAuthorityOptions {
  readonly channel: InfoHash;
  /** For messages. */
  readonly name: string;
  /** This station's own key. */
  readonly publisher: Signer;
  /** Present where this station holds the key of the channel's owner. */
  readonly owner: Signer | null;
  /** Everybody may publish it: no certificate is needed. */
  readonly open: boolean;
  readonly log: Log;
}

/** What is known at a moment. */
export interface AuthorityView {
  /** Unix time. */
  readonly nowMs: Milliseconds;
  /** From the newest grant that was accepted here. */
  readonly granted: Certificate | null;
  readonly list: RevocationList | undefined;
}

export class StationAuthority {
  readonly #options: StationAuthorityOptions;
  readonly #keyHex: string;
  #right: PublishingRight | undefined;
  #certificate: Certificate | null = null;
  /** End of the certificate that a warning has been given about. */
  #warnedUntilMs: Milliseconds | undefined;

  constructor(options: StationAuthorityOptions) {
    this.#options = options;
    this.#keyHex = Buffer.from(options.publisher.publicKey).toString('hex');
  }

  /** What windows are to be signed with; null for an open channel, and while there is none. */
  get certificate(): Certificate | null {
    return this.#certificate;
  }

  get mayPublish(): boolean {
    return this.#right === 'owner' || this.#right === 'delegated';
  }

  get status(): Pick<ChannelStatus, 'authority' | 'publisherKey' | 'certificateUntil'> {
    return {
      authority: this.#right ?? 'none',
      publisherKey: this.#options.open ? null : this.#keyHex,
      certificateUntil: this.#certificate ? dateOf(this.#certificate.untilMs) : null,
    };
  }

  /** Looks at the clock, the grant and the list anew. @returns whether there is another certificate to sign with. */
  update(view: AuthorityView): boolean {
    const before = this.#certificate;
    if (!this.#options.open) this.#certificate = this.#choose(view);
    const right = this.#rightAt(view);
    if (right !== this.#right) this.#tell(right);
    this.#right = right;
    this.#warnOfEnd(view.nowMs);
    return this.#certificate !== before;
  }

  #choose({ nowMs, granted, list }: AuthorityView): Certificate | null {
    const { owner, publisher, channel } = this.#options;
    const known = this.#certificate;
    if (!owner || revokedSinceMs(list, publisher.publicKey) !== undefined) return granted ?? known;
    const renewAtMs = (known?.untilMs ?? 0) - CERTIFICATE_MS / 2;
    // A clock that was set back makes it early; nobody would take that.
    if (known && nowMs < renewAtMs && nowMs >= known.fromMs) return known;
    return signCertificate(
      { key: publisher.publicKey, fromMs: nowMs - OWN_HEAD_START_MS, untilMs: nowMs + CERTIFICATE_MS },
      channel,
      owner,
    );
  }

  #rightAt({ nowMs, list }: AuthorityView): PublishingRight {
    const certificate = this.#certificate;
    if (this.#options.open) return 'owner';
    if (!certificate) return revokedSinceMs(list, this.#options.publisher.publicKey) === undefined ? 'none' : 'withdrawn';
    if (isRevoked(list, certificate)) return 'withdrawn';
    if (nowMs >= certificate.untilMs) return 'expired';
    if (nowMs < certificate.fromMs) return 'none';
    return this.#options.owner ? 'owner' : 'delegated';
  }

  #tell(right: PublishingRight): void {
    const { log, name } = this.#options;
    if (right === 'owner' || right === 'delegated') {
      if (this.#right !== undefined) log.info(`this station may publish "${name}" again`, { until: this.status.certificateUntil });
      return;
    }
    log.warn(`this station does not publish "${name}": ${this.#reason(right)}`);
  }

  #reason(right: 'expired' | 'withdrawn' | 'none'): string {
    const certificate = this.#certificate;
    if (right === 'withdrawn') return `the owner has withdrawn its key. ${this.#remedy}`;
    if (right === 'expired') return `its certificate ended at ${dateOf(certificate?.untilMs ?? 0)}. ${this.#remedy}`;
    if (certificate)
      return `its certificate begins at ${dateOf(certificate.fromMs)}; it begins by itself then. Is this machine's clock right?`;
    return `it has no certificate. ${this.#remedy}`;
  }

  get #remedy(): string {
    const { name } = this.#options;
    return `The owner can run: shoal channel delegate "${name}" ${this.#keyHex}   Then here: shoal channel accept GRANT`;
  }

  #warnOfEnd(nowMs: Milliseconds): void {
    const untilMs = this.#certificate?.untilMs ?? Number.POSITIVE_INFINITY;
    if (!this.mayPublish || untilMs - nowMs > WARNING_MS || this.#warnedUntilMs === untilMs) return;
    this.#warnedUntilMs = untilMs;
    const { log, name } = this.#options;
    log.warn(`the right of this station to publish "${name}" ends at ${dateOf(untilMs)}. ${this.#remedy}`);
  }
}

/** UTC, ISO 8601. */
export function dateOf(unixMs: Milliseconds): string {
  return new Date(unixMs).toISOString();
}
