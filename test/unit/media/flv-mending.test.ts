import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeTags, encodeTag, type FlvTag } from '../../../src/media/flv.js';
import { mendFlv } from '../../../src/media/flv-mending.js';
import type { Gap } from '../../../src/media/holed-window.js';
import { audioHeaderTag, audioTag, videoHeaderTag, videoTag } from '../../support/media-fixture.js';

const TAGS: readonly FlvTag[] = [
  videoHeaderTag(),
  audioHeaderTag(),
  videoTag(0, true, 1, 200),
  audioTag(5, 2),
  videoTag(40, false, 3, 100),
  audioTag(45, 4),
  videoTag(80, false, 5, 100),
  videoTag(120, true, 6, 150),
  audioTag(125, 7),
];

function windowOf(tags: readonly FlvTag[]) {
  const parts = tags.map(encodeTag);
  const starts: number[] = [];
  let at = 0;
  for (const part of parts) {
    starts.push(at);
    at += part.length;
  }
  const bytes = new Uint8Array(at);
  for (const [index, part] of parts.entries()) bytes.set(part, starts[index] ?? 0);
  const keyOffsets = tags.flatMap((tag, index) =>
    tag.type === 9 && tag.body[0] === 0x17 && tag.body[1] === 1 ? (starts[index] ?? 0) : [],
  );
  const startOf = (index: number): number => starts[index] ?? at;
  const without = (...gaps: Gap[]) => {
    const holed = Uint8Array.from(bytes);
    for (const { offsetBytes, lengthBytes } of gaps) holed.fill(0, offsetBytes, offsetBytes + lengthBytes);
    return mendFlv({ bytes: holed, gaps, keyOffsets });
  };
  return { startOf, without };
}

const { startOf, without } = windowOf(TAGS);
const kept = (mended: ReturnType<typeof without>): readonly FlvTag[] => decodeTags(mended?.bytes ?? new Uint8Array(1)) as readonly FlvTag[];
const allBut = (...indices: number[]): readonly FlvTag[] => TAGS.filter((_, index) => !indices.includes(index));

test('a gap inside a frame takes that frame alone', () => {
  assert.equal(kept(without({ offsetBytes: startOf(4) + 30, lengthBytes: 10 })), allBut(4));
});

test('a gap that swallows the head of a tag takes the frames up to the next tag that is whole', () => {
  assert.equal(kept(without({ offsetBytes: startOf(4) + 50, lengthBytes: startOf(5) + 3 - startOf(4) - 50 })), allBut(4, 5));
});

test('two gaps are mended as one is', () => {
  const gaps = [
    { offsetBytes: startOf(3) + 12, lengthBytes: 1 },
    { offsetBytes: startOf(5) + 2, lengthBytes: 2 },
  ];
  assert.equal(kept(without(...gaps)), allBut(3, 5));
});

test('key frames are named where they stand afterwards', () => {
  const mended = without({ offsetBytes: startOf(4) + 30, lengthBytes: 10 });
  assert.equal(mended?.keyOffsets, [startOf(2), startOf(7) - (startOf(5) - startOf(4))]);
});

test('a gap at the end takes what stands there', () => {
  assert.equal(kept(without({ offsetBytes: startOf(8) + 1, lengthBytes: startOf(9) - startOf(8) - 1 })), allBut(8));
});

test('a window whose headers or key frame are hit is not mended, nor one whose key frame may have lost its header', () => {
  assert.is(without({ offsetBytes: 0, lengthBytes: 5 }), undefined);
  assert.is(without({ offsetBytes: startOf(1) + 1, lengthBytes: 1 }), undefined, 'the second header');
  assert.is(without({ offsetBytes: startOf(2) + 60, lengthBytes: 1 }), undefined, 'the first key frame');
  assert.is(without({ offsetBytes: startOf(7) + 1, lengthBytes: 5 }), undefined, 'a later key frame');
  assert.is(without({ offsetBytes: startOf(6) + 20, lengthBytes: 10 }), undefined, 'the tag in front of it');
});

test('bytes that are no tags are worth nothing with a gap', () => {
  assert.is(mendFlv({ bytes: new Uint8Array(100).fill(7), gaps: [{ offsetBytes: 50, lengthBytes: 5 }], keyOffsets: [] }), undefined);
});

test.run();
