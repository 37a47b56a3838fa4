/**
 * Publishers of one source in an idealised swarm, in virtual time: the shipped aligned cutters, and between them only what windows and maps tell.
 *
 * What one publishes all others hear of `HEARD_MS` later. The source is a list of tags with the moment at which it sends each; a publisher's
 * connection shows them as its server would: from a group of pictures before the moment it joined, and with times of the server's making.
 */
import { createHash } from 'node:crypto';
import { AlignedCutter } from '../../src/ingest/aligned-cutter.js';
import type { AlignmentEffect } from '../../src/ingest/alignment.js';
import type { CutWindow } from '../../src/ingest/window-cutter.js';
import { nodeHasher } from '../../src/io/crypto.js';
import { AUDIO, classifyTag, type FlvTag, VIDEO } from '../../src/media/flv.js';

export const WINDOW_MS = 500;
const STEP_MS = 20;
const HEARD_MS = 100;
const TICK_MS = 200;
const CONFIRM_MS = 600;

/** What the source sends, and when. */
export interface TimedTag {
  readonly atMs: number;
  readonly tag: FlvTag;
}

/** How a server shows the source to one player. */
export interface Connection {
  readonly fromMs: number;
  readonly untilMs: number;
  /** Added to the source's times; a server that rebases makes it so that the first frame is at 0. */
  readonly times: 'kept' | 'rebased' | number;
  /** Moments at which this player's times shift by so much, hidden by its server. */
  readonly shifts?: readonly { readonly atMs: number; readonly byMs: number }[];
}

export interface PublishedWindow {
  readonly atMs: number;
  readonly window: CutWindow;
  readonly hash: string;
}

/** An encoder's output: 25 pictures and about 43 sounds a second, frames of their own content, a key frame each second. */
export function encoderTags(fromMs: number, durationMs: number, { startTimeMs = 0, seed = 1, silent = false } = {}): readonly TimedTag[] {
  const tags: TimedTag[] = [];
  const body = (first: readonly number[], index: number, size: number): Uint8Array => {
    const content = createHash('sha256').update(`${seed} ${first.join()} ${index}`).digest();
    return Uint8Array.from({ length: size }, (_, at) => first[at] ?? content[at % 32] ?? 0);
  };
  tags.push({ atMs: fromMs, tag: { type: VIDEO, timestampMs: 0, body: Uint8Array.of(0x17, 0, 0, 0, 0, 1) } });
  tags.push({ atMs: fromMs, tag: { type: AUDIO, timestampMs: 0, body: Uint8Array.of(0xaf, 0, 0x12, 0x10) } });
  const frames: TimedTag[] = [];
  for (let index = 0; index * 40 < durationMs; index++) {
    const key = index % 25 === 0;
    const timestampMs = (startTimeMs + index * 40) % 2 ** 32;
    frames.push({
      atMs: fromMs + index * 40,
      tag: { type: VIDEO, timestampMs, body: body([key ? 0x17 : 0x27, 1, 0, 0, 0], index, key ? 400 : 90) },
    });
  }
  for (let index = 0; index * 23 < durationMs; index++) {
    const timestampMs = (startTimeMs + index * 23) % 2 ** 32;
    frames.push({ atMs: fromMs + index * 23, tag: { type: AUDIO, timestampMs, body: body([0xaf, 1], silent ? 0 : index, 60) } });
  }
  return [...tags, ...frames.sort((a, b) => a.atMs - b.atMs)];
}

export class SimPublisher {
  readonly name: string;
  readonly cutter: AlignedCutter;
  readonly published: PublishedWindow[] = [];
  readonly states: string[] = [];
  readonly conflicts: number[] = [];
  readonly #key: Uint8Array;
  readonly #unconfirmed = new Map<number, { readonly window: CutWindow; readonly untilMs: number }>();
  #tags: { readonly atMs: number; readonly tag: FlvTag }[] = [];
  #connection: Connection | undefined;
  #surveyed = new Set<string>();
  readonly #bornMs: number;
  #othersHead = -1;
  #othersHeadMs = Number.NEGATIVE_INFINITY;

  constructor(name: string, keyByte: number, bornMs: number, windowMs = WINDOW_MS) {
    this.name = name;
    this.#bornMs = bornMs;
    this.#key = new Uint8Array(32).fill(keyByte);
    this.cutter = new AlignedCutter({ windowMs, hasher: nodeHasher, publisherKey: () => this.#key, firstNumber: 0 });
  }

  get key(): Uint8Array {
    return this.#key;
  }

  connect(source: readonly TimedTag[], connection: Connection): void {
    this.#connection = connection;
    this.#tags = [...shown(source, connection)];
  }

  step(nowMs: number, others: readonly SimPublisher[]): void {
    const connection = this.#connection;
    if (connection && nowMs >= connection.fromMs && this.cutter.state === 'waiting')
      this.#carryOut(this.cutter.connected('pull', nowMs), nowMs, others);
    if (connection && nowMs >= connection.untilMs && this.cutter.state !== 'waiting') {
      this.#connection = undefined;
      this.#carryOut(this.cutter.disconnected(false, nowMs), nowMs, others);
    }
    while (this.#connection && (this.#tags[0]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs) {
      const next = this.#tags.shift();
      if (next) this.#carryOut(this.cutter.push(next.tag, nowMs), nowMs, others);
    }
    this.#listen(nowMs, others);
    if (nowMs % TICK_MS === 0) this.#tick(nowMs, others);
  }

  #listen(nowMs: number, others: readonly SimPublisher[]): void {
    const own = new Map(this.published.slice(-100).map(({ window, hash }) => [window.number, hash]));
    const firstOwn = this.#unbrokenFrom();
    const head = this.published.at(-1)?.window.number ?? -1;
    for (const { window, hash } of heard(others, nowMs)) {
      const { number } = window;
      if (number > this.#othersHead && !own.has(number)) {
        this.#othersHead = number;
        this.#othersHeadMs = nowMs;
      }
      const differs = own.has(number) ? own.get(number) !== hash : number > firstOwn && number < head;
      if (differs) this.#carryOut(this.cutter.doubted(number, true, nowMs), nowMs, others);
    }
    for (const [number, { window, untilMs }] of [...this.#unconfirmed]) {
      if (!this.#unconfirmed.has(number)) continue;
      const shownHashes = heard(others, nowMs).flatMap((other) => (other.window.number === number ? [other.hash] : []));
      if (shownHashes.includes(hashOf(window)) || (shownHashes.length === 0 && nowMs >= untilMs)) {
        for (const waiting of [...this.#unconfirmed.keys()].filter((other) => other <= number).sort((a, b) => a - b)) {
          const released = this.#unconfirmed.get(waiting);
          this.#unconfirmed.delete(waiting);
          if (released) this.#release(released.window, nowMs);
        }
      } else if (shownHashes.length > 0) {
        this.#unconfirmed.delete(number);
        this.#carryOut(this.cutter.doubted(number, false, nowMs), nowMs, others);
      }
    }
  }

  #unbrokenFrom(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const { window } of this.published.slice(-62).reverse()) {
      if (first !== Number.POSITIVE_INFINITY && window.number !== first - 1) return first;
      first = window.number;
    }
    return first;
  }

  #tick(nowMs: number, others: readonly SimPublisher[]): void {
    const numbers = heard(others, nowMs).map(({ window }) => window.number);
    const outlook = {
      upMs: nowMs - this.#bornMs,
      neighbours: others.length,
      publishers: others.filter(({ cutter }) => cutter.state !== 'waiting').length,
      onAir: others.filter(({ cutter }) => cutter.state === 'leading' || cutter.state === 'aligned').length,
      before: others.filter(({ cutter, key }) => cutter.state !== 'waiting' && (key[0] ?? 0) < (this.#key[0] ?? 0)).length,
      head: numbers.length === 0 ? null : Math.max(...numbers),
      quietMs: nowMs - this.#othersHeadMs,
    };
    this.#carryOut(this.cutter.tick(outlook, nowMs), nowMs, others);
  }

  #release(window: CutWindow, nowMs: number): void {
    this.published.push({ atMs: nowMs, window, hash: hashOf(window) });
  }

  #carryOut(effects: readonly AlignmentEffect[], nowMs: number, others: readonly SimPublisher[]): void {
    for (const effect of effects) {
      if (effect.kind === 'state') this.states.push(effect.state);
      else if (effect.kind === 'conflict') this.conflicts.push(effect.number);
      // As the shipped publication does: none overtakes one that waits.
      else if (effect.kind === 'publish' && (effect.confirm || this.#unconfirmed.size > 0))
        this.#unconfirmed.set(effect.window.number, { window: effect.window, untilMs: nowMs + CONFIRM_MS });
      else if (effect.kind === 'publish') this.#release(effect.window, nowMs);
      else if (effect.kind === 'survey') this.#survey(effect.count, nowMs, others);
    }
  }

  #survey(count: number, nowMs: number, others: readonly SimPublisher[]): void {
    const own = new Set(this.published.slice(-60).map(({ window, hash }) => `${window.number} ${hash}`));
    const found = others
      .flatMap((other) => heard([other], nowMs).map((published) => ({ ...published, publisher: other.key })))
      .filter(({ window, hash }) => !own.has(`${window.number} ${hash}`) && !this.#surveyed.has(`${window.number} ${hash}`))
      .sort((a, b) => b.window.number - a.window.number)
      .slice(0, count);
    for (const { window, hash, publisher } of found.reverse()) {
      this.#surveyed.add(`${window.number} ${hash}`);
      const { number, startMs, bytes } = window;
      this.#carryOut(this.cutter.surveyed({ number, startMs, bytes, publisher }, nowMs), nowMs, others);
    }
  }
}

/** Runs all publishers to the end. */
export function runPublishers(
  publishers: readonly SimPublisher[],
  untilMs: number,
  onStep: (nowMs: number) => void = () => undefined,
): void {
  for (let nowMs = 0; nowMs < untilMs; nowMs += STEP_MS) {
    onStep(nowMs);
    for (const publisher of publishers)
      publisher.step(
        nowMs,
        publishers.filter((other) => other !== publisher),
      );
  }
}

export interface Comparison {
  readonly compared: number;
  readonly equal: number;
}

/** Windows under one number that two publishers both made, from a moment on. */
export function compareWindows(a: SimPublisher, b: SimPublisher, fromMs = 0): Comparison {
  const theirs = new Map(b.published.filter(({ atMs }) => atMs >= fromMs).map(({ window, hash }) => [window.number, hash]));
  const shared = a.published.filter(({ atMs, window }) => atMs >= fromMs && theirs.has(window.number));
  return { compared: shared.length, equal: shared.filter(({ window, hash }) => theirs.get(window.number) === hash).length };
}

/** What the swarm still holds of what they published: the last 30 s. */
function heard(publishers: readonly SimPublisher[], nowMs: number): readonly PublishedWindow[] {
  return publishers.flatMap(({ published }) =>
    published.slice(-60).filter(({ atMs }) => atMs + HEARD_MS <= nowMs && nowMs - atMs < 30_000),
  );
}

function hashOf({ bytes }: CutWindow): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The source as one player sees it. */
function* shown(source: readonly TimedTag[], { fromMs, untilMs, times, shifts = [] }: Connection): Iterable<TimedTag> {
  const before = source.filter(({ atMs }) => atMs < fromMs);
  const headers = [VIDEO, AUDIO].flatMap(
    (type) => before.findLast(({ tag }) => tag.type === type && classifyTag(tag).kind === 'header') ?? [],
  );
  const keyIndex = before.findLastIndex(({ tag }) => classifyTag(tag).key);
  const cache = keyIndex < 0 ? [] : before.slice(keyIndex);
  const after = source.filter(({ atMs }) => atMs >= fromMs && atMs < untilMs);
  const first = [...cache, ...after].find(({ tag }) => classifyTag(tag).kind === 'frame');
  const offsetMs = times === 'kept' ? 0 : times === 'rebased' ? -(first?.tag.timestampMs ?? 0) : times;
  for (const { atMs, tag } of [...headers, ...cache, ...after]) {
    const shiftMs = shifts.reduce((sum, shift) => (atMs >= shift.atMs ? sum + shift.byMs : sum), 0);
    const isFrame = classifyTag(tag).kind === 'frame';
    const timestampMs = isFrame ? (tag.timestampMs + offsetMs + shiftMs + 2 ** 33) % 2 ** 32 : tag.timestampMs;
    yield { atMs: Math.max(atMs, fromMs), tag: { ...tag, timestampMs } };
  }
}
