/** Laws of the window cutter: the windows depend on the source alone, not on how its tags came in or when we began to listen. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type CutWindow, WindowCutter } from '../../src/ingest/window-cutter.js';
import { AUDIO, classifyTag, decodeTags, type FlvTag, VIDEO } from '../../src/media/flv.js';
import { assertLaw } from '../support/law.js';
import { cutNaively, type SourceTracks } from '../support/naive-cutter.js';

const WINDOW_MS = 500;
/** Tracks may be this far apart, and a little more than a frame. */
const SKEW_MS_MAX = 1_500;

interface Step {
  readonly afterMs: number;
  readonly headerBefore: boolean;
}

interface Shape {
  readonly startMs: number;
  readonly tracks: 'both' | 'video' | 'audio';
  readonly gop: number;
  readonly video: readonly Step[];
  readonly audio: readonly Step[];
}

const step = (min: number, max: number): fc.Arbitrary<Step> =>
  fc.record({
    // Mostly an even pace, now and then a step back, two at once, or a gap.
    afterMs: fc.oneof({ weight: 20, arbitrary: fc.integer({ min, max }) }, { weight: 1, arbitrary: fc.constantFrom(0, -40, -300, 900) }),
    headerBefore: fc.integer({ min: 0, max: 25 }).map((dice) => dice === 0),
  });
const shape: fc.Arbitrary<Shape> = fc.record({
  startMs: fc.oneof(fc.constantFrom(0, 1, 12_345, 2 ** 31 - 3_000, 2 ** 32 - 3_000), fc.integer({ min: 0, max: 2 ** 30 })),
  tracks: fc.constantFrom('both' as const, 'both' as const, 'video' as const, 'audio' as const),
  gop: fc.integer({ min: 1, max: 30 }),
  video: fc.array(step(20, 80), { minLength: 100, maxLength: 200 }),
  audio: fc.array(step(15, 60), { minLength: 150, maxLength: 250 }),
});

const wrapAt = (startMs: number): number => (startMs < 2 ** 31 ? 2 ** 31 : 2 ** 32);

/** Tags of one track in its own order; the first is a header. */
function track(type: typeof VIDEO | typeof AUDIO, startMs: number, steps: readonly Step[], gop: number): readonly FlvTag[] {
  const isVideo = type === VIDEO;
  const header = (version: number): FlvTag => ({
    type,
    timestampMs: 0,
    body: isVideo ? Uint8Array.of(0x17, 0, 0, 0, 0, 1, version) : Uint8Array.of(0xaf, 0, version),
  });
  const tags: FlvTag[] = [header(0)];
  let timeMs = startMs;
  let version = 0;
  for (const [index, { afterMs, headerBefore }] of steps.entries()) {
    if (headerBefore) tags.push(header(++version));
    const first = isVideo ? [index % gop === 0 ? 0x17 : 0x27, 1, 0, 0, 0] : [0xaf, 1];
    const timestampMs = Math.max(startMs, timeMs) % wrapAt(startMs);
    tags.push({ type, timestampMs, body: Uint8Array.of(...first, index & 0xff, index >> 8) });
    timeMs += afterMs;
  }
  return tags;
}

function source({ startMs, tracks, gop, video, audio }: Shape): SourceTracks {
  return {
    video: tracks === 'audio' ? [] : track(VIDEO, startMs, video, gop),
    audio: tracks === 'video' ? [] : track(AUDIO, startMs, audio, gop),
  };
}

/** Time since the start, with the wrap undone. */
function elapsed(tag: FlvTag, startMs: number): number {
  const ms = tag.timestampMs - startMs;
  return ms < -60_000 ? ms + wrapAt(startMs) : ms;
}

/** Merges the tracks as a server might send them: each in its own order, neither far behind the other. */
function interleaved(tracks: SourceTracks, startMs: number, jitterMs: readonly number[]): readonly FlvTag[] {
  const arrivals = [tracks.video, tracks.audio].flatMap((tags, order) => {
    let atMs = 0;
    return tags.map((tag, index) => {
      const frame = classifyTag(tag).kind === 'frame';
      if (frame) atMs = Math.max(atMs, elapsed(tag, startMs) + (jitterMs[(index * 2 + order) % jitterMs.length] ?? 0));
      return { tag, atMs, order, index };
    });
  });
  return arrivals.sort((a, b) => a.atMs - b.atMs || a.order - b.order || a.index - b.index).map(({ tag }) => tag);
}

/** What a server sends to somebody who joins there: the headers it holds, then whatever comes. */
function joinedAt(tags: readonly FlvTag[], at: number): readonly FlvTag[] {
  const before = tags.slice(0, at).filter((tag) => classifyTag(tag).kind === 'header');
  const cached = [before.findLast(({ type }) => type === VIDEO), before.findLast(({ type }) => type === AUDIO)];
  return [...cached.flatMap((tag) => tag ?? []), ...tags.slice(at)];
}

function cut(tags: readonly FlvTag[], joined: 'start' | 'middle'): readonly CutWindow[] {
  const cutter = new WindowCutter({ windowMs: WINDOW_MS, joined });
  return [...tags.flatMap((tag) => cutter.push(tag)), ...cutter.flush()];
}

function agree(windows: readonly CutWindow[], truth: ReadonlyMap<number, Uint8Array>): void {
  const numbers = windows.map(({ number }) => number);
  const expected = [...truth.keys()].filter((number) => number >= (numbers[0] ?? Number.POSITIVE_INFINITY));
  assert.equal(numbers, expected);
  for (const { number, bytes, startMs, previous } of windows) {
    assert.is(startMs, number * WINDOW_MS);
    assert.ok(previous === null || previous < number);
    assert.is(Buffer.compare(bytes, truth.get(number) ?? Buffer.of()), 0, `window ${number}`);
  }
}

const jitter = fc.array(fc.integer({ min: 0, max: SKEW_MS_MAX }), { minLength: 7, maxLength: 40 });

test('any interleaving gives the windows of the source, from the first that was seen whole', () => {
  assertLaw(
    fc.property(shape, jitter, (made, jitterMs) => {
      const tracks = source(made);
      const windows = cut(interleaved(tracks, made.startMs, jitterMs), 'start');
      assert.ok(windows.length > 3);
      // The first ones may lack audio that came before the first key frame.
      const wholeFrom = (windows[0]?.number ?? 0) + Math.ceil(SKEW_MS_MAX / WINDOW_MS) + 1;
      agree(
        windows.filter(({ number }) => number >= wholeFrom),
        cutNaively(tracks, WINDOW_MS),
      );
    }),
    { numRuns: 150 },
  );
});

test('whoever joins in the middle gives the same windows, and begins within a few seconds', () => {
  assertLaw(
    fc.property(shape, jitter, jitter, fc.double({ min: 0, max: 0.6, noNaN: true }), (made, jitterMs, otherJitterMs, at) => {
      const tracks = source(made);
      const tags = interleaved(tracks, made.startMs, jitterMs);
      const late = joinedAt(interleaved(tracks, made.startMs, otherJitterMs), Math.floor(tags.length * at));
      const firstFrame = late.find((tag) => classifyTag(tag).kind === 'frame');
      // Who joins after a wrap cannot know of it: its numbers begin anew.
      if (!firstFrame || firstFrame.timestampMs < made.startMs) return;
      const windows = cut(late, 'middle');
      const truth = cutNaively(tracks, WINDOW_MS);
      agree(windows, truth);
      const firstKey = late.find((tag) => classifyTag(tag).key || (made.tracks === 'audio' && classifyTag(tag).kind === 'frame'));
      const last = [...truth.keys()].at(-1) ?? 0;
      if (!firstKey || elapsed(firstKey, made.startMs) > last * WINDOW_MS - made.startMs - 6_000) return;
      const grid = Math.floor((elapsed(firstKey, made.startMs) + made.startMs) / WINDOW_MS);
      assert.ok((windows[0]?.number ?? Number.POSITIVE_INFINITY) <= grid + 2 + (SKEW_MS_MAX + 2_000) / WINDOW_MS, 'begins late');
    }),
    { numRuns: 200 },
  );
});

test('however the stream is handed over, the windows are the same', () => {
  assertLaw(
    fc.property(shape, jitter, fc.array(fc.nat({ max: 300 }), { maxLength: 4 }), (made, jitterMs, cuts) => {
      const tags = interleaved(source(made), made.startMs, jitterMs);
      // A publisher whose connection breaks and is resumed sends its headers again, and goes on where it was.
      const resumed = tags.flatMap((tag, index) => (cuts.includes(index) ? [...joinedAt(tags.slice(0, index), index), tag] : [tag]));
      const plain = cut(tags, 'start');
      assert.equal(
        cut(resumed, 'start').map(({ bytes }) => Buffer.from(bytes).toString('hex')),
        plain.map(({ bytes }) => Buffer.from(bytes).toString('hex')),
      );
    }),
    { numRuns: 40 },
  );
});

test('whatever comes, numbers only grow, windows are readable, and no more is held than is open', () => {
  const anyTag: fc.Arbitrary<FlvTag> = fc.record({
    type: fc.constantFrom(AUDIO, VIDEO),
    timestampMs: fc.oneof(
      fc.nat({ max: 3_000 }),
      fc.integer({ min: 2 ** 31 - 1_000, max: 2 ** 31 + 1_000 }),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    ),
    body: fc.oneof(
      fc.constantFrom(
        Uint8Array.of(0x17, 1, 0, 0, 0, 9),
        Uint8Array.of(0xaf, 1, 9),
        Uint8Array.of(0x17, 0, 0, 0, 0, 1),
        Uint8Array.of(0xaf, 0, 1),
      ),
      fc.uint8Array({ maxLength: 12 }),
    ),
  });
  assertLaw(
    fc.property(fc.array(anyTag, { maxLength: 60 }), fc.constantFrom('start' as const, 'middle' as const), (tags, joined) => {
      let last = -1;
      for (const window of cut(tags, joined)) {
        assert.ok(window.number > last, `${window.number} after ${last}`);
        last = window.number;
        assert.ok(Array.isArray(decodeTags(window.bytes)));
        assert.ok(window.bytes.length > 0);
      }
    }),
    { numRuns: 500 },
  );
});

test.run();
