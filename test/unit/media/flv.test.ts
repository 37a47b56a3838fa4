import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../src/kernel/errors.js';
import {
  AUDIO,
  classifyTag,
  decodeTags,
  encodeFlvHeader,
  encodeTag,
  FlvParser,
  type FlvTag,
  SCRIPT,
  TAG_BODY_BYTES_MAX,
  VIDEO,
} from '../../../src/media/flv.js';

const HEADER = encodeFlvHeader({ audio: true, video: true });
const TAGS: readonly FlvTag[] = [
  { type: SCRIPT, timestampMs: 0, body: Uint8Array.of(2, 0, 1, 0x61) },
  { type: VIDEO, timestampMs: 16_777_216, body: Uint8Array.of(0x17, 1, 0, 0, 0, 9) },
  { type: AUDIO, timestampMs: 0xffff_ffff, body: Uint8Array.of(0xaf, 1, 7) },
];

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function video(...body: readonly number[]): FlvTag {
  return { type: VIDEO, timestampMs: 0, body: Uint8Array.from(body) };
}

function audio(...body: readonly number[]): FlvTag {
  return { type: AUDIO, timestampMs: 0, body: Uint8Array.from(body) };
}

function ascii(text: string): readonly number[] {
  return [...text].map((letter) => letter.charCodeAt(0));
}

function parsed(bytes: Uint8Array): readonly FlvTag[] {
  const tags = new FlvParser().push(bytes);
  if (tags instanceof Malformed) throw new Error(tags.reason);
  return tags;
}

const STREAM = join(HEADER, ...TAGS.map(encodeTag));

test('a stream in one chunk gives its tags, with 32-bit times', () => {
  assert.equal(parsed(STREAM), TAGS);
});

test('a stream byte by byte gives the same tags, each when its last byte comes', () => {
  const parser = new FlvParser();
  const found: FlvTag[] = [];
  for (let at = 0; at < STREAM.length; at++) {
    const tags = parser.push(STREAM.subarray(at, at + 1));
    assert.not.instance(tags, Malformed);
    found.push(...(tags as readonly FlvTag[]));
  }
  assert.equal(found, TAGS);
});

test('a tag does not change when the chunk it came in is used again', () => {
  const chunk = STREAM.slice();
  const tags = parsed(chunk);
  chunk.fill(0);
  assert.equal(tags, TAGS);
});

test('an 8 MiB tag in single bytes is parsed in time that grows with its size alone', () => {
  const sizeBytes = TAG_BODY_BYTES_MAX;
  const bytes = join(HEADER, encodeTag({ type: VIDEO, timestampMs: 0, body: new Uint8Array(8) }));
  const big = encodeTag({ type: VIDEO, timestampMs: 40, body: new Uint8Array(sizeBytes).fill(3) });
  const parser = new FlvParser();
  parser.push(bytes);
  const startMs = performance.now();
  let count = 0;
  for (let at = 0; at < big.length; at++) count += (parser.push(big.subarray(at, at + 1)) as readonly FlvTag[]).length;
  assert.is(count, 1);
  // Joining on every chunk took minutes; a constant number of copies takes well under a second.
  assert.ok(performance.now() - startMs < 5000);
});

test('a file header that is longer than usual is skipped, wherever it is cut', () => {
  const long = join(Uint8Array.of(0x46, 0x4c, 0x56, 1, 5, 0, 0, 0, 20), new Uint8Array(11 + 4));
  const bytes = join(long, encodeTag(TAGS[1] as FlvTag));
  for (let cut = 0; cut <= bytes.length; cut++) {
    const parser = new FlvParser();
    const tags = [
      ...(parser.push(bytes.subarray(0, cut)) as readonly FlvTag[]),
      ...(parser.push(bytes.subarray(cut)) as readonly FlvTag[]),
    ];
    assert.equal(tags, [TAGS[1]]);
  }
});

test('what is no FLV is refused, and stays refused', () => {
  const parser = new FlvParser();
  const page = new TextEncoder().encode('<!doctype html><title>404</title>');
  assert.instance(parser.push(page), Malformed);
  assert.instance(parser.push(STREAM), Malformed);
});

test('a file header that claims an absurd size is refused', () => {
  assert.instance(new FlvParser().push(Uint8Array.of(0x46, 0x4c, 0x56, 1, 5, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)), Malformed);
  assert.instance(new FlvParser().push(Uint8Array.of(0x46, 0x4c, 0x56, 1, 5, 0, 0, 0, 8, 0, 0, 0, 0)), Malformed);
});

test('a tag above the bound is refused as soon as its size is known', () => {
  const over = TAG_BODY_BYTES_MAX + 1;
  const head = Uint8Array.of(VIDEO, over >> 16, (over >> 8) & 255, over & 255, 0, 0, 0, 0, 0, 0, 0);
  assert.instance(new FlvParser().push(join(HEADER, head)), Malformed);
});

test('unknown and encrypted tags are left out, and a wrong trailing size is forgiven', () => {
  const unknown = encodeTag(TAGS[2] as FlvTag);
  unknown[0] = 31;
  const encrypted = encodeTag(TAGS[2] as FlvTag);
  encrypted[0] = AUDIO | 0x20;
  const wrongSize = encodeTag(TAGS[2] as FlvTag);
  wrongSize[wrongSize.length - 1] = 0;
  assert.equal(parsed(join(HEADER, unknown, encrypted, wrongSize)), [TAGS[2]]);
});

test('a run of tags without a file header is decoded whole or not at all', () => {
  const run = join(...TAGS.map(encodeTag));
  assert.equal(decodeTags(run), TAGS);
  assert.instance(decodeTags(run.subarray(0, run.length - 1)), Malformed);
  assert.instance(decodeTags(Uint8Array.of(1, 2, 3)), Malformed);
});

test('the file header tells which tracks there are', () => {
  assert.is(encodeFlvHeader({ audio: true, video: true })[4], 5);
  assert.is(encodeFlvHeader({ audio: false, video: true })[4], 1);
  assert.is(encodeFlvHeader({ audio: true, video: false })[4], 4);
});

test('H.264 tags are told apart', () => {
  assert.equal(classifyTag(video(0x17, 0, 0, 0, 0, 1)), { kind: 'header', key: false, codec: 'avc1' });
  assert.equal(classifyTag(video(0x17, 1, 0, 0, 0, 1)), { kind: 'frame', key: true, codec: 'avc1' });
  assert.equal(classifyTag(video(0x27, 1, 0, 0, 0, 1)), { kind: 'frame', key: false, codec: 'avc1' });
  assert.equal(classifyTag(video(0x17, 2, 0, 0, 0)), { kind: 'end', key: false, codec: 'avc1' });
  assert.is(classifyTag(video(0x57, 0)).kind, 'command');
  assert.is(classifyTag(video(0x17, 1)).kind, 'empty');
  assert.is(classifyTag(video()).kind, 'empty');
});

test('a frame that a server made up (type 4) is not a key frame', () => {
  assert.not.ok(classifyTag(video(0x47, 1, 0, 0, 0, 1)).key);
});

test('enhanced video tags are told apart, also behind ModEx and in multitrack', () => {
  assert.equal(classifyTag(video(0x90, ...ascii('hvc1'))), { kind: 'header', key: false, codec: 'hvc1' });
  assert.equal(classifyTag(video(0x93, ...ascii('av01'), 1)), { kind: 'frame', key: true, codec: 'av01' });
  assert.equal(classifyTag(video(0xa1, ...ascii('hvc1'), 0, 0, 0, 1)), { kind: 'frame', key: false, codec: 'hvc1' });
  assert.equal(classifyTag(video(0x92, ...ascii('av01'))), { kind: 'end', key: false, codec: 'av01' });
  assert.is(classifyTag(video(0x94, ...ascii('hvc1'))).kind, 'metadata');
  assert.is(classifyTag(video(0x97, 2, 0, 0, 0, 0x03, ...ascii('hvc1'), 1)).kind, 'frame');
  assert.is(classifyTag(video(0x96, 0x00, ...ascii('avc1'), 0)).kind, 'header');
  assert.is(classifyTag(video(0x97, 255)).kind, 'empty');
});

test('audio tags are told apart', () => {
  assert.equal(classifyTag(audio(0xaf, 0, 0x12, 0x10)), { kind: 'header', key: false, codec: 'mp4a' });
  assert.equal(classifyTag(audio(0xaf, 1, 1)), { kind: 'frame', key: false, codec: 'mp4a' });
  assert.is(classifyTag(audio(0xaf, 1)).kind, 'command');
  assert.equal(classifyTag(audio(0x2f, 0xff)), { kind: 'frame', key: false, codec: '.mp3' });
  assert.equal(classifyTag(audio(0x90, ...ascii('Opus'))), { kind: 'header', key: false, codec: 'Opus' });
  assert.is(classifyTag(audio()).kind, 'empty');
});

test.run();
