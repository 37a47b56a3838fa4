/**
 * How many neighbours hold each piece, and the pieces worth starting in that order, rarest first.
 *
 * Neighbours that hold everything are one number for all pieces, so one that comes or goes costs nothing. The others are counted piece by
 * piece, and a listed piece moves between neighbouring buckets of one array by a swap: constant work for each HAVE. Listing and
 * unlisting cost one step for every bucket above, at most one for each neighbour.
 *
 * After the piece pickers of libtorrent and the original client: an array sorted by availability with the bounds of its buckets.
 */

/** Counting stops here; more holders make no difference to anybody. */
const HOLDERS_MAX = 1_000;

export class Rarity {
  readonly #counts: Uint16Array;
  readonly #lists: (BucketList | undefined)[] = [];
  /** Level that the piece is listed at; 0: not listed. */
  readonly #levels: Uint8Array;
  readonly #place: Int32Array;
  /** Neighbours that hold everything. */
  seeders = 0;

  constructor(pieceCount: number) {
    this.#counts = new Uint16Array(pieceCount);
    this.#levels = new Uint8Array(pieceCount);
    this.#place = new Int32Array(pieceCount);
  }

  /** Neighbours that hold the piece. */
  holders(piece: number): number {
    return (this.#counts[piece] as number) + this.seeders;
  }

  /** Neighbours that hold the piece and not everything. */
  partialHolders(piece: number): number {
    return this.#counts[piece] as number;
  }

  gained(piece: number): void {
    const count = this.#counts[piece] as number;
    if (count >= HOLDERS_MAX) return;
    this.#counts[piece] = count + 1;
    this.#listOf(piece)?.rise(piece, count);
  }

  lost(piece: number): void {
    const count = this.#counts[piece] as number;
    if (count === 0) return;
    this.#counts[piece] = count - 1;
    this.#listOf(piece)?.fall(piece, count);
  }

  /** Lists the piece at a level, 1 to 3, or (0) takes it off. */
  list(piece: number, level: number): void {
    if (this.#levels[piece] === level) return;
    const count = this.#counts[piece] as number;
    this.#listOf(piece)?.remove(piece, count);
    this.#levels[piece] = level;
    if (level === 0) return;
    const list = this.#lists[level] ?? new BucketList(this.#place);
    this.#lists[level] = list;
    list.insert(piece, count);
  }

  /** How many pieces are listed at the level. */
  size(level: number): number {
    return this.#lists[level]?.size ?? 0;
  }

  /** The piece at this place of the level's order; the caller keeps below `size`. */
  at(level: number, place: number): number {
    return this.#lists[level]?.at(place) ?? -1;
  }

  /** Where in the level's order pieces with so many partial holders begin. */
  start(level: number, holders: number): number {
    return this.#lists[level]?.start(holders) ?? 0;
  }

  #listOf(piece: number): BucketList | undefined {
    const level = this.#levels[piece] as number;
    return level === 0 ? undefined : this.#lists[level];
  }
}

/** Pieces sorted by a small number, with constant-time steps up and down. */
class BucketList {
  readonly #order: number[] = [];
  readonly #place: Int32Array;
  /** Where each bucket begins; the last one reaches to the end. */
  readonly #starts: number[] = [0];

  /** @param place where each piece stands, shared with other lists that hold other pieces. */
  constructor(place: Int32Array) {
    this.#place = place;
  }

  get size(): number {
    return this.#order.length;
  }

  at(place: number): number {
    return this.#order[place] as number;
  }

  start(bucket: number): number {
    return this.#starts[bucket] ?? this.#order.length;
  }

  insert(piece: number, bucket: number): void {
    this.#grow(bucket);
    // Each bucket above gives its first place to the one below and gets one at its end.
    let hole = this.#order.length;
    this.#order.push(piece);
    for (let above = this.#starts.length - 1; above > bucket; above--) {
      const first = this.#starts[above] as number;
      this.#starts[above] = first + 1;
      if (first === hole) continue;
      this.#put(this.#order[first] as number, hole);
      hole = first;
    }
    this.#put(piece, hole);
  }

  remove(piece: number, bucket: number): void {
    let hole = this.#place[piece] as number;
    for (let at = bucket; at < this.#starts.length; at++) {
      const last = (this.#starts[at + 1] ?? this.#order.length) - 1;
      if (at + 1 < this.#starts.length) this.#starts[at + 1] = last;
      if (last === hole) continue;
      this.#put(this.#order[last] as number, hole);
      hole = last;
    }
    this.#order.pop();
  }

  /** From `bucket` to the next one. */
  rise(piece: number, bucket: number): void {
    this.#grow(bucket + 1);
    const last = (this.#starts[bucket + 1] as number) - 1;
    this.#swap(this.#place[piece] as number, last);
    this.#starts[bucket + 1] = last;
  }

  /** From `bucket` to the one before. */
  fall(piece: number, bucket: number): void {
    const first = this.#starts[bucket] as number;
    this.#swap(this.#place[piece] as number, first);
    this.#starts[bucket] = first + 1;
  }

  #grow(bucket: number): void {
    while (this.#starts.length <= bucket) this.#starts.push(this.#order.length);
  }

  #swap(a: number, b: number): void {
    const [left, right] = [this.#order[a] as number, this.#order[b] as number];
    this.#put(left, b);
    this.#put(right, a);
  }

  #put(piece: number, place: number): void {
    this.#order[place] = piece;
    this.#place[piece] = place;
  }
}
