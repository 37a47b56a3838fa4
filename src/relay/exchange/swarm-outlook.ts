/**
 * What a publisher sees of the others: whether anybody else is publishing, and how far they are. Hearsay, as all maps are.
 */
import type { Milliseconds, WindowNumber } from '../../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import type { WindowAvailability } from './live-message.js';
import type { Neighbour } from './neighbour.js';

export interface Outlook {
  /** Since the exchange began to look for neighbours. */
  readonly upMs: Milliseconds;
  readonly neighbours: number;
  readonly publishers: number;
  /** Those of them that say they make windows, and were heard of late. */
  readonly onAir: number;
  /** Publishers of a lower rank that were heard of late: they go first where nobody is publishing. */
  readonly before: number;
  /** The newest window that a neighbour speaks of. */
  readonly head: WindowNumber | null;
  /** Since a newer window was heard of that this publisher had not published; `Infinity`: never. */
  readonly quietMs: Milliseconds;
}

/** A neighbour sends its map at this period; a little later it is not heard any more. */
const HEARD_MARGIN_MS: Milliseconds = 500;

export class SwarmOutlook {
  readonly #context: ExchangeContext;
  readonly #rank: number;
  readonly #newestProven: () => WindowNumber;
  #startMs: Milliseconds | undefined;
  #newsMs: Milliseconds = Number.NEGATIVE_INFINITY;

  /** @param newestProven the highest number that a signature was seen for. */
  constructor(context: ExchangeContext, rank: number, newestProven: () => WindowNumber = () => -1) {
    this.#context = context;
    this.#rank = rank;
    this.#newestProven = newestProven;
  }

  begin(): void {
    this.#startMs = this.#context.nowMs;
  }

  /**
   * A neighbour has spoken of these windows. It is news when it is further than it was before: so one that names numbers out of the air does not drown what others
   * tell. Of one that has only just come it is news when it is further than all others.
   */
  onMap(neighbour: Neighbour, windows: readonly WindowAvailability[]): void {
    const { buffer, nowMs } = this.#context;
    const knownHead = Math.max(this.#newestProven(), neighbour.told ?? this.#trustedHead());
    for (const { number } of windows) {
      if (neighbour.trusted && number > knownHead && !buffer.get(number)) this.#newsMs = nowMs;
      neighbour.told = Math.max(neighbour.told ?? -1, number);
    }
  }

  #trustedHead(): WindowNumber {
    const told = this.#context.neighbours.values().flatMap((neighbour) => (neighbour.trusted ? (neighbour.told ?? []) : []));
    return Math.max(-1, ...told);
  }

  at(nowMs: Milliseconds): Outlook {
    const neighbours = this.#context.neighbours.values();
    const heads = neighbours.flatMap(({ map, trusted }) => (trusted ? (map.head ?? []) : []));
    const publishers = neighbours.filter(({ publisher }) => publisher);
    const { mapPeriodMs } = this.#context.parameters;
    const heard = publishers.filter(({ lastHeardMs }) => nowMs - lastHeardMs < mapPeriodMs + HEARD_MARGIN_MS);
    return {
      upMs: nowMs - (this.#startMs ?? nowMs),
      neighbours: neighbours.length,
      publishers: publishers.length,
      onAir: heard.filter(({ onAir }) => onAir).length,
      before: heard.filter(({ rank }) => rank < this.#rank).length,
      head: heads.length === 0 ? null : Math.max(...heads),
      quietMs: nowMs - this.#newsMs,
    };
  }
}
