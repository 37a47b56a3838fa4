/** A viewer's part in feeding, outside any exchange: it plays with plenty in hand, and neighbours offer to feed it. */
import type { ExchangeContext, LiveExchangeOptions } from '../../src/relay/exchange/exchange-context.js';
import { Lineage } from '../../src/relay/exchange/lineage.js';
import type { Neighbour } from '../../src/relay/exchange/neighbour.js';
import { Playout } from '../../src/relay/exchange/playout.js';
import { Subscriptions } from '../../src/relay/exchange/subscriptions.js';
import { ALL_SUBSTREAMS, NO_FEED, SUBSTREAMS, type SubstreamSet } from '../../src/relay/exchange/substreams.js';
import { addNeighbour, hold, makeContext, makeWindow, PARAMETERS, sentOf } from './exchange-fixture.js';

/** Windows played at once at the beginning: the player wants the next one four seconds later. */
const IN_HAND = 8;

export interface OfferOptions {
  /** Of every substream. */
  readonly depth?: number;
  readonly offered?: SubstreamSet;
  readonly publisher?: boolean;
  /** It has sent nothing yet. */
  readonly onTrial?: boolean;
  readonly roundTripMs?: number;
}

export class FedViewer {
  readonly context: ExchangeContext;
  readonly playout: Playout;
  readonly lineage: Lineage;
  readonly subscriptions: Subscriptions;
  /** They say nothing while time passes. */
  readonly silent = new Set<Neighbour>();
  /** The next window that is not here. */
  next = 4;

  constructor(overrides: Partial<LiveExchangeOptions> = {}, inHand = IN_HAND) {
    this.context = makeContext(overrides, 10_000);
    this.playout = new Playout(PARAMETERS, this.context.buffer, () => false);
    this.playout.moveTo(this.next);
    this.lineage = new Lineage(this.context);
    this.subscriptions = new Subscriptions(this.context, this.playout, this.lineage);
    for (let count = 0; count < inHand; count++) this.play();
  }

  /** Somebody who would feed it, and has sent good pieces before unless it is on trial. */
  offer(id: string, options: OfferOptions = {}): Neighbour {
    const { depth = 1, offered = ALL_SUBSTREAMS, publisher = false, onTrial = false, roundTripMs } = options;
    const neighbour = addNeighbour(this.context, id, publisher);
    if (!onTrial) neighbour.succeeded();
    const { nowMs } = this.context;
    if (roundTripMs !== undefined) neighbour.wait.answered(0, nowMs - roundTripMs, roundTripMs, true, nowMs);
    neighbour.feed = { ...NO_FEED, offered, depths: new Array<number>(SUBSTREAMS).fill(depth) };
    return neighbour;
  }

  /** Time passes with a check at every tick, windows are played as they come due, and everybody goes on to talk. */
  pass(forMs: number): void {
    const { context } = this;
    for (let leftMs = forMs; leftMs > 0; leftMs -= PARAMETERS.tickMs) {
      context.nowMs += Math.min(leftMs, PARAMETERS.tickMs);
      for (const neighbour of context.neighbours.values()) if (!this.silent.has(neighbour)) neighbour.lastHeardMs = context.nowMs;
      while (this.playout.deadlineMs(this.next, context.nowMs) < context.nowMs + IN_HAND * 250) this.play();
      this.subscriptions.check();
    }
  }

  play(): void {
    hold(this.context, makeWindow(this.next));
    this.playout.deliver(this.context.nowMs);
    this.next += 1;
  }

  /** Whom it has told what it wants of it since this was last asked. */
  told(): readonly (readonly [to: string, substreams: SubstreamSet])[] {
    return sentOf(this.context.takeEffects(), 'subscribe').map(({ to, substreams }) => [to, substreams] as const);
  }
}
