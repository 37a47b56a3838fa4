/**
 * Whom to keep as neighbours: how many, of which addresses, and who is let go for somebody else.
 *
 * A **viewer** has `targetNeighbours` viewers or a few more, `maxNeighbours` at most; whoever comes then is let go as surplus, which the connection makes
 * polite: it is told of others first, and rests. Once in half a minute it takes the place of whoever came last before it, or newcomers would meet nobody where
 * everybody has as many as they may. Every half minute what each neighbour was good for is looked at. For one that was good for next to nothing twice in a
 * row somebody else is looked for, and it is let go once somebody has come: where there is nobody else nobody goes. At most one is let
 * go in half a minute; never while the picture starts or is in trouble; never a publisher, a newcomer, or one that keeps the neighbourhood from
 * being of one block of addresses. Of publishers a viewer with neighbours enough keeps three.
 *
 * A **publisher** has `maxViewers` viewers. The longest-standing of them stay as long as they pass on what they are dealt; the last few places go from one newcomer
 * to the next, so that everybody gets a start from it, and those it has no place for get addresses.
 */
import { median } from '../../kernel/median.js';
import type { Bytes, ConnectionId, Milliseconds } from '../../kernel/units.js';
import type { ExchangeContext } from './exchange-context.js';
import { MUTE_MAP_PERIODS, type Neighbour } from './neighbour.js';
import type { Playout } from './playout.js';
import type { WindowShares } from './window-shares.js';

/** So many more neighbours than usual are asked for while there is trouble. */
const EXTRA_NEIGHBOURS = 4;
/** Who came later than this before a review is not judged in it: it had to start, and to be tried. */
const GRACE_MS: Milliseconds = 20_000;
/**
 * A neighbour this much less useful than the one in the middle is let go, if it is so in two reviews. Not those that are only slower than others: a change
 * costs both a handshake and whole maps, and brings nothing where all are alike.
 */
const POOR_RATIO = 1 / 10;
const POOR_REVIEWS = 2;
/** What is given to a neighbour counts so much of what it gives: it is of use to the swarm, not to us. */
const GIVEN_RATIO = 1 / 4;
/** A neighbour with this round trip is worth half of one next door that gives as much. */
const FAR_MS: Milliseconds = 400;
/** One that often leaves requests unanswered, or has said what was not so, is worth so much of one that does not. */
const UNRELIABLE_RATIO = 1 / 2;
/** A viewer with neighbours enough keeps so many publishers: two may fail at once. */
const PUBLISHERS_MAX = 3;
/** More than these that call themselves publishers are not taken, by viewers or publishers: anybody can say so. */
const PUBLISHER_PLACES = 16;
/** A publisher is judged after this time: its map has come, and it has been asked. */
const PUBLISHER_GRACE_MS: Milliseconds = 10_000;
/** Of a publisher's places, so many go from newcomer to newcomer; fewer where it has few. */
const TURNING_PLACES = 2;
const TURNING_RATIO = 1 / 4;
/** A newcomer may stay so long at a publisher: it starts within a second, and finds others in a few. */
const STAY_MS: Milliseconds = 10_000;
/** Whether a viewer passes on what it is dealt shows after this time. */
const SETTLED_MS: Milliseconds = 30_000;
/** Whoever passes on less than this part of what it is dealt loses its place at a publisher to a newcomer. */
const PASSING_MIN = 0.5;

/** What is known of a neighbour's use. */
interface Record {
  /** Useful bytes by the last review. */
  bytes: Bytes;
  sinceMs: Milliseconds;
  /** Bytes a second over the last whole time between two reviews, for what they are worth. */
  worth: number | undefined;
  /** Reviews in a row in which it was far behind the others. */
  poorReviews: number;
}

export interface NeighbourChoiceParts {
  readonly context: ExchangeContext;
  readonly playout: Playout;
  readonly shares: WindowShares;
}

export class NeighbourChoice {
  readonly #context: ExchangeContext;
  readonly #playout: Playout;
  readonly #shares: WindowShares;
  readonly #records = new Map<ConnectionId, Record>();
  #nextReviewMs: Milliseconds = Number.POSITIVE_INFINITY;
  #replacedMs: Milliseconds = Number.NEGATIVE_INFINITY;
  #isTroubled = false;
  /** Somebody to take a poor neighbour's place is looked for: how many neighbours there were by then. */
  #soughtAt: number | undefined;
  /** Neighbours let go for others. */
  letGoCount = 0;
  /** Newcomers for which there was no room. */
  turnedAwayCount = 0;

  constructor({ context, playout, shares }: NeighbourChoiceParts) {
    this.#context = context;
    this.#playout = playout;
    this.#shares = shares;
  }

  begin(): void {
    const { nowMs, options, parameters } = this.#context;
    // Not everybody at once. Drawn also where it is not used, so that worlds with and without reviews have the same luck.
    const laterRatio = options.rng.float();
    if (parameters.reviewMs > 0) this.#nextReviewMs = nowMs + parameters.reviewMs * (1 + laterRatio);
    this.#look();
  }

  /** The neighbourhood fails this viewer, or does not any more. */
  trouble(isTroubled: boolean): void {
    this.#isTroubled = isTroubled;
    if (isTroubled) this.#soughtAt = undefined;
    this.#look();
  }

  /** A neighbour has said what it is: there may be one too many now. */
  onHello(neighbour: Neighbour): void {
    if (neighbour.publisher) {
      if (this.#publishers().length > PUBLISHER_PLACES) this.#turnAway(neighbour);
    } else if (this.#context.isPublisher) this.#makePlace(neighbour);
    else this.#makeRoom(neighbour);
  }

  /** Every tick of a viewer. */
  check(): void {
    const { nowMs, parameters } = this.#context;
    if (nowMs < this.#nextReviewMs) return;
    this.#nextReviewMs = nowMs + parameters.reviewMs;
    this.#judge();
    if (this.#isCalm) this.#replace();
    this.#spareAPublisher();
  }

  dropPeer(peer: ConnectionId): void {
    this.#records.delete(peer);
  }

  get #wanted(): number {
    const { parameters, isPublisher } = this.#context;
    const max = isPublisher ? parameters.maxViewers : parameters.maxNeighbours;
    return Math.min(parameters.targetNeighbours, max);
  }

  /** Viewers that a viewer has at most; in trouble newcomers are the way out of it. */
  get #max(): number {
    return this.#context.parameters.maxNeighbours + (this.#isTroubled ? EXTRA_NEIGHBOURS : 0);
  }

  /** Below this many nobody is let go. */
  get #min(): number {
    return Math.ceil(this.#wanted / 2);
  }

  #look(): void {
    const usual = this.#wanted + (this.#isTroubled ? EXTRA_NEIGHBOURS : 0);
    this.#context.connect(this.#soughtAt === undefined ? usual : this.#soughtAt + 1);
  }

  /** The picture has been there for a while, and nothing is wrong. */
  get #isCalm(): boolean {
    const { nowMs } = this.#context;
    const last = this.#playout.lastDelivered;
    return (
      !this.#isTroubled &&
      last !== undefined &&
      this.#playout.deadlineMs(last.number + 1, nowMs) > nowMs - this.#context.parameters.windowMs
    );
  }

  get #mayReplace(): boolean {
    const { nowMs, parameters } = this.#context;
    return parameters.reviewMs > 0 && nowMs - this.#replacedMs >= parameters.reviewMs;
  }

  /** Neighbours that watch, in the order they came. */
  #viewers(): readonly Neighbour[] {
    return this.#context.neighbours.values().filter(({ greeted, publisher }) => greeted && !publisher);
  }

  #publishers(): readonly Neighbour[] {
    return this.#context.neighbours.values().filter(({ publisher }) => publisher);
  }

  /** What each was good for since the last review. */
  #judge(): void {
    const { nowMs } = this.#context;
    const viewers = this.#viewers();
    for (const viewer of viewers) {
      const bytes = usefulBytes(viewer);
      const record = this.#records.get(viewer.id) ?? { bytes: 0, sinceMs: viewer.sinceMs, worth: undefined, poorReviews: 0 };
      if (nowMs - record.sinceMs < GRACE_MS) continue;
      this.#records.set(viewer.id, record);
      record.worth = worthOf(viewer, ((bytes - record.bytes) * 1000) / (nowMs - record.sinceMs));
      record.bytes = bytes;
      record.sinceMs = nowMs;
    }
    const middle = median(viewers.flatMap(({ id }) => this.#records.get(id)?.worth ?? [])) ?? 0;
    for (const record of this.#records.values())
      record.poorReviews = record.worth !== undefined && record.worth < middle * POOR_RATIO ? record.poorReviews + 1 : 0;
  }

  /** Lets the poorest go if somebody has come to take its place, and looks for somebody if not. */
  #replace(): void {
    const { size } = this.#context.neighbours;
    const viewers = this.#viewers();
    const poorest = this.#poorest(viewers);
    const isPoor = poorest !== undefined && this.#poorReviewsOf(poorest) > 0;
    const hasCome = this.#soughtAt !== undefined && size > Math.max(this.#soughtAt, this.#wanted);
    // What it has been asked for is waited for.
    const isDone = isPoor && this.#poorReviewsOf(poorest) >= POOR_REVIEWS && hasCome && poorest.outstanding === 0;
    if (poorest && (isDone || viewers.length > this.#max) && this.#mayReplace) {
      this.#replaceNow(poorest);
      return this.#seek(undefined);
    }
    if (hasCome && isPoor) return;
    // While there are fewer than wanted, they are looked for anyway; where there is no room, newcomers take the place of poor ones when they come.
    this.#seek(isPoor && size >= this.#wanted && viewers.length < this.#max ? size : undefined);
  }

  #seek(at: number | undefined): void {
    if (at === this.#soughtAt) return;
    this.#soughtAt = at;
    this.#look();
  }

  /** The least useful of those that may go: of the block that more than half belong to, if there is one. */
  #poorest(viewers: readonly Neighbour[]): Neighbour | undefined {
    const crowd = crowdOf(viewers);
    let poorest: Neighbour | undefined;
    for (const viewer of crowd ?? viewers) {
      const worth = this.#worthOf(viewer);
      if (worth < (poorest ? this.#worthOf(poorest) : Number.POSITIVE_INFINITY)) poorest = viewer;
    }
    return poorest;
  }

  #worthOf({ id }: Neighbour): number {
    return this.#records.get(id)?.worth ?? Number.POSITIVE_INFINITY;
  }

  #poorReviewsOf({ id }: Neighbour): number {
    return this.#records.get(id)?.poorReviews ?? 0;
  }

  /** A viewer that has as many as it may: the newcomer goes, or a neighbour that is worth less than trying it. */
  #makeRoom(newcomer: Neighbour): void {
    const viewers = this.#viewers();
    if (viewers.length <= this.#max) return;
    const crowd = crowdOf(viewers);
    const poorest = this.#poorest(viewers);
    const isWorthTrying =
      poorest !== undefined && (this.#poorReviewsOf(poorest) > 0 || (crowd?.includes(poorest) === true && !crowd.includes(newcomer)));
    // The last one, once it has had its time, and never one before it: whoever floods us with newcomers only ever drives out its own.
    const last = viewers.findLast((viewer) => viewer !== newcomer);
    const isSettled = last !== undefined && this.#context.nowMs - last.sinceMs >= GRACE_MS;
    const leaving = isWorthTrying ? poorest : isSettled && viewers.length > this.#wanted ? last : undefined;
    if (leaving && this.#isCalm && this.#mayReplace) this.#replaceNow(leaving);
    else this.#turnAway(newcomer);
  }

  /** A publisher that has as many viewers as it may. */
  #makePlace(newcomer: Neighbour): void {
    const { parameters, nowMs } = this.#context;
    const viewers = this.#viewers();
    if (viewers.length <= parameters.maxViewers) return;
    const turning = Math.min(TURNING_PLACES, Math.floor(parameters.maxViewers * TURNING_RATIO));
    const settled = viewers.slice(0, parameters.maxViewers - turning);
    const idle = settled.find((viewer) => nowMs - viewer.sinceMs >= SETTLED_MS && this.#passingOf(viewer) < PASSING_MIN);
    const crowd = crowdOf(viewers) ?? [];
    const crowding = crowd.includes(newcomer) ? undefined : crowd.findLast((viewer) => nowMs - viewer.sinceMs >= STAY_MS);
    const turn = viewers[settled.length];
    const lost = idle ?? crowding;
    if (lost && nowMs - this.#replacedMs >= STAY_MS) this.#replaceNow(lost);
    else if (turn && nowMs - turn.sinceMs >= STAY_MS) this.#letGo(turn, 'it has had its start, and others want theirs');
    else this.#turnAway(newcomer);
  }

  /** Who tells of nothing it holds is dealt nothing, and passes nothing on. */
  #passingOf({ id, lastToldMs }: Neighbour): number {
    const { parameters, nowMs } = this.#context;
    return nowMs - lastToldMs > MUTE_MAP_PERIODS * parameters.mapPeriodMs ? 0 : (this.#shares.recordOf(id) ?? 1);
  }

  /** One publisher too many for a viewer with others enough: one that is off the air, else one that has sent least. */
  #spareAPublisher(): void {
    const { nowMs } = this.#context;
    if (this.#isTroubled || this.#viewers().length < this.#min) return;
    const publishers = this.#publishers();
    if (publishers.length <= PUBLISHERS_MAX) return;
    const [least] = publishers
      .filter(({ sinceMs }) => nowMs - sinceMs >= PUBLISHER_GRACE_MS)
      .sort((a, b) => Number(a.onAir) - Number(b.onAir) || a.mediaDownBytes - b.mediaDownBytes);
    if (least) this.#letGo(least, `${publishers.length} publishers are more than enough`);
  }

  #replaceNow(neighbour: Neighbour): void {
    this.#replacedMs = this.#context.nowMs;
    this.#letGo(neighbour, 'others are of more use');
  }

  #turnAway(newcomer: Neighbour): void {
    this.turnedAwayCount += 1;
    this.#context.release(newcomer, 'there is no room');
  }

  #letGo(neighbour: Neighbour, why: string): void {
    this.letGoCount += 1;
    this.#context.release(neighbour, why);
  }
}

function usefulBytes({ mediaDownBytes, mediaUpBytes }: Neighbour): Bytes {
  return mediaDownBytes + GIVEN_RATIO * mediaUpBytes;
}

function worthOf({ wait, unanswered, credible, trusted }: Neighbour, bytesPerSecond: number): number {
  const isReliable = !wait.suspect && unanswered === 0 && credible && trusted;
  return (bytesPerSecond * (isReliable ? 1 : UNRELIABLE_RATIO) * FAR_MS) / (FAR_MS + wait.roundTripMs);
}

/** Those of the one block of addresses that more than half belong to, if there are others too. */
function crowdOf(viewers: readonly Neighbour[]): readonly Neighbour[] | undefined {
  for (const { addressBlock } of viewers) {
    const members = viewers.filter((viewer) => viewer.addressBlock === addressBlock);
    if (members.length * 2 > viewers.length) return members.length === viewers.length ? undefined : members;
  }
  return undefined;
}
