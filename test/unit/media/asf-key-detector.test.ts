import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type AsfHeader, parseAsfHeader } from '../../../src/media/asf-header.js';
import { AsfKeyDetector } from '../../../src/media/asf-key-detector.js';
import type { AsfPacket, AsfPayload } from '../../../src/media/asf-packet.js';
import { audioStream, simpleHeader, videoStream } from '../../support/asf-writer.js';

function detectorFor(fourCc: string): AsfKeyDetector {
  return new AsfKeyDetector(parseAsfHeader(simpleHeader({}, [videoStream(1, fourCc), audioStream(2)])) as AsfHeader);
}

function packet(payload: Partial<AsfPayload> & { readonly data: Uint8Array }): AsfPacket {
  const whole = { stream: 1, key: true, objectNumber: 0, offsetBytes: 0, objectBytes: payload.data.length, presentationMs: 0, ...payload };
  return { sendMs: 0, durationMs: 0, payloads: [whole], fault: undefined };
}

/** Row 26: whether a frame with these bytes counts, with the bit set on all frames long enough to distrust it. */
function judgeUntrusted(fourCc: string, data: readonly number[]): boolean {
  const detector = detectorFor(fourCc);
  for (let index = 0; index < 60; index++) detector.isKey(packet({ data: Uint8Array.of(0xff) }));
  return detector.isKey(packet({ data: Uint8Array.from(data) }));
}

const FRAMES: readonly (readonly [string, readonly number[], readonly number[]])[] = [
  ['WMV2', [0x7f], [0x80]],
  ['WMV1', [0x3f], [0x40]],
  ['MP43', [0x00], [0x80]],
  ['div3', [0x00], [0x40]],
  ['MP42', [0x3f], [0xc0]],
  ['MPG4', [0x3f], [0x40]],
  ['MP4S', [0, 0, 1, 0xb3, 9, 0, 0, 1, 0xb6, 0x10], [0, 0, 1, 0xb6, 0x50]],
  ['M4S2', [0, 0, 1, 0xb6, 0x00], [0, 0, 1, 0xb3]],
  ['H264', [0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x65, 1], [0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 0x41, 1]],
  ['h264', [0, 0, 1, 0x67, 1], [0, 0, 1, 6, 1]],
];

for (const [fourCc, key, other] of FRAMES) {
  test(`with a bit that is always set, the first bytes of ${fourCc} decide`, () => {
    assert.is(judgeUntrusted(fourCc, key), true);
    assert.is(judgeUntrusted(fourCc, other), false);
  });
}

test('a bit that is always set is no use where the codec shows nothing', () => {
  const detector = detectorFor('WMV3');
  assert.is(detector.usable, true);
  for (let index = 0; index < 60; index++) detector.isKey(packet({ data: Uint8Array.of(0) }));
  assert.is(detector.usable, false);
  assert.is(detector.isKey(packet({ data: Uint8Array.of(0) })), false);
});

test('a bit that is never set is given up after 12 seconds of frames', () => {
  const detector = detectorFor('WMV3');
  for (let index = 0; index < 300; index++) detector.isKey(packet({ key: false, data: Uint8Array.of(0) }));
  assert.is(detector.usable, false);
  const shown = detectorFor('WMV2');
  for (let index = 0; index < 300; index++) shown.isKey(packet({ key: false, data: Uint8Array.of(0x80) }));
  assert.is(shown.isKey(packet({ key: false, data: Uint8Array.of(0) })), true);
});

test('a stream that mends its bit is believed again', () => {
  const detector = detectorFor('WMV3');
  for (let index = 0; index < 100; index++) detector.isKey(packet({ data: Uint8Array.of(0) }));
  for (let index = 0; index < 200; index++) detector.isKey(packet({ key: index % 25 === 0, data: Uint8Array.of(0) }));
  assert.is(detector.usable, true);
});

test('only the beginning of a believable object of a video stream counts', () => {
  const detector = detectorFor('WMV2');
  const data = Uint8Array.of(0);
  assert.is(detector.isKey(packet({ data })), true);
  assert.is(detector.isKey(packet({ data, offsetBytes: 1 })), false);
  assert.is(detector.isKey(packet({ data, stream: 2 })), false);
  assert.is(detector.isKey(packet({ data, stream: 99 })), false);
  assert.is(detector.isKey(packet({ data, objectBytes: 0xffff_ffff })), false);
  assert.is(detector.isKey(packet({ data: new Uint8Array(0) })), false);
});

test('a source of sound alone has no key frames to tell', () => {
  assert.is(new AsfKeyDetector(parseAsfHeader(simpleHeader({}, [audioStream(2)])) as AsfHeader).usable, false);
});

test.run();
