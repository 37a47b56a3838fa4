import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AUDIO, type FlvTag, VIDEO } from '../../../../src/media/flv.js';
import { SegmentCutter, type SegmentDraft } from '../../../../src/relay/endpoints/segment-cutter.js';
import { TagFeed } from '../../../../src/relay/endpoints/tag-feed.js';
import { audioHeaderTag, audioTag, metadataTag, VIDEO_HEADER, videoHeaderTag, videoTag } from '../../../support/media-fixture.js';

/** A cutter behind a real feed, and the drafts that come out. */
function cutter(): { readonly feed: TagFeed; readonly cutter: SegmentCutter; readonly drafts: SegmentDraft[] } {
  const feed = new TagFeed();
  const cut = new SegmentCutter(2000);
  const drafts: SegmentDraft[] = [];
  const keep = (draft: SegmentDraft | null): void => void (draft !== null && drafts.push(draft));
  feed.subscribe({ onTag: (tag) => keep(cut.push(tag)), onDiscontinuity: () => keep(cut.discontinuity()) });
  return { feed, cutter: cut, drafts };
}

function pushAll(feed: TagFeed, tags: readonly FlvTag[]): void {
  for (const tag of tags) feed.push(tag);
}

function stretch(fromMs: number, toMs: number, keyEveryMs: number): readonly FlvTag[] {
  const tags: FlvTag[] = [];
  for (let ms = fromMs; ms < toMs; ms += 40) tags.push(videoTag(ms, (ms - fromMs) % keyEveryMs === 0), audioTag(ms + 5));
  return tags;
}

const HEADERS = [metadataTag(), videoHeaderTag(), audioHeaderTag()];

test('a segment ends at the first key frame two seconds after it began', () => {
  const { feed, drafts } = cutter();
  pushAll(feed, [...HEADERS, ...stretch(0, 6100, 1000)]);
  assert.equal(
    drafts.map(({ startMs, durationMs }) => [startMs, durationMs]),
    [
      [0, 2000],
      [2000, 2000],
      [4000, 2000],
    ],
  );
  assert.equal(
    drafts.map(({ discontinuity }) => discontinuity),
    [true, false, false],
  );
  assert.is(drafts[1]?.video?.frames.length, 50);
  assert.is(drafts[1]?.audio?.frames.length, 50);
  assert.equal([drafts[0]?.width, drafts[0]?.height], [320, 240]);
});

test('a long group of pictures is one long segment', () => {
  const { feed, drafts } = cutter();
  pushAll(feed, [...HEADERS, ...stretch(0, 10_100, 5000)]);
  assert.equal(
    drafts.map(({ durationMs }) => durationMs),
    [5000, 5000],
  );
});

test('frames last until the next one, and the last one until the cut', () => {
  const { feed, drafts } = cutter();
  pushAll(feed, [...HEADERS, videoTag(0, true), videoTag(30, false), videoTag(70, false), videoTag(1960, false), videoTag(2000, true)]);
  assert.equal(
    drafts[0]?.video?.frames.map(({ durationMs }) => durationMs),
    [30, 40, 1890, 1890],
  );
  const second = cutter();
  pushAll(second.feed, [...HEADERS, ...stretch(0, 2100, 1000)]);
  assert.is(second.drafts[0]?.video?.frames.at(-1)?.durationMs, 40);
});

test('without video a segment ends after two seconds', () => {
  const { feed, drafts } = cutter();
  feed.push(audioHeaderTag());
  for (let ms = 0; ms < 4500; ms += 20) feed.push(audioTag(ms));
  assert.equal(
    drafts.map(({ durationMs }) => durationMs),
    [1900, 1900],
  );
  assert.is(drafts[0]?.video, null);
});

test('another configuration ends the segment, and the next one is a break', () => {
  const { feed, drafts } = cutter();
  const body = VIDEO_HEADER.slice();
  body[6] = 0x4d;
  pushAll(feed, [...HEADERS, ...stretch(0, 1200, 1000), { type: VIDEO, timestampMs: 1200, body }, ...stretch(1200, 3400, 1000)]);
  assert.equal(
    drafts.map(({ startMs, discontinuity }) => [startMs, discontinuity]),
    [
      [0, true],
      [1200, true],
    ],
  );
  assert.is(drafts[1]?.video?.config.codecString, 'avc1.4d001f');
});

test('audio that shows up within the first segment belongs to it; later it is a break', () => {
  const { feed, drafts } = cutter();
  pushAll(feed, [videoHeaderTag(), videoTag(0, true), videoTag(40, false), audioHeaderTag(), ...stretch(80, 4200, 1000)]);
  assert.equal(
    drafts.map(({ startMs, audio }) => [startMs, audio !== null]),
    [
      [0, true],
      [2080, true],
    ],
  );
  const late = cutter();
  const silent = stretch(0, 2400, 1000).filter(({ type }) => type === VIDEO);
  pushAll(late.feed, [videoHeaderTag(), ...silent, audioHeaderTag(), ...stretch(2400, 4500, 1000)]);
  assert.equal(
    late.drafts.map(({ startMs, discontinuity }) => [startMs, discontinuity]),
    [
      [0, true],
      [2000, false],
      [2400, true],
    ],
  );
});

test('a publisher that restarts is a break', () => {
  const { feed, drafts } = cutter();
  pushAll(feed, [...HEADERS, ...stretch(60_000, 63_000, 1000)]);
  feed.discontinuity();
  pushAll(feed, [...HEADERS, ...stretch(0, 2100, 1000)]);
  assert.equal(
    drafts.map(({ startMs, discontinuity }) => [startMs, discontinuity]),
    [
      [60_000, true],
      [62_000, false],
      [63_005, true],
    ],
  );
});

test('video that stops for good leaves audio alone', () => {
  const { feed, drafts } = cutter();
  pushAll(feed, [...HEADERS, ...stretch(0, 1000, 1000)]);
  for (let ms = 1000; ms < 16_000; ms += 20) feed.push(audioTag(ms));
  assert.is(drafts.at(-1)?.video, null);
  assert.ok(drafts.at(-1)?.audio?.frames.length);
});

test('codecs that HLS cannot carry are named', () => {
  const film = cutter();
  film.feed.push({ type: VIDEO, timestampMs: 0, body: Uint8Array.of(0x12, 1, 2) });
  assert.match(film.cutter.fault ?? '', /flv-video-2 cannot/);
  const speech = cutter();
  speech.feed.push({ type: AUDIO, timestampMs: 0, body: Uint8Array.of(0xb2, 1, 2) });
  assert.match(speech.cutter.fault ?? '', /spex cannot/);
});

test('a segment that grows without end is given up, and what follows is a break', () => {
  const { feed, drafts } = cutter();
  pushAll(feed, [...HEADERS, videoTag(0, true)]);
  for (let count = 1; count <= 9; count++) feed.push(videoTag(count * 40, false, 0, 4 * 1024 * 1024));
  pushAll(feed, stretch(1000, 3100, 1000));
  assert.equal(
    drafts.map(({ startMs, discontinuity }) => [startMs, discontinuity]),
    [[1000, true]],
  );
});

test.run();
