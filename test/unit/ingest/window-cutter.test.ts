import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type CutWindow, KEY_MARKS_MAX, WINDOW_BYTES_MAX, WindowCutter } from '../../../src/ingest/window-cutter.js';
import { AUDIO, decodeTags, type FlvTag, SCRIPT, VIDEO } from '../../../src/media/flv.js';

const WINDOW_MS = 500;

const videoHeader = (version = 1): FlvTag => ({ type: VIDEO, timestampMs: 0, body: Uint8Array.of(0x17, 0, 0, 0, 0, version) });
const audioHeader = (version = 1): FlvTag => ({ type: AUDIO, timestampMs: 0, body: Uint8Array.of(0xaf, 0, version) });
const key = (timestampMs: number): FlvTag => ({ type: VIDEO, timestampMs, body: Uint8Array.of(0x17, 1, 0, 0, 0, 7) });
const frame = (timestampMs: number): FlvTag => ({ type: VIDEO, timestampMs, body: Uint8Array.of(0x27, 1, 0, 0, 0, 7) });
const sound = (timestampMs: number): FlvTag => ({ type: AUDIO, timestampMs, body: Uint8Array.of(0xaf, 1, 7) });

function cutter(options: Partial<ConstructorParameters<typeof WindowCutter>[0]> = {}): WindowCutter {
  return new WindowCutter({ windowMs: WINDOW_MS, ...options });
}

function feed(target: WindowCutter, tags: readonly FlvTag[]): readonly CutWindow[] {
  return tags.flatMap((tag) => target.push(tag));
}

/** Every `stepMs` from the first to before the last. */
function every(make: (timestampMs: number) => FlvTag, fromMs: number, toMs: number, stepMs = 100): readonly FlvTag[] {
  const tags: FlvTag[] = [];
  for (let atMs = fromMs; atMs < toMs; atMs += stepMs) tags.push(make(atMs));
  return tags;
}

/** A word per tag: V and A headers, k key frame, v frame, a sound, with its time. */
function words(window: CutWindow | undefined): string {
  const tags = window && decodeTags(window.bytes);
  if (!Array.isArray(tags)) return 'unreadable';
  return tags
    .map(({ type, timestampMs, body }) => {
      const name = type === VIDEO ? (body[1] === 0 ? 'V' : body[0] === 0x17 ? 'k' : 'v') : body[1] === 0 ? 'A' : 'a';
      return `${name}${timestampMs}`;
    })
    .join(' ');
}

test('a window holds what lies on its stretch of the time grid, headers first', () => {
  const target = cutter();
  const windows = feed(target, [videoHeader(), audioHeader(), key(0), sound(10), frame(300), sound(310), frame(600), sound(610)]);
  assert.is(windows.length, 1);
  assert.is(words(windows[0]), 'V0 A0 k0 a10 v300 a310');
  assert.equal([windows[0]?.number, windows[0]?.startMs, windows[0]?.durationMs, windows[0]?.previous], [0, 0, WINDOW_MS, null]);
  assert.is(windows[0]?.discontinuity, true);
  assert.equal(windows[0]?.keyMarks, [{ offsetBytes: 39, afterStartMs: 0 }]);
});

test('at equal times video comes before audio, and each track keeps its own order', () => {
  const tags = [videoHeader(), audioHeader(), key(0), sound(0), sound(40), frame(40), frame(40), sound(40), frame(600), sound(600)];
  assert.is(words(feed(cutter(), tags)[0]), 'V0 A0 k0 a0 v40 v40 a40 a40');
});

test('a header that changes stands before the key frame it governs, not where it arrived', () => {
  const tags = [
    videoHeader(),
    key(0),
    frame(100),
    videoHeader(2),
    frame(200),
    key(300),
    frame(600),
    videoHeader(2),
    key(1_000),
    frame(1_500),
  ];
  const [first, second] = feed(cutter(), tags);
  assert.is(words(first), 'V0 k0 v100 v200 V300 k300');
  assert.is(words(second), 'V600 v600');
  assert.is(second?.bytes[16], 2, 'the header of the second window is the new one');
});

test('a window begins with the headers in force, however late its predecessor was finished', () => {
  // The second window opens with sound before the header of the first has changed.
  const tags = [
    videoHeader(1),
    audioHeader(),
    key(0),
    sound(0),
    sound(550),
    frame(100),
    videoHeader(2),
    key(400),
    frame(600),
    sound(1_000),
    frame(1_000),
  ];
  const [first, second] = feed(cutter(), tags);
  assert.is(words(first), 'V0 A0 k0 a0 v100 V400 k400');
  const heads = decodeTags(second?.bytes ?? new Uint8Array());
  assert.is(Array.isArray(heads) ? heads[0]?.body[5] : 0, 2);
});

test('audio alone is cut without waiting for video, and each window can be started at', () => {
  const windows = feed(cutter(), [audioHeader(), ...every(sound, 0, 1_600)]);
  assert.equal(
    windows.map(({ number }) => number),
    [0, 1, 2],
  );
  assert.ok(windows.every(({ keyMarks }) => keyMarks.length === 1));
});

test('video alone is cut without waiting for audio', () => {
  const windows = feed(cutter(), [videoHeader(), key(0), ...every(frame, 100, 1_600)]);
  assert.equal(
    windows.map(({ number }) => number),
    [0, 1, 2],
  );
  assert.equal(
    windows.map(({ keyMarks }) => keyMarks.length),
    [1, 0, 0],
  );
});

test('a track that stops is waited for two seconds, and no longer', () => {
  const target = cutter();
  feed(target, [videoHeader(), audioHeader(), key(0), ...every(frame, 100, 1_000), ...every(sound, 0, 1_000)]);
  assert.equal(feed(target, [frame(1_500), frame(2_000)]).length, 0);
  assert.equal(
    feed(target, every(frame, 3_000, 4_600)).map(({ number }) => number),
    [1, 3, 4],
  );
});

test('a track that comes back beside the other after a long pause belongs to the same stream', () => {
  const target = cutter();
  feed(target, [videoHeader(), audioHeader(), key(0), sound(0), ...every(frame, 100, 20_000)]);
  const windows = feed(target, [...every(sound, 20_000, 21_000), ...every(frame, 20_000, 21_100)]);
  assert.ok(windows.every(({ discontinuity }) => !discontinuity));
  assert.is(words(windows.find(({ number }) => number === 40)).includes('a20000'), true);
});

test('a jump in time is a discontinuity, and numbers only grow', () => {
  const target = cutter();
  const before = feed(target, [videoHeader(), key(100_000), ...every(frame, 100_100, 102_000)]);
  const after = feed(target, [frame(500), key(1_000), ...every(frame, 1_100, 3_000)]);
  assert.ok((after[0]?.number ?? 0) > (before.at(-1)?.number ?? 0));
  assert.is(after[0]?.discontinuity, true);
  assert.is(after[1]?.discontinuity, false);
  assert.ok(words(after[0]).startsWith('V1000 k1000'), 'the header in force goes on, and the run starts at a key frame');
  // Bases are multiples of 16: another publisher that closed a window less before the jump has the same numbers.
  assert.is(((after[0]?.number ?? 0) - 2) % 16, 0);
});

test('what is left of the old timeline when the other track has jumped is dropped', () => {
  const target = cutter();
  feed(target, [videoHeader(), audioHeader(), key(100_000), sound(100_000), key(5_000_000), sound(100_020)]);
  assert.is(target.droppedTags, 1);
});

test('numbers of a restarted station go on above those it has used', () => {
  const [first] = feed(cutter({ firstNumber: 1_000 }), [videoHeader(), key(0), frame(600)]);
  assert.ok((first?.number ?? 0) >= 1_000 && (first?.number ?? 0) < 1_016);
});

test('who joins in the middle leaves out what it has not seen whole', () => {
  const tags = [videoHeader(), audioHeader(), key(10_300), sound(10_290), ...every(frame, 10_400, 14_000), ...every(sound, 10_400, 14_000)];
  const windows = feed(
    cutter({ joined: 'middle' }),
    tags.slice().sort((a, b) => a.timestampMs - b.timestampMs),
  );
  // 10.3 s lies in window 20; a step back of a second may still belong to window 22.
  assert.is(windows[0]?.number, 23);
  assert.equal([windows[0]?.previous, windows[0]?.discontinuity], [null, true]);
  assert.ok(words(windows[0]).startsWith('V11500 A11500 v11500 a11500'));
});

test('who joins in the middle waits for a track that nobody has announced', () => {
  const target = cutter({ joined: 'middle' });
  assert.equal(feed(target, [key(0), ...every(frame, 100, 1_900)]), []);
  assert.is(feed(target, every(frame, 1_900, 4_000))[0]?.number, 3);
});

test('the end of the source lets out what is open', () => {
  const target = cutter();
  feed(target, [videoHeader(), audioHeader(), key(0), sound(0), frame(600)]);
  assert.equal(target.flush().map(words), ['V0 A0 k0 a0', 'V600 A600 v600']);
  assert.equal(target.flush(), []);
});

test('a publisher that is replaced leaves no headers and no open window behind', () => {
  const target = cutter();
  feed(target, [videoHeader(), audioHeader(), key(0), sound(0)]);
  target.begin({ joined: 'start' });
  assert.equal(feed(target, [frame(0), sound(0)]).length, 0);
  const windows = [...feed(target, [key(0), frame(600)]), ...target.flush()];
  assert.ok(windows.every((window) => !/[VA]\d/.test(words(window))));
});

test('script data, ends of sequence, commands, empty tags and repeated headers are left out', () => {
  const noise: FlvTag[] = [
    { type: SCRIPT, timestampMs: 10, body: Uint8Array.of(2, 0, 1, 65) },
    { type: VIDEO, timestampMs: 20, body: Uint8Array.of(0x17, 2, 0, 0, 0) },
    { type: VIDEO, timestampMs: 30, body: Uint8Array.of(0x57, 1, 0, 0, 0, 1) },
    { type: VIDEO, timestampMs: 40, body: new Uint8Array() },
    videoHeader(),
  ];
  assert.is(words(feed(cutter(), [videoHeader(), key(0), ...noise, frame(600)])[0]), 'V0 k0');
});

test('a window never outgrows its bounds, in bytes, tags and key marks', () => {
  const huge: FlvTag = { type: VIDEO, timestampMs: 10, body: new Uint8Array(WINDOW_BYTES_MAX / 2).fill(0x27).fill(1, 1, 2) };
  const target = cutter();
  feed(target, [videoHeader(), key(0), huge, huge, huge]);
  assert.is(target.droppedTags, 2);
  const [big] = feed(target, [frame(600)]);
  assert.ok((big?.bytes.length ?? Number.POSITIVE_INFINITY) <= WINDOW_BYTES_MAX);
  const many = cutter();
  feed(many, [videoHeader(), ...Array.from({ length: 25_000 }, () => key(0))]);
  const [window] = feed(many, [frame(600)]);
  assert.is(window?.keyMarks.length, KEY_MARKS_MAX);
  assert.is(many.droppedTags, 5_001);
});

test('a source that runs through a wrap loses nothing, and its times go on as if it had 32 bits', () => {
  for (const wrap of [2 ** 31, 2 ** 32]) {
    const tags = [key(wrap - 1_000), ...every(frame, wrap - 900, wrap), ...every(frame, 0, 1_100)];
    const windows = feed(cutter(), [videoHeader(), ...tags]);
    assert.equal(
      windows.map(({ discontinuity }) => discontinuity),
      [true, ...new Array(windows.length - 1).fill(false)],
    );
    assert.ok(windows.every(({ number, startMs }) => startMs === number * WINDOW_MS));
    const times = windows.flatMap((window) => words(window).match(/(?<=[kv])\d+/g) ?? []).map(Number);
    assert.equal(
      times,
      tags.slice(0, times.length).map(({ timestampMs }) => (timestampMs < wrap / 2 ? (timestampMs + wrap) % 2 ** 32 : timestampMs)),
    );
    assert.ok(times.includes(wrap % 2 ** 32));
  }
});

test('an encoder that comes back behind its own end begins a run of its own, with the next number, and loses nothing', () => {
  const target = cutter();
  const end: FlvTag = { type: VIDEO, timestampMs: 1_640, body: Uint8Array.of(0x17, 2, 0, 0, 0) };
  const before = feed(target, [videoHeader(), audioHeader(), key(0), sound(0), ...every(frame, 100, 1_700), ...every(sound, 100, 1_700)]);
  // As node-media-server splices it: times go on, by another offset for each track.
  const after = feed(target, [
    end,
    videoHeader(),
    audioHeader(),
    key(1_720),
    sound(1_701),
    ...every(frame, 1_820, 3_700),
    ...every(sound, 1_801, 3_700),
  ]);
  const windows = [...before, ...after];
  assert.equal(
    windows.map(({ number }) => number),
    [0, 1, 2, 3, 4, 5, 6],
  );
  assert.equal(
    windows.map(({ discontinuity }) => discontinuity),
    [true, false, false, false, true, false, false],
  );
  assert.ok(words(windows[3]).endsWith('a1600'), 'what was open at the end is whole');
  assert.ok(words(windows[4]).startsWith('V1701 A1701 a1701 k1720'), 'and what came behind it in the same half second is in the next one');
});

test('a later end of sequence without headers behind it is no break', () => {
  const target = cutter();
  const end: FlvTag = { type: VIDEO, timestampMs: 400, body: Uint8Array.of(0x17, 2, 0, 0, 0) };
  const windows = feed(target, [videoHeader(), audioHeader(), key(0), sound(0), end, ...every(sound, 100, 4_000)]);
  assert.ok(windows.length > 2);
  assert.equal(windows.filter(({ discontinuity }) => discontinuity).length, 1);
});

test('on the timeline of others the numbers and times are theirs, and there is no break before our first window', () => {
  const target = cutter();
  target.begin({ joined: 'middle', anchor: { rawMs: 0, timeMs: 2 ** 32 + 250_000, base: 160, unbroken: true } });
  const windows = feed(target, [videoHeader(), audioHeader(), key(0), sound(0), ...every(frame, 100, 4_000), ...every(sound, 100, 4_000)]);
  const [first] = windows;
  assert.is(first?.number, Math.floor((2 ** 32 + 250_000) / WINDOW_MS) + 160 + 3);
  assert.equal([first?.previous, first?.discontinuity], [(first?.number ?? 0) - 1, false]);
  assert.ok((first?.startMs ?? 0) > 2 ** 32, 'times go on over the wrap');
  assert.is(target.base, 160);
});

test('numbers that were only reserved may be used where the content is known, and none twice', () => {
  const anchor = { rawMs: 0, timeMs: 0, base: 0, unbroken: true };
  const target = cutter({ firstNumber: 1_000 });
  target.begin({ joined: 'start', anchor });
  const windows = feed(target, [videoHeader(), key(0), ...every(frame, 100, 2_000)]);
  assert.equal(
    windows.map(({ number }) => number),
    [0, 1, 2],
  );
  target.begin({ joined: 'start', anchor });
  const again = feed(target, [videoHeader(), key(0), ...every(frame, 100, 3_000)]);
  assert.equal(
    again.map(({ number }) => number),
    [3, 4],
  );
});

test.run();
