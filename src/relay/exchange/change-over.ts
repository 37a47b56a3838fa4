/**
 * Which content of a window is fetched, and what becomes of the other one: on news, as time passes, and when a viewer leaves its publisher's line for another.
 *
 * `Lineage` decides; here it is carried out. What was asked for of a content that is not followed any more is called off, and what came of it is thrown away.
 */
import { sameBytes } from '../../kernel/bytes.js';
import type { WindowNumber } from '../../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import type { Lineage } from './lineage.js';
import type { PendingWindows } from './pending-windows.js';
import type { Playout } from './playout.js';
import type { Requester } from './requester.js';

export interface ChangeOverParts {
  readonly context: ExchangeContext;
  readonly playout: Playout;
  readonly pending: PendingWindows;
  readonly lineage: Lineage;
  readonly requester: Requester;
}

export class ChangeOver {
  readonly #context: ExchangeContext;
  readonly #playout: Playout;
  readonly #pending: PendingWindows;
  readonly #lineage: Lineage;
  readonly #requester: Requester;

  constructor({ context, playout, pending, lineage, requester }: ChangeOverParts) {
    this.#context = context;
    this.#playout = playout;
    this.#pending = pending;
    this.#lineage = lineage;
    this.#requester = requester;
  }

  /** Settles which content of a window is fetched, as long as nothing of it is here. */
  follow(number: WindowNumber): void {
    if (this.#lineage.consider(number, !this.#pending.hasAny(number))) this.#requester.startOver(number);
  }

  /** Time has passed: the same for every window whose choice is open, or may have been wrong. */
  followAll(): void {
    for (const number of this.#lineage.undecided(this.#playout.playedOut)) {
      // While it is waited for our own line, each tick may be the one with which the other one is taken.
      if (this.#lineage.waits(number)) this.#requester.wake();
      if (this.#lineage.giveUpUnproven(number, ({ id }) => this.#pending.hasAsked(number, id))) this.#requester.startOver(number);
      this.follow(number);
    }
  }

  /**
   * This publisher is not followed any more. What is here of it, and not played, would be played between windows of the other one; where somebody names
   * another content, it goes. A publisher keeps what it has made.
   */
  leave(publisher: Uint8Array): void {
    const { buffer, neighbours, isPublisher } = this.#context;
    if (isPublisher) return;
    for (const { number, manifest } of [...buffer.windows()]) {
      if (number <= this.#playout.playedOut || !sameBytes(this.#context.signerOf(manifest), publisher)) continue;
      const isElsewhere = neighbours.values().some(({ map }) => (map.get(number)?.version ?? manifest.version) !== manifest.version);
      if (!isElsewhere) continue;
      buffer.remove(number);
      this.#lineage.leave(number, manifest.version);
      this.#requester.startOver(number);
      for (const neighbour of neighbours.values()) neighbour.news.delete(number);
      this.follow(number);
    }
  }
}
