import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { blockCount } from '../../../../src/vod/block.js';
import { PIECE_LENGTH_BYTES_MAX } from '../../../../src/vod/metainfo.js';
import { CalledOff } from '../../../../src/vod/transfer/called-off.js';

test('of the longest pieces no block is taken for one of the next piece', () => {
  const calledOff = new CalledOff();
  calledOff.add(0, blockCount(PIECE_LENGTH_BYTES_MAX) - 1);
  calledOff.add(0, blockCount(PIECE_LENGTH_BYTES_MAX) / 2);
  assert.not(calledOff.take(1, 0));
  assert.ok(calledOff.take(0, blockCount(PIECE_LENGTH_BYTES_MAX) / 2));
  assert.is(calledOff.size, 1);
});

test.run();
