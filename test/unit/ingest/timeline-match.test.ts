import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FrameIndex } from '../../../src/ingest/frame-index.js';
import { liesOn, matchTimelines } from '../../../src/ingest/timeline-match.js';
import { nodeHasher } from '../../../src/io/crypto.js';
import { AUDIO, VIDEO } from '../../../src/media/flv.js';

interface Shape {
  readonly video?: number;
  readonly audio?: number;
  readonly fromMs?: number;
  readonly untilMs?: number;
  readonly silent?: boolean;
  /** Only one picture a second is large enough to be told apart. */
  readonly still?: boolean;
  /** The sound ends here. */
  readonly muteFromMs?: number;
  readonly seed?: number;
}

/** Frames of a source from one moment to another, each track moved by so much. */
function frames({
  video = 0,
  audio = 0,
  fromMs = 0,
  untilMs = 6_000,
  silent = false,
  still = false,
  muteFromMs = untilMs,
  seed = 0,
}: Shape): FrameIndex {
  const index = new FrameIndex(nodeHasher);
  const body = (head: readonly number[], content: number): Uint8Array =>
    Uint8Array.from({ length: 60 }, (_, at) => head[at] ?? ((content + seed * 7_919) >> (8 * (at % 4))) & 0xff);
  for (let atMs = Math.ceil(fromMs / 40) * 40; atMs < untilMs; atMs += still ? 1_000 : 40)
    index.add({ type: VIDEO, timestampMs: 0, body: body([0x27, 1, 0, 0, 0], atMs) }, atMs + video);
  for (let atMs = Math.ceil(fromMs / 23) * 23; atMs < muteFromMs; atMs += 23)
    index.add({ type: AUDIO, timestampMs: 0, body: body([0xaf, 1], silent ? 1 : atMs) }, atMs + audio);
  return index;
}

test('one source on two timelines is found, and how far apart they are', () => {
  assert.equal(matchTimelines(frames({}), frames({ video: 12_345, audio: 12_345, fromMs: 2_000, untilMs: 5_000 })), {
    kind: 'same',
    deltaMs: 12_345,
  });
  assert.equal(matchTimelines(frames({ video: 500, audio: 500 }), frames({})), { kind: 'same', deltaMs: -500 });
});

test('tracks that are apart by different times are no common timeline', () => {
  assert.equal(matchTimelines(frames({}), frames({ video: 4_663, audio: 4_644 })), { kind: 'different' });
});

test('too little in common decides nothing', () => {
  assert.equal(matchTimelines(frames({}), frames({ seed: 1 })), { kind: 'unknown' });
  assert.equal(
    matchTimelines(frames({}), frames({ video: 100, audio: 100, fromMs: 2_000, untilMs: 3_500 })),
    { kind: 'unknown' },
    'under two seconds',
  );
  assert.equal(matchTimelines(frames({}), new FrameIndex(nodeHasher)), { kind: 'unknown' });
});

test('a track that repeats itself need not decide, and one that could must', () => {
  assert.equal(matchTimelines(frames({ silent: true }), frames({ silent: true, video: 70, audio: 70 })), { kind: 'same', deltaMs: 70 });
  const mixed = frames({ video: 70, audio: 70 });
  assert.equal(matchTimelines(frames({ fromMs: 0, untilMs: 6_000 }), mixed), { kind: 'same', deltaMs: 70 });
});

test('a picture that stands still need not decide, but must not contradict', () => {
  const own = frames({ still: true });
  assert.equal(matchTimelines(own, frames({ still: true, video: 70, audio: 70 })), { kind: 'same', deltaMs: 70 });
  assert.equal(matchTimelines(own, frames({ still: true, video: 90, audio: 70 })), { kind: 'different' });
});

test('a sound that has fallen silent bears out what the pictures say', () => {
  const theirs = frames({ video: 70, audio: 70, muteFromMs: 1_000 });
  assert.equal(matchTimelines(frames({ muteFromMs: 1_000 }), theirs), { kind: 'same', deltaMs: 70 });
});

test('an offset that is tried holds where nearly all frames lie on each other', () => {
  const own = frames({ silent: true });
  assert.ok(liesOn(own, frames({ silent: true, fromMs: 2_000, untilMs: 2_500 }), 0), 'one window is enough');
  assert.ok(liesOn(own, frames({ silent: true, video: 80, audio: 80, fromMs: 2_000, untilMs: 3_000 }), 80));
  assert.not(liesOn(own, frames({ silent: true, fromMs: 2_000, untilMs: 3_000 }), 40), 'pictures differ');
  assert.not(liesOn(own, frames({ fromMs: 2_000, untilMs: 2_200 }), 0), 'too short');
  assert.not(liesOn(own, frames({ fromMs: 20_000, untilMs: 22_000 }), 0), 'nothing to compare');
});

test.run();
