/** The publish gate: which tags pass. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PublishGate } from '../../../../src/io/rtmp/publish-gate.js';
import { audioHeaderTag, audioTag, metadataTag, videoHeaderTag, videoTag } from '../../../support/media-fixture.js';

test('frames pass once their own codec has its header', () => {
  const gate = new PublishGate();
  assert.not(gate.admits(videoTag(0, true), 0));
  assert.ok(gate.admits(audioHeaderTag(), 0));
  assert.not(gate.admits(videoTag(0, true), 0));
  assert.ok(gate.admits(audioTag(0), 0));
  assert.ok(gate.admits(videoHeaderTag(), 0));
  assert.ok(gate.admits(videoTag(0, true), 0));
});

test('frames of a codec that needs no header pass at once', () => {
  assert.ok(new PublishGate().admits({ type: 8, timestampMs: 0, body: Uint8Array.of(0x2f, 1, 2) }, 0));
});

test('empty and truncated tags do not pass', () => {
  const gate = new PublishGate();
  for (const body of [new Uint8Array(0), Uint8Array.of(0x17, 1)]) assert.not(gate.admits({ type: 9, timestampMs: 0, body }, 0));
  assert.not(gate.admits({ type: 18, timestampMs: 0, body: new Uint8Array(0) }, 0));
});

test('script tags pass up to 64 KiB, four at once and then two a second', () => {
  const gate = new PublishGate();
  assert.not(gate.admits({ type: 18, timestampMs: 0, body: new Uint8Array(65_537) }, 0));
  const passed = Array.from({ length: 10 }, () => gate.admits(metadataTag(), 0)).filter(Boolean);
  assert.is(passed.length, 4);
  const later = Array.from({ length: 10 }, (_, second) => [1, 2, 3, 4].map((i) => gate.admits(metadataTag(), 1000 * (second + 1) + i)));
  const laterCount = later.flat().filter(Boolean).length;
  assert.ok(laterCount >= 19 && laterCount <= 21, `${laterCount} in ten seconds`);
});

test.run();
