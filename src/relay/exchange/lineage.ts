/**
 * Which of several contents under one number is followed: the one that goes on where ours does.
 *
 * Publishers of one source make equal windows, and there is nothing to choose. Where they differ (a source that is not one, a publisher that lost a
 * packet), a viewer must not mix them: pieces of one do not fit the hashes of the other. So each number has one content to be fetched, chosen from what
 * neighbours claim before anything of it is here: first what those name whose last window was ours too, then what more of them name. Whoever names
 * another one is not asked. Claims are hearsay; a signed manifest settles the matter: what a publisher has signed that was proven to differ from our line
 * (`ConflictWatch`) is not taken while ours may still come.
 *
 * When only strangers to our line have the next window, it is waited for a little; then their line is taken, and players are told of a break.
 */
import { sameBytes } from '../../kernel/bytes.js';
import type { Milliseconds, WindowNumber } from '../../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import type { ContentVersion, Manifest } from './manifest.js';
import type { Neighbour } from './neighbour.js';
import { NO_SUBSTREAMS } from './substreams.js';
import { WindowRow } from './window-row.js';

/** How long our own line may be late before another one is taken: a publisher reveals one that others contradict within 1.2 s. */
const PATIENCE_MS: Milliseconds = 1_200;

/** The same where only neighbours have named the window that we have nothing in common with yet. */
const STRANGER_MS: Milliseconds = 250;
/** Whoever comes later than this after the first word is new to a viewer. */
const BEGINNING_MS: Milliseconds = 2_000;
/** A publisher that differed counts as a rival for so long, and as one beyond doubt once it has differed under so many numbers. */
const RIVAL_MS: Milliseconds = 60_000;
const RIVAL_NUMBERS = 2;
const RIVALS_MAX = 16;
/** Two publishers that contradict each other do so at every window; who has not for so long agrees again. */
const CONTRADICTION_MS: Milliseconds = 20_000;
/** Who has watched for less than this may change over without having followed anybody yet. */
const YOUNG_MS: Milliseconds = 10_000;

/** A content that others contradict, and of which nobody has shown the signature for so long after it was chosen, is taken for made up. */
const UNPROVEN_MS: Milliseconds = 800;
/** Contents under one number that are taken for made up; beyond that all are listened to again. */
const UNPROVEN_MAX = 8;

interface Rival {
  readonly numbers: Set<WindowNumber>;
  lastMs: Milliseconds;
}

interface Choice {
  version: ContentVersion | undefined;
  readonly sinceMs: Milliseconds;
  /** When this version was chosen. */
  readonly chosenMs: Milliseconds;
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
  readonly #choices = new WindowRow<Choice>();
  /** Publishers that differ from our line, by their keys. */
  readonly #rivals = new Map<string, Rival>();
  /** Pairs of publishers that have contradicted each other, how often, and when last. */
  readonly #contradictions = new Map<string, { readonly count: number; readonly lastMs: Milliseconds }>();
  /** Contents that a rival has signed, by number. */
  readonly #refused = new Map<WindowNumber, Set<ContentVersion>>();
  /** Contents that nobody could show a signature for, by number. */
  readonly #unproven = new Map<WindowNumber, Set<ContentVersion>>();
  /** When neighbours last named different contents under one number. */
  #contestedMs: Milliseconds = Number.NEGATIVE_INFINITY;
  /** When the first window was spoken of. */
  #firstMs: Milliseconds | undefined;

  constructor(context: ExchangeContext) {
    this.#context = context;
  }

  /** The content to fetch under this number; undefined while nobody has named one, and any will do. */
  of(number: WindowNumber): ContentVersion | undefined {
    return this.#context.buffer.get(number)?.version ?? this.#choices.get(number)?.version;
  }

  /** A publisher of our line: it holds the window, or will in a moment, even if it has not shown it to us. */
  isPublisherOf(neighbour: Neighbour, number: WindowNumber): boolean {
    return neighbour.publisher && neighbour.onAir && !neighbour.lacks(number) && this.#isKin(neighbour, number);
  }

  /** Nothing speaks of publishers that differ, nor does anybody believable say that they do. */
  get isCalm(): boolean {
    const { nowMs } = this.#context;
    if (nowMs - this.#contestedMs < CONTRADICTION_MS) return false;
    for (const { lastMs } of this.#rivals.values()) if (nowMs - lastMs <= RIVAL_MS) return false;
    for (const { lastMs } of this.#contradictions.values()) if (nowMs - lastMs < CONTRADICTION_MS) return false;
    return true;
  }

  /** Only another line has this window so far, and ours may still come. */
  waits(number: WindowNumber): boolean {
    if (this.#context.buffer.get(number)) return false;
    const choice = this.#choices.get(number);
    return choice !== undefined && choice.version === undefined;
  }

  /** Whether the stream goes over to another line between two windows that follow each other. */
  breaks(before: Manifest, after: Manifest): boolean {
    const [one, other] = [this.#context.signerOf(before), this.#context.signerOf(after)];
    // One key that signs two contents cannot tell them apart; then only what was chosen says so.
    if (sameBytes(one, other)) return this.#contradictions.size === 0 && this.#choices.get(after.number)?.crosses === true;
    const contradiction = this.#contradictions.get(pairOf(one, other));
    return (
      contradiction !== undefined && contradiction.count >= RIVAL_NUMBERS && this.#context.nowMs - contradiction.lastMs < CONTRADICTION_MS
    );
  }

  /**
   * Two publishers have signed different contents under one number; so far the first one is followed. Whoever has only just begun to watch goes over to
   * the lower key, so that all who begin at once follow the same one; everybody else stays.
   *
   * @returns the two, the one that is followed first.
   */
  settle([ours, theirs]: readonly [Uint8Array, Uint8Array], number: WindowNumber): readonly [Uint8Array, Uint8Array] {
    if (sameBytes(ours, theirs)) return [ours, theirs];
    this.#noteContradiction(pairOf(ours, theirs));
    const isYoung = this.#context.nowMs - (this.#firstMs ?? this.#context.nowMs) < YOUNG_MS;
    const yields = isYoung && isLower(theirs, ours);
    this.#noteRival(yields ? ours : theirs, number);
    if (!yields) return [ours, theirs];
    this.#rivals.delete(nameOf(theirs));
    return [theirs, ours];
  }

  /** This content is of the line that has been left; it has just gone from the buffer. */
  leave(number: WindowNumber, version: ContentVersion): void {
    this.#refused.set(number, (this.#refused.get(number) ?? new Set()).add(version));
    this.#choices.delete(number);
  }

  #noteContradiction(pair: string): void {
    const { nowMs } = this.#context;
    const known = this.#contradictions.get(pair);
    const count = known && nowMs - known.lastMs < CONTRADICTION_MS ? known.count + 1 : 1;
    this.#contradictions.set(pair, { count, lastMs: nowMs });
    for (const oldest of this.#contradictions.keys()) if (this.#contradictions.size > RIVALS_MAX) this.#contradictions.delete(oldest);
  }

  #noteRival(publisher: Uint8Array, number: WindowNumber): void {
    const name = nameOf(publisher);
    const rival = this.#rivals.get(name) ?? { numbers: new Set(), lastMs: 0 };
    this.#rivals.set(name, rival);
    rival.lastMs = this.#context.nowMs;
    if (rival.numbers.size < RIVAL_NUMBERS) rival.numbers.add(number);
    for (const oldest of this.#rivals.keys()) if (this.#rivals.size > RIVALS_MAX) this.#rivals.delete(oldest);
  }

  /** Whether a signed window is left alone, because a rival of our line has signed it and ours may still come. */
  refuses({ number, version, signer }: Pick<Manifest, 'number' | 'version' | 'signer'>): boolean {
    const { nowMs } = this.#context;
    const rival = this.#rivals.get(nameOf(this.#context.signerOf({ signer })));
    if (!rival || nowMs - rival.lastMs > RIVAL_MS) return false;
    const choice = this.#choices.get(number);
    if (choice && nowMs - choice.sinceMs >= PATIENCE_MS) {
      // Ours has not come: from here on this is our line.
      choice.crosses = true;
      this.#rivals.clear();
      return false;
    }
    const isAlone = this.#claims(number).every((claim) => claim.version === version);
    if (isAlone && rival.numbers.size < RIVAL_NUMBERS) return false;
    this.#refused.set(number, (this.#refused.get(number) ?? new Set()).add(version));
    return true;
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
    this.#firstMs ??= nowMs;
    const known = this.#choices.get(number);
    if (known && nowMs - known.sinceMs >= PATIENCE_MS) this.#refused.delete(number);
    if (known?.version !== undefined && this.#isAgreed(number, known.version)) return false;
    const claims = this.#claims(number);
    const [best] = claims;
    if (claims.length > 1) this.#contestedMs = nowMs;
    if (best === undefined) {
      if (this.#refused.has(number)) return this.#waitFor(number, known);
      // Numbers that nobody speaks of any more were made up, or are gone; there is no end to those that can be made up.
      if (!this.#context.maps().some((map) => map.get(number))) this.#choices.delete(number);
      return false;
    }
    const current = claims.find(({ version }) => version === known?.version);
    if (current && (!mayChange || current === best || rank(current) === rank(best))) return false;
    const sinceMs = known?.sinceMs ?? nowMs;
    const isForeign = best.kin === 0 && best.strangers > 0;
    // What our kin have has been refused: theirs is the line to leave.
    // Somebody of whom we know nothing yet may be of our line or not; those who are will say in a moment.
    const patienceMs = isForeign ? PATIENCE_MS : best.kin === 0 ? this.#strangerMs(number, best.version) : 0;
    const waits = !this.#refused.has(number) && nowMs - sinceMs < patienceMs && this.#hasKin(number);
    const version = waits ? undefined : best.version;
    const chosenMs = known && known.version === version ? known.chosenMs : nowMs;
    this.#choices.set(number, { version, sinceMs, chosenMs, crosses: isForeign });
    return known !== undefined && known.version !== undefined && known.version !== version;
  }

  /** To those who are fed neighbours tell their news late: those of a publisher that is new may well come before those of our kin. */
  #strangerMs(number: WindowNumber, version: ContentVersion): Milliseconds {
    const all = this.#context.neighbours.values();
    const isFed = all.some(({ feeds }) => feeds !== NO_SUBSTREAMS);
    const beganMs = (this.#firstMs ?? 0) + BEGINNING_MS;
    const isNew = ({ publisher, sinceMs }: Neighbour): boolean => publisher && sinceMs > beganMs;
    return isFed && all.every((neighbour) => isNew(neighbour) || neighbour.map.get(number)?.version !== version)
      ? PATIENCE_MS
      : STRANGER_MS;
  }

  /** Nobody names a content that is acceptable yet. */
  #waitFor(number: WindowNumber, known: Choice | undefined): boolean {
    const { nowMs } = this.#context;
    this.#choices.set(number, { version: undefined, sinceMs: known?.sinceMs ?? nowMs, chosenMs: nowMs, crosses: false });
    return known?.version !== undefined;
  }

  /**
   * Gives up a content that nobody shows the signature for, while others name another one: words alone could keep everybody from any window.
   *
   * @param hasAsked whether a neighbour was asked for the manifest, and has not answered.
   * @returns whether it was given up: what came of it early is worth nothing.
   */
  giveUpUnproven(number: WindowNumber, hasAsked: (neighbour: Neighbour) => boolean): boolean {
    const { buffer, nowMs, neighbours } = this.#context;
    const choice = this.#choices.get(number);
    if (choice?.version === undefined || buffer.get(number) || nowMs - choice.chosenMs < UNPROVEN_MS) return false;
    if (this.#isAgreed(number, choice.version)) return false;
    const naming = neighbours.values().filter(({ map }) => map.get(number)?.version === choice.version);
    if (!naming.some(hasAsked) || this.#claims(number).every(({ version }) => version === choice.version)) return false;
    for (const neighbour of naming.filter(hasAsked)) neighbour.emptyClaims += 1;
    const unproven = this.#unproven.get(number) ?? new Set();
    if (unproven.size >= UNPROVEN_MAX) unproven.clear();
    this.#unproven.set(number, unproven.add(choice.version));
    this.#choices.delete(number);
    this.consider(number, true);
    return true;
  }

  /** Numbers above this one whose choice is open, or may have been wrong. */
  undecided(above: WindowNumber): readonly WindowNumber[] {
    const { numbers } = this.#choices;
    const undecided: WindowNumber[] = [];
    for (let at = this.#choices.indexFrom(above + 1); at < numbers.length; at++)
      if (!this.#context.buffer.get(numbers[at] as WindowNumber)) undecided.push(numbers[at] as WindowNumber);
    return undecided;
  }

  forgetBelow(number: WindowNumber): void {
    this.#choices.dropBelow(number);
    for (const known of this.#refused.keys()) if (known < number) this.#refused.delete(known);
    for (const known of this.#unproven.keys()) if (known < number) this.#unproven.delete(known);
  }

  /** The usual case, seen at one look: somebody names this content, and nobody another one. */
  #isAgreed(number: WindowNumber, version: ContentVersion): boolean {
    if (this.#refused.has(number) || this.#unproven.has(number)) return false;
    let isNamed = false;
    for (const { map } of this.#context.neighbours.values()) {
      const named = map.get(number)?.version;
      if (named === undefined) continue;
      if (named !== version) return false;
      isNamed = true;
    }
    return isNamed;
  }

  /** What neighbours name, the best first. What seems to be made up counts only where nobody names anything else. */
  #claims(number: WindowNumber): readonly Claim[] {
    const claims = new Map<ContentVersion, Claim>();
    const unproven = this.#unproven.get(number);
    const naming = this.#context.neighbours.values().filter(({ map }) => map.get(number)?.version !== undefined);
    const believed = naming.filter(({ map, trusted }) => trusted && !unproven?.has(map.get(number)?.version ?? 0));
    for (const neighbour of believed.length > 0 ? believed : naming) {
      const version = neighbour.map.get(number)?.version;
      if (version === undefined || this.#refused.get(number)?.has(version)) continue;
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
    const common = this.#context.buffer.newestBelow(number, (window) => map.get(window.number) !== undefined);
    return common !== undefined && map.has(common.number, common.version);
  }

  /** A neighbour is of our line, and may get this window too. */
  #hasKin(number: WindowNumber): boolean {
    return this.#context.neighbours.values().some((neighbour) => this.#relationTo(neighbour, number) === true);
  }

  /** Whether the neighbour has our content of the newest window of which it has named one; undefined before it has. */
  #relationTo({ map }: Neighbour, number: WindowNumber): boolean | undefined {
    const named = this.#context.buffer.newestBelow(number, (window) => map.get(window.number)?.version !== undefined);
    return named && map.get(named.number)?.version === named.version;
  }
}

function nameOf(publisher: Uint8Array): string {
  return String.fromCharCode(...publisher);
}

function pairOf(one: Uint8Array, other: Uint8Array): string {
  return isLower(one, other) ? nameOf(one) + nameOf(other) : nameOf(other) + nameOf(one);
}

function isLower(a: Uint8Array, b: Uint8Array): boolean {
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at >= 0 && (a[at] ?? 0) < (b[at] ?? 0);
}

/** Kin outweigh any number of others; more claimants outweigh fewer. */
function rank({ kin, strangers, count }: Claim): number {
  return Math.sign(kin) * 1_000_000 + (kin - strangers) * 1_000 + count;
}
