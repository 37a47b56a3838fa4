import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FrameIndex } from '../../../src/ingest/frame-index.js';
import { nodeHasher } from '../../../src/io/crypto.js';
import { AUDIO, type FlvTag, VIDEO } from '../../../src/media/flv.js';

const picture = (content: number, size = 60): FlvTag => ({ type: VIDEO, timestampMs: 0, body: frame([0x27, 1, 0, 0, 0], content, size) });
const sound = (content: number): FlvTag => ({ type: AUDIO, timestampMs: 0, body: frame([0xaf, 1], content, 40) });

function frame(head: readonly number[], content: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, at) => head[at] ?? (content >> (8 * (at % 4))) & 0xff);
}

test('a frame is found by what it holds, whatever its timestamp says', () => {
  const index = new FrameIndex(nodeHasher);
  index.add({ ...picture(1), timestampMs: 77 }, 1_000);
  const other = new FrameIndex(nodeHasher);
  other.add(picture(1), 5_000);
  const [[print] = []] = [...other.unique(0)];
  assert.is(index.timeOf(0, print ?? 0), 1_000);
  assert.is(index.timeOf(1, print ?? 0), undefined);
  assert.equal(index.span(0), { firstMs: 1_000, lastMs: 1_000, count: 1 });
});

test('what occurs at two times says nothing, what is entered twice says the same', () => {
  const index = new FrameIndex(nodeHasher);
  index.add(sound(1), 0);
  index.add(sound(1), 23);
  index.add(sound(2), 46);
  index.add(sound(2), 46);
  assert.equal(
    [...index.unique(1)].map(([, timeMs]) => timeMs),
    [46],
  );
  assert.is(index.span(1).count, 3);
});

test('headers and frames too small to tell apart are left out', () => {
  const index = new FrameIndex(nodeHasher);
  index.add({ type: VIDEO, timestampMs: 0, body: frame([0x17, 0, 0, 0, 0], 1, 90) }, 0);
  index.add(picture(1, 30), 40);
  assert.is(index.span(0).count, 0);
  index.add(picture(1), 80);
  index.clear();
  assert.is(index.span(0).count, 0);
});

test('it holds the newest frames and no more', () => {
  const index = new FrameIndex(nodeHasher);
  for (let count = 0; count < 5_000; count++) index.add(picture(count), count * 40);
  const times = [...index.unique(0)].map(([, timeMs]) => timeMs);
  assert.is(times.length, 4_096);
  assert.is(times.at(-1), 4_999 * 40);
  assert.is([...index.times(0)].length, 4_096);
  assert.is(index.span(0).firstMs, 904 * 40, 'and knows how far back it reaches');
});

test.run();
