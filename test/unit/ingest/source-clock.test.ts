import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SourceClock } from '../../../src/ingest/source-clock.js';

const TABLE: readonly [title: string, rawMs: readonly number[], timesMs: readonly (number | undefined)[]][] = [
  ['an even pace is taken as it is', [0, 40, 80], [0, 40, 80]],
  ['a step back of up to a second is taken as it is', [5_000, 4_000, 5_040], [5_000, 4_000, 5_040]],
  ['a step back beyond it breaks the timeline', [5_000, 3_999], [5_000, undefined]],
  ['a gap of ten seconds is a gap', [0, 10_000], [0, 10_000]],
  ['a gap beyond it breaks the timeline', [0, 10_001], [0, undefined]],
  ['a 31-bit wrap goes on', [2 ** 31 - 20, 20], [2 ** 31 - 20, 2 ** 31 + 20]],
  [
    'a step back over a 31-bit wrap goes back',
    [2 ** 31 - 20, 20, 2 ** 31 - 10, 30],
    [2 ** 31 - 20, 2 ** 31 + 20, 2 ** 31 - 10, 2 ** 31 + 30],
  ],
  ['a 32-bit wrap goes on', [2 ** 32 - 20, 20], [2 ** 32 - 20, 2 ** 32 + 20]],
  ['a 32-bit source passes 2^31 without a wrap', [2 ** 31 - 20, 2 ** 31 + 20], [2 ** 31 - 20, 2 ** 31 + 20]],
  ['a step back over a 32-bit wrap goes back', [5, 2 ** 32 - 5], [5, -5]],
];

for (const [title, rawMs, timesMs] of TABLE) {
  test(title, () => {
    const clock = new SourceClock();
    assert.equal(
      rawMs.map((raw) => clock.read(raw)),
      timesMs,
    );
  });
}

test('a clock joins another track on the right side of a wrap', () => {
  const video = new SourceClock();
  video.read(2 ** 31 - 10);
  video.read(30);
  const audio = new SourceClock();
  assert.ok(audio.join(video, 2 ** 31 - 5));
  assert.is(audio.read(2 ** 31 - 5), 2 ** 31 - 5);
  assert.is(audio.read(7), 2 ** 31 + 7);
});

test('a clock does not join a track whose time is too far away', () => {
  const video = new SourceClock();
  video.read(100_000);
  const audio = new SourceClock();
  assert.not(audio.join(video, 5));
  assert.not(audio.started);
  assert.ok(audio.join(video, 92_000));
  assert.not(new SourceClock().join(video, 92_000, 2_000));
});

test('a stopped clock starts anew', () => {
  const clock = new SourceClock();
  clock.read(50_000);
  clock.stop();
  assert.not(clock.started);
  assert.is(clock.read(3), 3);
});

test.run();
