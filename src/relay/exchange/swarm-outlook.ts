/**
 * What a publisher sees of the others: whether anybody else is publishing, and how far they are. Hearsay, as all maps are.
 */
import type { Milliseconds, WindowNumber } from '../../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import type { WindowAvailability } from './live-message.js';

export interface Outlook {
  /** Since the exchange began to look for neighbours. */
  readonly upMs: Milliseconds;
  readonly neighbours: number;
  readonly publishers: number;
  /** The newest window that a neighbour speaks of. */
  readonly head: WindowNumber | null;
  /** Since a newer window was heard of that this publisher had not published; `Infinity`: never. */
  readonly quietMs: Milliseconds;
}

export class SwarmOutlook {
  readonly #context: ExchangeContext;
  #startMs: Milliseconds | undefined;
  #othersHead: WindowNumber = -1;
  #othersHeadMs: Milliseconds = Number.NEGATIVE_INFINITY;

  constructor(context: ExchangeContext) {
    this.#context = context;
  }

  begin(): void {
    this.#startMs = this.#context.nowMs;
  }

  onMap(windows: readonly WindowAvailability[]): void {
    const { buffer, nowMs } = this.#context;
    for (const { number } of windows) {
      if (number <= this.#othersHead || buffer.get(number)) continue;
      this.#othersHead = number;
      this.#othersHeadMs = nowMs;
    }
  }

  at(nowMs: Milliseconds): Outlook {
    const neighbours = [...this.#context.neighbours.values()];
    const heads = neighbours.flatMap(({ map }) => map.head ?? []);
    return {
      upMs: nowMs - (this.#startMs ?? nowMs),
      neighbours: neighbours.length,
      publishers: neighbours.filter(({ publisher }) => publisher).length,
      head: heads.length === 0 ? null : Math.max(...heads),
      quietMs: nowMs - this.#othersHeadMs,
    };
  }
}
