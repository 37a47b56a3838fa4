import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { gapFrom, isWhole, joinRuns } from '../../../src/media/holed-window.js';

const gaps = [
  { offsetBytes: 10, lengthBytes: 5 },
  { offsetBytes: 20, lengthBytes: 1 },
];

test('the next gap is the first that reaches beyond the place', () => {
  assert.is(gapFrom(gaps, 0), gaps[0]);
  assert.is(gapFrom(gaps, 14), gaps[0]);
  assert.is(gapFrom(gaps, 15), gaps[1]);
  assert.is(gapFrom(gaps, 21), undefined);
});

test('a run is whole when no gap begins before its end', () => {
  assert.equal(
    [
      [0, 10],
      [0, 11],
      [15, 20],
      [14, 16],
      [21, 99],
    ].map(([start = 0, end = 0]) => isWhole(gaps, start, end)),
    [true, false, true, false, true],
  );
});

test('runs are put together, and key frames are named where they are now', () => {
  const bytes = Uint8Array.from({ length: 30 }, (_, index) => index);
  const runs = [
    { start: 0, end: 3 },
    { start: 15, end: 18 },
    { start: 25, end: 27 },
  ];
  const mended = joinRuns({ bytes, gaps, keyOffsets: [0, 25] }, runs);
  assert.equal([...mended.bytes], [0, 1, 2, 15, 16, 17, 25, 26]);
  assert.equal(mended.keyOffsets, [0, 6]);
  assert.equal(mended.lossOffsets, [3, 6, 8], 'before the second run, before the third, and at the end');
});

test.run();
