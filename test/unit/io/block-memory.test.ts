import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BLOCK_FRAME_BYTES, BlockMemory } from '../../../src/io/block-memory.js';

test('what was given back is taken again, and what was not is never taken twice', () => {
  const memory = new BlockMemory();
  const first = memory.take();
  const second = memory.take();
  assert.is(first.length, BLOCK_FRAME_BYTES);
  assert.is.not(first.buffer, second.buffer);
  memory.giveBack(first);
  assert.is(memory.take().buffer, first.buffer);
  assert.is.not(memory.take().buffer, second.buffer);
});

test('any part of it gives all of it back', () => {
  const memory = new BlockMemory();
  const taken = memory.take();
  memory.giveBack(taken.subarray(13, 20));
  assert.is(memory.take().length, BLOCK_FRAME_BYTES);
  assert.is(memory.freeCount, 0);
});

test('nothing is given back twice, and nothing that is somebody else’s', () => {
  const memory = new BlockMemory();
  const taken = memory.take();
  memory.giveBack(taken);
  memory.giveBack(taken);
  memory.giveBack(new Uint8Array(BLOCK_FRAME_BYTES));
  assert.is(memory.freeCount, 1);
});

test('no more is kept than one fast neighbour needs', () => {
  const memory = new BlockMemory();
  const taken = Array.from({ length: 2000 }, () => memory.take());
  for (const frame of taken) memory.giveBack(frame);
  assert.is(memory.freeCount, 1024);
});

test.run();
