import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ALL_SUBSTREAMS,
  countSubstreams,
  DEPTH_UNKNOWN,
  hasSubstream,
  NO_FEED,
  NO_SUBSTREAMS,
  SOURCE_DEPTHS,
  SUBSTREAMS,
  substreamOf,
} from '../../../../src/relay/exchange/substreams.js';

const EACH = Array.from({ length: SUBSTREAMS }, (_, substream) => substream);

test('each substream has about as many pieces as the others, however many pieces windows have', () => {
  for (const pieceCount of [1, 4, 5, 6, 7, 13]) {
    const counts = EACH.map(() => 0);
    const windows = 10 * SUBSTREAMS;
    for (let window = 1_000; window < 1_000 + windows; window++)
      for (let piece = 0; piece < pieceCount; piece++) counts[substreamOf(window, piece)] = (counts[substreamOf(window, piece)] ?? 0) + 1;
    assert.equal(
      counts,
      EACH.map(() => (windows * pieceCount) / SUBSTREAMS),
    );
  }
});

test('pieces that follow each other, and the first ones of windows that do, are of different substreams', () => {
  assert.equal(new Set(EACH.map((piece) => substreamOf(77, piece))).size, SUBSTREAMS);
  assert.equal(new Set(EACH.map((at) => substreamOf(77 + at, 0))).size, SUBSTREAMS);
});

test('a set has what was put into it, and is counted by that', () => {
  const set = (1 << 1) | (1 << 4);
  assert.equal(
    EACH.filter((substream) => hasSubstream(set, substream)),
    [1, 4],
  );
  assert.equal([set, NO_SUBSTREAMS, ALL_SUBSTREAMS].map(countSubstreams), [2, 0, SUBSTREAMS]);
});

test('a depth fits half a byte; a publisher is nowhere far, and who says nothing is nobody knows how far', () => {
  assert.is(DEPTH_UNKNOWN, 0xf);
  assert.equal(
    SOURCE_DEPTHS,
    EACH.map(() => 0),
  );
  assert.equal(NO_FEED, { offered: 0, fed: 0, depths: EACH.map(() => DEPTH_UNKNOWN) });
});

test.run();
