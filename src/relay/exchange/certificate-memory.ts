/**
 * Leaves a publisher's certificate out of manifests for those who have it already, and puts it back at the other end.
 *
 * A certificate is the same for days and makes up half of a small manifest. Each end of a connection remembers the last one that went over it, in each direction;
 * a whole manifest with another one replaces it. Messages of one connection arrive in order, so both ends remember the same.
 */
import { sameBytes } from '../../kernel/bytes.js';
import { Malformed } from '../../kernel/errors.js';
import type { LiveMessage } from './live-message.js';
import { certificateIn, withCertificate, withoutCertificate } from './manifest.js';

type ManifestMessage = LiveMessage & { readonly kind: 'manifest' };

export class CertificateMemory {
  #sent: Uint8Array | undefined;
  #received: Uint8Array | undefined;

  /** The manifest as it is to be sent: `short` where the other end knows its certificate. */
  shorten(bytes: Uint8Array): Pick<ManifestMessage, 'bytes' | 'short'> {
    const certificate = certificateIn(bytes);
    if (certificate && this.#sent && sameBytes(this.#sent, certificate)) return { bytes: withoutCertificate(bytes), short: true };
    this.#sent = certificate ?? this.#sent;
    return { bytes };
  }

  /** The whole manifest that the message stands for, unread. `Malformed` when it leaves out what has never been sent. */
  restore({ bytes, short }: Pick<ManifestMessage, 'bytes' | 'short'>): Uint8Array | Malformed {
    if (!short) {
      this.#received = certificateIn(bytes) ?? this.#received;
      return bytes;
    }
    return this.#received
      ? withCertificate(bytes, this.#received)
      : new Malformed('a manifest without a certificate that has never been sent');
  }
}
