import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AUDIO, VIDEO } from '../../../../src/media/flv.js';
import { FeedTimeline, RESTART_GAP_MS } from '../../../../src/relay/endpoints/feed-timeline.js';

const WRAP = 2 ** 31;

function mapAll(timeline: FeedTimeline, times: readonly number[]): readonly number[] {
  return times.map((rawMs) => timeline.map(VIDEO, rawMs));
}

test('times of a continuous source pass unchanged', () => {
  assert.equal(mapAll(new FeedTimeline(), [5000, 5040, 5080, 9000]), [5000, 5040, 5080, 9000]);
});

test('loose interleaving of two tracks passes unchanged', () => {
  const timeline = new FeedTimeline();
  assert.equal([timeline.map(AUDIO, 9), timeline.map(AUDIO, 23), timeline.map(VIDEO, 8)], [9, 23, 8]);
});

test('a restart goes on one frame after the newest time, with one shift for both tracks', () => {
  const timeline = new FeedTimeline();
  timeline.map(VIDEO, 70_000);
  timeline.map(AUDIO, 70_010);
  timeline.restart();
  assert.is(timeline.map(VIDEO, 0), 70_010 + RESTART_GAP_MS);
  assert.is(timeline.map(AUDIO, 23), 70_010 + RESTART_GAP_MS + 23);
});

test('a wrap at 2^31 and one at 2^32 are undone', () => {
  const timeline = new FeedTimeline();
  const starts = mapAll(timeline, [2 ** 30 - 5]);
  assert.equal(starts, [2 ** 30 - 5]);
  for (let ms = 2 ** 30; ms < WRAP - 10_000; ms += 9000) assert.not.ok(step(timeline, ms));
  timeline.map(VIDEO, WRAP - 20);
  assert.not.ok(timeline.isJump(20));
  assert.is(timeline.map(VIDEO, 20), WRAP + 20);
});

function step(timeline: FeedTimeline, ms: number): boolean {
  const jump = timeline.isJump(ms);
  timeline.map(VIDEO, ms);
  return jump;
}

test('a straggler from before a wrap stays before it', () => {
  const timeline = new FeedTimeline();
  assert.equal([timeline.map(VIDEO, WRAP - 20), timeline.map(VIDEO, 20), timeline.map(AUDIO, WRAP - 5)], [0, 40, 15]);
});

test('a wrap at 2^32 is undone', () => {
  const timeline = new FeedTimeline();
  assert.equal(mapAll(timeline, [2 * WRAP - 40, 2 * WRAP - 1, 39]), [0, 39, 79]);
});

test('a first time above 2^30 is rebased to 0', () => {
  assert.equal(mapAll(new FeedTimeline(), [2 ** 30 + 1, 2 ** 30 + 41]), [0, 40]);
  assert.equal(mapAll(new FeedTimeline(), [2 ** 30]), [2 ** 30]);
});

test('a long step forward or a step back is a jump, and nothing is one before the first time', () => {
  const timeline = new FeedTimeline();
  assert.not.ok(timeline.isJump(99_999));
  timeline.map(VIDEO, 50_000);
  assert.not.ok(timeline.isJump(60_000));
  assert.ok(timeline.isJump(60_001));
  assert.not.ok(timeline.isJump(49_000));
  assert.ok(timeline.isJump(48_999));
});

test('a time that goes back within its track is held', () => {
  assert.equal(mapAll(new FeedTimeline(), [1000, 960, 1040]), [1000, 1000, 1040]);
});

test('a reset begins anew', () => {
  const timeline = new FeedTimeline();
  timeline.map(VIDEO, 90_000);
  timeline.reset();
  assert.is(timeline.newestMs, 0);
  assert.is(timeline.map(VIDEO, 100), 100);
});

test('a frame from before the first one of a timeline is recognised, after a restart too', () => {
  const timeline = new FeedTimeline();
  assert.not(timeline.precedesStart(0), 'nothing precedes a start that has not been');
  timeline.map(9, 5000);
  assert.ok(timeline.precedesStart(4999));
  assert.not(timeline.precedesStart(5000));
  timeline.restart();
  timeline.map(9, 100);
  assert.ok(timeline.precedesStart(60));
  assert.not(timeline.precedesStart(101));
});

test.run();
