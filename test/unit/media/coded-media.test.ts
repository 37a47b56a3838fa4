import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readAudioConfig, readAudioFrame, readMetadataNumber, readVideoConfig, readVideoFrame } from '../../../src/media/coded-media.js';
import { AUDIO, type FlvTag, VIDEO } from '../../../src/media/flv.js';
import { metadataTag } from '../../support/media-fixture.js';

function ascii(text: string): readonly number[] {
  return [...text].map((letter) => letter.charCodeAt(0));
}

function video(...body: readonly number[]): FlvTag {
  return { type: VIDEO, timestampMs: 0, body: Uint8Array.from(body) };
}

function audio(...body: readonly number[]): FlvTag {
  return { type: AUDIO, timestampMs: 0, body: Uint8Array.from(body) };
}

const AVCC = [1, 0x64, 0, 0x1f, 0xff, 0xe1, 0];
const HVCC = [1, 0x01, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 93, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 0];
const OPUS_HEAD = [...ascii('OpusHead'), 1, 2, 0x38, 1, 0x80, 0xbb, 0, 0, 0, 0, 0];

test('an H.264 header names its profile and level, in the old form and the new one', () => {
  const old = readVideoConfig(video(0x17, 0, 0, 0, 0, ...AVCC));
  assert.is(old?.codecString, 'avc1.64001f');
  assert.equal(old?.description, Uint8Array.from(AVCC));
  assert.equal(readVideoConfig(video(0x90, ...ascii('avc1'), ...AVCC)), old);
});

test('a HEVC header names profile, compatibility in reverse bit order, tier, level and constraints', () => {
  assert.is(readVideoConfig(video(0x90, ...ascii('hvc1'), ...HVCC))?.codecString, 'hvc1.1.6.L93.b0');
  assert.is(readVideoConfig(video(0x1c, 0, 0, 0, 0, ...HVCC))?.fourCc, 'hvc1');
});

test('AV1 and VP9 headers name profile, level and depth', () => {
  assert.is(readVideoConfig(video(0x90, ...ascii('av01'), 0x81, 0x05, 0x0c, 0))?.codecString, 'av01.0.05M.08');
  assert.is(readVideoConfig(video(0x90, ...ascii('vp09'), 1, 0, 0, 0, 0, 31, 0x82, 0))?.codecString, 'vp09.00.31.08');
});

test('a composition offset is signed, and only where the format has one', () => {
  assert.equal(readVideoFrame(video(0x27, 1, 0xff, 0xff, 0xd8, 7)), { fourCc: 'avc1', data: Uint8Array.of(7), compositionMs: -40 });
  assert.equal(readVideoFrame(video(0xa1, ...ascii('hvc1'), 0, 0, 80, 7)), { fourCc: 'hvc1', data: Uint8Array.of(7), compositionMs: 80 });
  assert.equal(readVideoFrame(video(0xa3, ...ascii('hvc1'), 7)), { fourCc: 'hvc1', data: Uint8Array.of(7), compositionMs: 0 });
  assert.equal(readVideoFrame(video(0xa1, ...ascii('av01'), 7)), { fourCc: 'av01', data: Uint8Array.of(7), compositionMs: 0 });
});

test('an AAC header gives rate and channels, also an escaped rate', () => {
  const { codecString, sampleRate, channelCount } = readAudioConfig(audio(0xaf, 0, 0x12, 0x10)) ?? {};
  assert.equal([codecString, sampleRate, channelCount], ['mp4a.40.2', 44_100, 2]);
  // Object type 2, rate index 15, 48 000 in 24 bits, 1 channel.
  assert.is(readAudioConfig(audio(0xaf, 0, 0x17, 0x80, 0x5d, 0xc0, 0x08))?.sampleRate, 48_000);
});

test('MP3 explains itself in every frame', () => {
  const { sampleRate, channelCount } = readAudioConfig(audio(0x2f, 0xff, 0xfb, 0x90, 0xc0)) ?? {};
  assert.equal([sampleRate, channelCount], [44_100, 1]);
  assert.is(readAudioConfig(audio(0x2f, 0xff, 0xf3, 0x94, 0))?.sampleRate, 24_000);
});

test('Opus and FLAC headers give rate and channels', () => {
  assert.is(readAudioConfig(audio(0x90, ...ascii('Opus'), ...OPUS_HEAD))?.channelCount, 2);
  const streamInfo = [...new Array<number>(10).fill(0), 0x0a, 0xc4, 0x42, ...new Array<number>(21).fill(0)];
  const flac = readAudioConfig(audio(0x90, ...ascii('fLaC'), ...ascii('fLaC'), 0x80, 0, 0, 34, ...streamInfo));
  assert.equal([flac?.sampleRate, flac?.channelCount], [44_100, 2]);
});

test('frames come without their wrapping', () => {
  assert.equal(readAudioFrame(audio(0xaf, 1, 5, 6))?.data, Uint8Array.of(5, 6));
  assert.equal(readAudioFrame(audio(0x91, ...ascii('Opus'), 5))?.data, Uint8Array.of(5));
});

test('what cannot be read is undefined: other codecs, multitrack, cut-off records, absurd values', () => {
  const videos = [
    video(),
    video(0x12, 1, 2, 3, 4, 5),
    video(0x17, 0),
    video(0x17, 0, 0, 0, 0, 1),
    video(0x96, 0, ...ascii('avc1'), 0),
    video(0x90, 0x68),
  ];
  for (const tag of videos) assert.is(readVideoConfig(tag), undefined);
  const audios = [
    audio(),
    audio(0xaf, 0),
    audio(0xaf, 0, 0xff, 0xff),
    audio(0xaf, 0, 0x12, 0x00),
    audio(0xb0, 1),
    audio(0x2f, 0, 0, 0, 0),
    audio(0x95, 0),
  ];
  for (const tag of audios) assert.is(readAudioConfig(tag), undefined);
});

test('numbers are found in metadata by their name', () => {
  const { body } = metadataTag();
  assert.is(readMetadataNumber(body, 'width'), 320);
  assert.is(readMetadataNumber(body, 'height'), 240);
  assert.is(readMetadataNumber(body, 'idth'), undefined);
  assert.is(readMetadataNumber(body.subarray(0, body.length - 20), 'height'), undefined);
});

test.run();
