/**
 * Who may ask us for blocks at all.
 *
 * Our own kind is never choked: its share follows its priority, which never falls to nothing, so there is no reason to turn it away. Ordinary
 * clients play tit for tat, and choking is the only word they understand: everybody interested is unchoked while there is a slot, because an idle
 * uplink helps nobody; when slots run out, those that gave us most keep theirs (while we have everything: those whose block of addresses got least, so that
 * neither many peers of one party nor one that comes back again and again has more turns), one slot goes round by turns, and nobody loses a slot within 10 s of getting it (no fibrillation, BEP 3). Slots follow the upload limit, so that
 * each is worth having. Among the unchoked the upload queue shares by priority in any case.
 */
import type { BytesPerSecond, Milliseconds } from '../../kernel/units.js';
import type { Neighbour } from './neighbour.js';
import type { TransferContext } from './transfer-context.js';
import type { Uploader } from './uploader.js';

/** A slot below this is not worth having: a block a second. */
const SLOT_BYTES_PER_SECOND: BytesPerSecond = 16 * 1024;
const SLOTS_MIN = 4;
/** TCP connections that send at once; more only get in each other's way. */
const SLOTS_MAX = 64;
const ROUND_MS: Milliseconds = 10_000;
/** The optimistic slot moves on every third round (BEP 3). */
const OPTIMISTIC_ROUNDS = 3;

export class Choker {
  readonly #context: TransferContext;
  readonly #uploader: Uploader;
  /** When each was unchoked last. */
  readonly #unchokedMs = new Map<Neighbour, Milliseconds>();
  #roundMs: Milliseconds | undefined;
  #rounds = 0;
  #optimistic: Neighbour | undefined;

  constructor(context: TransferContext, uploader: Uploader) {
    this.#context = context;
    this.#uploader = uploader;
  }

  greet(neighbour: Neighbour): void {
    if (neighbour.introduction.kin && !neighbour.isWebSeed) this.#unchoke(neighbour);
  }

  onInterest(neighbour: Neighbour): void {
    if (neighbour.amChoking && neighbour.isInterested && this.#busySlots() < this.#slots()) this.#unchoke(neighbour);
  }

  dropPeer(neighbour: Neighbour): void {
    this.#unchokedMs.delete(neighbour);
    if (this.#optimistic === neighbour) this.#optimistic = undefined;
  }

  /** Often; acts every 10 s. */
  review(): void {
    const { nowMs } = this.#context;
    if (this.#roundMs !== undefined && nowMs - this.#roundMs < ROUND_MS) return;
    this.#roundMs = nowMs;
    this.#rounds += 1;
    const asking = [...this.#context.neighbours.values()].filter((neighbour) => isOther(neighbour) && neighbour.isInterested);
    const slots = this.#slots();
    if (asking.length <= slots) {
      for (const neighbour of asking) this.#unchoke(neighbour);
      return;
    }
    const chosen = new Set(this.#ranked(asking).slice(0, slots - 1));
    const optimistic = this.#nextOptimistic(asking.filter((neighbour) => !chosen.has(neighbour)));
    if (optimistic !== undefined) chosen.add(optimistic);
    for (const neighbour of this.#context.neighbours.values()) {
      if (isOther(neighbour) && !chosen.has(neighbour)) this.#choke(neighbour);
    }
    for (const neighbour of chosen) this.#unchoke(neighbour);
  }

  #slots(): number {
    const { bytesPerSecond } = this.#context.options.uplink;
    if (bytesPerSecond === 0) return SLOTS_MAX;
    return Math.max(SLOTS_MIN, Math.min(SLOTS_MAX, Math.floor(bytesPerSecond / SLOT_BYTES_PER_SECOND)));
  }

  #busySlots(): number {
    let count = 0;
    for (const neighbour of this.#context.neighbours.values()) {
      if (isOther(neighbour) && !neighbour.amChoking && neighbour.isInterested) count += 1;
    }
    return count;
  }

  /** The best first. While we have everything, a second one of a block of addresses comes after the first of every block. */
  #ranked(asking: readonly Neighbour[]): readonly Neighbour[] {
    const ranked = asking.toSorted((a, b) => this.#compare(a, b));
    if (!this.#context.isComplete) return ranked;
    const seen = new Map<string, number>();
    const turns = ranked.map((neighbour) => {
      const { addressGroup } = neighbour.introduction;
      const turn = seen.get(addressGroup) ?? 0;
      seen.set(addressGroup, turn + 1);
      return { neighbour, turn };
    });
    return turns.toSorted((a, b) => a.turn - b.turn).map(({ neighbour }) => neighbour);
  }

  #compare(a: Neighbour, b: Neighbour): number {
    const byMerit = this.#context.isComplete
      ? this.#uploader.givenTo(a) - this.#uploader.givenTo(b)
      : b.standing.priority - a.standing.priority;
    return byMerit || a.upBytes - b.upBytes || Number(a.amChoking) - Number(b.amChoking) || a.number - b.number;
  }

  /** Stays for its rounds; then the one whose block of addresses has waited longest. */
  #nextOptimistic(others: readonly Neighbour[]): Neighbour | undefined {
    const isDue = this.#rounds % OPTIMISTIC_ROUNDS === 1 || this.#optimistic === undefined || !others.includes(this.#optimistic);
    if (!isDue) return this.#optimistic;
    const lastMs = new Map<string, Milliseconds>();
    for (const [{ introduction }, atMs] of this.#unchokedMs)
      lastMs.set(introduction.addressGroup, Math.max(atMs, lastMs.get(introduction.addressGroup) ?? atMs));
    const sinceMs = ({ introduction }: Neighbour): Milliseconds => lastMs.get(introduction.addressGroup) ?? Number.NEGATIVE_INFINITY;
    this.#optimistic = others.toSorted((a, b) => compare(sinceMs(a), sinceMs(b)) || a.upBytes - b.upBytes || b.number - a.number)[0];
    return this.#optimistic;
  }

  #unchoke(neighbour: Neighbour): void {
    if (!neighbour.amChoking) return;
    neighbour.amChoking = false;
    this.#unchokedMs.set(neighbour, this.#context.nowMs);
    this.#context.send(neighbour, { kind: 'unchoke' });
  }

  #choke(neighbour: Neighbour): void {
    const sinceMs = this.#context.nowMs - (this.#unchokedMs.get(neighbour) ?? Number.NEGATIVE_INFINITY);
    if (neighbour.amChoking || sinceMs < ROUND_MS) return;
    neighbour.amChoking = true;
    this.#context.send(neighbour, { kind: 'choke' });
    this.#uploader.drop(neighbour);
  }
}

function isOther(neighbour: Neighbour): boolean {
  return !neighbour.isWebSeed && !neighbour.introduction.kin;
}

/** Of times that may be infinite. */
function compare(a: Milliseconds, b: Milliseconds): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
