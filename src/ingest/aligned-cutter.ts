/**
 * A publisher's FLV source on the channel's timeline: finds out where the source stands there, and only then cuts windows.
 *
 * Servers and encoders count from a zero of their own at each connection, and several publishers of one source may be on the air. So with every
 * connection the first question is whether the channel has a timeline already, and where this connection's times lie on it. What came from the
 * source meanwhile is held, and cut once that is known. A pure core: time and everything else is handed in. Protocols sheet 4.6, B 11 and 12.
 *
 * | state     | meaning                                                                                                  |
 * |-----------|----------------------------------------------------------------------------------------------------------|
 * | `waiting` | no connection to the source                                                                              |
 * | `looking` | the source is here; comparing it with what others publish, and with our own last minute                  |
 * | `leading` | on the air, on a timeline that we began or go on with, because nobody else is publishing                 |
 * | `aligned` | on the air, on the timeline of others, content compared                                                  |
 * | `standby` | others are on the air with something else than our source shows: nothing is published until they stop     |
 *
 * **Finding the place.** Windows of the swarm are sampled (the exchange fetches them like any viewer, so they are signed) and their frames compared
 * with ours by content (`timeline-match.ts`). **Nobody there**: we go on with our own times, if they go on where we stopped, or else begin a run above
 * every number that anybody has signed. **They fell silent**: whoever published has stopped for `stallMs`; we take over in the same way.
 *
 * **Two at once.** Publishers that began without seeing each other notice it by windows of other content, or of numbers they do not know. They
 * compare; if it is one source, the one whose numbers are lower moves to the other's timeline, at equal numbers the one with the lower key stays. Both decide
 * alike, because the difference of two numbers of the same frame is the same for both. Numbers of viewers therefore only grow.
 *
 * **Checks.** Every window is compared with what others announce under its number, which says more than any sample. One that differs makes a publisher
 * compare content again. An aligned publisher whose server may have shifted its times (a pause, a gap) first has its next windows confirmed so.
 */
import { sameBytes } from '../kernel/bytes.js';
import { Malformed } from '../kernel/errors.js';
import type { Hasher } from '../kernel/ports.js';
import type { Bytes, Milliseconds, WindowNumber } from '../kernel/units.js';
import { AUDIO, classifyTag, decodeTags, encodedTagBytes, type FlvTag, VIDEO } from '../media/flv.js';
import {
  type AlignmentEffect,
  type AlignmentState,
  FLOOR_PATIENCE_MS,
  matchMs,
  promiseMs,
  REPORT_MS,
  STANDBY_SURVEY_MS,
  SURVEY_STEP_MS,
  type SurveyedWindow,
  type SwarmOutlook,
  stallMs,
  turnMs,
} from './alignment.js';
import { FrameIndex, TRACKS } from './frame-index.js';
import { HeldClock } from './held-clock.js';
import { liesOn, matchTimelines } from './timeline-match.js';
import { type CutWindow, type TimelineAnchor, WindowCutter } from './window-cutter.js';

/** How the numbers of an earlier run go on: kept on disk. */
export interface TimelineRecord {
  /** Window number minus grid number. */
  readonly base: number;
  /** A time that had been reached. */
  readonly timeMs: Milliseconds;
}

export interface AlignedCutterOptions {
  readonly windowMs: Milliseconds;
  readonly hasher: Pick<Hasher, 'sha1'>;
  /** Settles which of two equal claims stays. */
  readonly publisherKey: () => Uint8Array;
  /** The numbers before this one have been used. */
  readonly firstNumber: WindowNumber;
  /** Where an earlier run had got to, and up to which number that is certain. */
  readonly earlier?: { readonly record: TimelineRecord; readonly above: WindowNumber } | undefined;
}

/** A station that has only just started gives its neighbours so long to appear. */
const LOOK_MS: Milliseconds = 2_000;
/** Servers send what they keep for joiners first; where the source stands now shows behind that. */
const CACHE_MS: Milliseconds = 500;
/** Two samples asked for on standby in vain. */
const UNSHOWN_MS: Milliseconds = 2 * STANDBY_SURVEY_MS + 10_000;
/** Samples per step: at first enough for a comparison that needs two seconds of media. */
const SURVEY_WINDOWS = 6;
/** What is held while looking: a group of pictures and the seconds that looking takes. */
const HELD_BYTES_MAX: Bytes = 24 * 1024 * 1024;
const HELD_TAGS_MAX = 8_000;
/** A connection that goes on where the last one stopped does so within this, clocks and buffers considered. */
const RESUME_MS: Milliseconds = 3_000;
/** A timeline that is older than this is not gone on with: it would be chance. */
const RECORD_AGE_MS_MAX: Milliseconds = 12 * 3_600_000;
const WRAP_MS: Milliseconds = 2 ** 31;
/** No tag for this long, or a step of a track beyond the next: a server may have hidden a gap here. */
const PAUSE_MS: Milliseconds = 400;
const STEP_MS: Milliseconds = 250;
/** Windows to be confirmed after such a moment. */
const CONFIRMED_WINDOWS = 6;
/** Two stretches of one source that are both this long have enough in common to tell. */
const COMPARABLE_MS: Milliseconds = 2_500;
/** Times at once on our own timeline and on another's: moved at most this often, so that two odd publishers do not chase each other. */
const MOVE_STEP_MS: Milliseconds = 3_000;

type Connection = 'push' | 'pull';

export class AlignedCutter {
  readonly #options: AlignedCutterOptions;
  readonly #cutter: WindowCutter;
  #state: AlignmentState = 'waiting';
  #effects: AlignmentEffect[] = [];
  #nowMs: Milliseconds = 0;
  #connection: Connection = 'push';
  #sinceMs: Milliseconds = 0;
  /** Of this connection, while looking, on its own clock. */
  #held: FlvTag[] = [];
  #heldBytes: Bytes = 0;
  #heldClocks = new HeldClock();
  readonly #fresh: FrameIndex;
  /** The newest codec headers of this connection, for a cutter that is put to another place. */
  #headers = new Map<number, FlvTag>();
  /** What was published, on the channel's timeline. */
  readonly #own: FrameIndex;
  /** What others published, on theirs. */
  readonly #theirs: FrameIndex;
  #theirBase: number | undefined;
  #newestSurveyed: SurveyedWindow | undefined;
  /** Above every number whose signature we have seen. */
  #floor: WindowNumber = 0;
  #surveyedMs: Milliseconds = Number.NEGATIVE_INFINITY;
  #sampledMs: Milliseconds = Number.NEGATIVE_INFINITY;
  /** Where this connection's times were put: time = raw + this, before wraps. */
  #offsetMs: Milliseconds = 0;
  #lastTimeMs: Milliseconds | undefined;
  #lastTagMs: Milliseconds = Number.NEGATIVE_INFINITY;
  #lastWindowMs: Milliseconds = Number.NEGATIVE_INFINITY;
  #lastRawMs = new Map<number, Milliseconds>();
  #confirmWindows = 0;
  #outlook: SwarmOutlook | undefined;
  /** Somebody showed other content, or other numbers, since we last compared. */
  #doubt: WindowNumber | undefined;
  #doubtedMs: Milliseconds = 0;
  /** Our own server is the one that has shifted its times. */
  #lostPlace = false;
  #contestedMs: Milliseconds = Number.NEGATIVE_INFINITY;
  #reportedMs: Milliseconds = Number.NEGATIVE_INFINITY;
  #movedMs: Milliseconds = Number.NEGATIVE_INFINITY;
  /** The source said that it ends. */
  #ended = false;

  readonly #stallMs: Milliseconds;
  readonly #promiseMs: Milliseconds;
  readonly #matchMs: Milliseconds;

  constructor(options: AlignedCutterOptions) {
    this.#options = options;
    this.#stallMs = stallMs(options.windowMs);
    this.#promiseMs = promiseMs(options.windowMs);
    this.#matchMs = matchMs(options.windowMs);
    this.#cutter = new WindowCutter({ windowMs: options.windowMs, firstNumber: options.firstNumber });
    this.#fresh = new FrameIndex(options.hasher);
    this.#own = new FrameIndex(options.hasher);
    this.#theirs = new FrameIndex(options.hasher);
  }

  get state(): AlignmentState {
    return this.#state;
  }

  /** How far this connection's times are moved; 0 for a source whose own times are the channel's. */
  get offsetMs(): Milliseconds {
    return this.#offsetMs;
  }

  /** To be kept over a restart; undefined before the first window. */
  get record(): TimelineRecord | undefined {
    return this.#lastTimeMs === undefined ? undefined : { base: this.#cutter.base, timeMs: this.#lastTimeMs };
  }

  /** A connection to the source stands. `push`: its publisher came to us, and may have begun just now. */
  connected(connection: Connection, nowMs: Milliseconds): readonly AlignmentEffect[] {
    this.#nowMs = nowMs;
    this.#connection = connection;
    this.#ended = false;
    this.#look('the source is here');
    return this.#take();
  }

  /** The connection is gone. `clean`: the source said that it ends, so what is open is whole. */
  disconnected(clean: boolean, nowMs: Milliseconds): readonly AlignmentEffect[] {
    this.#nowMs = nowMs;
    this.#decideNow();
    if (this.#onAir && (clean || this.#ended)) this.#publish(this.#cutter.flush());
    this.#forgetConnection();
    this.#enter('waiting', 'the source is gone');
    return this.#take();
  }

  /** The next tag of the connection, in order. */
  push(tag: FlvTag, nowMs: Milliseconds): readonly AlignmentEffect[] {
    this.#nowMs = nowMs;
    if (this.#state === 'waiting' || (tag.type !== VIDEO && tag.type !== AUDIO)) return this.#take();
    const { kind } = classifyTag(tag);
    if (kind === 'header') this.#headers.set(headerSlot(tag), tag);
    // Sound may trail behind the end; pictures and their headers are an encoder that came back.
    if (tag.type === VIDEO) this.#ended = kind === 'end' || (this.#ended && kind !== 'frame' && kind !== 'header');
    if (kind === 'frame') this.#watchForGap(tag);
    if (this.#onAir) this.#publish(this.#cutter.push(tag));
    else this.#hold(tag);
    this.#lastTagMs = nowMs;
    return this.#take();
  }

  /** A sample has come. */
  surveyed(window: SurveyedWindow, nowMs: Milliseconds): readonly AlignmentEffect[] {
    this.#nowMs = nowMs;
    this.#floor = Math.max(this.#floor, window.number + 1);
    const tags = decodeTags(window.bytes);
    if (tags instanceof Malformed) return this.#take();
    const base = window.number - Math.floor(window.startMs / this.#options.windowMs);
    // Frames of another run have times of their own. Samples come in any order; those of a run that is over say nothing of the newest.
    if (base !== this.#theirBase && window.number < (this.#newestSurveyed?.number ?? 0)) return this.#take();
    if (base !== this.#theirBase) this.#theirs.clear();
    this.#theirBase = base;
    addFrames(this.#theirs, tags, window.startMs);
    if (window.number >= (this.#newestSurveyed?.number ?? 0)) this.#newestSurveyed = window;
    this.#sampledMs = nowMs;
    if (this.#state === 'looking' || this.#state === 'standby') this.#decide();
    else if (this.#onAir && this.#doubt !== undefined) this.#compare(window);
    return this.#take();
  }

  /**
   * A neighbour speaks of other content under one of our numbers, or of windows that we do not know.
   *
   * @param published false for a window that waited to be confirmed, and was not.
   */
  doubted(number: WindowNumber, published: boolean, nowMs: Milliseconds): readonly AlignmentEffect[] {
    this.#nowMs = nowMs;
    if (!this.#onAir || nowMs - this.#contestedMs < STANDBY_SURVEY_MS) return this.#take();
    if (this.#doubt === undefined) this.#doubtedMs = nowMs;
    this.#doubt = number;
    this.#lostPlace ||= !published;
    this.#confirmWindows = this.#state === 'aligned' ? CONFIRMED_WINDOWS : 0;
    this.#survey(2 * SURVEY_STEP_MS);
    return this.#take();
  }

  /** Called a few times a second. */
  tick(outlook: SwarmOutlook, nowMs: Milliseconds): readonly AlignmentEffect[] {
    this.#nowMs = nowMs;
    this.#outlook = outlook;
    if (this.#state === 'looking' || this.#state === 'standby') this.#decide();
    if (this.#onAir && this.#doubt !== undefined) this.#survey(2 * SURVEY_STEP_MS);
    return this.#take();
  }

  get #onAir(): boolean {
    return this.#state === 'leading' || this.#state === 'aligned';
  }

  #look(detail: string): void {
    this.#forgetConnection();
    this.#theirs.clear();
    this.#theirBase = undefined;
    this.#newestSurveyed = undefined;
    this.#surveyedMs = Number.NEGATIVE_INFINITY;
    this.#enter('looking', detail);
  }

  #forgetConnection(): void {
    this.#held = [];
    this.#heldBytes = 0;
    this.#heldClocks = new HeldClock();
    this.#fresh.clear();
    this.#headers = new Map();
    this.#lastRawMs = new Map();
    this.#settle();
    this.#confirmWindows = 0;
  }

  #hold(tag: FlvTag): void {
    const isFirst = !this.#heldClocks.started;
    if (classifyTag(tag).kind === 'frame') {
      // The source itself was away: the others were silent with it, and get the same time as we to show that they go on.
      if (isFirst || this.#nowMs - this.#lastTagMs >= this.#stallMs) this.#sinceMs = this.#nowMs;
      const timeMs = this.#heldClocks.read(tag);
      if (timeMs === undefined) return this.#holdAnew(tag);
      this.#fresh.add(tag, timeMs);
    }
    this.#held.push(tag);
    this.#heldBytes += encodedTagBytes(tag);
    // Where nobody else is, nothing has to wait.
    if (isFirst) this.#decide();
    while (this.#heldBytes > HELD_BYTES_MAX || this.#held.length > HELD_TAGS_MAX) {
      const oldest = this.#held.shift();
      if (oldest) this.#heldBytes -= encodedTagBytes(oldest);
    }
  }

  /** The source's times broke while it was looked at: what lies behind the break counts. */
  #holdAnew(tag: FlvTag): void {
    // Beside others, what a server kept for joiners is no place to begin at: the run behind the break would get a name of our own.
    if (this.#outlook?.publishers === 0) this.#decideNow();
    if (this.#onAir) return this.#publish(this.#cutter.push(tag));
    this.#held = [];
    this.#heldBytes = 0;
    this.#heldClocks = new HeldClock();
    this.#fresh.clear();
    this.#hold(tag);
  }

  /** Nothing more comes of what is held: if nobody else is there, that is good enough. */
  #decideNow(): void {
    if (this.#state !== 'looking') return;
    this.#sinceMs = this.#nowMs - CACHE_MS;
    this.#decide();
  }

  /** Where does this connection stand? Nothing happens while that cannot be said. */
  #decide(): void {
    const outlook = this.#outlook;
    if (outlook === undefined || !this.#heldClocks.started) return;
    const place = this.#findPlace();
    if (place?.unbroken) return this.#align(place.deltaMs, place.base);
    if (this.#isPromised(outlook)) return this.#survey(SURVEY_STEP_MS);
    if (this.#nobodyThere(outlook)) return this.#lead('nobody else is publishing', place);
    // A source that is silent itself cannot tell whether others have stopped: they may be waiting for it too.
    if (this.#nowMs - this.#lastTagMs >= PAUSE_MS && outlook.publishers > 0) return;
    const lookedMs = this.#nowMs - this.#sinceMs;
    if (Math.min(outlook.quietMs, lookedMs) >= this.#stallMs + turnMs(outlook.before)) {
      this.#survey(SURVEY_STEP_MS);
      const newest = Math.max(this.#floor, this.#cutter.lowestNumber) - 1;
      const knowsFloor = newest >= (outlook.head ?? 0) || Math.min(outlook.quietMs, lookedMs) >= this.#stallMs + FLOOR_PATIENCE_MS;
      if (knowsFloor) this.#lead('the other publishers have stopped', place);
      return;
    }
    // Claims of windows that nobody can show are no reason to stay off the air.
    const unshownMs = this.#nowMs - Math.max(this.#sampledMs, this.#sinceMs);
    if (unshownMs > (this.#newestSurveyed ? UNSHOWN_MS : this.#matchMs)) return this.#lead('nobody shows a signed window', place);
    if (this.#state === 'looking' && lookedMs > this.#matchMs && outlook.quietMs < this.#stallMs) {
      this.#enter('standby', 'the swarm shows other content than this source, or its times do not fit: not publishing');
      this.#reportedMs = Number.NEGATIVE_INFINITY;
    }
    this.#survey(this.#state === 'standby' ? STANDBY_SURVEY_MS : SURVEY_STEP_MS);
    if (this.#state === 'standby' && this.#newestSurveyed && this.#nowMs - this.#reportedMs >= REPORT_MS)
      this.#report(this.#newestSurveyed);
  }

  /** Our frames among those of others, or among our own of the last minute. */
  #findPlace(): { readonly deltaMs: Milliseconds; readonly base: number; readonly unbroken: boolean } | undefined {
    if (this.#theirBase !== undefined) {
      const deltaMs = this.#deltaTo(this.#theirs);
      if (deltaMs !== undefined) return { deltaMs, base: this.#theirBase, unbroken: true };
    }
    if (this.#othersPublish) return undefined;
    const deltaMs = this.#deltaTo(this.#own);
    return deltaMs === undefined ? undefined : { deltaMs, base: this.#cutter.base, unbroken: false };
  }

  #deltaTo(known: FrameIndex): Milliseconds | undefined {
    for (const deltaMs of [0, this.#offsetMs]) if (liesOn(this.#fresh, known, deltaMs)) return deltaMs;
    const match = matchTimelines(this.#fresh, known);
    return match.kind === 'same' ? match.deltaMs : undefined;
  }

  get #othersPublish(): boolean {
    return this.#outlook !== undefined && this.#outlook.quietMs < this.#stallMs;
  }

  /** Another publisher has gone on the air and shows nothing yet: its first windows are worth waiting for. */
  #isPromised({ onAir, head, quietMs }: SwarmOutlook): boolean {
    const isSilent = head === null || quietMs >= this.#stallMs;
    return isSilent && onAir > 0 && Math.min(quietMs, this.#nowMs - this.#sinceMs) < this.#promiseMs;
  }

  #nobodyThere({ upMs, head, publishers, before, quietMs }: SwarmOutlook): boolean {
    if (before > 0 && this.#nowMs - this.#sinceMs < turnMs(before)) return false;
    if (upMs < LOOK_MS || (this.#connection === 'pull' && this.#nowMs - this.#sinceMs < CACHE_MS)) return false;
    if (head === null) return true;
    return publishers === 0 && head < this.#cutter.lowestNumber && quietMs >= this.#stallMs;
  }

  #align(deltaMs: Milliseconds, base: number): void {
    const anchor = this.#anchorAt(deltaMs, base, true);
    this.#begin({ joined: 'middle', anchor });
    this.#enter(
      'aligned',
      deltaMs === 0 ? 'on the timeline of the swarm' : `on the timeline of the swarm, ${deltaMs} ms from this source's own`,
    );
    this.#release();
  }

  #lead(detail: string, place?: { readonly deltaMs: Milliseconds; readonly base: number }): void {
    this.#cutter.skipTo(this.#floor);
    const alone = this.#outlook?.publishers === 0 && this.#connection === 'push';
    this.#begin({
      joined: alone ? 'start' : 'middle',
      anchor: place ? this.#anchorAt(place.deltaMs, place.base, false) : this.#continuation(),
    });
    this.#enter('leading', detail);
    this.#release();
  }

  /** Goes on with a timeline that was there before, where the source's times lie behind it. */
  #continuation(): TimelineAnchor | undefined {
    const firstMs = this.#heldClocks.firstMs;
    const lowest = this.#cutter.lowestNumber;
    const { windowMs, earlier } = this.#options;
    const goesOn = (deltaMs: Milliseconds, base: number, above: WindowNumber): boolean =>
      Math.floor((firstMs + deltaMs) / windowMs) + base > above;
    const record = this.record;
    if (record) {
      const aheadMs = this.#heldClocks.latestMs + this.#offsetMs - record.timeMs;
      const resumes = Math.abs(aheadMs - (this.#nowMs - this.#lastWindowMs)) < RESUME_MS && (aheadMs > 0 || this.#connection === 'pull');
      if (resumes) return this.#anchorAt(this.#offsetMs, record.base, false);
    }
    const surveyed = this.#newestSurveyed;
    if (surveyed && this.#theirBase !== undefined) {
      const aheadMs = firstMs - surveyed.startMs;
      // What was looked at may be long past: numbers that have been used cannot be used again, and nothing would go out until they are passed.
      const reaches = (this.#heldClocks.latestMs + RESUME_MS) / windowMs + this.#theirBase >= lowest;
      if (reaches && aheadMs > -RESUME_MS && aheadMs < RECORD_AGE_MS_MAX) return this.#anchorAt(0, this.#theirBase, false);
    }
    if (!record && earlier) {
      const aheadMs = firstMs - earlier.record.timeMs;
      const isFresh = aheadMs > -RESUME_MS && aheadMs < RECORD_AGE_MS_MAX;
      if (isFresh && goesOn(0, earlier.record.base, earlier.above) && lowest <= this.#options.firstNumber)
        return this.#anchorAt(0, earlier.record.base, false);
    }
    return undefined;
  }

  #anchorAt(deltaMs: Milliseconds, base: number, unbroken: boolean): TimelineAnchor {
    this.#offsetMs = deltaMs;
    const { rawMs, firstMs } = this.#heldClocks;
    return { rawMs, timeMs: firstMs + deltaMs, base, unbroken };
  }

  #begin(start: { readonly joined: 'start' | 'middle'; readonly anchor: TimelineAnchor | undefined }): void {
    if (!start.anchor) {
      this.#own.clear();
      this.#offsetMs = 0;
    }
    this.#cutter.begin(start);
    for (const header of this.#headers.values()) this.#cutter.push(header);
  }

  /** What was held is cut now. */
  #release(): void {
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    this.#fresh.clear();
    for (const tag of held) this.#publish(this.#cutter.push(tag));
  }

  #publish(windows: readonly CutWindow[]): void {
    for (const window of windows) {
      // A run that the cutter began by itself has the source's own times.
      if (window.discontinuity && window.previous === null && this.#lastTimeMs !== undefined) this.#own.clear();
      const tags = decodeTags(window.bytes);
      if (!(tags instanceof Malformed)) addFrames(this.#own, tags, window.startMs);
      this.#lastTimeMs = window.startMs + window.durationMs;
      this.#lastWindowMs = this.#nowMs;
      const { position } = this.#cutter;
      if (position) this.#offsetMs = position.timeMs - position.rawMs;
      const confirm = this.#confirmWindows > 0;
      if (confirm) this.#confirmWindows -= 1;
      this.#effects.push({ kind: 'publish', window, confirm });
    }
  }

  /** Servers that rebase times hide gaps in them, each connection's in its own way. */
  #watchForGap(tag: FlvTag): void {
    const stepMs = tag.timestampMs - (this.#lastRawMs.get(tag.type) ?? tag.timestampMs);
    this.#lastRawMs.set(tag.type, tag.timestampMs);
    const pausedMs = this.#nowMs - this.#lastTagMs;
    // Only wraps lie between the source's own times and the channel's: the server does not rebase.
    if (this.#state !== 'aligned' || this.#offsetMs % WRAP_MS === 0) return;
    if (pausedMs <= PAUSE_MS && Math.abs(stepMs) <= STEP_MS) return;
    this.#confirmWindows = CONFIRMED_WINDOWS;
    this.#own.clear();
  }

  /** On the air, and somebody differs: is it our source on another timeline? */
  #compare(window: SurveyedWindow): void {
    const base = this.#theirBase ?? 0;
    if (liesOn(this.#own, this.#theirs, 0) && base === this.#cutter.base) return this.#settle();
    const match = matchTimelines(this.#own, this.#theirs);
    if (match.kind === 'unknown') return this.#compareInVain(window);
    if (match.kind === 'different') return this.#contest(window);
    // Numbers of the same frame, theirs minus ours, in windows.
    const ahead = match.deltaMs / this.#options.windowMs + base - this.#cutter.base;
    const yields = this.#lostPlace || ahead > 0 || (ahead === 0 && this.#yieldsTo(window.publisher));
    this.#settle();
    if (!yields || this.#nowMs - this.#movedMs < MOVE_STEP_MS || (match.deltaMs === 0 && base === this.#cutter.base)) return;
    this.#moveBy(match.deltaMs, base);
  }

  #settle(): void {
    this.#doubt = undefined;
    this.#lostPlace = false;
  }

  /** So much of theirs has been seen that our own frames should have been among it. */
  #compareInVain(window: SurveyedWindow): void {
    const spanOf = (index: FrameIndex): Milliseconds =>
      Math.max(...TRACKS.map((track) => index.span(track).lastMs - index.span(track).firstMs));
    const waitedMs = this.#nowMs - this.#doubtedMs;
    if (waitedMs >= 2 * COMPARABLE_MS && Math.min(spanOf(this.#theirs), spanOf(this.#own)) >= COMPARABLE_MS) this.#contest(window);
  }

  /** Who was put beside others and does not fit any more has lost its place; who leads has a rival. */
  #contest(window: SurveyedWindow): void {
    this.#settle();
    this.#contestedMs = this.#nowMs;
    this.#theirs.clear();
    this.#theirBase = undefined;
    this.#report(window);
    if (this.#state !== 'aligned') return;
    const headers = this.#headers;
    this.#look('the swarm and this source do not fit any more');
    this.#headers = headers;
  }

  #report({ number, publisher }: SurveyedWindow): void {
    this.#reportedMs = this.#nowMs;
    this.#effects.push({ kind: 'conflict', number, publisher });
  }

  #yieldsTo(publisher: Uint8Array): boolean {
    const key = this.#options.publisherKey();
    if (sameBytes(key, publisher)) return false;
    const at = key.findIndex((byte, index) => byte !== publisher[index]);
    return (key[at] ?? 0) > (publisher[at] ?? 0);
  }

  /** To the timeline of another publisher, in the middle of the source. */
  #moveBy(deltaMs: Milliseconds, base: number): void {
    const position = this.#cutter.position;
    if (!position) return;
    this.#movedMs = this.#nowMs;
    this.#offsetMs += deltaMs;
    const anchor = { rawMs: position.rawMs, timeMs: position.timeMs + deltaMs, base, unbroken: true };
    this.#cutter.begin({ joined: 'middle', anchor });
    for (const header of this.#headers.values()) this.#cutter.push(header);
    this.#own.clear();
    this.#enter('aligned', `moved by ${deltaMs} ms to the timeline of another publisher of this source`);
  }

  #survey(stepMs: Milliseconds): void {
    if (this.#nowMs - this.#surveyedMs < stepMs) return;
    this.#surveyedMs = this.#nowMs;
    this.#effects.push({ kind: 'survey', count: SURVEY_WINDOWS });
  }

  #enter(state: AlignmentState, detail: string): void {
    if (state === 'looking') this.#sinceMs = this.#nowMs;
    this.#state = state;
    this.#effects.push({ kind: 'state', state, detail });
  }

  #take(): readonly AlignmentEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}

/** Enters the frames of a window; their times are the channel's, of which tags carry the lower 32 bits. */
function addFrames(index: FrameIndex, tags: readonly FlvTag[], startMs: Milliseconds): void {
  for (const tag of tags) {
    const wraps = Math.round((startMs - tag.timestampMs) / 0x1_0000_0000);
    index.add(tag, tag.timestampMs + wraps * 0x1_0000_0000);
  }
}

/** Enhanced RTMP has several kinds of header. */
function headerSlot({ type, body }: FlvTag): number {
  return type * 256 + (body[0] ?? 0);
}
