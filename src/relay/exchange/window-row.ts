/**
 * One item for each of some windows, in ascending order of their numbers.
 *
 * Windows mostly follow each other without a gap, so a number is looked for where it lies if there is none, and by halving only where there is. Looking up, adding the
 * newest and dropping the oldest take no time to speak of, whatever the size; adding in the middle moves what comes after it.
 *
 * In a process with hundreds of viewers nothing of a viewer is in the processor's caches when its turn comes, and what is done most is to look the newest windows up in
 * the rows of all its neighbours. So the first and the last number are kept beside the lists, and the list of numbers is not looked at where there is no gap.
 */
import type { WindowNumber } from '../../kernel/units.js';

export class WindowRow<Item> {
  readonly #numbers: WindowNumber[] = [];
  readonly #items: Item[] = [];
  /** Of the numbers; only while there are any. */
  #first: WindowNumber = 0;
  #last: WindowNumber = -1;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The highest number; undefined when there is none. */
  get last(): WindowNumber | undefined {
    return this.#size === 0 ? undefined : this.#last;
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
    if (this.#size === 0 || number < this.#first || number > this.#last) return undefined;
    if (this.#hasNoGap) return this.#items[number - this.#first];
    const at = this.indexFrom(number);
    return this.#numbers[at] === number ? this.#items[at] : undefined;
  }

  /** Adds an item, or replaces the one under this number. */
  set(number: WindowNumber, item: Item): void {
    const at = this.indexFrom(number);
    if (at === this.#size) {
      this.#numbers.push(number);
      this.#items.push(item);
      this.#measure();
    } else if (this.#numbers[at] === number) {
      this.#items[at] = item;
    } else {
      this.#numbers.splice(at, 0, number);
      this.#items.splice(at, 0, item);
      this.#measure();
    }
  }

  delete(number: WindowNumber): void {
    const at = this.indexFrom(number);
    if (this.#numbers[at] !== number) return;
    this.#numbers.splice(at, 1);
    this.#items.splice(at, 1);
    this.#measure();
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
    this.#measure();
  }

  /** Where the first number lies that is this one or higher; the size of the row when there is none. */
  indexFrom(number: WindowNumber): number {
    const size = this.#size;
    if (size === 0 || this.#last < number) return size;
    const ahead = number - this.#first;
    if (ahead <= 0) return 0;
    if (this.#hasNoGap) return ahead;
    const numbers = this.#numbers;
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

  get #hasNoGap(): boolean {
    return this.#last - this.#first === this.#size - 1;
  }

  #measure(): void {
    this.#size = this.#numbers.length;
    if (this.#size === 0) return;
    this.#first = this.#numbers[0] as WindowNumber;
    this.#last = this.#numbers[this.#size - 1] as WindowNumber;
  }
}
