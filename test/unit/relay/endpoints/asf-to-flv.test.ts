import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeAmf0 } from '../../../../src/media/amf0.js';
import { ASF_GUID } from '../../../../src/media/asf-guid.js';
import { type AsfHeader, parseAsfHeader } from '../../../../src/media/asf-header.js';
import { readAudioConfig, readVideoConfig } from '../../../../src/media/coded-media.js';
import { AUDIO, classifyTag, type FlvTag, SCRIPT, VIDEO, withoutSetDataFrame } from '../../../../src/media/flv.js';
import { AsfToFlv, asfFlvSupport } from '../../../../src/relay/endpoints/asf-to-flv.js';
import { audioStream, bytesOf, type Frame, packetise, simpleHeader, streamProperties, videoStream } from '../../../support/asf-writer.js';

const PS = 512;
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const SPS = hex('6764000dacd941419f9f011000000300100000030320f1429960');
const PPS = hex('68efbcb0');
const START = [0, 0, 0, 1];
const PARAMETERS = bytesOf(START, SPS, START, PPS);
const IDR = bytesOf(START, [0x65, 0xf0, 0x0f, 0xaa, 0xbb, 0xcc]);
const INTER = bytesOf(START, [0x41, 0xe0, 0x85, 0xaa, 0xbb, 0xcc]);
const ASC = hex('1208');

function headerOf(...streams: readonly Uint8Array[]): AsfHeader {
  return parseAsfHeader(simpleHeader({ packetBytes: PS }, streams)) as AsfHeader;
}

function convert(header: AsfHeader, frames: readonly Frame[]): FlvTag[] {
  const converter = new AsfToFlv(header);
  return packetise(frames, PS).flatMap(({ payload }) => converter.push(payload));
}

const picture = (presentationMs: number, data: Uint8Array, key = false): Frame => ({ stream: 1, key, presentationMs, data });
const sound = (presentationMs: number, data: Uint8Array = Uint8Array.of(0x21, 0x10)): Frame => ({
  stream: 2,
  key: false,
  presentationMs,
  data,
});
const kinds = (tags: readonly FlvTag[]): string[] =>
  tags.map((tag) => `${tag.type} ${classifyTag(tag).kind}${classifyTag(tag).key ? ' key' : ''}`);

const DECLINED: readonly (readonly [string, AsfHeader, RegExp])[] = [
  ['WMV', headerOf(videoStream(1, 'WMV3'), audioStream(2, 0xff)), /WMV3/],
  ['WMA', headerOf(videoStream(1, 'H264'), audioStream(2, 0x161)), /0x161/],
  ['no media', headerOf(), /neither/],
  ['a video stream without a format', headerOf(streamProperties(1, ASF_GUID.videoStream, new Uint8Array(0))), /unknown codec/],
  ['DRM', headerOf(streamProperties(1, ASF_GUID.audioStream, new Uint8Array(0), 0, true)), /DRM/],
];

for (const [title, header, reason] of DECLINED) {
  test(`declined with a reason: ${title}`, () => {
    const support = asfFlvSupport(header);
    assert.is(support.supported, false);
    assert.match(support.supported ? '' : support.reason, reason);
    assert.equal(convert(header, [picture(0, IDR, true)]), []);
  });
}

test('metadata and headers come once, then frames from the first key frame on', () => {
  const header = headerOf(videoStream(1, 'H264', PARAMETERS), audioStream(2, 0xff, ASC));
  const tags = convert(header, [
    picture(0, INTER),
    sound(0),
    picture(40, IDR, true),
    sound(40),
    picture(80, INTER),
    sound(63),
    picture(120, INTER),
  ]);
  assert.equal(kinds(tags), ['18 metadata', '9 header', '9 frame key', '8 header', '8 frame', '9 frame', '8 frame', '9 frame']);
  const [, video] = tags;
  assert.is(video && readVideoConfig(video)?.codecString, 'avc1.64000d');
  const audio = tags.find(({ type }) => type === AUDIO);
  assert.is(audio && readAudioConfig(audio)?.codecString, 'mp4a.40.2');
});

test('parameter sets inside the stream serve where the header has none, and are left out of frames', () => {
  const tags = convert(headerOf(videoStream(1, 'h264')), [picture(0, bytesOf(PARAMETERS, START, [9, 0xf0], IDR), true)]);
  assert.equal(kinds(tags), ['18 metadata', '9 header', '9 frame key']);
  assert.equal([...(tags[2]?.body.subarray(5) ?? [])], [0, 0, 0, 6, 0x65, 0xf0, 0x0f, 0xaa, 0xbb, 0xcc]);
});

test('another parameter set makes another header', () => {
  const higher = Uint8Array.from(SPS);
  higher[3] = 0x0e;
  const other = bytesOf(START, higher, START, PPS);
  const tags = convert(headerOf(videoStream(1, 'H264', PARAMETERS)), [picture(0, IDR, true), picture(40, bytesOf(other, IDR), true)]);
  assert.equal(kinds(tags).slice(1), ['9 header', '9 frame key', '9 header', '9 frame key']);
});

test('units with lengths before them are understood by the record in the header', () => {
  const record = (lengthBytes: number): Uint8Array =>
    bytesOf([1, 0x64, 0, 0x0d, 0xfc | (lengthBytes - 1), 0xe1, 0, SPS.length], SPS, [1, 0, PPS.length], PPS);
  const unit = IDR.subarray(4);
  const wanted = ['18 metadata', '9 header', '9 frame key'];
  assert.equal(kinds(convert(headerOf(videoStream(1, 'AVC1', record(4))), [picture(0, bytesOf([0, 0, 0, 6], unit), true)])), wanted);
  assert.equal(kinds(convert(headerOf(videoStream(1, 'AVC1', record(2))), [picture(0, bytesOf([0, 6], unit), true)])), wanted);
  assert.equal(convert(headerOf(videoStream(1, 'AVC1', record(4))), [picture(0, bytesOf([0, 0, 0, 7], unit), true)]), []);
});

test('a video stream that never shows a picture is not waited for longer than 10 s', () => {
  const header = headerOf(videoStream(1, 'H264', PARAMETERS), audioStream(2, 0xff, ASC));
  const tags = convert(
    header,
    Array.from({ length: 12 }, (_, index) => sound(index * 1000)),
  );
  assert.equal(
    tags.map(({ timestampMs }) => timestampMs),
    [0, 11_000, 11_000],
  );
});

test('AAC without a configuration gets one made from rate and channels', () => {
  const [, header] = convert(headerOf(audioStream(2, 0xff)), [sound(5)]);
  assert.equal([...(header?.body ?? [])], [0xaf, 0, 0x12, 0x10]);
});

test('HE-AAC with a head of its own before the configuration', () => {
  const [, header] = convert(headerOf(audioStream(2, 0x1610, bytesOf(new Uint8Array(12), ASC))), [sound(5)]);
  assert.equal([...(header?.body ?? [])], [0xaf, 0, 0x12, 0x08]);
});

test('ADTS heads are taken off, and tell the configuration', () => {
  const adts = (data: readonly number[]): Uint8Array =>
    bytesOf([0xff, 0xf1, 0x50, 0x80, (7 + data.length) >> 3, ((7 + data.length) & 7) << 5, 0xfc], data);
  const tags = convert(headerOf(audioStream(2, 0x1600)), [sound(0, bytesOf(adts([1, 2]), adts([3, 4, 5])))]);
  assert.equal(
    tags.slice(1).map(({ timestampMs, body }) => [timestampMs, ...body]),
    [
      [0, 0xaf, 0, 0x12, 0x10],
      [0, 0xaf, 1, 1, 2],
      [23, 0xaf, 1, 3, 4, 5],
    ],
  );
});

test('MP3 frames go as they are', () => {
  const [script, frame] = convert(headerOf(audioStream(2, 0x55)), [sound(9, Uint8Array.of(0xff, 0xfb, 1))]);
  assert.is(script?.type, SCRIPT);
  assert.equal([frame?.timestampMs, ...(frame?.body ?? [])], [9, 0x2f, 0xff, 0xfb, 1]);
});

test('metadata is AMF0 that a reader understands', () => {
  const [script] = convert(headerOf(videoStream(1, 'H264', PARAMETERS)), [picture(0, IDR, true)]);
  const values = decodeAmf0(withoutSetDataFrame(script?.body ?? new Uint8Array(0)));
  assert.equal(values, [
    'onMetaData',
    new Map([
      ['width', 320],
      ['height', 240],
      ['videocodecid', 7],
    ]),
  ]);
});

test('after a break half frames are forgotten and video waits for a key frame', () => {
  const converter = new AsfToFlv(headerOf(videoStream(1, 'H264', PARAMETERS)));
  const push = (frames: readonly Frame[]): FlvTag[] => packetise(frames, PS).flatMap(({ payload }) => converter.push(payload));
  push([picture(0, IDR, true)]);
  converter.discontinuity();
  assert.equal(push([picture(40, INTER)]), []);
  assert.equal(
    push([picture(90_000, IDR, true)]).map(({ type, timestampMs }) => [type, timestampMs]),
    [[VIDEO, 90_000]],
  );
});

test('bytes that are no packet give nothing', () => {
  assert.equal(new AsfToFlv(headerOf(videoStream(1, 'H264'))).push(new Uint8Array(1)), []);
});

test.run();
