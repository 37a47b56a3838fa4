/**
 * One item for each of some windows, in ascending order of their numbers.
 *
 * Windows mostly follow each other without a gap, so a number is looked for where it lies if there is none, and by halving only where there is. Looking up, adding the
 * newest and dropping the oldest take no time to speak of, whatever the size; adding in the middle moves what comes after it.
 */
import type { WindowNumber } from '../../kernel/units.js';

export class WindowRow<Item> {
  readonly #numbers: WindowNumber[] = [];
  readonly #items: Item[] = [];

  get size(): number {
    return this.#numbers.length;
  }

  /** Ascending. Valid until the row changes. */
  get numbers(): readonly WindowNumber[] {
    return this.#numbers;
  }

  /** By their numbers, ascending. Valid until the row changes. */
  get items(): readonly Item[] {
    return this.#items;
  }

  get(number: WindowNumber): Item | undefined {
    const at = this.indexFrom(number);
    return this.#numbers[at] === number ? this.#items[at] : undefined;
  }

  /** Adds an item, or replaces the one under this number. */
  set(number: WindowNumber, item: Item): void {
    const at = this.indexFrom(number);
    if (at === this.#numbers.length) {
      this.#numbers.push(number);
      this.#items.push(item);
    } else if (this.#numbers[at] === number) {
      this.#items[at] = item;
    } else {
      this.#numbers.splice(at, 0, number);
      this.#items.splice(at, 0, item);
    }
  }

  delete(number: WindowNumber): void {
    const at = this.indexFrom(number);
    if (this.#numbers[at] !== number) return;
    this.#numbers.splice(at, 1);
    this.#items.splice(at, 1);
  }

  /** Everything below this number goes. */
  dropBelow(number: WindowNumber): void {
    this.dropFirst(this.indexFrom(number));
  }

  /** The lowest so many go. */
  dropFirst(count: number): void {
    if (count <= 0) return;
    this.#numbers.splice(0, count);
    this.#items.splice(0, count);
  }

  /** Where the first number lies that is this one or higher; the size of the row when there is none. */
  indexFrom(number: WindowNumber): number {
    const numbers = this.#numbers;
    const size = numbers.length;
    if (size === 0 || (numbers[size - 1] as WindowNumber) < number) return size;
    const ahead = number - (numbers[0] as WindowNumber);
    if (ahead <= 0) return 0;
    // Numbers differ by one at least, so it lies there or before.
    if (ahead < size && numbers[ahead] === number) return ahead;
    let low = 0;
    let high = Math.min(ahead, size - 1);
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((numbers[middle] as WindowNumber) < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
