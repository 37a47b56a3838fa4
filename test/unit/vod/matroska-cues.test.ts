import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Malformed } from '../../../src/kernel/errors.js';
import { type CuesLocation, cuesLengthBytes, locateCues, parseCues } from '../../../src/vod/matroska-cues.js';

/** Three seconds made by ffmpeg, ten pictures a second, a key frame every half second. */
const FILM = readFileSync(new URL('../../../../test/fuzz/corpus/matroska-cues/short.mkv', import.meta.url));

function located(): CuesLocation {
  const location = locateCues(FILM);
  assert.not.instance(location, Malformed);
  return location as CuesLocation;
}

test('the head says where the cues lie, and the cues when key frames are shown', () => {
  const location = located();
  const cues = FILM.subarray(location.offsetBytes);
  assert.equal([location.videoTrack, location.unitS], [1, 0.001]);
  assert.is(cuesLengthBytes(cues.subarray(0, 12)), cues.length);
  const times = parseCues(cues, location);
  assert.ok(Array.isArray(times));
  assert.is((times as readonly number[]).length, 6);
  for (const [index, timeS] of (times as readonly number[]).entries()) assert.ok(Math.abs(timeS - index * 0.5) < 0.2);
});

test('a head that is cut off is read as far as it goes', () => {
  for (let lengthBytes = 0; lengthBytes < 1000; lengthBytes += 7) locateCues(FILM.subarray(0, lengthBytes));
  assert.ok(locateCues(FILM.subarray(0, 100)) instanceof Malformed);
});

test('what is no Matroska, and a place without cues, are refused', () => {
  assert.ok(locateCues(new Uint8Array(0)) instanceof Malformed);
  assert.ok(locateCues(Buffer.from('RIFF....AVI LIST')) instanceof Malformed);
  assert.ok(cuesLengthBytes(FILM.subarray(0, 12)) instanceof Malformed);
  assert.ok(parseCues(FILM, located()) instanceof Malformed);
});

test('cues that claim to be endless, or longer than is read, are refused', () => {
  for (const length of [
    [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    [0x08, 0xff, 0xff, 0xff, 0xff],
  ])
    assert.ok(cuesLengthBytes(Uint8Array.of(0x1c, 0x53, 0xbb, 0x6b, ...length)) instanceof Malformed);
});

test.run();
