import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AUDIO, type FlvTag, SCRIPT, VIDEO } from '../../../../src/media/flv.js';
import { type FeedTag, TagFeed } from '../../../../src/relay/endpoints/tag-feed.js';
import { audioHeaderTag, audioTag, metadataTag, VIDEO_HEADER, videoHeaderTag, videoTag } from '../../../support/media-fixture.js';

const NAMES: Readonly<Record<number, string>> = { [AUDIO]: 'a', [VIDEO]: 'v', [SCRIPT]: 'm' };

/** `m0 V0 A0 v1000k a1010`: type, time, and `k` for a key frame; headers in capitals. */
function spell(tags: readonly FeedTag[]): string {
  return tags
    .map(
      ({ tag, kind, key }) => `${kind === 'header' ? NAMES[tag.type]?.toUpperCase() : NAMES[tag.type]}${tag.timestampMs}${key ? 'k' : ''}`,
    )
    .join(' ');
}

function listen(feed: TagFeed): { readonly tags: FeedTag[]; breaks: number; ends: number } {
  const heard = { tags: [] as FeedTag[], breaks: 0, ends: 0 };
  feed.subscribe({
    onTag: (tag) => heard.tags.push(tag),
    onDiscontinuity: () => (heard.breaks += 1),
    onEnd: () => (heard.ends += 1),
  });
  return heard;
}

function pushAll(feed: TagFeed, ...tags: readonly FlvTag[]): void {
  for (const tag of tags) feed.push(tag);
}

function started(): TagFeed {
  const feed = new TagFeed();
  pushAll(feed, metadataTag(), videoHeaderTag(), audioHeaderTag());
  return feed;
}

test('tags go to every listener in order, with their times', () => {
  const feed = new TagFeed();
  const one = listen(feed);
  const two = listen(feed);
  pushAll(feed, metadataTag(), videoHeaderTag(), audioHeaderTag(), videoTag(5000, true), audioTag(5010), videoTag(5040, false));
  assert.is(spell(one.tags), 'm0 V0 A0 v5000k a5010 v5040');
  assert.is(spell(two.tags), spell(one.tags));
});

test('a listener that has left hears nothing more', () => {
  const feed = started();
  const heard: FeedTag[] = [];
  const leave = feed.subscribe({ onTag: (tag) => heard.push(tag) });
  feed.push(videoTag(0, true));
  leave();
  feed.push(videoTag(40, false));
  assert.is(heard.length, 1);
});

test('what a player needs not is dropped: empty tags, commands, ends of sequence', () => {
  const feed = started();
  const heard = listen(feed);
  for (const body of [[], [0x17, 2, 0, 0, 0], [0x57, 0]]) feed.push({ type: VIDEO, timestampMs: 0, body: Uint8Array.from(body) });
  feed.push({ type: AUDIO, timestampMs: 0, body: Uint8Array.of(0xaf, 1) });
  assert.equal(heard.tags, []);
});

test('frames wait for the header of their track, and video for a key frame', () => {
  const feed = new TagFeed();
  const heard = listen(feed);
  pushAll(feed, audioTag(0), videoTag(0, true), videoHeaderTag(), videoTag(40, false), audioTag(50), videoTag(80, true), audioTag(90));
  assert.is(spell(heard.tags), 'V0 v80k');
  pushAll(feed, audioHeaderTag(), audioTag(100));
  assert.is(spell(heard.tags), 'V0 v80k A80 a100');
});

test('a joiner gets metadata, headers and all from the newest key frame on', () => {
  const feed = started();
  pushAll(feed, videoTag(1000, true), audioTag(1010), videoTag(2000, true), audioTag(2010), videoTag(2040, false));
  assert.is(spell(feed.prelude()), 'm0 V2000 A2000 v2000k a2010 v2040');
});

test('a joiner before any key frame gets headers only', () => {
  assert.is(spell(started().prelude()), 'm0 V0 A0');
});

test('history begins at the oldest key frame held', () => {
  const feed = started();
  pushAll(feed, videoTag(1000, true), audioTag(1010), videoTag(2000, true));
  assert.is(spell(feed.history()), 'm0 V1000 A1000 v1000k a1010 v2000k');
  assert.is(feed.heldMs, 1000);
});

test('history is bounded in time by whole groups of pictures', () => {
  const feed = new TagFeed({ historyMs: 3000 });
  feed.push(videoHeaderTag());
  for (let ms = 0; ms <= 20_000; ms += 500) feed.push(videoTag(ms, ms % 1000 === 0));
  assert.is(spell(feed.history()).split(' ')[1], 'v17000k');
});

test('history is bounded in bytes', () => {
  const feed = new TagFeed({ historyBytes: 10_000 });
  feed.push(videoHeaderTag());
  for (let ms = 0; ms <= 20_000; ms += 100) feed.push(videoTag(ms, ms % 1000 === 0, 0, 300));
  const bytes = feed.history().reduce((sum, { tag }) => sum + tag.body.length, 0);
  assert.ok(bytes > 3000 && bytes <= 10_000, `${bytes} bytes`);
});

test('a group of pictures larger than the bound is not kept; joiners wait for the next key frame', () => {
  const feed = new TagFeed({ historyBytes: 5000 });
  pushAll(feed, videoHeaderTag(), videoTag(0, true));
  for (let ms = 40; ms <= 4000; ms += 40) feed.push(videoTag(ms, false, 0, 300));
  assert.is(spell(feed.prelude()), 'V4000');
  feed.push(videoTag(4040, true));
  assert.is(spell(feed.prelude()), 'V4040 v4040k');
});

test('without video a joiner gets about the last second', () => {
  const feed = new TagFeed();
  feed.push(audioHeaderTag());
  for (let ms = 0; ms <= 10_000; ms += 20) feed.push(audioTag(ms));
  const [header, first] = feed.prelude();
  assert.is(header?.kind, 'header');
  const age = 10_000 - (first?.tag.timestampMs ?? 0);
  assert.ok(age >= 1000 && age <= 1500, `${age} ms`);
  assert.equal(feed.tracks, { audio: true, video: false, audioCodec: 'mp4a', videoCodec: null });
});

test('a header that says nothing new is not sent again; a changed one is', () => {
  const feed = started();
  const heard = listen(feed);
  pushAll(feed, videoTag(0, true), videoHeaderTag(), metadataTag(), audioHeaderTag(), videoTag(40, false));
  assert.is(spell(heard.tags), 'v0k v40');
  const body = VIDEO_HEADER.slice();
  body[8] = 0x28;
  pushAll(feed, { type: VIDEO, timestampMs: 80, body }, videoTag(80, false), videoTag(120, true));
  assert.is(spell(heard.tags), 'v0k v40 V40 v120k');
  assert.equal(feed.prelude()[1]?.tag.body, body);
});

test('a publisher that restarts is one shift for both tracks, from a key frame on', () => {
  const feed = started();
  pushAll(feed, videoTag(60_000, true), audioTag(60_020));
  const heard = listen(feed);
  feed.discontinuity();
  pushAll(
    feed,
    videoHeaderTag(),
    audioHeaderTag(),
    audioTag(0),
    videoTag(0, false),
    audioTag(20),
    videoTag(40, true),
    audioTag(43),
    videoTag(80, false),
  );
  assert.is(spell(heard.tags), 'v60060k a60063 v60100');
  assert.is(heard.breaks, 1);
});

test('where something is missing the picture stands still until the next key frame, and the sound goes on', () => {
  const feed = started();
  pushAll(feed, videoTag(0, true), audioTag(10), videoTag(40, false));
  const heard = listen(feed);
  feed.loss();
  pushAll(feed, audioTag(50), videoTag(80, false), audioTag(90), videoTag(120, true), videoTag(160, false));
  assert.is(spell(heard.tags), 'a50 a90 v120k v160');
  assert.is(heard.breaks, 0);
});

test('a jump that nobody announced is a discontinuity too', () => {
  const feed = started();
  feed.push(videoTag(60_000, true));
  const heard = listen(feed);
  pushAll(feed, videoTag(500, false), videoTag(540, true), videoTag(580, false));
  assert.is(spell(heard.tags), 'v60040k v60080');
  assert.is(heard.breaks, 1);
});

test('a publisher that comes back without video is audio alone after ten seconds', () => {
  const feed = started();
  pushAll(feed, videoTag(0, true), audioTag(0));
  feed.discontinuity();
  for (let ms = 0; ms <= 12_000; ms += 100) feed.push(audioTag(ms));
  assert.equal(feed.tracks, { audio: true, video: false, audioCodec: 'mp4a', videoCodec: null });
  assert.ok(feed.prelude().some(({ kind }) => kind === 'frame'));
  pushAll(feed, videoTag(12_100, false), videoTag(12_140, true), videoTag(12_180, false));
  assert.ok(feed.tracks.video);
  assert.is(feed.prelude().filter(({ tag }) => tag.type === VIDEO).length, 3);
});

test('a track that falls silent is not announced to new players', () => {
  const feed = started();
  pushAll(feed, videoTag(0, true), audioTag(0));
  for (let ms = 40; ms <= 11_000; ms += 40) feed.push(videoTag(ms, ms % 1000 === 0));
  assert.equal(feed.tracks, { audio: false, video: true, audioCodec: null, videoCodec: 'avc1' });
  feed.push(audioTag(11_010));
  assert.ok(feed.tracks.audio);
});

test('a stream that begins late in its own time has both tracks from the start', () => {
  const feed = started();
  pushAll(feed, videoTag(5_000_000, true), audioTag(5_000_010), videoTag(5_000_040, false));
  assert.ok(feed.tracks.audio && feed.tracks.video);
});

test('the name before metadata that players do not know is taken off', () => {
  const feed = new TagFeed();
  const heard = listen(feed);
  feed.push(metadataTag());
  const body = heard.tags[0]?.tag.body ?? new Uint8Array();
  assert.is(new TextDecoder().decode(body.subarray(3, 13)), 'onMetaData');
});

test('metadata too large to be any is dropped', () => {
  const feed = new TagFeed();
  const heard = listen(feed);
  feed.push({ type: SCRIPT, timestampMs: 0, body: new Uint8Array(70_000) });
  assert.equal(heard.tags, []);
});

test('after 2^31 ms players are sent away and the feed begins again at 0, with everything they need', () => {
  const feed = started();
  for (let ms = 2 ** 30; ms < 2 ** 31; ms += 9_999) feed.push(videoTag(ms, true));
  const heard = listen(feed);
  pushAll(feed, videoTag(2 ** 31 + 500, true), videoTag(2 ** 31 + 540, false));
  assert.is(heard.ends, 1);
  assert.is(spell(feed.prelude()), 'm0 V0 v0k v40');
});

test('whoever ends the channel tells the listeners', () => {
  const feed = started();
  const heard = listen(feed);
  feed.end();
  assert.is(heard.ends, 1);
});

test.run();
