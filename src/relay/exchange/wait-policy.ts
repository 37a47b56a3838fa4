/**
 * How long a request is waited for, and whom to ask when it was in vain: what the exchange ships, and two policies of other systems to compare it with.
 *
 * - Shipped: what the neighbour's past says, short enough to leave room for one retry; then the best other holders (algorithm sheet 5.4, 5.6).
 * - A fixed wait (`fixedWaitMs`): p2p-media-loader, libswift and OpenStreamGrid wait two seconds, whoever was asked and however late it is.
 * - A deadline hedge (`deadlineHedgeMs`): OpenStreamGrid's other scheduler. Viewers are asked first; the source is asked at once when the piece is due so soon that
 *   only it could still send it in time, and beside the viewer when that moment comes.
 *
 * Pure: it reads what the requester knows and decides; the requester asks.
 */
import type { Bytes, Milliseconds } from '../../kernel/units.js';
import type { LiveParameters } from './live-parameters.js';
import { awakeMs, type Neighbour } from './neighbour.js';
import { type Need, PUBLISHER_COST } from './scheduler.js';

/** Who can send a piece though they may not have shown it; worked out only where a policy asks. */
export type Publishers = () => readonly Neighbour[];

/** What is waited for: how large it is, how soon it is due, and who has it. */
export type Awaited = Pick<Need, 'sizeBytes' | 'slackMs' | 'holders'>;

/** A deadline that has passed is not waited for any longer than this. */
const HEDGE_WAIT_MIN_MS: Milliseconds = 1;

export class WaitPolicy {
  readonly #parameters: LiveParameters;

  constructor(parameters: LiveParameters) {
    this.#parameters = parameters;
  }

  /** News of a window make no difference to a wait that knows nothing of what was to be expected. */
  get movesOnNews(): boolean {
    const { fixedWaitMs, deadlineHedgeMs } = this.#parameters;
    return fixedWaitMs === 0 && deadlineHedgeMs === 0;
  }

  /** The need with those who may be asked for it now. */
  narrowed(need: Need, publishersOf: Publishers): Need {
    if (this.#parameters.deadlineHedgeMs === 0) return need;
    const publishers = publishersOf();
    if (publishers.length > 0 && this.#hedgeAfterMs(need, publishers) <= 0) return { ...need, holders: publishers };
    const viewers = need.holders.filter(({ publisher }) => !publisher);
    return viewers.length > 0 ? { ...need, holders: viewers } : need;
  }

  /** Time until others are asked as well. */
  waitMs(need: Awaited, holder: Neighbour, publishersOf: Publishers): Milliseconds {
    const { waitMinMs, waitMaxMs, fixedWaitMs, deadlineHedgeMs } = this.#parameters;
    const publishers = deadlineHedgeMs > 0 ? publishersOf().filter((publisher) => publisher !== holder) : [];
    if (publishers.length > 0) return Math.max(HEDGE_WAIT_MIN_MS, this.#hedgeAfterMs(need, publishers));
    const estimateMs = clamp(this.estimateMs(holder, need.sizeBytes), 2 * waitMinMs, waitMaxMs);
    const rivals = need.holders.filter((other) => other !== holder);
    if (fixedWaitMs > 0 || rivals.length === 0) return estimateMs;
    const bestOtherMs = Math.min(...rivals.map((other) => other.wait.predictMs(need.sizeBytes)));
    const spareMs = need.slackMs - bestOtherMs;
    return spareMs < estimateMs ? clamp(spareMs, waitMinMs, estimateMs) : estimateMs;
  }

  /** What the neighbour's past says, unless a world without such estimates is looked at. */
  estimateMs(holder: Neighbour, sizeBytes: Bytes): Milliseconds {
    const { tickMs, fixedWaitMs } = this.#parameters;
    return fixedWaitMs > 0 ? fixedWaitMs : holder.wait.waitMs(sizeBytes, tickMs);
  }

  /** Of those that have not been asked for a piece that is late: who is asked now. */
  secondChoice(holders: readonly Neighbour[], publishersOf: Publishers, nowMs: Milliseconds): readonly Neighbour[] {
    const { hedge, pieceBytes, deadlineHedgeMs } = this.#parameters;
    const publishers = deadlineHedgeMs > 0 || holders.length === 0 ? publishersOf() : [];
    const costMs = ({ wait, publisher }: Neighbour): Milliseconds => wait.predictMs(pieceBytes) * (publisher ? PUBLISHER_COST : 1);
    const quiet = (neighbour: Neighbour): number => Number(neighbour.isQuiet(nowMs, awakeMs(this.#parameters)));
    return (publishers.length > 0 ? publishers : holders)
      .toSorted((a, b) => quiet(a) - quiet(b) || costMs(a) - costMs(b))
      .slice(0, deadlineHedgeMs > 0 ? 1 : hedge);
  }

  /** Time until a publisher could only just send it before it is due. */
  #hedgeAfterMs({ slackMs, sizeBytes }: Awaited, publishers: readonly Neighbour[]): Milliseconds {
    return slackMs - this.#parameters.deadlineHedgeMs - Math.min(...publishers.map(({ wait }) => wait.predictMs(sizeBytes)));
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}
