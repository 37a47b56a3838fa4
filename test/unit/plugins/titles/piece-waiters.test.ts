import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PieceWaiters } from '../../../../src/plugins/titles/piece-waiters.js';

const never = new AbortController().signal;

/** What has been resolved by now, in order. */
function watch(waits: Readonly<Record<string, Promise<void>>>): string[] {
  const woken: string[] = [];
  for (const [name, wait] of Object.entries(waits)) void wait.then(() => woken.push(name));
  return woken;
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test('whoever waits for a piece is woken by it, and by no other', async () => {
  const waiters = new PieceWaiters();
  const woken = watch({ one: waiters.wait(1, never), another: waiters.wait(1, never), two: waiters.wait(2, never) });
  waiters.wake(1);
  await settle();
  assert.equal(woken, ['one', 'another']);
  waiters.wake(3);
  await settle();
  assert.is(woken.length, 2);
  waiters.wakeAll();
  await settle();
  assert.equal(woken, ['one', 'another', 'two']);
});

test('a wait that is ended leaves the others waiting', async () => {
  const waiters = new PieceWaiters();
  const ending = new AbortController();
  const woken = watch({ ended: waiters.wait(1, ending.signal), other: waiters.wait(1, never) });
  ending.abort();
  await settle();
  assert.equal(woken, ['ended']);
  waiters.wake(1);
  await settle();
  assert.equal(woken, ['ended', 'other']);
});

test.run();
