/**
 * The neighbours of one exchange, by connection.
 *
 * Every step looks at all of them several times, and they change a few times a minute: the row of them is made when they change, not when it is looked at.
 */
import type { ConnectionId } from '../../kernel/units.js';
import type { Neighbour } from './neighbour.js';

export class Neighbours {
  readonly #byId = new Map<ConnectionId, Neighbour>();
  #all: readonly Neighbour[] = [];

  get size(): number {
    return this.#all.length;
  }

  get(id: ConnectionId): Neighbour | undefined {
    return this.#byId.get(id);
  }

  has(id: ConnectionId): boolean {
    return this.#byId.has(id);
  }

  /** In the order they came. Whoever goes through it is not disturbed by changes. */
  values(): readonly Neighbour[] {
    return this.#all;
  }

  set(id: ConnectionId, neighbour: Neighbour): void {
    this.#byId.set(id, neighbour);
    this.#all = [...this.#byId.values()];
  }

  /** @returns whether it was there. */
  delete(id: ConnectionId): boolean {
    const isKnown = this.#byId.delete(id);
    if (isKnown) this.#all = [...this.#byId.values()];
    return isKnown;
  }
}
