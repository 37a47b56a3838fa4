import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { VirtualClock } from '../../../src/sim/virtual-clock.js';

test('tasks run by time, then in the order they were scheduled', () => {
  const clock = new VirtualClock();
  const ran: string[] = [];
  clock.schedule(() => ran.push('late'), 20);
  clock.schedule(() => ran.push('first'), 10);
  clock.schedule(() => ran.push('second'), 10);
  clock.schedule(() => ran.push('never'), 31);
  clock.schedule(() => ran.push('cancelled'), 5)();
  clock.runUntil(30);
  assert.equal(ran, ['first', 'second', 'late']);
  assert.is(clock.nowMs(), 30);
});

test('a task sees its own time, and may schedule another for at once', () => {
  const clock = new VirtualClock();
  const seen: number[] = [];
  clock.schedule(() => {
    seen.push(clock.nowMs());
    clock.schedule(() => seen.push(clock.nowMs()), -5);
  }, 10);
  clock.runUntil(100);
  assert.equal(seen, [10, 10]);
});

test.run();
