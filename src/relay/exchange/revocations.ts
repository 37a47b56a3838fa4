/**
 * What becomes of a signer whose authority ends: its list travels on, and what it signed is neither kept, announced nor served any more.
 *
 * What was played stays played. A window that is dropped may be had again from a signer whose authority holds; so everything that was
 * being fetched before its signer was known is asked for anew.
 */
import { Malformed } from '../../kernel/errors.js';
import type { Announcer } from './announcer.js';
import type { Authority } from './authority.js';
import type { ExchangeContext } from './exchange-context.js';
import type { Neighbour } from './neighbour.js';
import type { PendingWindows } from './pending-windows.js';
import type { Requester } from './requester.js';
import { decodeRevocationList, type RevocationList } from './revocation-list.js';
import type { StreamDescription } from './stream-description.js';
import type { WindowShares } from './window-shares.js';

export interface RevocationsParts {
  readonly context: ExchangeContext;
  readonly announcer: Announcer;
  readonly requester: Requester;
  readonly pending: PendingWindows;
  readonly description: StreamDescription;
  readonly shares: WindowShares;
}

export class Revocations {
  readonly #parts: RevocationsParts;
  readonly #authority: Authority;

  constructor(parts: RevocationsParts) {
    this.#parts = parts;
    this.#authority = parts.context.authority;
  }

  /** Before anything else but hello: whoever answers us later has read the list by then. */
  greet(neighbour: Neighbour): void {
    const { list } = this.#parts.context.authority;
    if (list) this.#send(neighbour, list);
  }

  onRevocations(neighbour: Neighbour, bytes: Uint8Array): void {
    const { context } = this.#parts;
    const list = decodeRevocationList(bytes.slice());
    if (list instanceof Malformed) return context.accuse(neighbour, list.reason);
    const outcome = context.authority.accept(list);
    if (outcome === 'foreign') return context.accuse(neighbour, 'a revocation list without the signature of the owner');
    neighbour.toldSerial = Math.max(neighbour.toldSerial, list.serial);
    if (outcome === 'newer') this.#spread(list, neighbour);
  }

  /** Our own process has a list: the owner's command, or what an earlier run kept. One that is not newer, or not the owner's, changes nothing. */
  revoke(bytes: Uint8Array): void {
    const list = decodeRevocationList(bytes.slice());
    if (!(list instanceof Malformed) && this.#parts.context.authority.accept(list) === 'newer') this.#spread(list);
  }

  /** At the beginning of each step: drops what a certificate that has ended since leaves behind. */
  expire(): void {
    if (this.#authority.takeEnded()) this.#purge();
  }

  #spread(list: RevocationList, from?: Neighbour): void {
    const { context } = this.#parts;
    for (const neighbour of context.neighbours.values()) if (neighbour !== from) this.#send(neighbour, list);
    this.#purge();
    context.emit({ kind: 'revocations', bytes: list.bytes });
  }

  #send(neighbour: Neighbour, list: RevocationList): void {
    neighbour.toldSerial = Math.max(neighbour.toldSerial, list.serial);
    this.#parts.context.send(neighbour, { kind: 'revocations', bytes: list.bytes });
  }

  /** Drops every window and info whose signer may not sign any more, and tells everybody what is left. */
  #purge(): void {
    const { context, announcer, requester, pending, description, shares } = this.#parts;
    const { buffer, authority, neighbours } = context;
    const ended = buffer.windows().filter(({ manifest }) => !authority.stillHolds(manifest.certificate));
    for (const { number } of ended) {
      buffer.remove(number);
      requester.abandon(number);
      for (const neighbour of neighbours.values()) neighbour.news.delete(number);
    }
    // Whose windows these are is not known yet. Pieces of an ended signer would be held against those who sent them in good faith.
    for (const number of pending.numbers()) {
      pending.release(number);
      requester.abandon(number);
    }
    // What they deny from now on they may have dropped for the same reason.
    for (const neighbour of neighbours.values()) neighbour.brokenPromises = 0;
    for (const { manifest } of buffer.windows()) authority.noteKept(manifest.certificate);
    description.purge();
    // Copies of the same window that another publisher had signed are gone: those dealt out here may be the only ones left.
    const isRevealed = shares.revealAll();
    if (ended.length > 0 || isRevealed) for (const neighbour of neighbours.values()) announcer.sendMap(neighbour);
    context.planDue = context.deliverDue = true;
  }
}
