import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AUDIO, type FlvTag, SCRIPT, VIDEO } from '../../src/media/flv.js';
import { type FeedTag, TagFeed } from '../../src/relay/endpoints/tag-feed.js';
import { audioHeaderTag, audioTag, metadataTag, videoHeaderTag, videoTag } from '../support/media-fixture.js';

const HISTORY_BYTES = 4000;
/** The feed's own bound plus the tag that went over it and the headers. */
const HELD_BYTES_MAX = HISTORY_BYTES + 2000;

type Step = { readonly kind: 'tag'; readonly tag: FlvTag } | { readonly kind: 'discontinuity' };

const timestamp = fc.oneof(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 0xffff_ffff }));
const anything: fc.Arbitrary<FlvTag> = fc
  .tuple(fc.constantFrom(AUDIO, VIDEO, SCRIPT), timestamp, fc.uint8Array({ maxLength: 40 }))
  .map(([type, timestampMs, body]) => ({ type, timestampMs, body }));
const sensible: fc.Arbitrary<FlvTag> = fc.oneof(
  fc.constantFrom(metadataTag(), videoHeaderTag(), audioHeaderTag()),
  fc.tuple(timestamp, fc.boolean()).map(([ms, key]) => videoTag(ms, key)),
  timestamp.map((ms) => audioTag(ms)),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: sensible.map((tag): Step => ({ kind: 'tag', tag })) },
  { weight: 4, arbitrary: anything.map((tag): Step => ({ kind: 'tag', tag })) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'discontinuity' }) },
);

function run(feed: TagFeed, steps: readonly Step[]): void {
  for (const item of steps) {
    if (item.kind === 'tag') feed.push(item.tag);
    else feed.discontinuity();
  }
}

function bytesOf(tags: readonly FeedTag[]): number {
  return tags.reduce((sum, { tag }) => sum + tag.body.length, 0);
}

test('whatever comes in, times go out below 2^31 and never back within a track, and memory stays bounded', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const feed = new TagFeed({ historyBytes: HISTORY_BYTES });
      const lastMs = new Map<number, number>();
      feed.subscribe({
        onTag: ({ tag, kind }) => {
          assert.ok(tag.timestampMs < 2 ** 31);
          if (kind !== 'frame') return;
          assert.ok(tag.timestampMs >= (lastMs.get(tag.type) ?? 0));
          lastMs.set(tag.type, tag.timestampMs);
        },
        onEnd: () => lastMs.clear(),
      });
      run(feed, steps);
      assert.ok(bytesOf(feed.history()) <= HELD_BYTES_MAX);
    }),
    { numRuns: 300 },
  );
});

test('whatever comes in, what a joiner is given can be decoded: headers, then a key frame when there is video', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const feed = new TagFeed();
      run(feed, steps);
      for (const tags of [feed.prelude(), feed.history()]) {
        const firstVideo = tags.find(({ tag, kind }) => tag.type === VIDEO && kind === 'frame');
        if (firstVideo !== undefined && feed.tracks.video) assert.ok(firstVideo.key);
      }
    }),
    { numRuns: 300 },
  );
});

test('a joiner at any moment gets what the others got: the prelude is the end of what was sent', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const feed = new TagFeed();
      const sent: FlvTag[] = [];
      feed.subscribe({ onTag: ({ tag, kind }) => kind === 'frame' && sent.push(tag) });
      run(feed, steps);
      const frames = feed
        .prelude()
        .filter(({ kind }) => kind === 'frame')
        .map(({ tag }) => tag);
      assert.equal(frames, sent.slice(sent.length - frames.length));
    }),
    { numRuns: 300 },
  );
});

test('a continuous source passes with its own times and bodies from its first key frame on', () => {
  const stepsMs = fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 1, maxLength: 100 });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 30 - 1000 }), stepsMs, (startMs, deltas) => {
      const feed = new TagFeed();
      const sent: FlvTag[] = [];
      feed.subscribe({ onTag: ({ tag, kind }) => kind === 'frame' && sent.push(tag) });
      run(
        feed,
        [videoHeaderTag(), audioHeaderTag()].map((tag) => ({ kind: 'tag', tag })),
      );
      let ms = startMs;
      const tags = deltas.map((delta, index) => {
        ms += delta;
        return index % 3 === 0 ? videoTag(ms, index % 6 === 0, index) : audioTag(ms, index % 256);
      });
      for (const tag of tags) feed.push(tag);
      assert.equal(sent, tags);
    }),
    { numRuns: 200 },
  );
});

test.run();
