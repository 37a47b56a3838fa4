/**
 * The trackers of a torrent, in tiers (BEP 12): of each tier one tracker at a time is announced to, the next one when it fails.
 *
 * A tier is shuffled at the start; a tracker that answers moves to its tier's front and is stayed with until it fails. The tiers of an
 * ordinary torrent are announced to side by side, as most clients do, because magnet links put every tracker in a tier of its own. A
 * private torrent has one tracker in all at a time (BEP 27), and goes to the next tier only when a whole tier has failed. When nobody
 * answers, the round begins again after growing pauses, which are the tracker client's own.
 *
 * Source: BEP 12, BEP 27.
 */
import type { Rng } from '../../kernel/rng.js';
import type { Milliseconds } from '../../kernel/units.js';
import { TrackerClient, type TrackerClientOptions, type TrackerStatus } from './tracker-client.js';

export interface TrackerTiersOptions extends Omit<TrackerClientOptions, 'trackers' | 'onOutcome'> {
  /** http, https and udp URLs; the first tier is the best. */
  readonly tiers: readonly (readonly string[])[];
  /** BEP 27: one tracker at a time. */
  readonly isPrivate: boolean;
  readonly rng: Rng;
  /** The trackers left for another one; for a private torrent all peers are to be let go then. */
  onSwitch?(from: string, to: string): void;
}

/** Trackers of a torrent that are looked at; honest ones have a dozen. */
const TRACKERS_MAX = 64;
/** A tracker that has never answered is left at its first failure; one that has, at its third in a row. */
const FAILURES_OF_KNOWN_MAX = 3;
const ROUND_PAUSE_MS: Milliseconds = 5_000;
const ROUND_PAUSE_MAX_MS: Milliseconds = 300_000;

export class TrackerTiers {
  readonly #chains: Chain[];
  #isStopped = false;

  constructor(options: TrackerTiersOptions) {
    const tiers = usableTiers(options.tiers).map((tier) => shuffled(tier, options.rng));
    const groups = options.isPrivate ? [tiers] : tiers.map((tier) => [tier]);
    this.#chains = groups.filter((group) => group.length > 0).map((group) => new Chain(group, options));
  }

  start(): void {
    if (!this.#isStopped) for (const chain of this.#chains) chain.start();
  }

  announceNow(): void {
    for (const chain of this.#chains) chain.announceNow();
  }

  /** All has been downloaded: each tracker announced to is told once. */
  complete(): void {
    for (const chain of this.#chains) chain.complete();
  }

  /** Sends `stopped` where we are known; settles within about a second. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#chains.map((chain) => chain.stop()));
  }

  /** Of the trackers announced to now, and of those that were tried. */
  status(): TrackerStatus[] {
    return this.#chains.flatMap((chain) => chain.status());
  }
}

/** Trackers of which one at a time is announced to: a tier, or all tiers of a private torrent. */
class Chain {
  readonly #tiers: string[][];
  readonly #options: TrackerTiersOptions;
  readonly #past = new Map<string, TrackerStatus>();
  /** Farewells under way. */
  readonly #leaving = new Set<Promise<void>>();
  #at: { tier: number; place: number } = { tier: 0, place: 0 };
  #client: TrackerClient | undefined;
  #url = '';
  #hasAnswered = false;
  #failureCount = 0;
  #roundCount = 0;
  #pause: NodeJS.Timeout | undefined;
  #isComplete = false;

  constructor(tiers: string[][], options: TrackerTiersOptions) {
    this.#tiers = tiers;
    this.#options = options;
  }

  start(): void {
    const url = this.#tiers[this.#at.tier]?.[this.#at.place];
    if (url === undefined || this.#client !== undefined) return;
    this.#url = url;
    this.#hasAnswered = false;
    this.#failureCount = 0;
    this.#client = new TrackerClient({ ...this.#options, trackers: [url], onOutcome: (_, isAnswered) => this.#onOutcome(isAnswered) });
    this.#client.start();
  }

  announceNow(): void {
    this.#client?.announceNow();
  }

  complete(): void {
    if (this.#isComplete) return;
    this.#isComplete = true;
    this.#client?.complete();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#pause);
    this.#leave();
    await Promise.all(this.#leaving);
  }

  status(): TrackerStatus[] {
    const current = this.#client?.status() ?? [];
    return [...current, ...[...this.#past].filter(([url]) => url !== this.#url).map(([, status]) => status)];
  }

  #onOutcome(isAnswered: boolean): void {
    if (this.#client === undefined) return;
    if (isAnswered) {
      this.#onAnswered();
      return;
    }
    this.#failureCount++;
    const isPatient = this.#hasAnswered && this.#failureCount < FAILURES_OF_KNOWN_MAX;
    const isAlone = this.#tiers.length === 1 && this.#tiers[0]?.length === 1;
    if (!isPatient && !isAlone) this.#moveOn();
  }

  #onAnswered(): void {
    this.#hasAnswered = true;
    this.#failureCount = 0;
    this.#roundCount = 0;
    const tier = this.#tiers[this.#at.tier];
    tier?.unshift(...tier.splice(this.#at.place, 1));
    this.#at = { ...this.#at, place: 0 };
  }

  #moveOn(): void {
    const from = this.#url;
    const hadAnswered = this.#hasAnswered;
    this.#leave();
    const isRoundOver = this.#advance();
    const delayMs = isRoundOver ? Math.min(ROUND_PAUSE_MAX_MS, (this.#options.retryMinMs ?? ROUND_PAUSE_MS) * 2 ** this.#roundCount++) : 0;
    this.#pause = setTimeout(() => {
      this.start();
      if (hadAnswered) this.#options.onSwitch?.(from, this.#url);
    }, delayMs);
  }

  /** The next of the tier, else the first of the next tier; true when that begins the round again. */
  #advance(): boolean {
    const { tier, place } = this.#at;
    if (place + 1 < (this.#tiers[tier]?.length ?? 0)) {
      this.#at = { tier, place: place + 1 };
      return false;
    }
    const next = (tier + 1) % this.#tiers.length;
    this.#at = { tier: next, place: 0 };
    return next === 0;
  }

  #leave(): void {
    const client = this.#client;
    if (client === undefined) return;
    this.#client = undefined;
    for (const status of client.status()) this.#past.set(this.#url, status);
    const leaving = client.stop();
    this.#leaving.add(leaving);
    void leaving.then(() => this.#leaving.delete(leaving));
  }
}

/** Every tracker once, 64 at most. */
function usableTiers(tiers: readonly (readonly string[])[]): string[][] {
  const seen = new Set<string>();
  return tiers
    .map((tier) =>
      tier.filter((url) => {
        if (seen.has(url) || seen.size >= TRACKERS_MAX) return false;
        seen.add(url);
        return true;
      }),
    )
    .filter((tier) => tier.length > 0);
}

function shuffled(tier: readonly string[], rng: Rng): string[] {
  const order = [...tier];
  for (let last = order.length - 1; last > 0; last--) {
    const other = rng.below(last + 1);
    [order[last], order[other]] = [order[other] ?? '', order[last] ?? ''];
  }
  return order;
}
