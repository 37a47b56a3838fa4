/** A choice of neighbours outside any exchange: neighbours come, give and go as a test says, and what was decided is written down. */
import type { ConnectionId } from '../../src/kernel/units.js';
import type { ExchangeContext } from '../../src/relay/exchange/exchange-context.js';
import type { LiveParameters } from '../../src/relay/exchange/live-parameters.js';
import { Neighbour } from '../../src/relay/exchange/neighbour.js';
import { NeighbourChoice } from '../../src/relay/exchange/neighbour-choice.js';
import { Playout } from '../../src/relay/exchange/playout.js';
import { WindowShares } from '../../src/relay/exchange/window-shares.js';
import { hold, makeContext, makeWindow, OWNER, PARAMETERS } from './exchange-fixture.js';

/** Says of each neighbour how much it passes on, as a test has it. */
class ToldShares extends WindowShares {
  readonly passed = new Map<ConnectionId, number>();

  override recordOf(peer: ConnectionId): number | undefined {
    return this.passed.get(peer);
  }
}

export class DrivenChoice {
  readonly context: ExchangeContext;
  readonly choice: NeighbourChoice;
  readonly shares = new ToldShares(PARAMETERS.revealMs);
  /** Every number of neighbours that was asked for. */
  readonly wants: number[] = [];
  /** Those let go, in order. */
  readonly gone: ConnectionId[] = [];
  readonly #playout: Playout;
  readonly #parameters: LiveParameters;

  constructor(overrides: Partial<LiveParameters>, { isPublisher = false } = {}) {
    this.#parameters = { ...PARAMETERS, ...overrides };
    this.context = makeContext({ parameters: this.#parameters, ...(isPublisher ? { signer: OWNER } : {}) }, 0);
    this.#playout = new Playout(this.#parameters, this.context.buffer, () => false);
    this.choice = new NeighbourChoice({ context: this.context, playout: this.#playout, shares: this.shares });
    this.choice.begin();
    this.settle();
  }

  meet(id: ConnectionId, { block = id, publisher = false } = {}): Neighbour {
    const neighbour = new Neighbour(id, this.context.nowMs, { addressBlock: block });
    neighbour.greeted = true;
    neighbour.publisher = publisher;
    // It goes on telling what it holds.
    neighbour.lastToldMs = Number.POSITIVE_INFINITY;
    this.context.neighbours.set(id, neighbour);
    this.choice.onHello(neighbour);
    this.settle();
    return neighbour;
  }

  lose(id: ConnectionId): void {
    this.context.neighbours.delete(id);
    this.choice.dropPeer(id);
  }

  trouble(isTroubled: boolean): void {
    this.choice.trouble(isTroubled);
    this.settle();
  }

  /** Time passes; the picture goes on. */
  wait(forMs: number): void {
    this.context.nowMs += forMs;
    const number = Math.floor(this.context.nowMs / this.#parameters.windowMs);
    if (number > (this.#playout.lastDelivered?.number ?? -1)) {
      hold(this.context, makeWindow(number));
      this.#playout.moveTo(number);
      this.#playout.deliver(this.context.nowMs);
    }
    // As the exchange does: a publisher reviews nobody.
    if (!this.context.isPublisher) this.choice.check();
    this.settle();
  }

  /** A review, before which each of these gave so many bytes. */
  review(given: Readonly<Record<ConnectionId, number>>): void {
    for (const [id, bytes] of Object.entries(given)) {
      const neighbour = this.context.neighbours.get(id);
      if (neighbour) neighbour.mediaDownBytes += bytes;
    }
    this.wait(2 * this.#parameters.reviewMs);
  }

  settle(): void {
    for (const [neighbour, { kind }] of this.context.takeAccused()) {
      if (kind !== 'surplus') throw new Error(`${neighbour.id} is dropped as ${kind}`);
      this.gone.push(neighbour.id);
      this.lose(neighbour.id);
    }
    for (const effect of this.context.takeEffects()) if (effect.kind === 'connect') this.wants.push(effect.want);
  }
}
