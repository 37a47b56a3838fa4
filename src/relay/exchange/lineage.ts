/**
 * Which of several contents under one number is followed: the one that goes on where ours does.
 *
 * Publishers of one source make equal windows, and there is nothing to choose. Where they differ (a source that is not one, a publisher that lost a
 * packet), a viewer must not mix them: pieces of one do not fit the hashes of the other. So each number has one content to be fetched, chosen from what
 * neighbours claim before anything of it is here: first what those name whose last window was ours too, then what more of them name. Whoever names
 * another one is not asked. Claims are hearsay; a signed manifest settles the matter.
 *
 * When only strangers to our line have the next window, it is waited for a little; then their line is taken, and players are told of a break.
 */
import type { Milliseconds, WindowNumber } from '../../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import type { ContentVersion } from './manifest.js';
import type { Neighbour } from './neighbour.js';

/** How long our own line may be late before another one is taken: a publisher reveals a window to everybody within three quarters of a second. */
const PATIENCE_MS: Milliseconds = 1_200;

interface Choice {
  version: ContentVersion | undefined;
  readonly sinceMs: Milliseconds;
  /** Taken from another line than the window before. */
  crosses: boolean;
}

interface Claim {
  readonly version: ContentVersion;
  /** Claimants of our line, and those of another one. */
  kin: number;
  strangers: number;
  count: number;
}

export class Lineage {
  readonly #context: ExchangeContext;
  readonly #choices = new Map<WindowNumber, Choice>();

  constructor(context: ExchangeContext) {
    this.#context = context;
  }

  /** The content to fetch under this number; undefined while nobody has named one, and any will do. */
  of(number: WindowNumber): ContentVersion | undefined {
    return this.#context.buffer.get(number)?.version ?? this.#choices.get(number)?.version;
  }

  /** A publisher of our line: it holds the window, or will in a moment, even if it has not shown it to us. */
  isPublisherOf(neighbour: Neighbour, number: WindowNumber): boolean {
    return neighbour.publisher && neighbour.onAir && this.#isKin(neighbour, number);
  }

  /** Only another line has this window so far, and ours may still come. */
  waits(number: WindowNumber): boolean {
    if (this.#context.buffer.get(number)) return false;
    const choice = this.#choices.get(number);
    return choice !== undefined && choice.version === undefined;
  }

  /** The window comes from another line than the one before it. */
  crosses(number: WindowNumber): boolean {
    return this.#choices.get(number)?.crosses === true;
  }

  /** Whether the neighbour has, or is taken to have, the content that is followed. */
  has(neighbour: Neighbour, number: WindowNumber): boolean {
    return neighbour.map.has(number, this.of(number));
  }

  /**
   * A neighbour has spoken of this window, or time has passed.
   *
   * @param mayChange nothing of the window is here yet.
   * @returns whether another content is followed now than before.
   */
  consider(number: WindowNumber, mayChange: boolean): boolean {
    const { buffer, nowMs } = this.#context;
    if (buffer.get(number)) return false;
    const claims = this.#claims(number);
    const known = this.#choices.get(number);
    const [best] = claims;
    if (best === undefined) {
      // Numbers that nobody speaks of any more were made up, or are gone; there is no end to those that can be made up.
      if (!this.#context.maps().some((map) => map.get(number))) this.#choices.delete(number);
      return false;
    }
    const current = claims.find(({ version }) => version === known?.version);
    if (current && (!mayChange || current === best || rank(current) === rank(best))) return false;
    const sinceMs = known?.sinceMs ?? nowMs;
    const isForeign = best.kin === 0 && best.strangers > 0;
    const waits = isForeign && nowMs - sinceMs < PATIENCE_MS && this.#hasKin(number);
    const version = waits ? undefined : best.version;
    this.#choices.set(number, { version, sinceMs, crosses: isForeign });
    return known !== undefined && known.version !== undefined && known.version !== version;
  }

  /** Numbers whose choice is open, or may have been wrong. */
  undecided(): readonly WindowNumber[] {
    return [...this.#choices.keys()].filter((number) => !this.#context.buffer.get(number));
  }

  forgetBelow(number: WindowNumber): void {
    for (const known of this.#choices.keys()) if (known < number) this.#choices.delete(known);
  }

  /** What neighbours name, the best first. */
  #claims(number: WindowNumber): readonly Claim[] {
    const claims = new Map<ContentVersion, Claim>();
    for (const neighbour of this.#context.neighbours.values()) {
      const version = neighbour.map.get(number)?.version;
      if (version === undefined) continue;
      const claim = claims.get(version) ?? { version, kin: 0, strangers: 0, count: 0 };
      claims.set(version, claim);
      claim.count += 1;
      const isKin = this.#relationTo(neighbour, number);
      if (isKin === true) claim.kin += 1;
      if (isKin === false) claim.strangers += 1;
    }
    return [...claims.values()].sort((a, b) => rank(b) - rank(a) || a.version - b.version);
  }

  /** The newest window that both have is not another one. To whom it holds the same, a peer does not name its version again. */
  #isKin({ map }: Neighbour, number: WindowNumber): boolean {
    let isKin = false;
    for (const window of this.#context.buffer.windows()) {
      if (window.number < number && map.get(window.number)) isKin = map.has(window.number, window.version);
    }
    return isKin;
  }

  /** A neighbour is of our line, and may get this window too. */
  #hasKin(number: WindowNumber): boolean {
    return [...this.#context.neighbours.values()].some((neighbour) => this.#relationTo(neighbour, number) === true);
  }

  /** Whether the neighbour has our content of the newest window of which it has named one; undefined before it has. */
  #relationTo({ map }: Neighbour, number: WindowNumber): boolean | undefined {
    let isKin: boolean | undefined;
    for (const window of this.#context.buffer.windows()) {
      if (window.number >= number) break;
      const version = map.get(window.number)?.version;
      if (version !== undefined) isKin = version === window.version;
    }
    return isKin;
  }
}

/** Kin outweigh any number of others; more claimants outweigh fewer. */
function rank({ kin, strangers, count }: Claim): number {
  return Math.sign(kin) * 1_000_000 + (kin - strangers) * 1_000 + count;
}
