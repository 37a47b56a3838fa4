import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../src/kernel/errors.js';
import { type MediaDescription, planConversion } from '../../../src/vod/conversion-plan.js';

const H264 = { codec: 'h264', pixelFormat: 'yuv420p' };
const film = (changes: Partial<MediaDescription> = {}): MediaDescription => ({
  durationS: 60,
  container: 'matroska,webm',
  video: H264,
  audioCodec: 'aac',
  ...changes,
});
const keys = (stepS: number): number[] => Array.from({ length: Math.floor(60 / stepS) }, (_, index) => index * stepS);

function plan(media: MediaDescription, keyTimesS: readonly number[] = []) {
  const result = planConversion(media, keyTimesS);
  assert.not.instance(result, Malformed);
  return result as Exclude<typeof result, Malformed>;
}

test('video is copied in segments of two seconds or more that begin with key frames', () => {
  const { video, audio, boundariesS } = plan(film({ audioCodec: 'dts' }), keys(4));
  assert.equal([video, audio], ['copy', 'encode']);
  assert.equal(boundariesS, [...keys(4), 60]);
  assert.equal(plan(film(), keys(1.5)).boundariesS.slice(0, 4), [0, 3, 6, 9]);
});

test('without an index of key frames, or with too wide gaps in it, video is encoded', () => {
  for (const times of [[], keys(30)]) {
    const { video, audio, boundariesS } = plan(film(), times);
    assert.equal([video, audio], ['encode', 'copy']);
    assert.equal(boundariesS, [...keys(2), 60]);
  }
});

test('codecs and formats of pixels that browsers do not take are encoded', () => {
  for (const video of [
    { codec: 'hevc', pixelFormat: 'yuv420p' },
    { codec: 'h264', pixelFormat: 'yuv420p10le' },
    { codec: 'mpeg4', pixelFormat: 'yuv420p' },
  ])
    assert.is(plan(film({ video }), keys(4)).video, 'encode');
  assert.is(plan(film({ audioCodec: undefined }), keys(4)).audio, 'none');
  assert.is(plan(film({ video: undefined }), keys(4)).video, 'none');
});

test('a file counts as playable as it is only with a container and codecs that every browser takes', () => {
  const direct = (changes: Partial<MediaDescription>): boolean => plan(film(changes)).isDirect;
  assert.is(direct({ container: 'mov,mp4,m4a,3gp,3g2,mj2' }), true);
  assert.is(direct({}), false);
  assert.is(direct({ video: { codec: 'vp9', pixelFormat: 'yuv420p' }, audioCodec: 'opus' }), true);
  assert.is(direct({ container: 'mov,mp4,m4a,3gp,3g2,mj2', audioCodec: 'ac3' }), false);
  assert.is(direct({ container: 'avi' }), false);
  assert.is(direct({ container: 'wav', video: undefined, audioCodec: 'pcm_s16le' }), true);
});

test('a short rest joins the segment before it', () => {
  assert.equal(plan(film({ durationS: 4.4 })).boundariesS, [0, 2, 4.4]);
  assert.equal(plan(film({ durationS: 0.5 })).boundariesS, [0, 0.5]);
});

test('what has no length, or nothing to play, is refused with a sentence', () => {
  for (const media of [
    film({ durationS: Number.NaN }),
    film({ durationS: 0 }),
    film({ durationS: 1e9 }),
    film({ video: undefined, audioCodec: undefined }),
  ])
    assert.ok(planConversion(media, []) instanceof Malformed);
});

test.run();
