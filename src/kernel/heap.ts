/**
 * A binary min-heap. Equal items leave in the order they came if the comparison says so; the virtual clock compares time, then sequence.
 */
export class Heap<Item> {
  readonly #items: Item[] = [];
  readonly #compare: (a: Item, b: Item) => number;

  constructor(compare: (a: Item, b: Item) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): Item | undefined {
    return this.#items[0];
  }

  push(item: Item): void {
    this.#items.push(item);
    this.#rise(this.#items.length - 1);
  }

  pop(): Item | undefined {
    const top = this.#items[0];
    const last = this.#items.pop();
    if (last !== undefined && this.#items.length > 0) {
      this.#items[0] = last;
      this.#sink(0);
    }
    return top;
  }

  #rise(from: number): void {
    let child = from;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!this.#swapIfLess(child, parent)) return;
      child = parent;
    }
  }

  #sink(from: number): void {
    let parent = from;
    for (;;) {
      const left = parent * 2 + 1;
      const right = left + 1;
      const child = right < this.#items.length && this.#less(right, left) ? right : left;
      if (child >= this.#items.length || !this.#swapIfLess(child, parent)) return;
      parent = child;
    }
  }

  #less(a: number, b: number): boolean {
    return this.#compare(this.#items[a] as Item, this.#items[b] as Item) < 0;
  }

  #swapIfLess(lower: number, upper: number): boolean {
    if (!this.#less(lower, upper)) return false;
    const item = this.#items[lower] as Item;
    this.#items[lower] = this.#items[upper] as Item;
    this.#items[upper] = item;
    return true;
  }
}
