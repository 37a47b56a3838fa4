/** Blocks of a piece: how many, how long, and which requests name one. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BLOCK_BYTES, blockBytes, blockCount, isBlockRange } from '../../../src/vod/block.js';

test('every block is whole but the last, which has what is left', () => {
  assert.is(blockCount(3 * BLOCK_BYTES), 3);
  assert.is(blockCount(2 * BLOCK_BYTES + 1), 3);
  assert.is(blockBytes(2 * BLOCK_BYTES + 1, 1), BLOCK_BYTES);
  assert.is(blockBytes(2 * BLOCK_BYTES + 1, 2), 1);
  assert.is(blockBytes(2 * BLOCK_BYTES + 1, 3), 0);
});

test('a request is within the piece, not empty and no longer than a block', () => {
  assert.ok(isBlockRange(40_000, 0, BLOCK_BYTES));
  assert.ok(isBlockRange(40_000, 39_999, 1));
  assert.not(isBlockRange(40_000, 39_999, 2));
  assert.not(isBlockRange(40_000, 0, 0));
  assert.not(isBlockRange(40_000, -1, 5));
  assert.not(isBlockRange(40_000, 0, BLOCK_BYTES + 1));
});

test.run();
