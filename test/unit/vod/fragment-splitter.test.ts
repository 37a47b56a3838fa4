import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../src/kernel/errors.js';
import { type Fragment, FragmentSplitter } from '../../../src/vod/fragment-splitter.js';

/** Three seconds made by ffmpeg, a key frame every half second, its clock two seconds ahead. */
const STREAM = readFileSync(new URL('../../../../test/fuzz/corpus/fragment/short.mp4', import.meta.url));

function split(stepBytes: number): { readonly init: Uint8Array | undefined; readonly fragments: readonly Fragment[] } {
  const splitter = new FragmentSplitter();
  const fragments: Fragment[] = [];
  for (let atByte = 0; atByte < STREAM.length; atByte += stepBytes) {
    const some = splitter.push(STREAM.subarray(atByte, atByte + stepBytes));
    assert.not.instance(some, Malformed);
    fragments.push(...(some as readonly Fragment[]));
  }
  return { init: splitter.init, fragments };
}

test('fragments begin at key frames, at the time those are shown', () => {
  const { init, fragments } = split(STREAM.length);
  assert.is(Buffer.from(init ?? []).toString('latin1', 4, 8), 'ftyp');
  assert.is(fragments.length, 6);
  for (const [index, { startS }] of fragments.entries()) assert.ok(Math.abs(startS - 2 - index * 0.5) < 0.2, `${index}: ${startS}`);
});

test('cutting the input anywhere makes no difference', () => {
  const whole = split(STREAM.length);
  for (const stepBytes of [1, 7, 1000]) assert.equal(split(stepBytes), whole);
});

test('a box that is too long or too short, and media without a header, are faults', () => {
  for (const bytes of [
    Uint8Array.of(0, 0, 0, 7, 102, 116, 121, 112),
    Uint8Array.of(255, 0, 0, 0, 102, 116, 121, 112),
    Uint8Array.of(0, 0, 0, 8, 109, 100, 97, 116),
  ])
    assert.ok(new FragmentSplitter().push(bytes) instanceof Malformed);
});

test.run();
