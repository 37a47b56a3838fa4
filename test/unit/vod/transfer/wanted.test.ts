import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TaskList } from '../../../../src/vod/task-list.js';
import type { Neighbour } from '../../../../src/vod/transfer/neighbour.js';
import { Rarity } from '../../../../src/vod/transfer/rarity.js';
import { Wanted } from '../../../../src/vod/transfer/wanted.js';

test('a piece that hundreds of readers wait for is wanted until the last of them has left', () => {
  const files = [{ offsetBytes: 0, lengthBytes: 32_768, isPad: false }];
  const shape = { pieceCount: 2, pieceLengthBytes: 16_384, totalBytes: 32_768, files };
  const wanted = new Wanted(shape, new TaskList<Neighbour>(), new Rarity(2));
  wanted.select([]);
  for (let reader = 1; reader <= 300; reader++) {
    wanted.demand(0, 1);
    assert.ok(wanted.isWanted(0), `${reader} readers`);
  }
  for (let reader = 0; reader < 300; reader++) wanted.demand(0, -1);
  assert.not(wanted.isWanted(0));
});

test.run();
